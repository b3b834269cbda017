"""The table of the setup checklist."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.session import Base
from painchain.database.types import UtcMicroseconds


class Onboarding(Base):
    """What people have said about the setup of this server: one row, or none.

    `hidden_at` is when the checklist was hidden. `key_id` is the root key of which an admin said that a copy is stored
    elsewhere.
    """

    __tablename__ = "onboarding"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hidden_at: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    key_id: Mapped[str | None] = mapped_column(Text)
    key_copied_at: Mapped[datetime | None] = mapped_column(UtcMicroseconds)
    key_copied_by: Mapped[str | None] = mapped_column(Text)
