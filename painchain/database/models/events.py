"""The tables of the event log, and of the indexes that are derived from it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Index, LargeBinary, Text, literal_column, text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.session import Base
from painchain.database.types import RowId, UtcMicroseconds

FEED_COLUMNS = ("timestamp", "id", "source", "event_type", "connector_id", "connector_name", "author", "status")
AUDIT_SOURCE = "painchain"  # of the events that audit PainChain itself; connectors find all others


def _partial_index(name: str, *columns: str, condition: str) -> Index:
    """Return an index of the events whose source is (`condition` "=") or is not ("<>") the audit source.

    A query uses it only if it has ``IS_AUDIT`` or ``IS_FOUND`` as a condition. On PostgreSQL it has the same condition,
    which only the migration states: here it would import SQLAlchemy's code for PostgreSQL, which takes 6 MB.
    """
    return Index(name, *columns, sqlite_where=text(f"source {condition} '{AUDIT_SOURCE}'"))


class ChangeEvent(Base):
    """One event. Names are copied, so that it reads the same after what they name was deleted.

    `id` is a sequence number: it is never reused and grows in the order of commits. `timestamp` is when the event
    happened, `recorded_at` when it was written. `words` holds its search terms (``painchain.indexes.fulltext``), `mac`
    its hash in the chain (``painchain.eventlog.chain``).
    """

    __tablename__ = "change_events"
    __table_args__ = (
        # The order of the feed, with everything that people filter by: a filter is decided without reading a row.
        Index("ix_change_events_feed", *FEED_COLUMNS),
        _partial_index("ix_change_events_found", "connector_id", "timestamp", condition="<>"),  # of one connector
        _partial_index("ix_change_events_audit", "connector_id", "timestamp", condition="="),  # of its configuration
        _partial_index("ix_change_events_request_id", "request_id", condition="="),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    # Unique. The migrations make the constraint: on PostgreSQL an index of hashes, which takes half of the bytes.
    event_id: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    event_type: Mapped[str] = mapped_column(Text)
    connector_id: Mapped[int | None] = mapped_column(RowId)
    connector_name: Mapped[str | None] = mapped_column(Text)
    connector_type: Mapped[str | None] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[dict[str, Any]] = mapped_column(JSON)
    event_metadata: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    author: Mapped[str] = mapped_column(Text)
    status: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)
    tags: Mapped[list[str]] = mapped_column(JSON)
    request_id: Mapped[str] = mapped_column(Text)
    timestamp: Mapped[datetime] = mapped_column(UtcMicroseconds)
    recorded_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    words: Mapped[str] = mapped_column(Text, server_default="", deferred=True)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)


# In the words of the partial indexes: databases do not compare bound values with them.
IS_AUDIT = ChangeEvent.__table__.c.source == literal_column(f"'{AUDIT_SOURCE}'")
IS_FOUND = ChangeEvent.__table__.c.source != literal_column(f"'{AUDIT_SOURCE}'")


class EventNote(Base):
    """An event that is a note on another event, to find the notes of an event. Derived from the log."""

    __tablename__ = "event_notes"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  SQLAlchemy's own way

    event: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    note: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False, index=True)


class EventCount(Base):
    """How many events of one source had one value of a facet in one time slot, up to event `LogHead.counted`.

    A slot is `grain` seconds long, and slot 0 begins in 1970. Grain 0 has one slot, which holds all time.
    """

    __tablename__ = "event_counts"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  SQLAlchemy's own way

    facet: Mapped[str] = mapped_column(Text, primary_key=True)
    grain: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[str] = mapped_column(Text, primary_key=True)
    slot: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    source: Mapped[str] = mapped_column(Text, primary_key=True)
    events: Mapped[int] = mapped_column(BigInteger)


class EventSet(Base):
    """Which events have one value of a facet, or happened in one time slot, up to event `LogHead.counted`.

    Each bit stands for an event id; a row holds ``bitmaps.CHUNK`` of them. Rows for values have grain 0 and slot 0.
    Rows for time slots have the facet "all".
    """

    __tablename__ = "event_sets"

    facet: Mapped[str] = mapped_column(Text, primary_key=True)
    grain: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    chunk: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    value: Mapped[str] = mapped_column(Text, primary_key=True)
    bits: Mapped[bytes] = mapped_column(LargeBinary)


class LogHead(Base):
    """The head of the log: one row, which every writer locks.

    `revision` grows with every write of any kind. `last_event` is the id of the newest event, `last_stamp` the time in
    PainChain's newest event id, in microseconds, and `counted` the id of the newest event that the rollups hold. `mac`
    is the newest event's hash in the chain, computed with the key named `key_id`; `seal` authenticates both.
    """

    __tablename__ = "log_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    last_event: Mapped[int] = mapped_column(BigInteger, default=0)
    last_stamp: Mapped[int] = mapped_column(BigInteger, default=0)
    counted: Mapped[int] = mapped_column(BigInteger, default=0)
    mac: Mapped[bytes] = mapped_column(LargeBinary)
    seal: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(Text)


class PrunedRun(Base):
    """A range of events that retention deleted: its first and last id, the last event's hash, and a seal on them."""

    __tablename__ = "pruned_runs"

    first: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(RowId, unique=True)
    mac: Mapped[bytes] = mapped_column(LargeBinary)
    seal: Mapped[bytes] = mapped_column(LargeBinary)
