"""Bind CSRF tokens to the session, and mask them.

A mask is a random pad, so that the size of compressed responses reveals nothing about the token (BREACH).
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import cast

from flask import Flask, current_app, g
from flask_wtf import CSRFProtect
from flask_wtf.csrf import generate_csrf
from itsdangerous import Signer

STAND_IN = secrets.token_urlsafe(32)  # random, so that no text of others contains it


class MaskedCSRFProtect(CSRFProtect):  # type: ignore[misc]
    """Flask-WTF's protection, with tokens of one session, and another text for the same token in every response."""

    def init_app(self, app: Flask) -> None:
        """Install the protection, and give the templates masked tokens."""
        super().init_app(app)
        app.jinja_env.globals["csrf_token"] = masked_token
        app.context_processor(lambda: {"csrf_token": masked_token})

    def _get_csrf_token(self) -> str | None:
        token, _, binding = unmask(super()._get_csrf_token() or "").rpartition(" ")
        return token if hmac.compare_digest(binding.encode(), binding_of(token).encode()) else None


def masked_token() -> str:
    """Return the CSRF token of this browser, masked. All forms of one response have the same text."""
    if "renders_for_many" in g:
        return STAND_IN
    if "masked_csrf_token" not in g:
        token = generate_csrf()
        g.masked_csrf_token = mask(f"{token} {binding_of(token)}")
    return cast(str, g.masked_csrf_token)


@contextmanager
def renders_for_many() -> Iterator[None]:
    """Render a page that many browsers get: with a stand-in for the token, which `with_token` replaces."""
    g.renders_for_many = True
    try:
        yield
    finally:
        del g.renders_for_many


def with_token(html: str) -> str:
    """Return a page with the token of this browser in place of the stand-in."""
    return html.replace(STAND_IN, masked_token()) if STAND_IN in html else html


def binding_of(token: str) -> str:
    """Return the signature that makes a token valid only in the session of this request.

    Without it, someone who can set cookies in a browser, such as a host of the same domain, could set an anonymous
    cookie of their own and send its token.
    """
    signature = _signer(current_app.secret_key or "").get_signature(f"{g.who.sign_in or ''}\n{token}")
    return signature.decode("ascii")


@lru_cache(1)
def _signer(secret_key: str | bytes) -> Signer:
    return Signer(secret_key, salt="csrf token of a session")


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
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(len(one))
