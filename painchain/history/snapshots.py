"""Read the audit trail in commit order: the configuration at one time, and the events of an interval."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from painchain import connectors
from painchain.configuration import connector_store
from painchain.database.models import IS_AUDIT, ChangeEvent, Connector
from painchain.database.session import db
from painchain.history.backfill import fill_in
from painchain.history.projection import ConnectorState, Entry, Gap, Projection, Snapshot, gaps_after
from painchain.timeline import visibility

# Events held in memory at a time. An event has one or two kilobytes.
CHUNK = 500
SWITCHES = ("ConnectorEnabled", "ConnectorDisabled")

_event = ChangeEvent.__table__.c
_COLUMNS = [_event[name] for name in Entry.__dataclass_fields__]


def snapshots_at(moments: Sequence[datetime]) -> list[Snapshot]:
    """Return the configuration at each moment, in the given order. This reads the log once.

    Memory: ``CHUNK`` events and the connectors. Time: proportional to the edits up to the last moment; if the log was
    pruned, to all edits. Each snapshot is a state that existed: it contains all events of an action or none. If the
    clock was set back, it contains every event written before the newest event with that time or an earlier one.
    """
    cuts = [_last_event_at(moment) for moment in moments]
    snapshots: dict[int, Snapshot] = {}
    projection, reached = Projection(), 0
    for entry in _entries(_event.id <= max(cuts, default=0)):
        snapshots |= {cut: projection.snapshot() for cut in cuts if reached <= cut < entry.id and cut not in snapshots}
        projection.apply(entry)
        reached = entry.id
    return [_filled_in(snapshots.get(cut) or projection.snapshot(), cut) for cut in cuts]


def snapshot_at(moment: datetime) -> Snapshot:
    """Return the configuration at a moment."""
    return snapshots_at([moment])[0]


def entries(start: datetime, end: datetime) -> Iterator[Entry]:
    """Yield the audit events of an interval in commit order; `end` is exclusive."""
    return _entries(_event.timestamp >= start, _event.timestamp < end)


def all_entries() -> Iterator[Entry]:
    """Yield all audit events in commit order."""
    return _entries()


def gaps(start: datetime, end: datetime) -> list[Gap]:
    """Return the periods without auditing that overlap an interval."""
    builtin = select(Connector.id).where(Connector.type == connectors.BUILTIN.key).scalar_subquery()
    found_gaps: list[Gap] = []
    for entry in _entries(_event.connector_id == builtin, _event.event_type.in_(SWITCHES)):
        found_gaps = gaps_after(found_gaps, entry)
    return [gap for gap in found_gaps if (not gap.start or gap.start < end) and (not gap.end or gap.end > start)]


def oldest() -> datetime | None:
    """Return the time of the oldest audit event in the log, or None."""
    query = select(_event.timestamp).where(IS_AUDIT).order_by(_event.timestamp, _event.id).limit(1)
    return db.session.scalar(query)


def _filled_in(snapshot: Snapshot, cut: int) -> Snapshot:
    """Fill in what the log lost to pruning, from later events and the current configuration."""
    if snapshot.is_complete:
        return snapshot
    return fill_in(snapshot, _entries(_event.id > cut), _current_states())


def _current_states() -> Iterator[ConnectorState]:
    for connector in connector_store.list_all():
        values = connector_store.configuration(connector)
        enabled = values.pop("enabled")
        hidden = visibility.hidden(connector.id)
        yield ConnectorState(connector.id, connector.type, values, enabled, None, "", hidden=hidden)


def _last_event_at(moment: datetime) -> int:
    """Return the number of the last event of the newest action up to a moment; 0 if there is none."""
    newest = select(func.max(_event.id)).where(IS_AUDIT, _event.timestamp <= moment).scalar_subquery()
    action = select(_event.request_id).where(_event.id == newest).scalar_subquery()
    return db.session.scalar(select(func.max(_event.id)).where(_event.request_id == action, IS_AUDIT)) or 0


def _entries(*conditions: ColumnElement[bool]) -> Iterator[Entry]:
    query = select(*_COLUMNS).where(IS_AUDIT, *conditions).order_by(_event.id)
    with db.session.execute(query, execution_options={"yield_per": CHUNK}) as rows:
        for row in rows:
            yield Entry(*row)
