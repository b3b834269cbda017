"""Say which events the rollups and SQLite's index of words hold, and cache what is read from them meanwhile.

They change only when events are added to them (``LogHead.counted`` grows) or removed (the total of the rollups falls).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple, TypeVar

from sqlalchemy import BigInteger, func, literal_column, select

from painchain.core import runtime
from painchain.database.models import EventCount, LogHead
from painchain.database.prepared import Prepared
from painchain.database.session import db, is_writing
from painchain.database.transaction_values import of_transaction
from painchain.indexes.rollups import ALL, ALL_TIME

_KEY = "painchain.rollups"

_counted_number = select(LogHead.__table__.c.counted).scalar_subquery()
_all = EventCount.__table__.alias("all_time").c
_total = (
    select(func.coalesce(func.sum(_all.events), literal_column("0", BigInteger)))
    .where(_all.facet == literal_column(f"'{ALL}'"), _all.grain == literal_column(str(ALL_TIME)))
    .scalar_subquery()
)
STATE_COLUMNS = (_counted_number, _total)
_STATE = Prepared(select(*STATE_COLUMNS))

Value = TypeVar("Value")


class RollupState(NamedTuple):
    """The number of the newest event in the rollups, and how many they hold. While both are the same, so are they."""

    counted: int
    total: int


def state() -> RollupState:
    """Return the state of the rollups, as it was first read in this transaction. It may be newer by now."""
    known: RollupState | None = of_transaction().get(_KEY)
    if known is None:
        [row] = _STATE.all(db.session.connection())
        known = RollupState(*map(int, row))
        remember(known)
    return known


def remember(known: RollupState) -> None:
    """Let this transaction use this state, so that it does not read it again."""
    of_transaction()[_KEY] = known


def cached(key: Hashable, read: Callable[[], Value], size_of: Callable[[Value], int]) -> Value:
    """Return what `read` finds in the rollups or in events that they hold. It is cached while these stay the same."""
    if is_writing():  # what is read now may be rolled back
        return read()
    value = runtime.current().cache.get_or_compute((state(), key), read, size_of)
    return read() if value is None else value
