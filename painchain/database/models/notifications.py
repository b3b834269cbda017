"""The tables of notifications: their rules, and the messages that wait to be sent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.session import Base
from painchain.database.types import RowId, UtcMicroseconds


class NotifyRule(Base):
    """Where to send messages about which kinds of events. `url` is encrypted; `shown` is its part that may be shown.

    `error` is the message of the last failure, at `failed_at`, while a notice is retried or `lost` is not 0. `lost`
    counts the notices given up until a person has seen it.
    """

    __tablename__ = "notify_rules"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never reused

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
    """One message of a rule that waits to be sent. It is stored in the transaction of its event.

    `due` is the time of the next try, and `tries` counts those that failed. `taken_until` is when the sender's lease
    expires.
    """

    __tablename__ = "notices"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    rule_id: Mapped[int] = mapped_column(RowId, ForeignKey("notify_rules.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    tries: Mapped[int] = mapped_column(default=0)
    due: Mapped[datetime] = mapped_column(UtcMicroseconds, index=True)
    taken_until: Mapped[datetime] = mapped_column(UtcMicroseconds)
