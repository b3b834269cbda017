"""Find connectors that stopped sending events, with the changes of their settings just before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from statistics import median

from sqlalchemy import ColumnElement, Text, cast, func, literal, literal_column, or_, select, union_all

from painchain import connectors
from painchain.core import runtime
from painchain.database.models import IS_AUDIT, IS_FOUND, ChangeEvent, Connector, PollState
from painchain.database.prepared import Prepared
from painchain.database.session import db, is_writing
from painchain.timeline.filter import Filter
from painchain.timeline.queries import SHOWN, Event

RECENT = 200  # newest events from which the usual gap between two events is computed
ENOUGH = 20  # with fewer events there is no usual gap
SHORTEST = timedelta(minutes=10)
DAY = timedelta(days=1)
DAYS = 14  # how far back the same time of day is compared
FEW_DAYS = 3
MOSTLY = 0.8
JUST_BEFORE = timedelta(hours=1)
CHANGES = 3

SILENCE_BYTES = 8_000  # what a silence with its changes takes, roughly

_event, _connector, _poll = (model.__table__.c for model in (ChangeEvent, Connector, PollState))
_LAST = (
    select(func.max(_event.timestamp))
    .where(_event.connector_id == _connector.id, _event.source == _connector.type, IS_FOUND)
    .scalar_subquery()
)
_ACTIVE = Prepared(
    select(_connector.id, _connector.name, _connector.type, cast(_connector.config, Text), _LAST)
    .outerjoin(PollState.__table__, _poll.connector_id == _connector.id)
    .where(_connector.enabled, or_(_poll.failures.is_(None), _poll.failures == literal_column("0")))
)


@dataclass(frozen=True)
class Silence:
    """A connector without events since `last`, whose events are usually `usual` apart.

    `changes` are the newest changes of its settings, from an hour before `last` until the next event was overdue.
    """

    connector_id: int
    name: str
    type: str
    last: datetime
    usual: timedelta
    changes: Sequence[Event]


@dataclass(frozen=True)
class _ActiveConnector:
    """An enabled connector that does not fail, and the time of its last event."""

    id: int
    name: str
    type: str
    interval: timedelta
    last: datetime


def find_silent(now: datetime, event_filter: Filter | None = None) -> list[Silence]:
    """Return the silent connectors of a filter, the longest silence first.

    A connector is silent if it has had no event for more than three times its usual gap and for more than two polls,
    and had events at the same time of day on most days: quiet nights and weekends do not count. Disabled and failing
    connectors are left out, because the reason for their silence is known.
    """
    if event_filter and event_filter.source and not connectors.ADDABLE.keys() & set(event_filter.source):
        return []  # the built-in connector is never silent
    silences = [_cached(connector, now) for connector in _active_connectors() if _matches(connector, event_filter)]
    return sorted((silence for silence in silences if silence), key=lambda silence: silence.last)


def _cached(connector: _ActiveConnector, now: datetime) -> Silence | None:
    """Return the silence of a connector, computed once a minute as long as no event ends it."""
    if is_writing():
        return _silence(connector, now)
    key = ("silence", connector, int(now.timestamp()) // 60)
    cached = runtime.current().cache.get_or_compute(
        key, lambda: (_silence(connector, now),), lambda value: SILENCE_BYTES
    )
    return cached[0] if cached else None


def _active_connectors() -> Iterator[_ActiveConnector]:
    for number, name, type_key, config, last_event in _ACTIVE.all(db.session.connection()):
        if last_event is not None and type_key in connectors.ADDABLE:
            yield _ActiveConnector(number, name, type_key, _poll_interval(config), last_event)


@lru_cache(256)
def _poll_interval(config: str) -> timedelta:
    """Return the poll interval of a stored configuration, which seldom changes."""
    return timedelta(seconds=json.loads(config).get("poll_interval") or 0)


def _matches(connector: _ActiveConnector, event_filter: Filter | None) -> bool:
    if event_filter is None:
        return True
    named = not event_filter.connector or bool({connector.name, str(connector.id)} & set(event_filter.connector))
    return named and (not event_filter.source or connector.type in event_filter.source)


def _silence(connector: _ActiveConnector, now: datetime) -> Silence | None:
    silence = now - connector.last
    if silence <= max(SHORTEST, 2 * connector.interval):
        return None
    times = _recent_times(connector)
    if len(times) < ENOUGH:
        return None
    gaps = [newer - older for newer, older in pairwise(times)]
    usual = timedelta(seconds=median(gap.total_seconds() for gap in gaps))
    if silence <= 3 * usual or not _is_unusual(connector, silence, max(gaps), now):
        return None
    return Silence(
        connector.id,
        connector.name,
        connector.type,
        connector.last,
        usual,
        _setting_changes(connector, connector.last + 3 * usual),
    )


def _is_unusual(connector: _ActiveConnector, silence: timedelta, longest_silence: timedelta, now: datetime) -> bool:
    """Return whether the connector had events at this time of day on most earlier days of the same kind.

    With too few such days, or if the silence lasts a day or longer, it is compared with the longest gap instead.
    """
    had_events = _same_time_of_day(connector, now) if silence < DAY else []
    if len(had_events) >= FEW_DAYS:
        return sum(had_events) >= MOSTLY * len(had_events)
    return silence > 1.5 * longest_silence


def _same_time_of_day(connector: _ActiveConnector, now: datetime) -> list[bool]:
    """Return for each earlier day of the same kind (working day or weekend) whether there were events then."""
    weekend = now.weekday() >= 5
    backs = [back * DAY for back in range(1, DAYS + 1) if ((now - back * DAY).weekday() >= 5) == weekend]
    arms = [
        select(
            literal(number),
            select(_event.id)
            .where(*_events_of(connector), _event.timestamp > connector.last - back, _event.timestamp < now - back)
            .exists(),
        ).where(select(_event.id).where(*_events_of(connector), _event.timestamp <= connector.last - back).exists())
        for number, back in enumerate(backs)
    ]
    return [bool(had_events) for _, had_events in db.session.execute(union_all(*arms))]


def _recent_times(connector: _ActiveConnector) -> list[datetime]:
    query = select(_event.timestamp).where(*_events_of(connector)).order_by(_event.timestamp.desc()).limit(RECENT)
    return list(db.session.scalars(query))


def _setting_changes(connector: _ActiveConnector, overdue: datetime) -> Sequence[Event]:
    query = select(*SHOWN).where(
        _event.connector_id == connector.id,
        IS_AUDIT,
        _event.event_type.in_(("ConfigChanged", "ConnectorEnabled", "ConnectorDisabled", "ConnectorCreated")),
        _event.timestamp > connector.last - JUST_BEFORE,
        _event.timestamp <= overdue,
    )
    return db.session.execute(query.order_by(_event.timestamp.desc(), _event.id.desc()).limit(CHANGES)).all()


def _events_of(connector: _ActiveConnector) -> tuple[ColumnElement[bool], ...]:
    return _event.connector_id == connector.id, _event.source == connector.type, IS_FOUND
