"""The tables of saved views of the timeline."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Text
from sqlalchemy.orm import Mapped, mapped_column

from painchain.database.models.versioned import Versioned
from painchain.database.session import Base
from painchain.database.types import RowId


class SavedView(Versioned, Base):
    """A filter of the timeline with a name. `filter` is its query string.

    It belongs to one person, or to everybody where `owner_id` is None.
    """

    __tablename__ = "saved_views"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  an id is never reused

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    filter: Mapped[str] = mapped_column(Text)
    owner_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("people.id", ondelete="CASCADE"), index=True)


class StartPage(Base):
    """The view that a person sees first. `person_id` is None for the start page while there are no accounts."""

    __tablename__ = "start_pages"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    person_id: Mapped[int | None] = mapped_column(RowId, ForeignKey("people.id", ondelete="CASCADE"), unique=True)
    view_id: Mapped[int] = mapped_column(RowId, ForeignKey("saved_views.id", ondelete="CASCADE"), index=True)
