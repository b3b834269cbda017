"""Mask CSRF tokens with a random pad, so that the size of compressed responses reveals nothing about them (BREACH)."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import cast

from flask import Flask, g
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf


class MaskedCSRFProtect(CSRFProtect):  # type: ignore[misc]
    """Flask-WTF's protection, with another text for the same token in every response."""

    def init_app(self, app: Flask) -> None:
        """Install the protection, and give the templates masked tokens."""
        super().init_app(app)
        app.jinja_env.globals["csrf_token"] = masked_token
        app.context_processor(lambda: {"csrf_token": masked_token})

    def _get_csrf_token(self) -> str | None:
        token = super()._get_csrf_token()
        return unmask(token) if token else None


def masked_token() -> str:
    """Return the CSRF token of this browser, masked. All forms of one response have the same text."""
    if "masked_csrf_token" not in g:
        g.masked_csrf_token = mask(generate_csrf())
    return cast(str, g.masked_csrf_token)


def mask(token: str) -> str:
    """Return the token, combined with a new random pad.

    >>> mask("token") == mask("token")
    False
    >>> unmask(mask("token"))
    'token'
    """
    text = token.encode("ascii")
    pad = secrets.token_bytes(len(text))
    return _encode(pad + _xor(pad, text))


def unmask(masked: str) -> str:
    """Return the token of a masked text; the text itself if it is not exactly what `mask` returns.

    >>> unmask("signed.and.not-masked")
    'signed.and.not-masked'
    """
    try:
        data = urlsafe_b64decode(masked + "=" * (-len(masked) % 4))
    except ValueError:
        return masked
    half = len(data) // 2
    is_exact = len(data) == 2 * half and _encode(data) == masked
    return _xor(data[:half], data[half:]).decode("latin-1") if is_exact else masked


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode("ascii").rstrip("=")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(left ^ right for left, right in zip(one, other, strict=True))
