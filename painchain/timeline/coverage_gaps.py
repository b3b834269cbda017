"""Keep the stretches of time in which nobody was looking, so that "nothing changed" is told from "nobody looked"."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, insert, select, update

from painchain.database.models import Connector, Lapse
from painchain.database.session import Base, db

DISABLED, FAILING, RATE_LIMITED, GAP = "disabled", "failing", "rate_limited", "gap"

_table = Base.metadata.tables[Lapse.__tablename__]


def begin(connector: Connector, kind: str, now: datetime, words: str = "") -> None:
    """Begin a stretch, unless one of its kind lasts already. Every change here is part of a write transaction."""
    lasting = select(_table.c.id).where(*_lasting(connector.id, kind))
    if db.session.execute(lasting).first() is None:
        _add(connector, kind, now, None, words)


def end(connector: Connector, now: datetime, *kinds: str) -> None:
    """End what lasts of these kinds."""
    db.session.execute(update(_table).where(*_lasting(connector.id, *kinds)).values(until=now))


def add(connector: Connector, kind: str, start: datetime, until: datetime, words: str) -> None:
    """Add a stretch that is over; one that is known already is not added again."""
    known = select(_table.c.id).where(
        _table.c.connector_id == connector.id, _table.c.kind == kind, _table.c.since == start, _table.c.until == until
    )
    if db.session.execute(known).first() is None:
        _add(connector, kind, start, until, words)


def _add(connector: Connector, kind: str, since: datetime, until: datetime | None, words: str) -> None:
    about = {"connector_id": connector.id, "connector_name": connector.name, "connector_type": connector.type}
    db.session.execute(insert(_table).values(**about, kind=kind, since=since, until=until, words=words))


def _lasting(connector_id: int, *kinds: str) -> tuple[ColumnElement[bool], ...]:
    return (_table.c.connector_id == connector_id, _table.c.kind.in_(kinds), _table.c.until.is_(None))
