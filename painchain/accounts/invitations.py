"""Invite people. The first account is an admin. An account without a password gets a one-time link to set it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from painchain.accounts import password_links, users
from painchain.accounts.sessions import Limits
from painchain.accounts.users import AccountRefused, InvalidAccount
from painchain.audit.trail import Trail
from painchain.core.roles import ADMIN, VIEWER
from painchain.database.models import ApiToken, Person, SignIn
from painchain.database.session import db

FIRST = "The first account must be an admin, to manage the others."


@dataclass(frozen=True)
class Invited:
    """A new account, and the secret of the link that sets its password (None if it has a password)."""

    person: Person
    secret: str | None


class AccountDisabled(AccountRefused):
    """A disabled account gets no link."""

    def __init__(self, name: str):
        super().__init__(f"“{name}” is disabled. Enable the account first, then create a link.")


def first_role() -> str:
    """Return the default role of a new account."""
    return VIEWER if users.any_exist() else ADMIN


def invite(name: str, role: str, trail: Trail, email: str = "", password: str = "") -> Invited:
    """Add an account, with a password or with a link that sets it.

    :raises InvalidAccount: when a value is invalid.
    """
    if role != ADMIN and not users.any_exist():
        raise InvalidAccount({"role": FIRST})
    person = users.add(name, role, trail, email, password or None)
    return Invited(person, None if password else password_links.make_link(person, trail.now, trail))


def new_link(person: Person, trail: Trail) -> str:
    """Return the secret of a new link that sets the password of an account. Older links stop working.

    :raises AccountDisabled: when the account is disabled.
    """
    if person.disabled_at:
        raise AccountDisabled(person.name)
    return password_links.make_link(person, trail.now, trail)


def last_seen(limits: Limits, now: datetime) -> Mapping[int, datetime]:
    """Return when each account with an active session was last seen, by account ID."""
    query = select(SignIn.person_id, func.max(SignIn.seen)).where(*limits.is_active(now)).group_by(SignIn.person_id)
    return {row[0]: row[1] for row in db.session.execute(query)}


def tokens_of(person: Person) -> Sequence[str]:
    """Return the names of an account's tokens."""
    return db.session.scalars(select(ApiToken.name).where(ApiToken.person_id == person.id)).all()
