"""Select events by their outcome and by the class Access, as SQL and as values of facets that the rollups have."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, func, not_, or_, select

from painchain import connectors
from painchain.connectors.outcomes import Outcome
from painchain.database.models import ChangeEvent, EventCount
from painchain.database.prepared import Prepared
from painchain.database.transaction_values import of_transaction
from painchain.indexes.rollups import ALL_TIME
from painchain.timeline import aggregates, rollup_sums
from painchain.timeline.aggregate_query import AggregateQuery, Includes, Share

BUILTIN = connectors.BUILTIN.key
_STATUSES_KEY = "painchain.statuses"

_event = ChangeEvent.__table__.c
_count = EventCount.__table__.c
# The query of every status in the rollups, and its source.
STATUSES: Select[Any] = select(_count.value, _count.source).where(_count.facet == "status", _count.grain == ALL_TIME)
_STATUSES = Prepared(STATUSES)
SourceStatus = tuple[str, str]  # a source and a status


@dataclass(frozen=True)
class Alternative:
    """Events of some sources with some values of one facet."""

    sources: tuple[str, ...]
    facet: str
    values: tuple[str, ...]

    def condition(self) -> ColumnElement[bool]:
        """Return the SQL condition that selects these events."""
        return and_(_event.source.in_(self.sources), _event[self.facet].in_(self.values))

    def includes(self, source: str, event_type: str, status: str | None) -> bool:
        """Return whether an event of this source and type, with this status, is one of these events."""
        return source in self.sources and {"event_type": event_type, "status": status}[self.facet] in self.values

    def narrow(self, sources: tuple[str, ...], facets: dict[str, tuple[str, ...]], sign: int = 1) -> Share | None:
        """Return the part of these events that has the given sources and values too; None if there are none."""
        values = tuple(value for value in facets.get(self.facet, self.values) if value in self.values)
        both = tuple(source for source in sources or self.sources if source in self.sources)
        return Share(sign, both, {**facets, self.facet: values}) if values and both else None


ACCESS = Alternative((BUILTIN,), "event_type", connectors.ACCESS_TYPES)
NOTHING = Alternative((), "event_type", ())
_WITHOUT_ACCESS = not_(ACCESS.condition())


def remember_statuses(in_rollups: Iterable[SourceStatus]) -> Collection[SourceStatus]:
    """Return every status in the log with its source, given those in the rollups. This transaction uses them again."""
    newest = ((kind.source, kind.status) for kind in aggregates.newest_kinds() if kind.status is not None)
    pairs = frozenset([*in_rollups, *newest])
    of_transaction()[_STATUSES_KEY] = pairs
    return pairs


def statuses() -> Collection[SourceStatus]:
    """Return every status in the log with its source, as first read in this transaction."""
    known: Collection[SourceStatus] | None = of_transaction().get(_STATUSES_KEY)
    if known is None:
        known = remember_statuses((source, status) for status, source in rollup_sums.cached_rows(_STATUSES))
    return known


def access_with(outcomes: Collection[Outcome] | None) -> Alternative:
    """Return the events of the class Access with one of these outcomes (None: any)."""
    types = [name for name in ACCESS.values if outcomes is None or connectors.outcome(BUILTIN, name, None) in outcomes]
    return Alternative(ACCESS.sources, ACCESS.facet, tuple(types))


def includes(outcomes: Collection[Outcome] | None, without_access: bool) -> Includes | None:
    """Return what `condition` says as a function of an event's source, type and status."""
    if outcomes is None and not without_access:
        return None

    def is_included(source: str, event_type: str, status: str | None) -> bool:
        if without_access and ACCESS.includes(source, event_type, status):
            return False
        return outcomes is None or connectors.outcome(source, event_type, status) in outcomes

    return is_included


def condition(outcomes: Collection[Outcome] | None, without_access: bool) -> ColumnElement[bool] | None:
    """Return the SQL condition for events with one of these outcomes (None: any); None if there is no condition."""
    parts = [_has_outcome(outcomes)] if outcomes is not None else []
    parts += [_WITHOUT_ACCESS] if without_access else []
    return and_(*parts) if parts else None


def _has_outcome(outcomes: Collection[Outcome]) -> ColumnElement[bool]:
    if Outcome.NEUTRAL in outcomes:
        return not_(_has_outcome([outcome for outcome in Outcome if outcome not in outcomes]))
    found = statuses() if outcomes else ()
    arms = [and_(_event.source == BUILTIN, _event.event_type.in_(types))] if (types := _types(outcomes)) else []
    for source, connector_type in connectors.EXTERNAL.items():
        words = {word for outcome in outcomes for word in connector_type.statuses.words(outcome)}
        words |= {status for other, status in found if other == source and _ends(source, status) in outcomes}
        if words:
            arms.append(and_(_event.source == source, func.coalesce(_event.status, "").in_(sorted(words))))
    return or_(*arms) if arms else false()


def alternatives(outcomes: Collection[Outcome], without_access: bool = False) -> Sequence[Alternative]:
    """Return the events with one of these outcomes, none of them neutral, as alternatives that do not overlap.

    Most words have the same outcome in every source that uses them. The others are given source by source.
    """
    return _alternatives(frozenset(outcomes), without_access, frozenset(statuses()))


@lru_cache(64)
def _alternatives(
    outcomes: Collection[Outcome], without_access: bool, found: Collection[SourceStatus]
) -> Sequence[Alternative]:
    types = [name for name in _types(outcomes) if not (without_access and name in connectors.ACCESS_TYPES)]
    result = [Alternative((BUILTIN,), "event_type", tuple(types))] if types else []
    pairs = [(source, status) for source, status in found if source != BUILTIN]
    matching = [pair for pair in pairs if _ends(*pair) in outcomes]
    disputed = {status for _, status in matching} & {status for _, status in {*pairs} - {*matching}}
    if shared := sorted({status for _, status in matching} - disputed):
        result.append(Alternative(tuple(connectors.EXTERNAL), "status", tuple(shared)))
    for source in sorted({source for source, _ in matching}):
        if own := sorted(status for other, status in matching if other == source and status in disputed):
            result.append(Alternative((source,), "status", tuple(own)))
    return result


def shares(query: AggregateQuery, outcomes: Collection[Outcome] | None, without_access: bool) -> Iterator[Share]:
    """Yield signed shares that together are the events of `query` with these outcomes (None: any)."""
    is_complement = outcomes is None or Outcome.NEUTRAL in outcomes
    if is_complement:
        yield Share(1, query.sources, query.facets)
        if without_access and (access := ACCESS.narrow(query.sources, query.facets, -1)):
            yield access
        outcomes = [outcome for outcome in Outcome if outcome not in outcomes] if outcomes is not None else []
    for alternative in alternatives(outcomes or [], without_access) if outcomes else []:
        if share := alternative.narrow(query.sources, query.facets, -1 if is_complement else 1):
            yield share


def _types(outcomes: Collection[Outcome]) -> Sequence[str]:
    """Return the types of audit events with one of these outcomes, none of them neutral."""
    return [event_type.name for event_type in connectors.BUILTIN.event_types if event_type.outcome in outcomes]


def _ends(source: str, status: str) -> Outcome:
    return connectors.outcome(source, "", status)
