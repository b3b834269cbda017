"""The tables: what people configure, what happened, and where the log stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Double, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.session import Base
from painchain.database.types import RowId, UtcMicroseconds

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
    created_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    created_by: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    updated_by: Mapped[str] = mapped_column(Text)
    switched_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    switched_by: Mapped[str] = mapped_column(Text)


class Team(Base):
    """A named set of tags to filter by. `former_names` are those it had before, for whoever still asks by them."""

    __tablename__ = "teams"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never given out twice

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    tags: Mapped[list[str]] = mapped_column(JSON, default=list)
    former_names: Mapped[list[str]] = mapped_column(JSON, default=list)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    created_by: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    updated_by: Mapped[str] = mapped_column(Text)


class HiddenField(Base):
    """One field of one event type that a connector's events do not show. No row: shown."""

    __tablename__ = "hidden_fields"

    connector_id: Mapped[int] = mapped_column(ForeignKey("connectors.id", ondelete="CASCADE"), primary_key=True)
    event_type: Mapped[str] = mapped_column(Text, primary_key=True)
    field: Mapped[str] = mapped_column(Text, primary_key=True)


class PollState(Base):
    """Where the polling of one connector stands. People's edits never touch it, and it never touches theirs.

    `due` is when it is polled next; `taken_until` is the end of the turn that a process has, past which another may
    take it. `cursor` is the type's own, from the last poll that was stored. While polls fail, `failures` in a row
    began at `failing_since`, and `error` says in words why, `trouble` in a word of ``Trouble``. `note` is what else a
    person should know of the last poll. `rate_*` is what the source said of its limit. `watched_until` is the end of
    the watch that a process has between polls, past which another may take it.
    """

    __tablename__ = "poll_states"

    connector_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("connectors.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    due: Mapped[datetime] = mapped_column(UtcMicroseconds, index=True)
    taken_until: Mapped[datetime] = mapped_column(UtcMicroseconds)
    cursor: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, deferred=True)  # of a cluster: megabytes
    last_poll: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    last_success: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    failures: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    trouble: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text, default="")
    rate_limit: Mapped[int | None]
    rate_remaining: Mapped[int | None]
    rate_resets: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    watched_until: Mapped[datetime] = mapped_column(UtcMicroseconds, server_default="0")


class Lapse(Base):
    """A stretch of time in which nobody was looking: `kind` is disabled, failing, rate_limited or gap.

    `until` is None while it lasts. The name is copied in, so that the stretch is still told when its connector is gone.
    """

    __tablename__ = "lapses"
    __table_args__ = (Index(None, "until"), Index(None, "connector_id", "kind", "until"))

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    connector_id: Mapped[int] = mapped_column(RowId)
    connector_name: Mapped[str] = mapped_column(Text)
    connector_type: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcMicroseconds)
    until: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    words: Mapped[str] = mapped_column(Text, default="")


