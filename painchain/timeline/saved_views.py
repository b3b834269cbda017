"""Read saved views: the names and filters that a person can choose, and the start page of that person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, bindparam, literal, or_, select, union_all

from painchain.database.models import SavedView, StartPage
from painchain.database.prepared import Prepared
from painchain.database.session import db

_NAME, _SHARED_NAME, _FILTER, _START = "view_name", "shared_view_name", "view_filter", "start_view"
_view, _start = SavedView.__table__.c, StartPage.__table__.c
_PERSON = bindparam("person_id", type_=BigInteger)
_IS_START = _start.person_id.is_not_distinct_from(_PERSON)
# Queries of a text, its kind and the number of a view, to be part of a statement for other lists.
QUERIES: Sequence[Select[Any]] = (
    select(_view.name, literal(_NAME), _view.id).where(_view.owner_id == _PERSON),
    select(_view.name, literal(_SHARED_NAME), _view.id).where(_view.owner_id.is_(None)),
    select(_view.filter, literal(_FILTER), _view.id).where(or_(_view.owner_id.is_(None), _view.owner_id == _PERSON)),
    select(literal(""), literal(_START), _start.view_id).where(_IS_START),
)
_VISIBLE = Prepared(union_all(*QUERIES))
_START_VIEW = Prepared(select(_start.view_id).where(_IS_START))


@dataclass(frozen=True)
class ViewLink:
    """A saved view in a menu. `is_start` is whether it is the reader's start page."""

    id: int
    name: str
    filter: str
    is_shared: bool
    is_start: bool

    @property
    def address(self) -> str:
        """The address of the timeline with this filter."""
        return f"/?{self.filter}"


def is_visible(person_id: int | None) -> ColumnElement[bool]:
    """Return the condition that a person sees a view. None is a reader without an account."""
    return or_(_view.owner_id.is_(None), _view.owner_id == person_id)


def visible(person_id: int | None) -> list[ViewLink]:
    """Return the views that a person sees: their own first, each group by name."""
    rows = _VISIBLE.all(db.session.connection(), person_id=person_id)
    values: dict[str, list[tuple[int, str]]] = {}
    for value, kind, number in rows:
        values.setdefault(kind, []).append((number, value))
    return from_values(values)


def has_start(person_id: int | None) -> bool:
    """Return whether a person has a start page."""
    return bool(_START_VIEW.all(db.session.connection(), person_id=person_id))


def is_of(person_id: int | None) -> ColumnElement[bool]:
    """Return the condition that a start page belongs to a person."""
    return _start.person_id.is_(None) if person_id is None else _start.person_id == person_id


def from_values(values: Mapping[str, Sequence[tuple[int, str]]]) -> list[ViewLink]:
    """Return the views from the rows of ``QUERIES``: numbers and texts by kind."""
    filters = dict(values.get(_FILTER, ()))
    starred = {number for number, _ in values.get(_START, ())}
    links = [
        ViewLink(number, name, filters.get(number, ""), kind == _SHARED_NAME, number in starred)
        for kind in (_NAME, _SHARED_NAME)
        for number, name in values.get(kind, ())
    ]
    return sorted(links, key=lambda link: (link.is_shared, link.name.casefold(), link.id))
