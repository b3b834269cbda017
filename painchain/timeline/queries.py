"""Read events: by id, by request, page by page, and those written since."""

from __future__ import annotations

from collections import defaultdict, namedtuple
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, cast

from sqlalchemy import Row, Select, and_, bindparam, false, func, literal, or_, select, union_all
from sqlalchemy.engine import Connection

from painchain.core import runtime
from painchain.database.models import IS_AUDIT, ChangeEvent, LogHead, Team
from painchain.database.prepared import Prepared
from painchain.database.session import db, is_writing
from painchain.database.types import microseconds, moment
from painchain.indexes import notes, rollups
from painchain.indexes.rollup_state import STATE_COLUMNS, RollupState
from painchain.indexes.search_query import EARLIEST as EARLIEST
from painchain.indexes.search_query import LATEST as LATEST
from painchain.indexes.search_query import MAX_TEXT as MAX_TEXT
from painchain.indexes.search_query import BadFilter as BadFilter
from painchain.indexes.search_query import parse_time as parse_time
from painchain.timeline import aggregates, event_classes, rollup_sums, saved_views
from painchain.timeline import pages as timeline_pages
from painchain.timeline.cursor import Cursor
from painchain.timeline.filter import Filter, page_queries
from painchain.timeline.pages import Position
from painchain.timeline.saved_views import ViewLink

DAY = timedelta(hours=25)  # the longest day, when the clocks are set back
PAGE = 50
MANY = 500  # the most events of a page among which the group of a new event is looked for
BYTES_OF_TEXT = 3  # that an event takes in memory for each character of its text, roughly

_event = ChangeEvent.__table__.c
# The columns of an Event, and the notes on it
SHOWN = [*(column for column in _event if column.name != "words"), notes.column()]
Event = Row[Any]


@dataclass(frozen=True)
class Page:
    """Some events, newest first, and the cursor of the next older page, if there is one."""

    events: Sequence[Event]
    older: Cursor | None


@dataclass(frozen=True)
class Head:
    """The revision of the database and the newest event. As long as both stay the same, nothing has changed."""

    revision: int
    last_event: int
    rollups: RollupState = field(default=RollupState(0, 0), compare=False)
    newest_note: int = field(default=0, compare=False)  # the number of the newest note on an event


_HEAD = Prepared(
    select(
        *(LogHead.__table__.c.revision, LogHead.__table__.c.last_event),
        *STATE_COLUMNS,
        notes.NEWEST,
    )
)


def head(connection: Connection | None = None) -> Head:
    """Read the head of the log, through the session or on `connection`."""
    [[revision, last_event, counted, total, newest_note]] = _HEAD.all(connection or db.session.connection())
    return Head(revision, last_event, RollupState(counted, int(total)), newest_note or 0)


def page(event_filter: Filter, before: Cursor | None = None, limit: int = PAGE, head: Head | None = None) -> Page:
    """Return the newest events of a filter, or the newest older than `before`.

    With the `head` of the log, as it was before, events that were read for another page are not read again.
    """
    positions, older = page_positions(event_filter, before, limit)
    if head is None or is_writing():  # what is read in a write transaction may be rolled back
        return Page(events_by_number([number for _, number in positions]), older)
    return Page(_events_at(positions, head.newest_note), older)


def page_numbers(
    event_filter: Filter, before: Cursor | None = None, limit: int = PAGE
) -> tuple[list[int], Cursor | None]:
    """Return the numbers of the events of a page, newest first, and the cursor of the next older page."""
    positions, older = page_positions(event_filter, before, limit)
    return [event_id for _, event_id in positions], older


def page_positions(
    event_filter: Filter, before: Cursor | None = None, limit: int = PAGE
) -> tuple[Sequence[Position], Cursor | None]:
    """Return the positions of the events of a page, newest first, and the cursor of the next older page."""
    position = (microseconds(before.timestamp), before.id) if before else None
    if _has_only_range(event_filter):
        start, end = (microseconds(time) if time else None for time in (event_filter.start, event_filter.end))
        positions = timeline_pages.newest_of_all(start, end, position, limit + 1, event_filter.hides_access)
    else:
        found = [timeline_pages.newest(query, position, limit + 1) for query in page_queries(event_filter, before)]
        positions = sorted(chain.from_iterable(found), reverse=True)
    if len(positions) <= limit:
        return positions, None
    time, last = positions[limit - 1]
    return positions[:limit], Cursor(moment(time), last)


