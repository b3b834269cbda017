"""The tables of connectors: their configuration, polling state, coverage gaps and webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.session import Base
from painchain.database.types import RowId, UtcMicroseconds


class Connector(Base):
    """One connector with its configuration. `secrets` holds encrypted texts by field key."""

    __tablename__ = "connectors"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never reused

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


class HiddenField(Base):
    """One field of one event type that is hidden on a connector's events. Without a row the field is shown."""

    __tablename__ = "hidden_fields"

    connector_id: Mapped[int] = mapped_column(ForeignKey("connectors.id", ondelete="CASCADE"), primary_key=True)
    event_type: Mapped[str] = mapped_column(Text, primary_key=True)
    field: Mapped[str] = mapped_column(Text, primary_key=True)


class PollState(Base):
    """The polling state of one connector. Edits of the connector never change it, and polls never change the connector.

    `due` is the time of the next poll. `taken_until` is when the poll lease expires: then another process may acquire
    it. `cursor` is in the connector type's own format, from the last poll that was stored. While polls fail, `failures`
    counts them, `failing_since` is the time of the first, `error` is the message and `trouble` a value of
    ``ErrorKind``. `note` is a remark on the last poll, `requests` the number of requests that it sent. `rate_*` is the
    rate limit that the source reported. `watched_until` is when the lease of the watch between polls expires.
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
    requests: Mapped[int | None]
    rate_limit: Mapped[int | None]
    rate_remaining: Mapped[int | None]
    rate_resets: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    watched_until: Mapped[datetime] = mapped_column(UtcMicroseconds, server_default="0")


class Lapse(Base):
    """A coverage gap: a time in which no events were collected. `kind` is disabled, failing, rate_limited or gap.

    `until` is None while the gap lasts. The connector's name is copied, so that the gap outlives the connector.
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
    """The webhook of one connector; `secret` is encrypted. Edits of the connector never change it.

    `told` describes the last authentic delivery, received at `last_delivery`.
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
    """One accepted delivery. `mark` is the hash of its id, so that a repeated delivery is ignored."""

    __tablename__ = "webhook_deliveries"

    connector_id: Mapped[int] = mapped_column(
        RowId, ForeignKey("connectors.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    mark: Mapped[str] = mapped_column(Text, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(UtcMicroseconds, index=True)


class KeptDelivery(Base):
    """One of the last genuine deliveries of a connector, without secrets, to try other settings of the connector with.

    `events` is the number of new events, `reason` says why there are none, or none of a part. `body` is JSON; it is ""
    if the body was no JSON or too large. If `is_whole` is false, long texts and lists in it are cut.
    """

    __tablename__ = "kept_deliveries"
    __table_args__ = (Index(None, "connector_id", "id"), {"sqlite_autoincrement": True})  # an id is never reused

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    connector_id: Mapped[int] = mapped_column(RowId, ForeignKey("connectors.id", ondelete="CASCADE"))
    received_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    topic: Mapped[str] = mapped_column(Text)
    events: Mapped[int]
    reason: Mapped[str] = mapped_column(Text)
    headers: Mapped[dict[str, str]] = mapped_column(JSON)
    body: Mapped[str] = mapped_column(Text)
    is_whole: Mapped[bool]


class PendingEvent(Base):
    """One event of a webhook delivery that is not recorded yet, because the source's API still has to add details.

    `event` is the event as the delivery reported it. `origin` is a copy of the connector, for an event that is recorded
    after the connector was deleted. `due` is the time of the next try, `tries` counts those that began, and
    `taken_until` is when the lease on it expires.
    """

    __tablename__ = "pending_events"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never reused

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    event_id: Mapped[str] = mapped_column(Text, unique=True)
    connector_id: Mapped[int] = mapped_column(RowId)
    origin: Mapped[dict[str, Any]] = mapped_column(JSON)
    event: Mapped[dict[str, Any]] = mapped_column(JSON)
    received_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    due: Mapped[datetime] = mapped_column(UtcMicroseconds, index=True)
    tries: Mapped[int] = mapped_column(default=0)
    taken_until: Mapped[datetime] = mapped_column(UtcMicroseconds)
