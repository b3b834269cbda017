"""One-time links: to set a new password, or to create the first account."""

from __future__ import annotations

from datetime import datetime, timedelta
from secrets import token_urlsafe

from sqlalchemy import ColumnElement, delete

from painchain.accounts.users import digest
from painchain.audit.trail import Trail
from painchain.database.models import OneTimeLink, Person
from painchain.database.session import db

LINK_HOURS = {"setup": 24, "reset": 24}


def make_link(person: Person | None, now: datetime, trail: Trail | None = None) -> str:
    """Return the secret of a new one-time link: to set the password of `person`, or (None) to create the first account.

    Older links of the same kind stop working. The log records that the link was made, never its secret.
    """
    number = person.id if person else None
    db.session.execute(delete(OneTimeLink).where(_belongs_to(number) | (OneTimeLink.expires < now)))
    secret = token_urlsafe(32)
    hours = LINK_HOURS["reset" if person else "setup"]
    db.session.add(OneTimeLink(id=digest(secret), person_id=number, expires=now + timedelta(hours=hours)))
    db.session.flush()
    if person and trail:
        text = f"Made a one-time link for {person.name} to set a password"
        trail.record("password_link_made", person.name, "made", text, {"person": person.name})
    return secret


def find_link(secret: str, now: datetime) -> OneTimeLink | None:
    """Return the one-time link with this secret, or None if it is no longer valid.

    A link that expires much later than a new one could was made before the clock was set back. It is invalid too.
    """
    link = db.session.get(OneTimeLink, digest(secret), populate_existing=True)
    latest = now + 2 * timedelta(hours=max(LINK_HOURS.values()))
    return link if link and now < link.expires <= latest else None


def use_up(link: OneTimeLink) -> None:
    """Delete a link, so that it never works again."""
    db.session.delete(link)
    db.session.flush()


def _belongs_to(number: int | None) -> ColumnElement[bool]:
    return OneTimeLink.person_id.is_(None) if number is None else OneTimeLink.person_id == number