def _has_only_range(event_filter: Filter) -> bool:
    """Return whether a filter has nothing but a range of time, and whether events of the class Access are hidden."""
    only_range = Filter(start=event_filter.start, end=event_filter.end, hides_access=event_filter.hides_access)
    return event_filter == only_range


def _events_at(positions: Sequence[Position], newest_note: int) -> list[Event]:
    """Return the events at these positions.

    An event never changes, but it can get notes. So those without notes are cached, until there is a new note.
    """
    cache = runtime.current().cache
    known = {position: event for position in positions if (event := cache.get(("event", position, newest_note)))}
    missing = [position for position in positions if position not in known]
    for event in events_by_number([number for _, number in missing]):
        position = (microseconds(event.timestamp), event.id)
        known[position] = event
        if not event.notes:
            cache.put(("event", position, newest_note), event, BYTES_OF_TEXT * len(repr(tuple(event))))
    return [known[position] for position in positions if position in known]


def written_after(event_filter: Filter, after: int, limit: int = PAGE) -> Sequence[Event]:
    """Return the events of a filter with an id above `after`, in the order of writing."""
    query = select(*SHOWN).where(_event.id > after, *event_filter.conditions())
    return db.session.execute(query.order_by(_event.id).limit(limit)).all()


def noted_since(event_filter: Filter, after: int, oldest: Cursor | None) -> Sequence[Event]:
    """Return the events of a filter, none older than `oldest`, with a note whose id is above `after`."""
    numbers = db.session.scalars(notes.noted_since(after).limit(MANY)).all()
    if not numbers:
        return ()
    found = db.session.execute(_shown(event_filter, oldest).where(_event.id.in_(numbers)))
    return [event for event in found if event.id <= after]


_IS_CONTINUED = Prepared(
    select(_event.id)
    .where(_event.request_id == bindparam("request_id"), IS_AUDIT, _event.id <= bindparam("after"))
    .limit(1)
)


def is_continued(event: Event, after: int) -> bool:
    """Return whether the request that made this audit event also recorded others, with ids up to `after`."""
    return bool(_IS_CONTINUED.all(db.session.connection(), request_id=event.request_id, after=after))


def of_same_days(
    events: Iterable[Event], event_filter: Filter, up_to: int, oldest: Cursor | None, limit: int = MANY
) -> Sequence[Event]:
    """Return the newest events that a page of a filter shows of the connectors and sources of some events.

    They are at most a day apart from one of these, have an id of up to `up_to`, and are not older than `oldest`.
    """
    near = [
        and_(
            _event.connector_id == connector_id,
            _event.source == source,
            _event.timestamp.between(first - DAY, last + DAY),
        )
        for (connector_id, source), spans in _spans(events).items()
        for first, last in spans
    ]
    query = _shown(event_filter, oldest).where(or_(false(), *near))
    newest = db.session.execute(query.order_by(_event.timestamp.desc(), _event.id.desc()).limit(limit))
    # Not in SQL, where the database could prefer to read the whole log in the order of ids.
    return [event for event in newest if event.id <= up_to]


def _spans(events: Iterable[Event]) -> dict[tuple[int, str], list[tuple[datetime, datetime]]]:
    """Return the times of events of each connector and source, as spans without a gap of two days."""
    spans: dict[tuple[int, str], list[tuple[datetime, datetime]]] = defaultdict(list)
    for event in sorted(events, key=lambda event: event.timestamp):
        of_connector = spans[event.connector_id, event.source]
        first = event.timestamp
        if of_connector and first - of_connector[-1][1] <= 2 * DAY:
            first = of_connector.pop()[0]
        of_connector.append((first, event.timestamp))
    return spans


def _shown(event_filter: Filter, oldest: Cursor | None) -> Select[Any]:
    query = select(*SHOWN).where(*event_filter.conditions())
    if oldest is None:
        return query
    is_later = or_(_event.timestamp > oldest.timestamp, _event.id >= oldest.id)
    return query.where(_event.timestamp >= oldest.timestamp, is_later)


