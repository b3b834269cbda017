"""When nobody was looking: the stretches of time in which a connector was disabled, failing, held back or had a gap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select

from painchain.database.models import Lapse
from painchain.database.session import db
from painchain.timeline.filter import Filter

KINDS = {"disabled": "disabled", "failing": "failing", "rate_limited": "held back by a rate limit", "gap": "a gap"}
MOST = 500


@dataclass(frozen=True)
class CoverageGap:
    """One such stretch of one connector. `until` is None while it lasts; `words` say more, if there is more to say."""

    connector_id: int
    connector_name: str
    connector_type: str
    kind: str
    since: datetime
    until: datetime | None
    words: str


def between(wanted: Filter, start: datetime, end: datetime) -> Sequence[CoverageGap]:
    """Return the stretches that touch the time from `start` to `end`, oldest first, of the connectors of a filter."""
    query = select(*(getattr(Lapse, name) for name in CoverageGap.__annotations__))
    query = query.where(Lapse.since < end, or_(Lapse.until.is_(None), Lapse.until > start))
    if wanted.source:
        query = query.where(Lapse.connector_type.in_(wanted.source))
    if wanted.connector:
        ids = [int(value) for value in wanted.connector if value.isdecimal() and len(value) < 18]
        query = query.where(or_(Lapse.connector_id.in_(ids), Lapse.connector_name.in_(wanted.connector)))
    rows = db.session.execute(query.order_by(Lapse.since.desc(), Lapse.id.desc()).limit(MOST)).all()
    return [CoverageGap(*row) for row in reversed(rows)]
