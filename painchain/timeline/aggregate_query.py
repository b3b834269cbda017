"""Describe which events to count or find, in the terms of the events and in those of the rollups."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, Text, case, cast, func, literal, type_coerce

from painchain.database.models import ChangeEvent
from painchain.indexes.bitmaps import SOURCE
from painchain.indexes.rollups import ALL
from painchain.timeline.time_bins import Run, TimeBins
from painchain.timeline.time_slots import MICRO

MANY_VALUES = 40  # a database accepts a limited number of parts in one query
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1  # that a database stores: a time that was edited by hand can be any
Number = ColumnElement[int]
Includes = Callable[[str, str, "str | None"], bool]  # whether an event of a source and type, with a status, is one

_event = ChangeEvent.__table__.c
stamp: Number = type_coerce(_event.timestamp, BigInteger)

# The value of each facet of an event.
VALUES: dict[str, ColumnElement[Any]] = {
    SOURCE: _event.source,
    "event_type": _event.event_type,
    "connector": func.coalesce(cast(_event.connector_id, Text), "") + func.coalesce("/" + _event.connector_name, ""),
    "author": _event.author,
    "status": _event.status,
}


class Kind(NamedTuple):
    """The values of an event that filters and menus use. `tags` is a list as JSON; `listed` are its known facts."""

    source: str
    event_type: str
    status: str | None
    author: str
    connector: str
    connector_id: int | None
    connector_name: str | None
    tags: str
    listed: tuple[str | None, ...] = ()


@dataclass(frozen=True)
class Share:
    """Events by the values that the rollups have, added to a number (`sign` 1) or subtracted from it (-1)."""

    sign: int = 1
    sources: tuple[str, ...] = ()
    facets: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def rollup(self, facet: str) -> str:
        """Return the facet whose rollup can count this share by `facet`, or ""."""
        if facet != SOURCE:
            return facet if set(self.facets) <= {facet} else ""
        return "" if len(self.facets) > 1 else next(iter(self.facets), ALL)


@dataclass(frozen=True)
class Selection:
    """Some of the events of a query: by source, event type and status (None: all), and as shares of the rollups."""

    includes: Includes | None
    shares: Sequence[Share]


@dataclass(frozen=True)
class AggregateQuery:
    """Which events to count or find, from `start` to before `end` in microseconds.

    `conditions` do not include that range. If `by_facets` is true, `sources` and `facets` are equivalent to the
    conditions, in the values that the rollups have. Numbers are counted for each of the `selections`; if there are
    none, for all events. Queries with the same `key` have equivalent conditions and selections, whatever their range;
    those without one are not cached. `lookup` follows from the conditions, and finds many events faster. `has_kind`
    says whether events of a kind meet the conditions; it is None if that depends on more.
    """

    conditions: Sequence[ColumnElement[bool]] = ()
    start: int | None = None
    end: int | None = None
    sources: tuple[str, ...] = ()
    facets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    by_facets: bool = True
    selections: tuple[Selection, ...] = ()
    key: Hashable = None
    lookup: tuple[ColumnElement[bool], ...] = ()
    has_kind: Callable[[Kind], bool] | None = None

    @property
    def counted_selections(self) -> Sequence[Selection]:
        """The selections, or the one that contains all events."""
        return self.selections or (Selection(None, (Share(1, self.sources, self.facets),)),)

    @property
    def is_selective(self) -> bool:
        """Whether the rollups can locate the times with matching events."""
        has_few_values = sum(map(len, self.facets.values())) <= MANY_VALUES
        return self.by_facets and has_few_values and bool(self.facets or self.sources)


def between(column: Any, low: int | None, high: int | None) -> list[ColumnElement[bool]]:
    """Return the conditions for a column from `low` to before `high`."""
    ends = [] if low is None else [column >= literal(low, BigInteger)]
    return ends if high is None else [*ends, column < literal(high, BigInteger)]


def bin_of(time: Number, bins: TimeBins | None) -> tuple[Number, ...]:
    """Return the expression for the number of a time's bin, if there are bins."""
    if bins is None:
        return ()
    *earlier, last = [(run, _in_run(time, run)) for run in bins.runs]
    if not earlier:
        return (last[1],)
    return (case(*((time < literal(run.end * MICRO, BigInteger), number) for run, number in earlier), else_=last[1]),)


def _in_run(time: Number, run: Run) -> Number:
    number: Number = (time - run.start * MICRO).self_group().op("/")(run.width * MICRO)
    return number + run.index if run.index else number
