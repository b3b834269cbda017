"""Who acts, and what each role may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

VIEWER, EDITOR, ADMIN = "viewer", "editor", "admin"
ROLES = (VIEWER, EDITOR, ADMIN)  # each may do what those before it may
MAY = {
    VIEWER: "reads everything",
    EDITOR: "changes connectors and teams",
    ADMIN: "manages people, tokens and how long events are kept",
}


@dataclass(frozen=True)
class Actor:
    """Who makes a request: `name` is the author of what it changes.

    `person_id` is the account (a token's owner), `sign_in` the id of the session, `token` the token's name; `seen` is
    when it was last written down that session or token are in use.
    """

    name: str
    role: str
    person_id: int | None = None
    sign_in: str | None = None
    token: str | None = None
    seen: datetime | None = None

    def may(self, needed: str) -> bool:
        """Say whether this one has the role that is needed, or one that may do more."""
        return allows(self.role, needed)


def allows(role: str, needed: str) -> bool:
    """Say whether a role may do what another one may.

    >>> allows("admin", "editor"), allows("viewer", "editor"), allows("", "viewer")
    (True, False, False)
    """
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)


# Everybody, while there are no accounts and the server listens on loopback alone.
LOCAL = Actor("system", ADMIN)
NOBODY = Actor("", "")
