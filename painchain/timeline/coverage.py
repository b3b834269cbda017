"""Coverage gaps: the times in which a connector collected no events, and why.

They distinguish "nothing changed" from "nothing was collected".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, insert, or_, select, update

from painchain.database.models import Connector, Lapse
from painchain.database.prepared import Prepared
from painchain.database.session import Base, db
from painchain.timeline.filter import Filter

DISABLED, FAILING, RATE_LIMITED, GAP = "disabled", "failing", "rate_limited", "gap"
KINDS = {DISABLED: "disabled", FAILING: "failing", RATE_LIMITED: "rate limited", GAP: "no data"}
MAX_GAPS = 500

_gaps = Base.metadata.tables[Lapse.__tablename__]


@dataclass(frozen=True)
class CoverageGap:
    """One gap of one connector. `until` is None while it lasts; `words` explain it, if there is more than its kind."""

    connector_id: int
    connector_name: str
    connector_type: str
    kind: str
    since: datetime
    until: datetime | None
    words: str


_START, _END = (bindparam(name, type_=_gaps.c.since.type) for name in ("start", "end"))
_BETWEEN = (
    select(*(_gaps.c[name] for name in CoverageGap.__annotations__))
    .where(_gaps.c.since < _END, or_(_gaps.c.until.is_(None), _gaps.c.until > _START))
    .order_by(_gaps.c.since.desc(), _gaps.c.id.desc())
    .limit(MAX_GAPS)
)
_ALL_BETWEEN = Prepared(_BETWEEN)


def gaps_between(event_filter: Filter, start: datetime, end: datetime) -> Sequence[CoverageGap]:
    """Return the newest ``MAX_GAPS`` gaps between `start` and `end`, oldest first, of the connectors of a filter."""
    times = {"start": start, "end": end}
    conditions: list[ColumnElement[bool]] = []
    if event_filter.source:
        conditions.append(_gaps.c.connector_type.in_(event_filter.source))
    if names := event_filter.connector_values:
        ids = [int(name) for name in names if name.isdecimal() and len(name) < 18]
        conditions.append(or_(_gaps.c.connector_id.in_(ids), _gaps.c.connector_name.in_(names)))
    rows: Sequence[Sequence[Any]]
    if conditions:
        rows = db.session.execute(_BETWEEN.where(*conditions), times).all()
    else:
        rows = _ALL_BETWEEN.all(db.session.connection(), **times)
    return [CoverageGap(*row) for row in reversed(rows)]


def open_gap(connector: Connector, kind: str, now: datetime, message: str = "") -> None:
    """Open a gap, unless the connector has an open one of this kind. The caller holds the write transaction."""
    if db.session.execute(select(_gaps.c.id).where(*_is_open(connector.id, kind))).first() is None:
        _insert(connector, kind, now, None, message)


def close_gaps(connector: Connector, now: datetime, *kinds: str) -> None:
    """Close the open gaps of these kinds. The caller holds the write transaction."""
    db.session.execute(update(_gaps).where(*_is_open(connector.id, *kinds)).values(until=now))


def add_gap(connector: Connector, kind: str, start: datetime, until: datetime, words: str) -> None:
    """Add a gap that is over, unless it is stored already. The caller holds the write transaction."""
    same = select(_gaps.c.id).where(
        _gaps.c.connector_id == connector.id, _gaps.c.kind == kind, _gaps.c.since == start, _gaps.c.until == until
    )
    if db.session.execute(same).first() is None:
        _insert(connector, kind, start, until, words)


def _insert(connector: Connector, kind: str, since: datetime, until: datetime | None, words: str) -> None:
    about = {"connector_id": connector.id, "connector_name": connector.name, "connector_type": connector.type}
    db.session.execute(insert(_gaps).values(**about, kind=kind, since=since, until=until, words=words))


def _is_open(connector_id: int, *kinds: str) -> tuple[ColumnElement[bool], ...]:
    return _gaps.c.connector_id == connector_id, _gaps.c.kind.in_(kinds), _gaps.c.until.is_(None)
