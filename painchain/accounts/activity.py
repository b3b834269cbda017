"""Read from the log what became of an account, and when somebody was signed in: also of one that is gone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from painchain import connectors
from painchain.timeline import queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter
from painchain.timeline.queries import Event, Page

SIGNED = ("SignedIn", "SignedOut")
ACCOUNT = ("PersonAdded", "PersonChanged", "PersonDisabled", "PersonEnabled", "PersonRemoved", "PasswordSet")
STAYS, MOST = 20, 500
OWN = (connectors.BUILTIN.key,)


@dataclass(frozen=True)
class SessionPeriod:
    """One time that somebody was signed in. Without `until`: it still lasts (`here`), or ended without a sign-out."""

    since: datetime
    until: datetime | None
    here: bool
    way: str
    address: str
    browser: str


@dataclass(frozen=True)
class Renamed:
    """One change of a name: `other` is how the account was called before, or (`later`) is called since."""

    other: str
    at: datetime
    later: bool


def session_periods(name: str, there: Collection[str], limit: int = STAYS) -> Sequence[SessionPeriod]:
    """Return when somebody was signed in, the newest first; `there` are the sign-ins that still last (`short`)."""
    wanted = Filter(source=OWN, event_type=SIGNED, author=(name,))
    ended: dict[str, datetime] = {}
    found = []
    for event in queries.page(wanted, limit=MOST).events:
        told = event.metadata
        session = str(told.get("session", ""))
        if event.event_type == "SignedOut":
            ended[session] = event.timestamp
            continue
        facts = (str(told.get(fact) or "") for fact in ("way", "address", "browser"))
        found.append(SessionPeriod(event.timestamp, ended.get(session) if session else None, session in there, *facts))
    return found[:limit]


def changed(name: str, before: Cursor | None = None) -> Page:
    """Return what somebody did beside signing in and out, the newest first."""
    return queries.page(Filter(author=(name,), q=f"-type:{','.join(SIGNED)}"), before)


def account(name: str) -> Sequence[Event]:
    """Return what became of the accounts of that name, the newest first."""
    found = queries.page(Filter(source=OWN, event_type=ACCOUNT), limit=MOST).events
    return [event for event in found if name in (event.metadata.get("person"), _new_name(event))]


def names(name: str, history: Sequence[Event]) -> Sequence[Renamed]:
    """Return what the account of that name was called before, and is called since."""
    renames = [(event, str(event.metadata["person"]), _new_name(event)) for event in history if _new_name(event)]
    return [
        Renamed(old if new == name else str(new), event.timestamp, new != name)
        for event, old, new in renames
        if old != new
    ]


def _new_name(event: Event) -> str | None:
    changes = event.metadata.get("changes")
    sides = changes.get("name") if isinstance(changes, dict) else None
    return str(sides["new"]) if isinstance(sides, dict) and sides.get("new") else None
