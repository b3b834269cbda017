"""API tokens for scripts: create, list and revoke them. A token has a name, a role and an expiry time.

Only its hash is stored. Each change is recorded in the audit log.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe

from sqlalchemy import Select, select

from painchain.accounts.sessions import TOKEN_PREFIX
from painchain.accounts.users import InvalidAccount, digest, key_of
from painchain.audit.trail import Trail
from painchain.core.roles import ROLES, allows
from painchain.core.text import is_blank, unprintable
from painchain.database.models import ApiToken, Person
from painchain.database.session import db

DAYS = (7, 30, 90, 365)
MAX_NAME_LENGTH = 100
NO_ACCOUNT = "A token belongs to an account. Sign in first. While there are no accounts, no token is needed."
_WITH_OWNER = select(ApiToken, Person.name, Person.role).join(Person, Person.id == ApiToken.person_id)


@dataclass(frozen=True)
class TokenView:
    """A token for display: its owner, its effective role, its expiry time, and when it was last used."""

    id: int
    name: str
    role: str
    person: str
    created_at: datetime
    expires: datetime | None
    last_used: datetime | None
    ended: bool


def list_all(now: datetime) -> list[TokenView]:
    """Return all tokens, sorted by name."""
    return _views(_WITH_OWNER.order_by(ApiToken.key), now)


def find(number: int, now: datetime) -> TokenView | None:
    """Return the token with this ID, or None."""
    return next(iter(_views(_WITH_OWNER.where(ApiToken.id == number), now)), None)


def _views(query: Select[ApiToken, str, str], now: datetime) -> list[TokenView]:
    """Return the tokens that a query selects. A token never has more permissions than its owner."""
    return [
        TokenView(
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
    """Return the token with this ID, or None."""
    return db.session.get(ApiToken, number)


def create(name: str, role: str, days: int, owner: Person, trail: Trail) -> tuple[ApiToken, str]:
    """Create a token for `owner` that expires after `days` days (0: never). Return it and its secret.

    The secret is not stored.

    :raises InvalidAccount: when a value is invalid, or the owner does not have that role.
    """
    name = name.strip()
    errors = _errors(name, role, days, owner)
    if errors:
        raise InvalidAccount(errors)
    secret = TOKEN_PREFIX + token_urlsafe(32)
    expires: datetime | None = trail.now + timedelta(days=days) if days else None
    columns = {"name": name, "key": key_of(name), "hash": digest(secret), "role": role, "person_id": owner.id}
    token = ApiToken(**columns, created_at=trail.now, expires=expires)
    db.session.add(token)
    db.session.flush()
    until = f"{days} days" if days else "no end"
    metadata = {"token": name, "role": role, "person": owner.name, "days": days or None}
    trail.record("token_created", name, "created", f"Created the token {name} ({role}, {until})", metadata)
    return token, secret


def revoke(token: ApiToken, trail: Trail) -> None:
    """Revoke a token permanently."""
    trail.record("token_revoked", token.name, "revoked", f"Revoked the token {token.name}", {"token": token.name})
    db.session.delete(token)
    db.session.flush()


def _errors(name: str, role: str, days: int, owner: Person) -> dict[str, str]:
    errors: dict[str, str] = {}
    is_visible = not any(unprintable(character) or character in "\n\t" for character in name)
    if is_blank(name) or len(name) > MAX_NAME_LENGTH or not is_visible:
        errors["name"] = f"Enter a name of 1 to {MAX_NAME_LENGTH} visible characters."
    elif db.session.scalar(select(ApiToken.id).where(ApiToken.key == key_of(name))):
        errors["name"] = f"A token named “{name}” already exists."
    if role not in ROLES or not allows(owner.role, role):
        errors["role"] = f"Choose a role that is not higher than the role of {owner.name}."
    if days not in (0, *DAYS):
        errors["days"] = f"Choose {', '.join(map(str, DAYS))} days, or 0 for no expiry."
    return errors
