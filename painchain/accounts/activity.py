"""Read the activity and the sessions of an account from the log, also after the account was removed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from painchain import connectors
from painchain.timeline import queries
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter
from painchain.timeline.queries import Event, Page

SESSION_EVENT_TYPES = ("SignedIn", "SignedOut")
ACCOUNT_EVENT_TYPES = (
    *("PersonAdded", "PersonChanged", "PersonDisabled", "PersonEnabled", "PersonRemoved"),
    "PasswordSet",
)
MAX_PERIODS, MAX_EVENTS = 20, 500
PAINCHAIN_SOURCE = (connectors.BUILTIN.key,)


@dataclass(frozen=True)
class SessionPeriod:
    """One session. Without `until` it is still active (`is_active`), or it ended without a sign-out."""

    since: datetime
    until: datetime | None
    is_active: bool
    way: str
    address: str
    browser: str


@dataclass(frozen=True)
class Renamed:
    """One change of a name. `other_name` is the name before the change, or the name since then if `later` is set."""

    other_name: str
    at: datetime
    later: bool


def session_periods(name: str, active: Collection[str], limit: int = MAX_PERIODS) -> Sequence[SessionPeriod]:
    """Return the sessions of an account, the newest first. `active` holds the short IDs of the active sessions."""
    session_filter = Filter(source=PAINCHAIN_SOURCE, event_type=SESSION_EVENT_TYPES, author=(name,))
    ended: dict[str, datetime] = {}
    periods = []
    for event in queries.page(session_filter, limit=MAX_EVENTS).events:
        metadata = event.metadata
        session = str(metadata.get("session", ""))
        if event.event_type == "SignedOut":
            ended[session] = event.timestamp
            continue
        facts = (str(metadata.get(fact) or "") for fact in ("way", "address", "browser"))
        periods.append(
            SessionPeriod(event.timestamp, ended.get(session) if session else None, session in active, *facts)
        )
    return periods[:limit]


def changes_by(name: str, before: Cursor | None = None) -> Page:
    """Return the events that an account caused, the newest first, without signing in and out."""
    return queries.page(Filter(author=(name,), q=f"-type:{','.join(SESSION_EVENT_TYPES)}"), before)


def account_events(name: str) -> Sequence[Event]:
    """Return the events about accounts of that name, the newest first."""
    events = queries.page(Filter(source=PAINCHAIN_SOURCE, event_type=ACCOUNT_EVENT_TYPES), limit=MAX_EVENTS).events
    return [event for event in events if name in (event.metadata.get("person"), _new_name(event))]


def name_changes(name: str, history: Sequence[Event]) -> Sequence[Renamed]:
    """Return the earlier and later names of the account of that name."""
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
