"""The filter of a page, command or API call: which events it selects, and how it is parsed and queried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, not_, or_

from painchain import connectors
from painchain.connectors.outcomes import Outcome
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.database.types import microseconds
from painchain.indexes import fulltext, search_query
from painchain.indexes import tokens as index_tokens
from painchain.indexes.fulltext import Matches
from painchain.indexes.search_query import EARLIEST as EARLIEST
from painchain.indexes.search_query import LATEST as LATEST
from painchain.indexes.search_query import MAX_TEXT as MAX_TEXT
from painchain.indexes.search_query import BadFilter as BadFilter
from painchain.indexes.search_query import Group, Phrase, Window
from painchain.indexes.search_query import parse_time as parse_time
from painchain.timeline import aggregates, connector_filter, event_classes, grouped_events, team_filter
from painchain.timeline.aggregate_query import AggregateQuery, Kind, Selection
from painchain.timeline.connector_filter import NamedConnector
from painchain.timeline.cursor import Cursor

_event = ChangeEvent.__table__.c

RANGES = {
    "30m": timedelta(minutes=30),
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "12h": timedelta(hours=12),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
DEFAULT_RANGE = "24h"
MAX_VALUES = 100
FACETS = ("event_type", "connector", "tag", "author", "status")  # the facets with rollups, beside the source
OUTCOMES = tuple(outcome.value for outcome in Outcome)
# The qualifier of each list whose values are looked up in the search index.
SEARCHED = {"service": "service", "environment": "env"}
NAMES = ("author", "connector", "team", *SEARCHED)  # these may contain commas: a comma does not separate two of them


@dataclass(frozen=True)
class Filter:
    """Which events to read. An event must have one value of each tuple that is not empty.

    `start` and `end` include the times of the search `q`; `gaps` are the times that it excludes. `teams` holds the tags
    of every team that `q` or `team` names, as they were when ``parse_filter`` read them. `named_connectors` holds the
    present name and ID of each connector that `q` or `connector` names: its events from before a rename have another
    name. `hides_access` leaves out the events of the class Access. A filter of `any_class` ignores outcomes and this
    class, also those in `q`. `service` and `environment` select as a search for them does.
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
    outcome: tuple[str, ...] = ()
    hides_access: bool = False
    any_class: bool = False
    named_connectors: tuple[NamedConnector, ...] = ()
    service: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()

    @property
    def connector_values(self) -> tuple[str, ...]:
        """The names and IDs in `connector`, and the IDs of the connectors that have these names."""
        return (*self.connector, *(str(number) for name, number in self.named_connectors if name in self.connector))

    @property
    def outcomes(self) -> frozenset[Outcome] | None:
        """The outcomes that an event can have, by `outcome` and by the search; None for any."""
        searched = search_query.outcomes(search_query.parse(self.q))
        if self.any_class or (not self.outcome and searched is None):
            return None
        chosen = frozenset(map(Outcome, self.outcome or OUTCOMES))
        return chosen if searched is None else chosen & searched

    @property
    def names_access(self) -> bool:
        """Whether the filter asks for something that only events of the class Access may have."""
        terms = [term for term in search_query.parse(self.q) if not term.negated]
        types = {*self.event_type, *(value for term in terms if term.name == "type" for value in term.values)}
        sources = [self.source, *(term.values for term in terms if term.name == "source")]
        is_about_builtin = (connectors.BUILTIN.key,) in sources
        has_words = bool(self.status) or any(term.name in ("status", "action") for term in terms)
        return is_about_builtin or has_words or not types.isdisjoint(connectors.ACCESS_TYPES)

    @property
    def team_tags(self) -> tuple[str, ...]:
        """The tags of all the teams in `team`: an event of a team has one of them."""
        tags = dict(self.teams)
        return tuple(dict.fromkeys(tag for name in self.team for tag in tags[name]))

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the SQL conditions that select the events."""
        return [*self.timeless(), *_between(self.start, self.end)]

    def timeless(
        self, page: bool = False, before: int | None = None, matches: Matches | None = None
    ) -> list[ColumnElement[bool]]:
        """Return the SQL conditions that select the events, without those of `start` and `end`.

        A search is faster for a `page` of the newest events, or of those `before` an event's id, or with the plan for
        counting it (`matches`).
        """
        conditions: list[ColumnElement[bool]] = []
        for column, values in (
            (_event.source, self.source),
            (_event.event_type, self.event_type),
            (_event.author, self.author),
            (_event.status, self.status),
        ):
            if values:
                conditions.append(column.in_(values))
        if values := self.connector_values:
            ids = grouped_events.numeric_ids(values)
            conditions.append(or_(_event.connector_id.in_(ids), _event.connector_name.in_(values)))
        for tags in (self.tag, self.team_tags):
            if tags:
                conditions.append(aggregates.has_tag(tags))
        conditions += [not_(and_(True, *_between(gap.start, gap.end))) for gap in self.gaps]
        in_class = None if self.any_class else event_classes.condition(self.outcomes, self.hides_access)
        conditions += [] if in_class is None else [in_class]
        if matches:
            conditions.append(matches.condition)
        elif groups := self.search_groups():
            conditions.append(fulltext.condition(db.session.connection(), groups, self.start, self.end, page, before))
        return conditions

    def q_groups(self) -> list[Group]:
        """Return the groups of phrases of the search `q`, and of the lists that select as a search does."""
        groups = search_query.groups(search_query.parse(self.q), dict(self.teams), self.named_connectors)
        for name, qualifier in SEARCHED.items():
            if terms := dict.fromkeys(index_tokens.search_term(qualifier, value) for value in getattr(self, name)):
                groups.append(Group(tuple(Phrase((term,)) for term in terms)))
        return groups

    def without_search(self) -> Filter:
        """Return this filter without what the search index selects."""
        return replace(self, q="", gaps=(), service=(), environment=())

    def search_groups(self) -> list[Group]:
        """Return the groups of phrases to look up in the full-text index.

        Values of facets are added to a search: the planner may find one of them rarer than the words.
        """
        groups = self.q_groups()
        if not groups:
            return []
        facets = [("source", self.source), ("type", self.event_type), ("author", self.author), ("status", self.status)]
        facets += [("tag", self.tag), ("tag", self.team_tags), ("connector", self.connector_values)]
        for name, values in facets:
            texts = {str(int(value)) if value.isdecimal() else value for value in values} | {*values}
            if values and all(texts) and len(texts) <= search_query.MAX_TERMS:
                terms = (index_tokens.search_term(name, text) for text in sorted(texts))
                groups.append(Group(tuple(Phrase((term,)) for term in terms)))
        return groups


def aggregate_query(
    event_filter: Filter, page: bool = False, before: Cursor | None = None, matches: Matches | None = None
) -> AggregateQuery:
    """Return the query that reads a `page` of the events of a filter, or that counts them if it is of `any_class`."""
    by_facets = not event_filter.gaps and not event_filter.q_groups()
    facets = {facet: values for facet in FACETS if (values := getattr(event_filter, facet))}
    if event_filter.connector:
        facets["connector"] = aggregates.connector_values(event_filter.connector_values)
    tagged = [aggregates.tag_values(tags) for tags in (event_filter.tag, event_filter.team_tags) if tags]
    stored = [values for values in tagged if values is not None]
    if stored:
        # All tags of an event are one value together. If no value is left, use one that no event has.
        facets["tag"] = tuple(value for value in stored[0] if all(value in values for values in stored)) or ("-",)
    return AggregateQuery(
        event_filter.timeless(page, before.id if before else None, matches),
        microseconds(event_filter.start) if event_filter.start else None,
        microseconds(event_filter.end) if event_filter.end else None,
        event_filter.source,
        facets,
        by_facets and len(stored) == len(tagged),
    )


def counting_query(event_filter: Filter, matches: Matches | None = None, with_classes: bool = False) -> AggregateQuery:
    """Return the query that counts the events of a filter.

    `with_classes` adds two selections: those with a bad outcome, and the events of the class Access that it hides.
    """
    query = aggregate_query(replace(event_filter, any_class=True), matches=matches)
    lookup = (matches.lookup,) if matches and matches.lookup is not None else ()
    key = (replace(event_filter, start=None, end=None), with_classes)
    query = replace(query, key=key, lookup=lookup, has_kind=_kind_matcher(event_filter) if query.by_facets else None)
    if not with_classes and event_filter.outcomes is None and not event_filter.hides_access:
        return query
    outcomes, is_hiding = event_filter.outcomes, event_filter.hides_access
    selections = [_selection(query, event_filter, outcomes)]
    if with_classes:
        bad = frozenset({Outcome.BAD})
        selections.append(_selection(query, event_filter, bad if outcomes is None else bad & outcomes))
        hidden = event_classes.access_with(outcomes) if is_hiding else None
        share = hidden.narrow(query.sources, query.facets) if hidden else None
        selections.append(Selection((hidden or event_classes.NOTHING).includes, (share,) if share else ()))
    return replace(query, selections=tuple(selections))


def _kind_matcher(event_filter: Filter) -> Callable[[Kind], bool]:
    lists = {name: getattr(event_filter, name) for name in ("source", "event_type", "author", "status")}
    return grouped_events.matcher(lists, event_filter.connector_values, [event_filter.tag, event_filter.team_tags])


def _selection(query: AggregateQuery, event_filter: Filter, outcomes: frozenset[Outcome] | None) -> Selection:
    is_hiding = event_filter.hides_access
    shares = tuple(event_classes.shares(query, outcomes, is_hiding)) if query.by_facets else ()
    return Selection(event_classes.includes(outcomes, is_hiding), shares)


def page_queries(event_filter: Filter, before: Cursor | None = None, page: bool = True) -> list[AggregateQuery]:
    """Return queries that together read a page of the events of a filter; no event matches two of them."""
    query = aggregate_query(event_filter, page, before)
    outcomes = event_filter.outcomes
    if outcomes is None or Outcome.NEUTRAL in outcomes or not query.by_facets:
        return [query]
    alternatives = event_classes.alternatives(outcomes, event_filter.hides_access)
    shares = [(part, part.narrow(query.sources, query.facets)) for part in alternatives]
    return [
        replace(query, conditions=[*query.conditions, part.condition()], sources=share.sources, facets=share.facets)
        for part, share in shares
        if share
    ]


def earlier(first: datetime | None, second: datetime | None) -> datetime | None:
    """Return the earlier of two times; None stands for no limit."""
    return min((time for time in (first, second) if time), default=None)


def later(first: datetime | None, second: datetime | None) -> datetime | None:
    """Return the later of two times; None stands for no limit."""
    return max((time for time in (first, second) if time), default=None)


def parse_filter(
    parameters: Mapping[str, Sequence[str]], now: datetime, zone: ZoneInfo, default_range: str = ""
) -> Filter:
    """Parse a filter from the values of a query string. Lists are repeated or, except for names, comma-separated.

    :raises BadFilter: when a value cannot be understood.
    """

    def texts(name: str) -> tuple[str, ...]:
        split_texts = (text.split(",") if name not in NAMES else [text] for text in parameters.get(name, ()))
        values = [value.strip() for texts in split_texts for value in texts]
        if any(len(value) > MAX_TEXT for value in values):
            raise BadFilter(name, f"{name} can have at most {MAX_TEXT} characters.")
        if len(values) > MAX_VALUES:
            raise BadFilter(name, f"{name} can have at most {MAX_VALUES} values.")
        return tuple(dict.fromkeys(value for value in values if value))

    def first(name: str) -> str:
        return next((text.strip() for text in parameters.get(name, ()) if text.strip()), "")

    for name, values in parameters.items():
        if any("\0" in value for value in values):
            raise BadFilter(name, f"{name} contains a NUL character.")
    terms = search_query.parse(first("q"))
    windows = search_query.windows(terms, now, zone)
    teams = team_filter.find_teams(texts("team"), "team")
    named = team_filter.find_teams(search_query.values_of(terms, search_query.TEAM), "q")
    names = (*texts("connector"), *search_query.values_of(terms, index_tokens.CONNECTOR))
    start = parse_time(first("start_date"), "start_date", zone) if first("start_date") else None
    end = parse_time(first("end_date"), "end_date", zone) if first("end_date") else None
    if start and end and start >= end:
        raise BadFilter("end_date", "end_date must be later than start_date.")
    range_name = first("range")
    if range_name and range_name not in (*RANGES, "custom", "all"):
        raise BadFilter("range", f"range must be one of {', '.join(RANGES)}, all or custom.")
    if not start and not end:
        range_name = range_name if range_name in (*RANGES, "all") else default_range
        # A search that names a time itself looks there, whatever range the buttons show.
        start = now - RANGES[range_name] if range_name in RANGES and all(window.negated for window in windows) else None
    start, end = _overlap(start, end, windows)
    return Filter(
        texts("source"),
        texts("event_type"),
        texts("connector"),
        texts("tag"),
        texts("author"),
        texts("status"),
        first("q"),
        start,
        end,
        tuple(window for window in windows if window.negated),
        tuple(dict.fromkeys(team.name for team in teams.values())),
        (
            *((team.name, team.tags) for team in teams.values()),
            *((name, team.tags) for name, team in named.items()),
        ),
        _outcomes(texts("outcome")),
        named_connectors=connector_filter.find_named(names),
        service=texts("service"),
        environment=texts("environment"),
    )


def _outcomes(values: Sequence[str]) -> tuple[str, ...]:
    if any(value.lower() not in OUTCOMES for value in values):
        raise BadFilter("outcome", f"outcome must be one of {', '.join(OUTCOMES)}.")
    return tuple(dict.fromkeys(value.lower() for value in values))


def _overlap(
    start: datetime | None, end: datetime | None, windows: Sequence[Window]
) -> tuple[datetime | None, datetime | None]:
    """Return the overlap of `start` to `end` with every window that is not negated.

    :raises BadFilter: when it is empty.
    """
    required = [window for window in windows if not window.negated]
    for window in required:
        start, end = later(start, window.start), earlier(end, window.end)
    if required and start and end and start >= end:
        raise BadFilter("q", "No event can match: the times in this search do not overlap.")
    return start, end


def _between(start: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    edges = [_event.timestamp >= start] if start else []
    return [*edges, _event.timestamp < end] if end else edges
