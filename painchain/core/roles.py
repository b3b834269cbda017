"""Actors and the permissions of each role."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

VIEWER, EDITOR, ADMIN = "viewer", "editor", "admin"
ROLES = (VIEWER, EDITOR, ADMIN)  # each includes the permissions of those before it
ROLE_DESCRIPTIONS = {
    VIEWER: "views everything",
    EDITOR: "changes connectors and teams",
    ADMIN: "manages accounts, tokens, retention and notifications",
}


@dataclass(frozen=True)
class Actor:
    """Who makes a request: `name` is the author of what it changes.

    `person_id` is the account (a token's owner), `sign_in` the id of the session, which `began` with a sign-in, `token`
    the token's name; `seen` is when the use of the session or token was last stored. `is_remembered` says that the
    session began without a sign-in: the identity provider remembered the person.
    """

    name: str
    role: str
    person_id: int | None = None
    sign_in: str | None = None
    token: str | None = None
    seen: datetime | None = None
    began: datetime | None = None
    is_remembered: bool = False

    def may(self, needed: str) -> bool:
        """Return whether the actor has the needed role or a higher one."""
        return allows(self.role, needed)


def allows(role: str, needed: str) -> bool:
    """Return whether a role includes the permissions of another one.

    >>> allows("admin", "editor"), allows("viewer", "editor"), allows("", "viewer")
    (True, False, False)
    """
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)


# Every request, while there are no accounts and the server listens only on loopback.
LOCAL = Actor("system", ADMIN)
NOBODY = Actor("", "")
