"""What pages and accounts know of a sign-in through an OpenID Connect provider.

`oidc` imports libraries that take 6 MB of memory, so it is imported only if the settings name a provider.
"""

from __future__ import annotations

from dataclasses import dataclass

CALLBACK = "/sign-in/oidc/back"


@dataclass(frozen=True)
class PendingSignIn:
    """What the browser stores while the user is at the provider."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True)
class Identity:
    """A user as the provider identifies them. `email` is empty if no comparable address is known."""

    issuer: str
    subject: str
    email: str
    verified: bool


class OidcSignInFailed(Exception):
    """A failed sign-in. The message is for the user, `reason` is for the audit log."""

    def __init__(self, message: str, reason: str, status: int):
        super().__init__(message)
        self.reason, self.status = reason, status
