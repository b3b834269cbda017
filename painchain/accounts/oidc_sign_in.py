"""What pages and accounts know of a sign-in through an OpenID Connect provider.

`oidc` imports libraries that take 6 MB of memory, so it is imported only if the settings name a provider.
"""

from __future__ import annotations

from dataclasses import dataclass

CALLBACK = "/sign-in/oidc/back"


@dataclass(frozen=True)
class PendingSignIn:
    """What the browser stores while the user is at the provider.

    `started` is the second at which the sign-in began. `is_again` says that the user must authenticate there even if
    the provider remembers them.
    """

    state: str
    nonce: str
    verifier: str
    started: int
    is_again: bool = False


@dataclass(frozen=True)
class Identity:
    """A user as the provider identifies them. `email` is empty if no comparable address is known.

    `is_remembered` says that the provider did not authenticate the user for this sign-in, or does not say so.
    """

    issuer: str
    subject: str
    email: str
    verified: bool
    is_remembered: bool = False


class OidcSignInFailed(Exception):
    """A failed sign-in. The message is for the user, `reason` is for the audit log."""

    def __init__(self, message: str, reason: str, status: int):
        super().__init__(message)
        self.reason, self.status = reason, status
