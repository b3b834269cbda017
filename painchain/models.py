"""The tables: what people configure, what happened, and where the log stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.db import Base, Moment, RowId

FEED_COLUMNS = ("timestamp", "id", "source", "event_type", "connector_id", "connector_name", "author", "status")


class Connector(Base):
    """One connector as people configure it. `secrets` holds sealed texts by field key."""

    __tablename__ = "connectors"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never given out twice

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    type: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, unique=True)
    enabled: Mapped[bool] = mapped_column(default=False)
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    config: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    secrets: Mapped[dict[str, str]] = mapped_column(JSON, default=dict)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(Moment)
    created_by: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(Moment)
    updated_by: Mapped[str] = mapped_column(Text)
    switched_at: Mapped[datetime] = mapped_column(Moment)
    switched_by: Mapped[str] = mapped_column(Text)


class HiddenField(Base):
    """One field of one event type that a connector's events do not show. No row: shown."""

    __tablename__ = "hidden_fields"

    connector_id: Mapped[int] = mapped_column(ForeignKey("connectors.id", ondelete="CASCADE"), primary_key=True)
    event_type: Mapped[str] = mapped_column(Text, primary_key=True)
    field: Mapped[str] = mapped_column(Text, primary_key=True)


class ChangeEvent(Base):
    """One thing that happened. Names are copied in, so that it reads the same when what they name is gone.

    `id` is a sequence number that is never used twice and grows in the order of commits. `timestamp` is when it
    happened, `recorded_at` when it was written. `words` is what a search finds it by (``painchain.fulltext``).
    """

    __tablename__ = "change_events"
    __table_args__ = (
        # The order of the feed, with everything that people filter by: a filter is decided without reading a row.
        Index("ix_change_events_feed", *FEED_COLUMNS),
        Index(None, "connector_id", "source", "timestamp", "id"),  # the history of one connector
        Index(None, "request_id"),
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    event_id: Mapped[str] = mapped_column(Text, unique=True)
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
    timestamp: Mapped[datetime] = mapped_column(Moment)
    recorded_at: Mapped[datetime] = mapped_column(Moment)
    words: Mapped[str] = mapped_column(Text, server_default="", deferred=True)


class EventTag(Base):
    """One tag of one event, to filter by."""

    __tablename__ = "event_tags"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  SQLAlchemy's own way

    tag: Mapped[str] = mapped_column(Text, primary_key=True)
    event: Mapped[int] = mapped_column(
        RowId, ForeignKey("change_events.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class EventCount(Base):
    """How many events of one source had one value of a facet in one slot of time: of those up to `LogHead.counted`.

    A slot is `grain` seconds long, the first begins in 1970; grain 0 has a single slot that never ends.
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
    """Which events have one value of a facet, or happened in one slot of time: of those up to `LogHead.counted`.

    Bits stand for the numbers of the events, ``sets.CHUNK`` of them in one row. Values have grain 0 and slot 0; slots
    of time are of the facet "all".
    """

    __tablename__ = "event_sets"

    facet: Mapped[str] = mapped_column(Text, primary_key=True)
    grain: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    slot: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    chunk: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    value: Mapped[str] = mapped_column(Text, primary_key=True)
    bits: Mapped[bytes] = mapped_column(LargeBinary)


class LogHead(Base):
    """Where the log stands: one row, locked by whoever writes.

    `revision` grows with every write of any kind, `last_event` is the newest event's id, `last_stamp` the time in the
    newest event id of PainChain, in microseconds, `counted` the newest event that the rollups hold.
    """

    __tablename__ = "log_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    revision: Mapped[int] = mapped_column(BigInteger, default=0)
    last_event: Mapped[int] = mapped_column(BigInteger, default=0)
    last_stamp: Mapped[int] = mapped_column(BigInteger, default=0)
    counted: Mapped[int] = mapped_column(BigInteger, default=0)


class Retention(Base):
    """For how many days the events of one source are kept. No row, or no number: for ever."""

    __tablename__ = "retention"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    days: Mapped[int | None]


class Pruning(Base):
    """The events of one source that are being removed. The row goes in the transaction that puts it on the record.

    `removed` counts in the transactions that remove. `beat` is when its worker last did something: it is nobody's
    while it is old, and whoever takes it over goes on from there.
    """

    __tablename__ = "prunings"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    source: Mapped[str] = mapped_column(Text, unique=True)
    days: Mapped[int]
    before: Mapped[datetime] = mapped_column(Moment)
    expected: Mapped[int] = mapped_column(BigInteger)
    removed: Mapped[int] = mapped_column(BigInteger)
    oldest: Mapped[datetime | None] = mapped_column(Moment)
    newest: Mapped[datetime | None] = mapped_column(Moment)
    cause: Mapped[str] = mapped_column(Text)
    author: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    beat: Mapped[datetime] = mapped_column(Moment)


class PruneTurn(Base):
    """When the daily prune is due next: one row; whoever moves it on has the turn."""

    __tablename__ = "prune_turn"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    due: Mapped[datetime] = mapped_column(Moment)
