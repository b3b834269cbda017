"""Read what happened: the one door through which events are read, filtered, paged and counted."""

from __future__ import annotations

import base64
import binascii
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, and_, exists, not_, or_, select
from sqlalchemy.engine import Connection

from painchain.database.models import ChangeEvent, EventTag, LogHead
from painchain.database.prepared import Prepared
from painchain.database.session import db
from painchain.database.types import microseconds, moment
from painchain.indexes import fulltext, search_query
from painchain.indexes import tokens as index_tokens
from painchain.indexes.fulltext import Matches
from painchain.indexes.search_query import EARLIEST as EARLIEST
from painchain.indexes.search_query import LATEST as LATEST
from painchain.indexes.search_query import MAX_TEXT as MAX_TEXT
from painchain.indexes.search_query import BadFilter as BadFilter
from painchain.indexes.search_query import Group, Phrase, Window
from painchain.indexes.search_query import parse_time as parse_time
from painchain.timeline import aggregates, team_filter
from painchain.timeline import pages as timeline_pages
from painchain.timeline.aggregates import AggregateQuery

RANGES = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
DEFAULT_RANGE = "24h"
PAGE = 50
MAX_VALUES = 100
FACETS = ("event_type", "connector", "tag", "author", "status")  # what rollups are kept of, beside the source
NAMES = ("author", "connector", "team")  # these may contain commas, so that a comma does not divide them

# Bin widths in seconds: what a person would choose, from a second to a year.
_WIDTHS = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400 * days for days in (1, 2, 7, 14, 30, 90, 365, 3650, 36500, 365000)),
)
MAX_BINS = 60

_event = ChangeEvent.__table__.c
SHOWN = [column for column in _event if column.name != "words"]  # what an Event has
Event = Row[Any]


@dataclass(frozen=True)
class Filter:
    """Which events are wanted. Within one tuple any of the values will do; the parts are all required.

    The times of the search `q` are in `start` and `end` already, and what it excludes in `gaps`; `teams` has the tags
    of every team that it or `team` names, as they stood when the filter was read (``parse_filter``).
    """

    source: tuple[str, ...] = ()
    event_type: tuple[str, ...] = ()
    connector: tuple[str, ...] = ()
    tag: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    q: str = ""
    start: datetime | None = None
    end: datetime | None = None
    gaps: tuple[Window, ...] = ()
    team: tuple[str, ...] = ()
    teams: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def team_tags(self) -> tuple[str, ...]:
        """The tags any of which an event of one of the teams has."""
        tags = dict(self.teams)
        return tuple(dict.fromkeys(tag for name in self.team for tag in tags[name]))

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what an event must fulfil, for a query."""
        return [*self.timeless(), *_between(self.start, self.end)]

    def timeless(
        self, page: bool = False, before: int | None = None, matches: Matches | None = None
    ) -> list[ColumnElement[bool]]:
        """Return what an event must fulfil beside its time lying between `start` and `end`.

        A search is quicker when only a `page` of the newest is read, or of those `before` the event of a number, or
        when it is known already how it is counted (`matches`).
        """
        wanted: list[ColumnElement[bool]] = []
        for column, values in (
            (_event.source, self.source),
            (_event.event_type, self.event_type),
            (_event.author, self.author),
            (_event.status, self.status),
        ):
            if values:
                wanted.append(column.in_(values))
        if self.connector:
            ids = [int(value) for value in self.connector if value.isdecimal() and len(value) < 18]
            wanted.append(or_(_event.connector_id.in_(ids), _event.connector_name.in_(self.connector)))
        for tags in (self.tag, self.team_tags):
            if tags:
                wanted.append(exists().where(EventTag.event == _event.id, EventTag.tag.in_(tags)))
        wanted += [not_(and_(True, *_between(gap.start, gap.end))) for gap in self.gaps]
        if matches:
            wanted.append(matches.condition)
        elif asked := self.asked():
            wanted.append(fulltext.condition(db.session.connection(), asked, self.start, self.end, page, before))
        return wanted

    def asked(self) -> list[Group]:
        """Return what to ask the index of words for; values of facets help to tell what is rare."""
        groups = search_query.groups(search_query.parse(self.q), dict(self.teams))
        if not groups:
            return []
        facets = [("source", self.source), ("type", self.event_type), ("author", self.author), ("status", self.status)]
        facets += [("tag", self.tag), ("tag", self.team_tags), ("connector", self.connector)]
        for name, values in facets:
            texts = {str(int(one)) if one.isdecimal() else one for one in values} | {*values}
            if values and all(texts) and len(texts) <= search_query.MAX_TERMS:
                groups.append(Group(tuple(Phrase((index_tokens.search_term(name, one),)) for one in sorted(texts))))
        return groups


@dataclass(frozen=True)
class Cursor:
    """The place of one event in the order of the feed."""

    timestamp: datetime
    id: int

    def __str__(self) -> str:
        raw = f"{microseconds(self.timestamp)}.{self.id}".encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Read a cursor that ``str`` has written.

        :raises BadFilter: when it is none.
        """
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
            stamp, _, number = raw.partition(".")
            return cls(moment(int(stamp)), _fits(int(number)))
        except (ValueError, OverflowError, binascii.Error):
            raise BadFilter("cursor", "This is not the cursor of a page; start again without one.") from None


