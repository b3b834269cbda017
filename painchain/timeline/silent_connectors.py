"""Find the connectors that usually speak and have fallen silent, beside the settings that changed just before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from sqlalchemy import ColumnElement, func, literal, select, union_all

from painchain import connectors
from painchain.database.models import ChangeEvent, Connector, PollState
from painchain.database.session import db
from painchain.timeline.filter import Filter
from painchain.timeline.queries import SHOWN, Event

RECENT = 200  # events that tell how often a connector usually speaks
ENOUGH = 20  # with fewer than so many nothing is usual
SHORTEST = timedelta(minutes=10)
DAY = timedelta(days=1)
DAYS = 14  # how far back the same time of day is compared
FEW_DAYS = 3
MOSTLY = 0.8
JUST_BEFORE = timedelta(hours=1)
CHANGES = 3

_event = ChangeEvent.__table__.c


@dataclass(frozen=True)
class Silence:
    """A connector that has not been heard of since `last`, though its events usually come `usual` apart.

    `changes` are the newest changes of its settings from an hour before that moment until it was missed.
    """

    connector_id: int
    name: str
    type: str
    last: datetime
    usual: timedelta
    changes: Sequence[Event]


@dataclass(frozen=True)
class _ActiveConnector:
    """A connector that should be heard, and when it last was."""

    id: int
    name: str
    type: str
    interval: timedelta
    last: datetime


def find_silent(now: datetime, wanted: Filter | None = None) -> list[Silence]:
    """Return the silent ones among the connectors of a filter, the longest silence first.

    A silence counts when it is long for this connector (three times its usual gap, and more than two polls) and its
    events came on most days at the same time of day: nights and weekends are no news. Of a connector that is disabled
    or failing it is known why it is silent.
    """
    if wanted and wanted.source and not connectors.ADDABLE.keys() & set(wanted.source):
        return []  # the built-in connector is never missed
    silent = [one for voice in _active_connectors() if _matches(voice, wanted) and (one := _silence(voice, now))]
    return sorted(silent, key=lambda one: one.last)


def _active_connectors() -> Iterator[_ActiveConnector]:
    last = (
        select(func.max(_event.timestamp))
        .where(_event.connector_id == Connector.id, _event.source == Connector.type)
        .scalar_subquery()
    )
    query = (
        select(Connector.id, Connector.name, Connector.type, Connector.config, last)
        .outerjoin(PollState, PollState.connector_id == Connector.id)
        .where(Connector.enabled, Connector.type.in_(connectors.ADDABLE), func.coalesce(PollState.failures, 0) == 0)
    )
    for number, name, type_key, config, heard in db.session.execute(query):
        if heard is not None:
            yield _ActiveConnector(number, name, type_key, timedelta(seconds=config.get("poll_interval") or 0), heard)


def _matches(voice: _ActiveConnector, wanted: Filter | None) -> bool:
    if wanted is None:
        return True
    named = not wanted.connector or bool({voice.name, str(voice.id)} & set(wanted.connector))
    return named and (not wanted.source or voice.type in wanted.source)


def _silence(voice: _ActiveConnector, now: datetime) -> Silence | None:
    quiet = now - voice.last
    if quiet <= max(SHORTEST, 2 * voice.interval):
        return None
    times = _recent_times(voice)
    if len(times) < ENOUGH:
        return None
    gaps = [newer - older for newer, older in pairwise(times)]
    usual = timedelta(seconds=median(gap.total_seconds() for gap in gaps))
    if quiet <= 3 * usual or not _is_unusual(voice, quiet, max(gaps), now):
        return None
    return Silence(voice.id, voice.name, voice.type, voice.last, usual, _setting_changes(voice, voice.last + 3 * usual))


def _is_unusual(voice: _ActiveConnector, quiet: timedelta, longest: timedelta, now: datetime) -> bool:
    """Say whether the connector mostly spoke in the same stretch of earlier days of the same sort.

    Where too few days can be compared, or the silence lasts a day and longer, its longest gap is the measure.
    """
    spoke = _same_time_of_day(voice, now) if quiet < DAY else []
    if len(spoke) >= FEW_DAYS:
        return sum(spoke) >= MOSTLY * len(spoke)
    return quiet > 1.5 * longest


def _same_time_of_day(voice: _ActiveConnector, now: datetime) -> list[bool]:
    """Return for each earlier day of the same sort, working day or weekend, whether the connector spoke then."""
    weekend = now.weekday() >= 5
    backs = [back * DAY for back in range(1, DAYS + 1) if ((now - back * DAY).weekday() >= 5) == weekend]
    arms = [
        select(
            literal(number),
            select(_event.id)
            .where(*_events_of(voice), _event.timestamp > voice.last - back, _event.timestamp < now - back)
            .exists(),
        ).where(select(_event.id).where(*_events_of(voice), _event.timestamp <= voice.last - back).exists())
        for number, back in enumerate(backs)
    ]
    return [bool(spoke) for _, spoke in db.session.execute(union_all(*arms))]


def _recent_times(voice: _ActiveConnector) -> list[datetime]:
    query = select(_event.timestamp).where(*_events_of(voice)).order_by(_event.timestamp.desc()).limit(RECENT)
    return list(db.session.scalars(query))


def _setting_changes(voice: _ActiveConnector, missed: datetime) -> Sequence[Event]:
    query = select(*SHOWN).where(
        _event.connector_id == voice.id,
        _event.source == connectors.BUILTIN.key,
        _event.event_type.in_(("ConfigChanged", "ConnectorEnabled", "ConnectorDisabled", "ConnectorCreated")),
        _event.timestamp > voice.last - JUST_BEFORE,
        _event.timestamp <= missed,
    )
    return db.session.execute(query.order_by(_event.timestamp.desc(), _event.id.desc()).limit(CHANGES)).all()


def _events_of(voice: _ActiveConnector) -> tuple[ColumnElement[bool], ...]:
    return _event.connector_id == voice.id, _event.source == voice.type
