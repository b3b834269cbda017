"""The columns that rows have in common which people make and change."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.types import UtcMicroseconds


class Versioned:
    """A mixin: who made a row, who changed it last, and its version, which grows with each change."""

    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    created_by: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(UtcMicroseconds)
    updated_by: Mapped[str] = mapped_column(Text)
