"""Sessions of browsers and API tokens of scripts: who makes a request."""

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

SEEN_EVERY = timedelta(minutes=1)  # so often it is written down that a session is in use
TOKEN_PREFIX = "pct_"  # noqa: S105  how a token begins, so that scanners know one
LONGEST_BROWSER = 200


class SignInRefused(Exception):
    """A sign-in that is not let through. The message never says whether the account exists."""


@dataclass(frozen=True)
class Limits:
    """After how long a session ends: unused, and whatever happens."""

    idle: timedelta
    absolute: timedelta

    def hold(self, now: datetime) -> Sequence[ColumnElement[bool]]:
        """Say in a query which sessions last."""
        ends = self.ends(now)
        return (
            *(_s.seen > ends["unused"], _s.seen < ends["ahead"]),
            *(_s.began > ends["oldest"], _s.began < ends["newest"]),
        )

    def ends(self, now: datetime) -> dict[str, datetime]:
        """Return between which moments a session that lasts was seen, and began.

        They may lie ahead, where the clock was put back since, but not so far that it would last for ever.
        """
        seen = {"unused": now - self.idle, "ahead": now + self.idle}
        return {**seen, "oldest": now - self.absolute, "newest": now + self.absolute}


@dataclass(frozen=True)
class SignInOrigin:
    """Where a sign-in comes from: an address, a browser, and the account that this browser is known for, if any."""

    address: str
    browser: str
    known_for: int | None = None

    @property
    def rate_limit_key(self) -> str:
        """What failures count against: of IPv6 the first half, for whoever has one address has the whole second one."""
        with suppress(ValueError):
            found = ip_address(self.address)
            if isinstance(found, IPv6Address) and not found.ipv4_mapped:
                return f"{IPv6Address(int(found) >> 64 << 64)}/64"
        return self.address


_p, _s, _t = Person.__table__.c, SignIn.__table__.c, ApiToken.__table__.c


def _moment(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=_s.seen.type)


_SIGNED_IN = Prepared(
    select(_p.id, _p.name, _p.role, _s.seen)
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
    """Return the number of the account that a name belongs to, and why its password does not let in ("" if it does).

    It takes the same time whether the account exists or not; nothing is written, and no write has to wait for it.
    """
    person = find_by_name(name)
    good = passwords.verify_password(person.password if person else None, password)
    if person is None:
        return None, "no such account"
    if good:
        return person.id, "disabled account" if person.disabled_at else ""
    return person.id, "wrong password"


def record_failure(person: Person | None, place: SignInOrigin, why: str, trail: Trail, way: str = "password") -> None:
    """Put a failed sign-in on the record. An unknown name is not told: it may be a password."""
    who = person.name if person else "an unknown account"
    logs.security("sign_in_failed", f"A sign-in as {who} failed: {why}.", way=way)
    facts = {"person": person.name if person else None, "why": why, "way": way, "address": place.address}
    trail.record("sign_in_failed", who, "failed", f"A sign-in as {who} failed: {why}", facts)


def start(person: Person, way: str, place: SignInOrigin, trail: Trail) -> str:
    """Sign somebody in, on the record, and return what the cookie is to hold."""
    secret = token_urlsafe(32)
    number = digest(secret)
    about = {"address": place.address, "browser": place.browser[:LONGEST_BROWSER], "way": way}
    db.session.add(SignIn(id=number, person_id=person.id, began=trail.now, seen=trail.now, **about))
    db.session.flush()
    facts = {"person": person.name, **about, "session": short(number)}
    logs.security("signed_in", f"{person.name} signed in.", logging.INFO, way=way)
    trail.record("signed_in", person.name, "signed in", f"{person.name} signed in", facts)
    return secret


def end(actor: Actor, trail: Trail) -> None:
    """Sign somebody out of the browser that they use, on the record."""
    _end(actor.name, SignIn.id == actor.sign_in, trail)


def end_one(person: Person, number: str, trail: Trail) -> bool:
    """Sign somebody out of one of their browsers, on the record. Return False if they are not signed in there."""
    return _end(person.name, and_(SignIn.person_id == person.id, SignIn.id == number), trail) > 0


def end_all(person: Person, trail: Trail) -> int:
    """Sign somebody out everywhere, on the record; return of how many browsers."""
    return _end(person.name, SignIn.person_id == person.id, trail)


def short(number: str) -> str:
    """Return by what the log knows a sign-in, so that its beginning and its end are found together."""
    return number[:16]


def of(person_id: int, limits: Limits, now: datetime) -> Sequence[SignIn]:
    """Return where somebody is signed in, the browser used last first."""
    wanted = select(SignIn).where(SignIn.person_id == person_id, *limits.hold(now))
    return db.session.scalars(wanted.order_by(SignIn.seen.desc())).all()


def signed_in(secret: str, limits: Limits, now: datetime, connection: Connection) -> Actor | None:
    """Return who is signed in with a cookie, if anybody is."""
    number = digest(secret)
    for person_id, name, role, seen in _SIGNED_IN.all(connection, sign_in=number, **limits.ends(now)):
        return Actor(name, role, person_id, sign_in=number, seen=seen)
    return None


def by_token(secret: str, now: datetime, connection: Connection) -> Actor | None:
    """Return which script a token belongs to, if it is valid: it may do what both it and its owner may."""
    if not secret.startswith(TOKEN_PREFIX):
        return None
    for name, role, person_id, owners, expires, last in _TOKEN.all(connection, hash=digest(secret)):
        if expires is None or expires > now:
            return Actor(f"token:{name}", min(role, owners, key=ROLES.index), person_id, token=name, seen=last)
    return None


def used(actor: Actor, now: datetime) -> None:
    """Write down that a session or a token is in use, once in a while.

    It is a transaction of its own that moves no revision; where it cannot be written, reading goes on without.
    """
    if actor.seen is not None and abs(now - actor.seen) <= SEEN_EVERY:
        return
    with suppress(SQLAlchemyError, WriteBusy), write_transaction() as connection:
        if actor.token is not None:
            key = key_of(actor.token)
            connection.execute(update(ApiToken).where(ApiToken.key == key).values(last_used=now))
        else:
            ahead = now + clock.MAX_CLOCK_SKEW
            mine = update(SignIn).where(SignIn.id == actor.sign_in)
            connection.execute(mine.where(or_(SignIn.seen < now, SignIn.seen > ahead)).values(seen=now))
            connection.execute(mine.where(SignIn.began > ahead).values(began=now))


def _end(name: str, which: ColumnElement[bool], trail: Trail) -> int:
    ended = db.session.scalars(select(SignIn).where(which)).all()
    for one in ended:
        facts = {"person": name, "address": one.address, "browser": one.browser, "session": short(one.id)}
        trail.record("signed_out", name, "signed out", f"{name} signed out", facts)
        db.session.delete(one)
    db.session.flush()
    return len(ended)
