"""Remember the webhook deliveries that were received, so that a repeated one is ignored."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.engine import Connection

from painchain.database.models import WebhookDelivery
from painchain.database.prepared import Prepared
from painchain.database.session import Base

RETENTION = timedelta(days=7)  # sources retry a failed delivery for at most three days

_table = Base.metadata.tables[WebhookDelivery.__tablename__]
_delivery = _table.c
_is_same = (_delivery.connector_id == bindparam("connector_id"), _delivery.mark == bindparam("mark"))
_FIND = Prepared(select(_delivery.connector_id).where(*_is_same))
_INSERT = Prepared(insert(_table))
_DELETE_OLD = Prepared(delete(_table).where(_delivery.received_at < bindparam("before")))


def remember(connection: Connection, connector_id: int, key: str, now: datetime) -> bool:
    """Store the key of a delivery and delete old ones, inside a write transaction. Return whether it is new."""
    if _FIND.all(connection, connector_id=connector_id, mark=key):
        return False
    _DELETE_OLD.run(connection, {"before": now - RETENTION})
    _INSERT.run(connection, {"connector_id": connector_id, "mark": key, "received_at": now})
    return True