@dataclass(frozen=True)
class Page:
    """Some events, newest first, and the cursor of the next older page if there is one."""

    events: Sequence[Event]
    older: Cursor | None


@dataclass(frozen=True)
class Bin:
    """One stretch of the histogram with its number of events by source."""

    start: datetime
    end: datetime
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many events there are in it."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Histogram:
    """How many events there were, bin by bin, from `start` to `end`: counted from `since` on, if that is given."""

    start: datetime
    end: datetime
    width: timedelta
    bins: Sequence[Bin]
    since: datetime | None = None

    @property
    def total(self) -> int:
        """How many events there are in all bins."""
        return sum(bin.total for bin in self.bins)

    @property
    def sources(self) -> dict[str, int]:
        """The number of events of each source, the most frequent first."""
        totals: dict[str, int] = {}
        for bin in self.bins:
            for source, count in bin.counts.items():
                totals[source] = totals.get(source, 0) + count
        return dict(sorted(totals.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class Head:
    """How far the log and the configuration have come: as long as it is the same, nothing else has changed."""

    revision: int
    last_event: int


_HEAD = Prepared(select(LogHead.__table__.c.revision, LogHead.__table__.c.last_event))


def head(connection: Connection | None = None) -> Head:
    """Read how far the log has come, through the session or on a connection of its own."""
    [found] = _HEAD.all(connection or db.session.connection())
    return Head(*found)


def page(wanted: Filter, before: Cursor | None = None, limit: int = PAGE) -> Page:
    """Return the newest events that are wanted, or those older than `before`."""
    place = (microseconds(before.timestamp), before.id) if before else None
    found = timeline_pages.newest(_wanted(wanted, page=True, before=before), place, limit + 1)
    more = len(found) > limit
    events = _rows([number for _, number in found[:limit]])
    return Page(events, Cursor(events[-1].timestamp, events[-1].id) if more and events else None)


def since(wanted: Filter, after: int, limit: int = PAGE) -> Sequence[Event]:
    """Return the events written after number `after` that are wanted, in the order in which they were written."""
    query = select(*SHOWN).where(_event.id > after, *wanted.conditions())
    return db.session.execute(query.order_by(_event.id).limit(limit)).all()


def event(number: int) -> Event | None:
    """Return the event of that number, if there is one."""
    return db.session.execute(select(*SHOWN).where(_event.id == number)).one_or_none()


def event_called(event_id: str) -> Event | None:
    """Return the event of that event id, if there is one."""
    if "\0" in event_id:  # PostgreSQL refuses to compare with it
        return None
    return db.session.execute(select(*SHOWN).where(_event.event_id == event_id)).one_or_none()


def of_request(request_id: str, limit: int = PAGE) -> Sequence[Event]:
    """Return the events of one action, newest first."""
    query = select(*SHOWN).where(_event.request_id == request_id)
    return db.session.execute(query.order_by(_event.timestamp.desc(), _event.id.desc()).limit(limit)).all()


def histogram(wanted: Filter, now: datetime, zone: ZoneInfo) -> Histogram:
    """Count the wanted events by time and source, in at most ``MAX_BINS`` + 1 bins of a round width.

    Bins begin at round times of the viewer's `zone`. Without a start, counting begins at the oldest event.
    """
    matches = _matches(wanted)
    since = matches.since if matches else None
    # Where a search has too many matches, the first of them is not looked for.
    oldest = _oldest(replace(wanted, q="", gaps=()) if since else wanted) if wanted.start is None else None
    start = wanted.start or oldest or (wanted.end or now) - RANGES[DEFAULT_RANGE]
    end = wanted.end or max(now, start) + timedelta(microseconds=1)
    seconds = (end - start).total_seconds()
    width = next((width for width in _WIDTHS if seconds / width <= MAX_BINS), _WIDTHS[-1])
    offset = int((start.astimezone(zone).utcoffset() or timedelta()).total_seconds())
    first = (int(start.timestamp()) + offset) // width * width - offset
    bins = int(-(-(end.timestamp() - first) // width))
    counts: list[dict[str, int]] = [{} for _ in range(bins)]
    parts = _without_gaps(replace(wanted, start=since or start))
    each = (aggregates.by_time(_wanted(part, matches=matches), (first, width), bins) for part in parts)
    for (index, source), count in sum(each, Counter[tuple[int, str]]()).items():
        last = counts[min(index, bins - 1)]  # what a clock that was set back has dated later than now
        last[source] = last.get(source, 0) + count
    first_moment, step = moment(first * 1_000_000), timedelta(seconds=width)
    return Histogram(
        first_moment,
        first_moment + bins * step,
        step,
        [Bin(first_moment + i * step, first_moment + (i + 1) * step, counts[i]) for i in range(bins)],
        since,
    )


def _matches(wanted: Filter) -> Matches | None:
    """Return how a search is counted, if there is one."""
    asked = wanted.asked()
    return fulltext.matches(db.session.connection(), asked, wanted.start, wanted.end) if asked else None


@dataclass(frozen=True)
class Statistics:
    """How many events there were, in all and by each value of some columns: counted from `since` on, if it is given."""

    total: int
    by: Mapping[str, Mapping[str, int]]
    since: datetime | None = None


def statistics(wanted: Filter, columns: Sequence[str]) -> Statistics:
    """Count the wanted events by what they have in common; a search has its bound."""
    matches = _matches(wanted)
    since = matches.since if matches else None
    wanted = replace(wanted, start=since or wanted.start)
    by = {column: _counts_by(column, wanted, matches) for column in columns}
    return Statistics(
        _counts_by("source", wanted, matches).total(), {column: _ranked(by[column]) for column in by}, since
    )


def count(wanted: Filter) -> int:
    """Return how many events are wanted."""
    return _counts_by("source", wanted).total()


def counts_by(column: str, wanted: Filter) -> dict[str, int]:
    """Return how many events there are for each value of a column, the most frequent first."""
    return _ranked(_counts_by(column, wanted))


def _counts_by(column: str, wanted: Filter, matches: Matches | None = None) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in _without_gaps(wanted):
        counted = _wanted(part, matches=matches)
        if column == "source":
            found += aggregates.by_source(counted)
        elif column == "connector_name":
            found += aggregates.by_connector_name(counted)
        else:
            found += aggregates.by_value(counted, column)
    return found


def _ranked(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def authors() -> list[str]:
    """Return everybody who has an event."""
    return sorted(aggregates.authors(), key=str.casefold)


def tags() -> list[str]:
    """Return every tag that an event has."""
    return sorted(aggregates.tags(), key=str.casefold)


def _wanted(
    wanted: Filter, page: bool = False, before: Cursor | None = None, matches: Matches | None = None
) -> AggregateQuery:
    """Return a filter as it is counted, or as a `page` of it is found."""
    by_facets = not wanted.gaps and not search_query.groups(search_query.parse(wanted.q), dict(wanted.teams))
    facets = {facet: values for facet in FACETS if (values := getattr(wanted, facet))}
    if wanted.connector:
        facets["connector"] = aggregates.connectors_called(wanted.connector)
    tagged = [aggregates.tagged(tags) for tags in (wanted.tag, wanted.team_tags) if tags]
    known = [values for values in tagged if values is not None]
    if known:
        # An event's tags are one value together. Where none is left: a value that no event has.
        facets["tag"] = tuple(value for value in known[0] if all(value in values for values in known)) or ("-",)
    return AggregateQuery(
        wanted.timeless(page, before.id if before else None, matches),
        microseconds(wanted.start) if wanted.start else None,
        microseconds(wanted.end) if wanted.end else None,
        wanted.source,
        facets,
        by_facets and len(known) == len(tagged),
    )


def _without_gaps(wanted: Filter) -> list[Filter]:
    """Return filters for the stretches of time between the gaps, which together want the same."""
    spans = [(wanted.start, wanted.end)]
    for gap in wanted.gaps:
        before = [(low, _sooner(high, gap.start)) for low, high in spans if gap.start]
        after = [(_later(low, gap.end), high) for low, high in spans if gap.end]
        spans = [(low, high) for low, high in (*before, *after) if not low or not high or low < high]
    return [replace(wanted, start=low, end=high, gaps=()) for low, high in spans]


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    return min((time for time in (one, other) if time), default=None)


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((time for time in (one, other) if time), default=None)


def _rows(numbers: Sequence[int]) -> list[Event]:
    """Return the events of these numbers in their order."""
    if not numbers:
        return []
    rows = {row.id: row for row in db.session.execute(select(*SHOWN).where(_event.id.in_(numbers)))}
    return [rows[number] for number in numbers if number in rows]


def _oldest(wanted: Filter) -> datetime | None:
    oldest = timeline_pages.oldest(_wanted(wanted))
    return None if oldest is None else moment(oldest)


def _fits(number: int) -> int:
    if not 0 <= number < 2**63:
        raise ValueError(number)
    return number


def parse_filter(given: Mapping[str, Sequence[str]], now: datetime, zone: ZoneInfo, default_range: str = "") -> Filter:
    """Read a filter from the values of a query string. A list is repeated or, but for names, comma-separated.

    :raises BadFilter: when a value cannot be understood.
    """

    def texts(name: str) -> tuple[str, ...]:
        parts = (text.split(",") if name not in NAMES else [text] for text in given.get(name, ()))
        values = [value.strip() for texts in parts for value in texts]
        if any(len(value) > MAX_TEXT for value in values):
            raise BadFilter(name, f"{name} can have {MAX_TEXT} characters at most.")
        if len(values) > MAX_VALUES:
            raise BadFilter(name, f"{name} can have {MAX_VALUES} values at most.")
        return tuple(dict.fromkeys(value for value in values if value))

    def one(name: str) -> str:
        return next((text.strip() for text in given.get(name, ()) if text.strip()), "")

    for name, values in given.items():
        if any("\0" in value for value in values):
            raise BadFilter(name, f"{name} contains a NUL character.")
    terms = search_query.parse(one("q"))
    windows = search_query.windows(terms, now, zone)
    team = team_filter.known(texts("team"), "team")
    asked = team_filter.known(search_query.teams(terms), "q")
    start = parse_time(one("start_date"), "start_date", zone) if one("start_date") else None
    end = parse_time(one("end_date"), "end_date", zone) if one("end_date") else None
    if start and end and start >= end:
        raise BadFilter("end_date", "end_date must be later than start_date.")
    chosen = one("range")
    if chosen and chosen not in (*RANGES, "custom", "all"):
        raise BadFilter("range", f"range must be one of {', '.join(RANGES)}, all or custom.")
    if not start and not end:
        chosen = chosen if chosen in (*RANGES, "all") else default_range
        # A search that names a time itself looks there, whatever range the buttons show.
        start = now - RANGES[chosen] if chosen in RANGES and all(one.negated for one in windows) else None
    start, end = _overlap(start, end, windows)
    return Filter(
        texts("source"),
        texts("event_type"),
        texts("connector"),
        texts("tag"),
        texts("author"),
        texts("status"),
        one("q"),
        start,
        end,
        tuple(window for window in windows if window.negated),
        tuple(dict.fromkeys(one.name for one in team.values())),
        tuple((name, one.tags) for name, one in [*((one.name, one) for one in team.values()), *asked.items()]),
    )


def _overlap(
    start: datetime | None, end: datetime | None, windows: Sequence[Window]
) -> tuple[datetime | None, datetime | None]:
    """Return the stretch of time that lies in all windows.

    :raises BadFilter: when there is none.
    """
    wanted = [window for window in windows if not window.negated]
    for window in wanted:
        start, end = _later(start, window.start), _sooner(end, window.end)
    if wanted and start and end and start >= end:
        raise BadFilter("q", "Nothing lies in all the times that are asked for: they do not overlap.")
    return start, end


def _between(start: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    edges = [_event.timestamp >= start] if start else []
    return [*edges, _event.timestamp < end] if end else edges
