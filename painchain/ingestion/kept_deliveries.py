"""Keep the last deliveries of a connector without their secrets, and try other settings of the connector with them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, literal_column, or_, select
from sqlalchemy.engine import Connection

from painchain.connectors.contract import Delivery
from painchain.core.redaction import scrub_value
from painchain.database.models import KeptDelivery
from painchain.database.prepared import Prepared
from painchain.database.session import Base, db
from painchain.ingestion.sanitize import safe_text

MAX_KEPT = 10  # of a connector
MAX_AGE = timedelta(days=30)
MAX_READ = 1024 * 1024  # bytes of a body that is kept at all
MAX_BODY = 64 * 1024  # characters of a kept body
MAX_HEADERS, MAX_HEADER = 30, 200
SHORT_LIST, SHORT_TEXT = 20, 300  # what is left of a body that is too large

# The headers of every request and every proxy, which say nothing about the delivery.
_OF_EVERY_REQUEST = re.compile(
    r"host|connection|content-length|accept.*|via|forwarded|x-forwarded-.*|x-real-ip|cf-.*", re.IGNORECASE
)

_table = Base.metadata.tables[KeptDelivery.__tablename__]
_kept = _table.c
_is_own = _kept.connector_id == bindparam("connector")
_newest_first = select(_kept.id).where(_is_own).order_by(_kept.id.desc())
_last_to_forget = _newest_first.offset(literal_column(str(MAX_KEPT))).limit(literal_column("1")).scalar_subquery()
_is_old = or_(and_(_is_own, _kept.id <= _last_to_forget), _kept.received_at < bindparam("before"))
_INSERT = Prepared(insert(_table).values({each.name: bindparam(each.name) for each in _kept if each.name != "id"}))
_DELETE_OLD = Prepared(delete(_table).where(_is_old))


@dataclass(frozen=True)
class SafeDelivery:
    """What is kept of a delivery: no secrets, and not much. `body` is JSON, or "" if there is none to keep."""

    headers: Mapping[str, str]
    body: str
    is_whole: bool


def safe(delivery: Delivery, headers: Mapping[str, str], secrets: Sequence[str]) -> SafeDelivery:
    """Return what is kept of a delivery. Its `headers` are those that have no secret (`kept_headers` of its type)."""
    names = [name for name in headers if not _OF_EVERY_REQUEST.fullmatch(name)][:MAX_HEADERS]
    kept = {safe_text(name, secrets, MAX_HEADER): safe_text(headers[name], secrets, MAX_HEADER) for name in names}
    try:
        value = json.loads(delivery.body) if len(delivery.body) <= MAX_READ else None
        value = _without(scrub_value(value), secrets)
        body = json.dumps(value, ensure_ascii=False) if value is not None else ""
        is_whole = len(body) <= MAX_BODY
        if not is_whole:
            body = json.dumps(_shortened(value), ensure_ascii=False)
    except (ValueError, RecursionError):
        return SafeDelivery(kept, "", is_whole=False)
    return SafeDelivery(kept, body if len(body) <= MAX_BODY else "", is_whole and bool(body))


def add(
    connection: Connection, connector_id: int, kept: SafeDelivery, topic: str, events: int, reason: str, now: datetime
) -> None:
    """Keep a delivery, and forget older ones. Call it inside a write transaction."""
    values = {"topic": topic, "events": events, "reason": reason, "received_at": now, **vars(kept)}
    _INSERT.run(connection, {"connector_id": connector_id, **values})
    _DELETE_OLD.run(connection, {"connector": connector_id, "before": now - MAX_AGE})


def of(connector_id: int, now: datetime) -> Sequence[KeptDelivery]:
    """Return the kept deliveries of a connector, newest first."""
    query = select(KeptDelivery).where(_kept.connector_id == connector_id, _kept.received_at >= now - MAX_AGE)
    return db.session.scalars(query.order_by(_kept.id.desc()).limit(MAX_KEPT)).all()


def _without(value: Any, secrets: Sequence[str]) -> Any:
    """Return a JSON value without these secrets, and without what no database stores."""
    if isinstance(value, str):
        return safe_text(value, secrets, MAX_BODY)
    if isinstance(value, list):
        return [_without(item, secrets) for item in value]
    if isinstance(value, dict):
        return {safe_text(key, secrets, MAX_HEADER): _without(item, secrets) for key, item in value.items()}
    return value


def _shortened(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= SHORT_TEXT else value[: SHORT_TEXT - 1] + "…"
    if isinstance(value, list):
        return [_shortened(item) for item in value[:SHORT_LIST]]
    return {key: _shortened(item) for key, item in value.items()} if isinstance(value, dict) else value
