"""Browser sessions and API tokens: who makes a request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from secrets import token_urlsafe

from sqlalchemy import BindParameter, ColumnElement, and_, bindparam, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from painchain.accounts.users import digest, find_by_name, key_of
from painchain.audit.trail import Trail
from painchain.core import logs, passwords
from painchain.core.roles import ROLES, Actor
from painchain.database import clock
from painchain.database.models import ApiToken, Person, SignIn
from painchain.database.prepared import Prepared
from painchain.database.session import WriteBusy, db, write_transaction

LAST_USE_INTERVAL = timedelta(minutes=1)  # how often the last use of a session is stored
TOKEN_PREFIX = "pct_"  # noqa: S105  the prefix of tokens, so that secret scanners find them
MAX_BROWSER_LENGTH = 200
REMEMBERED = ", remembered"  # ends the stored way of a session that is not a recent sign-in


class SignInRefused(Exception):
    """A refused sign-in. The message never reveals whether the account exists."""


@dataclass(frozen=True)
class Limits:
    """The limits of a session: how long it may be idle, and how long it lasts at most."""

    idle: timedelta
    absolute: timedelta

    def is_active(self, now: datetime) -> Sequence[ColumnElement[bool]]:
        """Return the conditions of a query that select active sessions."""
        bounds = self.bounds(now)
        return (
            *(_s.seen > bounds["unused"], _s.seen < bounds["ahead"]),
            *(_s.began > bounds["oldest"], _s.began < bounds["newest"]),
        )

    def bounds(self, now: datetime) -> dict[str, datetime]:
        """Return the bounds of the times at which an active session began and was last seen.

        They may be in the future if the clock was set back, but not so far that a session would last forever.
        """
        seen = {"unused": now - self.idle, "ahead": now + self.idle}
        return {**seen, "oldest": now - self.absolute, "newest": now + self.absolute}


@dataclass(frozen=True)
class SignInOrigin:
    """Where a sign-in comes from: an address, a browser, and the account that has used this browser before, if any."""

    address: str
    browser: str
    known_person_id: int | None = None

    @property
    def rate_limit_key(self) -> str:
        """The key that failures count for: the address, or the /64 network of an IPv6 address."""
        with suppress(ValueError):
            address = ip_address(self.address)
            if isinstance(address, IPv6Address):
                return f"{IPv6Address(int(address) >> 64 << 64)}/64"
        return self.address


_p, _s, _t = Person.__table__.c, SignIn.__table__.c, ApiToken.__table__.c


def _moment(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=_s.seen.type)


_SIGNED_IN = Prepared(
    select(_p.id, _p.name, _p.role, _s.seen, _s.began, _s.way)
    .where(_s.person_id == _p.id, _s.id == bindparam("sign_in"), _p.disabled_at.is_(None))
    .where(_s.seen > _moment("unused"), _s.seen < _moment("ahead"))
    .where(_s.began > _moment("oldest"), _s.began < _moment("newest"))
)
_TOKEN = Prepared(
    select(_t.name, _t.role, _p.id, _p.role, _t.expires, _t.last_used).where(
        _t.person_id == _p.id, _t.hash == bindparam("hash"), _p.disabled_at.is_(None)
    )
)


def verify_credentials(name: str, password: str) -> tuple[int | None, str]:
    """Return the ID of the account with this name, and why the sign-in fails ("" if the password is right).

    It takes the same time whether the account exists or not. It writes nothing and holds no write lock.
    """
    person = find_by_name(name)
    is_right = passwords.verify_password(person.password if person else None, password)
    if person is None:
        return None, "no such account"
    if is_right:
        return person.id, "disabled account" if person.disabled_at else ""
    return person.id, "wrong password"


def record_failure(
    person: Person | None, origin: SignInOrigin, reason: str, trail: Trail, way: str = "password"
) -> None:
    """Record a failed sign-in. An unknown name is left out, because it may be a password."""
    account = person.name if person else "an unknown account"
    logs.security("sign_in_failed", f"A sign-in as {account} failed: {reason}.", way=way)
    metadata = {"person": person.name if person else None, "why": reason, "way": way, "address": origin.address}
    trail.record("sign_in_failed", account, "failed", f"A sign-in as {account} failed: {reason}", metadata)


def start(person: Person, way: str, origin: SignInOrigin, trail: Trail, is_remembered: bool = False) -> str:
    """Start a session, record it, and return the secret for the cookie.

    If the identity provider remembered the person and did not ask them to sign in, this is no recent sign-in.
    """
    secret = token_urlsafe(32)
    session_id = digest(secret)
    columns = {"address": origin.address, "browser": origin.browser[:MAX_BROWSER_LENGTH], "way": way}
    stored = {**columns, "way": f"{way}{REMEMBERED if is_remembered else ''}"}
    db.session.add(SignIn(id=session_id, person_id=person.id, began=trail.now, seen=trail.now, **stored))
    db.session.flush()
    metadata = {"person": person.name, **columns, "session": short_id(session_id)}
    logs.security("signed_in", f"{person.name} signed in.", logging.INFO, way=way)
    trail.record("signed_in", person.name, "signed in", f"{person.name} signed in", metadata)
    return secret


def end(actor: Actor, trail: Trail) -> None:
    """End the session of the current browser, and record that."""
    _end(actor.name, SignIn.id == actor.sign_in, trail)


def end_session(person: Person, session_id: str, trail: Trail) -> bool:
    """End one session of an account, and record that. Return False if there is no such session."""
    return _end(person.name, and_(SignIn.person_id == person.id, SignIn.id == session_id), trail) > 0


def end_all(person: Person, trail: Trail) -> int:
    """End all sessions of an account, and record that. Return how many there were."""
    return _end(person.name, SignIn.person_id == person.id, trail)


def short_id(session_id: str) -> str:
    """Return the ID of a session in the log, which links its start and its end."""
    return session_id[:16]


def list_active(person_id: int, limits: Limits, now: datetime) -> Sequence[SignIn]:
    """Return the active sessions of an account, the last used first."""
    query = select(SignIn).where(SignIn.person_id == person_id, *limits.is_active(now))
    return db.session.scalars(query.order_by(SignIn.seen.desc())).all()


def find_session_actor(secret: str, limits: Limits, now: datetime, connection: Connection) -> Actor | None:
    """Return who is signed in with a cookie, or None."""
    session_id = digest(secret)
    for person_id, name, role, seen, began, way in _SIGNED_IN.all(connection, sign_in=session_id, **limits.bounds(now)):
        is_remembered = way.endswith(REMEMBERED)
        return Actor(name, role, person_id, sign_in=session_id, seen=seen, began=began, is_remembered=is_remembered)
    return None


def find_token_actor(secret: str, now: datetime, connection: Connection) -> Actor | None:
    """Return the actor of a valid token, or None. It has the permissions that both the token and its owner have."""
    if not secret.startswith(TOKEN_PREFIX):
        return None
    for name, role, person_id, owner_role, expires, last_used in _TOKEN.all(connection, hash=digest(secret)):
        if expires is None or expires > now:
            return Actor(f"token:{name}", min(role, owner_role, key=ROLES.index), person_id, token=name, seen=last_used)
    return None


def record_use(actor: Actor, now: datetime) -> None:
    """Store that a session or a token is in use, at most once per ``LAST_USE_INTERVAL``.

    It uses its own transaction, which changes no revision. If it cannot be written, the request continues.
    """
    if actor.seen is not None and abs(now - actor.seen) <= LAST_USE_INTERVAL:
        return
    with suppress(SQLAlchemyError, WriteBusy), write_transaction() as connection:
        if actor.token is not None:
            key = key_of(actor.token)
            connection.execute(update(ApiToken).where(ApiToken.key == key).values(last_used=now))
        else:
            future = now + clock.MAX_CLOCK_SKEW
            change = update(SignIn).where(SignIn.id == actor.sign_in)
            connection.execute(change.where(or_(SignIn.seen < now, SignIn.seen > future)).values(seen=now))
            connection.execute(change.where(SignIn.began > future).values(began=now))


def _end(name: str, condition: ColumnElement[bool], trail: Trail) -> int:
    ended = db.session.scalars(select(SignIn).where(condition)).all()
    for session in ended:
        metadata = {
            "person": name,
            "address": session.address,
            "browser": session.browser,
            "session": short_id(session.id),
        }
        trail.record("signed_out", name, "signed out", f"{name} signed out", metadata)
        db.session.delete(session)
    db.session.flush()
    return len(ended)
