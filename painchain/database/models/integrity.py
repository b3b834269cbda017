"""The tables of integrity: the checks of the log, its newest checkpoint, and the keys that it had before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, Double, Text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.session import Base
from painchain.database.types import UtcMicroseconds


class LogCheck(Base):
    """The integrity checks of the log: one row.

    `due` is the time of the next daily check, `asked` whether a check was requested. While a check runs, `began` is its
    start, `daily` whether it is the daily one, `beat` the last sign of life of its server, and `reached` of `whole`
    events are done. The last complete check ended at `checked_at` after `seconds`, with the result `found`. `error`
    says why no check completed since. `told` is the broken position that is in the audit trail already.
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
    """The newest checkpoint of the log and its delivery to the address it is posted to: one row.

    `problem` says why no checkpoint could be made, at `problem_at`. `posting` is what is to be posted at `due`; `tries`
    counts the tries that failed, and `error` is the message of the last one, at `failed_at`.
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


class UsedKey(Base):
    """The ID of a root key that was replaced. It is never used again."""

    __tablename__ = "used_keys"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