# The columns of a statement in SHOWN, as SQLAlchemy names them in its rows.
_Shown = namedtuple("_Shown", [column.name for column in SHOWN])  # type: ignore[misc]
_BY_ID = Prepared(select(*SHOWN).where(_event.id == bindparam("number")))
_OF_REQUEST = Prepared(
    select(*SHOWN)
    .where(_event.request_id == bindparam("request_id"), IS_AUDIT)
    .order_by(_event.timestamp.desc(), _event.id.desc())
    .limit(bindparam("limit"))
)


def event_by_id(number: int) -> Event | None:
    """Return the event with that id, if there is one."""
    return next(iter(_events(_BY_ID, number=number)), None)


def _events(statement: Prepared, **values: Any) -> list[Event]:
    return [cast(Event, _Shown(*row)) for row in statement.all(db.session.connection(), **values)]


def event_by_event_id(event_id: str) -> Event | None:
    """Return the event with that event id, if there is one."""
    if "\0" in event_id:  # PostgreSQL does not accept it
        return None
    return db.session.execute(select(*SHOWN).where(_event.event_id == event_id)).one_or_none()


def events_of_request(request_id: str, limit: int = PAGE) -> Sequence[Event]:
    """Return the events of one request in PainChain, newest first."""
    return _events(_OF_REQUEST, request_id=request_id, limit=limit)


@dataclass(frozen=True)
class FilterValues:
    """What a filter can be set to: the values that events have, the name of every team, and saved views."""

    tags: Sequence[str]
    authors: Sequence[str]
    services: Sequence[str]
    environments: Sequence[str]
    teams: Sequence[str]
    views: Sequence[ViewLink] = ()


def _values_in_rollups() -> Iterator[Select[Any]]:
    """Yield queries of a text and what it is, or of a status and its source, with whether it is a status."""
    kinds = {"tags": aggregates.TAG_LISTS, "author": aggregates.AUTHORS, **aggregates.LISTED}
    yield from (query.add_columns(literal(kind), literal(0)) for kind, query in kinds.items())
    yield event_classes.STATUSES.add_columns(literal(1))


_IN_ROLLUPS = Prepared(union_all(*_values_in_rollups()))
_TEAM_ORDER = func.row_number().over(order_by=(func.lower(Team.name), Team.id))
# A text, what it is, and its position: its number, or the order in which it is shown.
_TEAMS_AND_VIEWS = Prepared(
    union_all(select(Team.name, literal("team"), _TEAM_ORDER), *saved_views.QUERIES),
)


def filter_values(person_id: int | None = None) -> FilterValues:
    """Read what a person can set a filter to, and the statuses that ``event_classes`` needs later."""
    in_rollups: dict[str, set[str]] = defaultdict(set)
    statuses = []
    for value, kind, is_status in rollup_sums.cached_rows(_IN_ROLLUPS):
        if is_status:
            statuses.append((kind, value))
        else:
            in_rollups[kind].add(value)
    event_classes.remember_statuses(statuses)
    newest = aggregates.newest_kinds()
    tags = aggregates.all_tags(in_rollups["tags"] | {kind.tags for kind in newest})
    listed = [
        in_rollups[fact] | {value for kind in newest if (value := kind.listed[number])}
        for number, fact in enumerate(rollups.LISTED)
    ]
    authors, services, environments = (
        sorted(names, key=str.casefold) for names in (in_rollups["author"] | {kind.author for kind in newest}, *listed)
    )
    values: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for value, kind, position in _TEAMS_AND_VIEWS.all(db.session.connection(), person_id=person_id):
        values[kind].append((position, value))
    return FilterValues(
        sorted(tags, key=str.casefold),
        authors,
        services,
        environments,
        [name for _, name in sorted(values["team"])],
        saved_views.from_values(values),
    )


def events_by_number(numbers: Sequence[int]) -> list[Event]:
    """Return the events with these ids, in the order of the ids given."""
    if not numbers:
        return []
    if len(numbers) == 1:  # most pages miss only the newest event
        return [event for event in (event_by_id(numbers[0]),) if event]
    rows = {row.id: row for row in db.session.execute(select(*SHOWN).where(_event.id.in_(numbers)))}
    return [rows[number] for number in numbers if number in rows]
