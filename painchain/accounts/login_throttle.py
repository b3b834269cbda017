"""Slow down password guessing: count failed sign-ins by account and by address, and refuse more for a while."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select

from painchain.accounts.sessions import SignInOrigin, SignInRefused
from painchain.accounts.users import digest, find_by_name, key_of
from painchain.core import logs
from painchain.database import clock
from painchain.database.models import Attempt, Person
from painchain.database.session import db

WINDOW = timedelta(minutes=15)
# Failed attempts within the window before more are refused.
MAX_PER_ACCOUNT = 10
MAX_PER_ADDRESS = 30


class TooManyAttempts(SignInRefused):
    """Too many failed attempts; `until` is when the next one is allowed."""

    def __init__(self, until: datetime):
        super().__init__(
            f"Too many failed attempts. Try again after {until:%H:%M} UTC, use a browser that you have "
            "signed in with before, or ask an admin for a reset link (painchain user reset)."
        )
        self.until = until


def register_attempt(name: str, origin: SignInOrigin, now: datetime) -> list[int]:
    """Count an attempt before its password is checked, so that parallel attempts count like successive ones.

    Return the ids of what was counted, for ``clear_attempts``.

    :raises TooManyAttempts: when there were too many failed attempts.
    """
    keys = _account_keys(name, find_by_name(name), origin)
    _refuse_if_throttled(keys, now)
    return count_failure(keys, now)


def clear_attempts(counted: Sequence[int]) -> None:
    """Forget an attempt that succeeded."""
    db.session.execute(delete(Attempt).where(Attempt.id.in_(counted)))


def refuse_if_throttled(origin: SignInOrigin, now: datetime) -> None:
    """Refuse a sign-in through a provider after too many failures from the same origin.

    :raises TooManyAttempts: when there were too many.
    """
    _refuse_if_throttled(_origin_keys(origin), now)


def count_failure_of(origin: SignInOrigin, now: datetime) -> None:
    """Count a failed sign-in through a provider, whose account is not known."""
    count_failure(_origin_keys(origin), now)


def throttled_until(keys: dict[str, int], now: datetime) -> datetime | None:
    """Return until when attempts with these keys are refused, or None. `keys` maps each key to its allowed failures."""
    query = select(Attempt.key, func.count(), func.min(Attempt.at))
    in_window = Attempt.at.between(now - WINDOW, now + clock.MAX_CLOCK_SKEW)
    counts = db.session.execute(query.where(Attempt.key.in_(keys), in_window).group_by(Attempt.key))
    return max((oldest + WINDOW for key, count, oldest in counts if count >= keys[key]), default=None)


def count_failure(keys: dict[str, int], now: datetime) -> list[int]:
    """Count a failed attempt for each of these keys, and delete old ones. Return the ids of what was counted.

    Attempts in the future were counted before the clock was set back. They are deleted too, so that they lock no
    one out.
    """
    db.session.execute(delete(Attempt).where(or_(Attempt.at < now - WINDOW, Attempt.at > now + clock.MAX_CLOCK_SKEW)))
    counted = [Attempt(key=key, at=now) for key in keys]
    db.session.add_all(counted)
    db.session.flush()
    return [attempt.id for attempt in counted]


def _refuse_if_throttled(keys: dict[str, int], now: datetime) -> None:
    if until := throttled_until(keys, now):
        logs.security("rate_limited", "Too many failed sign-ins: another attempt was refused.")
        raise TooManyAttempts(until)


def _account_keys(name: str, person: Person | None, origin: SignInOrigin) -> dict[str, int]:
    """Return the keys that a failed password counts for, each with its allowed failures.

    A browser that has signed in to the account before has its own count, so that an attacker who guesses passwords from
    elsewhere cannot lock out the owner (OWASP: "device cookies").
    """
    if person and origin.known_person_id == person.id:
        return _origin_keys(origin)
    return {f"account:{digest(key_of(name))}": MAX_PER_ACCOUNT, f"address:{origin.rate_limit_key}": MAX_PER_ADDRESS}


def _origin_keys(origin: SignInOrigin) -> dict[str, int]:
    """Return the key that a failure from an origin counts for: the known browser, or else the address."""
    if origin.known_person_id is not None:
        return {f"browser:{origin.known_person_id}:{origin.rate_limit_key}": MAX_PER_ACCOUNT}
    return {f"address:{origin.rate_limit_key}": MAX_PER_ADDRESS}
