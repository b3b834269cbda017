"""Read the audit trail as it was written: the configuration at a moment, and the events of a span of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from painchain import connectors
from painchain.configuration import connector_store
from painchain.database.models import ChangeEvent, Connector
from painchain.database.session import db
from painchain.history.backfill import fill_in
from painchain.history.projection import ConnectorState, Entry, Gap, Projection, Snapshot, gaps_after
from painchain.timeline import visibility

# How many events are held at a time: an event is one or two kilobytes.
CHUNK = 500
SWITCHES = ("ConnectorEnabled", "ConnectorDisabled")

_event = ChangeEvent.__table__.c
_COLUMNS = [_event[name] for name in Entry.__dataclass_fields__]
_AUDIT = _event.source == connectors.BUILTIN.key


def snapshots_at(moments: Sequence[datetime]) -> list[Snapshot]:
    """Return the configuration at each moment, in their order, from one reading of the log.

    It holds ``CHUNK`` events and the connectors; its time grows with the edits up to the last moment. The state is one
    that has been: of an action, all events count or none, and where the clock was set back, all that was written
    before the newest event of that time or earlier. Where the log is pruned, the later edits are read as well.
    """
    cuts = [_last_before(moment) for moment in moments]
    found: dict[int, Snapshot] = {}
    fold, reached = Projection(), 0
    for entry in _entries(_event.id <= max(cuts, default=0)):
        found |= {cut: fold.snapshot() for cut in cuts if reached <= cut < entry.id and cut not in found}
        fold.apply(entry)
        reached = entry.id
    return [_completed(found.get(cut) or fold.snapshot(), cut) for cut in cuts]


def snapshot_at(moment: datetime) -> Snapshot:
    """Return the whole configuration at a moment."""
    return snapshots_at([moment])[0]


def entries(start: datetime, end: datetime) -> Iterator[Entry]:
    """Yield the events of a span of time in the order in which they were written."""
    return _entries(_event.timestamp >= start, _event.timestamp < end)


def all_entries() -> Iterator[Entry]:
    """Yield every event of the audit trail in the order in which they were written."""
    return _entries()


def gaps(start: datetime, end: datetime) -> list[Gap]:
    """Return the times in which auditing was off, as far as they touch a span."""
    builtin = select(Connector.id).where(Connector.type == connectors.BUILTIN.key).scalar_subquery()
    found: list[Gap] = []
    for entry in _entries(_event.connector_id == builtin, _event.event_type.in_(SWITCHES)):
        found = gaps_after(found, entry)
    return [gap for gap in found if (not gap.start or gap.start < end) and (not gap.end or gap.end > start)]


def oldest() -> datetime | None:
    """Return the time of the oldest event that the audit trail still has."""
    query = select(_event.timestamp).where(_AUDIT).order_by(_event.timestamp, _event.id).limit(1)
    return db.session.scalar(query)


def _completed(found: Snapshot, cut: int) -> Snapshot:
    """Return a picture with what a pruned log has lost, as far as later events and the present tell it."""
    if found.whole:
        return found
    return fill_in(found, _entries(_event.id > cut), _present())


def _present() -> Iterator[ConnectorState]:
    for one in connector_store.list_all():
        values = connector_store.configuration(one)
        enabled = values.pop("enabled")
        yield ConnectorState(one.id, one.type, values, enabled, None, "", hidden=visibility.hidden(one.id))


def _last_before(moment: datetime) -> int:
    """Return the number of the last event of the newest action up to a moment; 0 if there is none."""
    newest = select(func.max(_event.id)).where(_AUDIT, _event.timestamp <= moment).scalar_subquery()
    action = select(_event.request_id).where(_event.id == newest).scalar_subquery()
    return db.session.scalar(select(func.max(_event.id)).where(_event.request_id == action)) or 0


def _entries(*wanted: ColumnElement[bool]) -> Iterator[Entry]:
    query = select(*_COLUMNS).where(_AUDIT, *wanted).order_by(_event.id)
    for row in db.session.execute(query, execution_options={"yield_per": CHUNK}):
        yield Entry(*row)