class Webhook(Base):
    """The webhook of one connector, whose `secret` is sealed. People's edits of the connector never touch it.

    `told` says in words what the last genuine delivery was, at `last_delivery`.
    """

    __tablename__ = "webhooks"

    connector_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("connectors.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    secret: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    made_by: Mapped[str] = mapped_column(Text)
    last_delivery: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    told: Mapped[str] = mapped_column(Text, default="")


class WebhookDelivery(Base):
    """One delivery that was taken, known by the `mark` of its id, so that a repeated one is not taken again."""

    __tablename__ = "webhook_deliveries"

    connector_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("connectors.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    mark: Mapped[str] = mapped_column(Text, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(UtcMicroseconds, index=True)


class NotifyRule(Base):
    """Whom to tell at once of which kinds of events. `url` is sealed; `shown` is as much of it as may be seen.

    `error` says in words why telling failed last, at `failed_at`; `lost` messages were given up since it went well.
    """

    __tablename__ = "notify_rules"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never given out twice

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(Text, unique=True)
    url: Mapped[str] = mapped_column(Text)
    shown: Mapped[str] = mapped_column(Text)
    kinds: Mapped[list[str]] = mapped_column(JSON)
    enabled: Mapped[bool]
    version: Mapped[int] = mapped_column(default=1)
    updated_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    updated_by: Mapped[str] = mapped_column(Text)
    last_sent: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    failed_at: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    error: Mapped[str | None] = mapped_column(Text)
    lost: Mapped[int] = mapped_column(default=0)


class Notice(Base):
    """One message of a rule that is to be sent. The row goes in the transaction of the event that it tells of.

    `due` is when it is tried next, for the `tries`th time but one; `taken_until` is the end of the turn of whoever
    sends it.
    """

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    rule_id: Mapped[int] = mapped_column(RowId, ForeignKey("notify_rules.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(default=0)
    due: Mapped[datetime] = mapped_column(UtcMicroseconds, index=True)
    taken_until: Mapped[datetime] = mapped_column(UtcMicroseconds)


class ChangeEvent(Base):
    """One thing that happened. Names are copied in, so that it reads the same when what they name is gone.

    `id` is a sequence number that is never used twice and grows in the order of commits. `timestamp` is when it
    happened, `recorded_at` when it was written. `words` is what a search finds it by (``painchain.fulltext``), `mac`
    its hash in the chain (``painchain.chain``).
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
    timestamp: Mapped[datetime] = mapped_column(UtcMicroseconds)
    recorded_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    words: Mapped[str] = mapped_column(Text, server_default="", deferred=True)
    mac: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)


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
    newest event id of PainChain, in microseconds, `counted` the newest event that the rollups hold. `mac` is the newest
    event's hash in the chain, made with the key named `key_id`, and `seal` vouches for both.
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
    """A run of events that retention has removed, in the chain: its ends, the hash of the last, and a seal on them."""

    __tablename__ = "pruned_runs"

    first: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    last: Mapped[int] = mapped_column(RowId, unique=True)
    mac: Mapped[bytes] = mapped_column(LargeBinary)
    seal: Mapped[bytes] = mapped_column(LargeBinary)


class Retention(Base):
    """For how many days the events of one source are kept. No row, or no number: for ever."""

    __tablename__ = "retention"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    days: Mapped[int | None]


class Pruning(Base):
    """The events of one source that are being removed. The row goes in the transaction that puts it on the record.

    `removed` counts in the transactions that remove; `boundary` is the hash of the newest event of
    the last of them. `beat` is when its worker last did something: it is nobody's
    while it is old, and whoever takes it over goes on from there.
    """

    __tablename__ = "prunings"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    source: Mapped[str] = mapped_column(Text, unique=True)
    days: Mapped[int]
    before: Mapped[datetime] = mapped_column(UtcMicroseconds)
    expected: Mapped[int] = mapped_column(BigInteger)
    removed: Mapped[int] = mapped_column(BigInteger)
    oldest: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    newest: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    boundary: Mapped[str | None] = mapped_column(Text)
    cause: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    author: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str] = mapped_column(Text)
    beat: Mapped[datetime] = mapped_column(UtcMicroseconds)


class PruneTurn(Base):
    """When the daily prune is due next: one row; whoever moves it on has the turn."""

    __tablename__ = "prune_turn"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    due: Mapped[datetime] = mapped_column(UtcMicroseconds)


class LogCheck(Base):
    """The checks of the log: one row.

    `due` is when the daily one is next, `asked` whether somebody wants one now. While one runs, `began` is when,
    `daily` whether it is the day's, `beat` when its server last did something, and `reached` of `whole` how far it is.
    The last that went through ended at `checked_at`, after `seconds`, and `found` is its verdict; `error` says why none
    has since. `told` is the broken place that is on the record already.
    """

    __tablename__ = "log_check"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    due: Mapped[datetime] = mapped_column(UtcMicroseconds)
    asked: Mapped[bool]
    daily: Mapped[bool]
    began: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    beat: Mapped[datetime] = mapped_column(UtcMicroseconds)
    reached: Mapped[int] = mapped_column(BigInteger)
    whole: Mapped[int] = mapped_column(BigInteger)
    checked_at: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    seconds: Mapped[float | None] = mapped_column(Double)
    found: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    error: Mapped[str | None] = mapped_column(Text)
    told: Mapped[str | None] = mapped_column(Text)


class LastCheckpoint(Base):
    """The newest checkpoint of the log and its way to the address that it is posted to: one row.

    `problem` says in words why none could be made, at `problem_at`. `posting` is what is to be posted at `due`, for the
    `tries`th time but one; `error` says why that failed last, at `failed_at`.
    """

    __tablename__ = "last_checkpoint"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    made: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    problem: Mapped[str | None] = mapped_column(Text)
    problem_at: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    posting: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    tries: Mapped[int]
    due: Mapped[datetime] = mapped_column(UtcMicroseconds)
    posted_at: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    error: Mapped[str | None] = mapped_column(Text)
    failed_at: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
