"""Tokens of scripts: named, with a role and an end, shown once, stored as a hash, on the record."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe

from sqlalchemy import Select, select

from painchain.accounts.sessions import TOKEN_PREFIX
from painchain.accounts.users import InvalidAccount, digest, key_of
from painchain.audit.trail import Trail
from painchain.core.roles import ROLES, allows
from painchain.core.text import unprintable
from painchain.database.models import ApiToken, Person
from painchain.database.session import db

DAYS = (7, 30, 90, 365)
LONGEST_NAME = 100
NOBODY = "A token belongs to an account: sign in first. While there is no account, none is needed."
_WITH_OWNER = select(ApiToken, Person.name, Person.role).join(Person, Person.id == ApiToken.person_id)


@dataclass(frozen=True)
class Listed:
    """A token as it is shown: whose it is, what it may do and until when, and when it was used last."""

    id: int
    name: str
    role: str
    person: str
    created_at: datetime
    expires: datetime | None
    last_used: datetime | None
    ended: bool


def listed(now: datetime) -> list[Listed]:
    """Return all tokens by name."""
    return _listed(_WITH_OWNER.order_by(ApiToken.key), now)


def one(number: int, now: datetime) -> Listed | None:
    """Return the token of that number, if there is one."""
    return next(iter(_listed(_WITH_OWNER.where(ApiToken.id == number), now)), None)


def _listed(query: Select[ApiToken, str, str], now: datetime) -> list[Listed]:
    """Return what a query finds; a token may do no more than its owner."""
    return [
        Listed(
            token.id,
            token.name,
            min(token.role, role, key=ROLES.index),
            person,
            token.created_at,
            token.expires,
            token.last_used,
            token.expires is not None and token.expires <= now,
        )
        for token, person, role in db.session.execute(query)
    ]


def get(number: int) -> ApiToken | None:
    """Return the token of that number, if there is one."""
    return db.session.get(ApiToken, number)


def create(name: str, role: str, days: int, owner: Person, trail: Trail) -> tuple[ApiToken, str]:
    """Make a token of `owner` that ends after some days (0: never); return it and its secret, which is not kept.

    :raises Wrong: when a value cannot be taken, or the owner may not do as much.
    """
    name = name.strip()
    errors = _errors(name, role, days, owner)
    if errors:
        raise InvalidAccount(errors)
    secret = TOKEN_PREFIX + token_urlsafe(32)
    expires: datetime | None = trail.now + timedelta(days=days) if days else None
    made = {"name": name, "key": key_of(name), "hash": digest(secret), "role": role, "person_id": owner.id}
    token = ApiToken(**made, created_at=trail.now, expires=expires)
    db.session.add(token)
    db.session.flush()
    until = f"{days} days" if days else "no end"
    facts = {"token": name, "role": role, "person": owner.name, "days": days or None}
    trail.record("token_created", name, "created", f"Created the token {name} ({role}, {until})", facts)
    return token, secret


def revoke(token: ApiToken, trail: Trail) -> None:
    """Let a token never work again."""
    trail.record("token_revoked", token.name, "revoked", f"Revoked the token {token.name}", {"token": token.name})
    db.session.delete(token)
    db.session.flush()


def _errors(name: str, role: str, days: int, owner: Person) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not name or len(name) > LONGEST_NAME or any(unprintable(one) or one in "\n\t" for one in name):
        errors["name"] = f"Give a name of 1 to {LONGEST_NAME} characters that can be seen."
    elif db.session.scalar(select(ApiToken.id).where(ApiToken.key == key_of(name))):
        errors["name"] = f"There is a token called “{name}” already."
    if role not in ROLES or not allows(owner.role, role):
        errors["role"] = f"Choose a role that {owner.name} has as well."
    if days not in (0, *DAYS):
        errors["days"] = f"Choose one of {', '.join(map(str, DAYS))} days, or 0 for no end."
    return errors
