"""Invite people: the first account is an admin; without a password a link that works once sets it."""

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

FIRST = "The first account is an admin: somebody has to manage the others."


@dataclass(frozen=True)
class Invited:
    """A new account, and the secret of the link with which it gets its password, if it has none."""

    person: Person
    secret: str | None


class AccountDisabled(AccountRefused):
    """Somebody who is kept out gets no link."""

    def __init__(self, name: str):
        super().__init__(f"“{name}” is disabled. Enable the account first; then a link can be made.")


def first_role() -> str:
    """Return the role that a new account has where none is named."""
    return VIEWER if users.any_exist() else ADMIN


def invite(name: str, role: str, trail: Trail, email: str = "", password: str = "") -> Invited:
    """Add an account, with a password or else with a link that sets it.

    :raises Wrong: when a value cannot be taken.
    """
    if role != ADMIN and not users.any_exist():
        raise InvalidAccount({"role": FIRST})
    person = users.add(name, role, trail, email, password or None)
    return Invited(person, None if password else password_links.make_link(person, trail.now, trail))


def new_link(person: Person, trail: Trail) -> str:
    """Return the secret of a new link that sets somebody's password; older ones stop working.

    :raises Away: when the account is disabled.
    """
    if person.disabled_at:
        raise AccountDisabled(person.name)
    return password_links.make_link(person, trail.now, trail)


def last_seen(limits: Limits, now: datetime) -> Mapping[int, datetime]:
    """Return of those who are signed in anywhere when they were seen last, by the number of the account."""
    seen = select(SignIn.person_id, func.max(SignIn.seen)).where(*limits.hold(now)).group_by(SignIn.person_id)
    return {row[0]: row[1] for row in db.session.execute(seen)}


def tokens_of(person: Person) -> Sequence[str]:
    """Return the names of the tokens that belong to somebody."""
    return db.session.scalars(select(ApiToken.name).where(ApiToken.person_id == person.id)).all()
