"""Describe what a token must be allowed, for the form of a connector."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenScopes:
    """What one kind of token must be allowed: the names of its scopes or permissions, and a note."""

    token: str
    names: tuple[str, ...]
    note: str = ""
