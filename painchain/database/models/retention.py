"""The tables of retention: how long events are kept, and the prunes that are running."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.session import Base
from painchain.database.types import RowId, UtcMicroseconds


class Retention(Base):
    """How many days the events of one source are kept. Without a row or a number they are kept forever."""

    __tablename__ = "retention"

    source: Mapped[str] = mapped_column(Text, primary_key=True)
    days: Mapped[int | None]


class Pruning(Base):
    """A prune of the events of one source. It is stored in the transaction that records it in the audit trail.

    `removed` grows in the transactions that delete events; `boundary` is the hash of the newest event that the last of
    them deleted. `beat` is the last sign of life of its worker: when it is old, another worker continues the prune.
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
    """When the daily prune is due: one row. The process that advances `due` runs the prune."""

    __tablename__ = "prune_turn"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    due: Mapped[datetime] = mapped_column(UtcMicroseconds)
