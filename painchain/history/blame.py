"""Find who last set each field of a connector, when, and its value before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Select, Text, cast, func, null, select, union_all

from painchain.audit.diff import CLEARED, is_same
from painchain.configuration import connector_store
from painchain.connectors.base import Field, FieldError, Kind
from painchain.core.redaction import scrub_value
from painchain.database.models import IS_AUDIT, ChangeEvent, Connector
from painchain.database.session import db
from painchain.timeline.queries import Event

# The changes of a connector that are read for its form, and of one field, that are compared with its value.
REACH = 5_000
NEWEST = 3

_table = ChangeEvent.__table__
_event = _table.c
_SHOWN = (_event.id, _event.author, _event.timestamp, _event.description)


@dataclass(frozen=True)
class Blame:
    """Who set the current value of a field. `verb` is changed, created, or the action on a secret."""

    verb: str
    before: Any
    number: int
    author: str
    timestamp: datetime


def of(connector: Connector) -> dict[str, Blame | None]:
    """Return who set the current value of each field; None if the log does not contain it. This is one query.

    The log does not contain it if auditing was off, or if the event was removed or lies beyond ``REACH``.
    """
    changes, created = _changes_and_creation(connector)
    current = scrub_value(connector_store.values(connector))
    return {
        field.key: _changed(field, connector, current.get(field.key), changes.get(field.key, []))
        or _created(field, connector, current.get(field.key), created)
        for field in connector_store.type_of(connector).all_fields
    }


def _changed(field: Field, connector: Connector, now: Any, newest_first: list[Event]) -> Blame | None:
    """Return the newest change to the current value. Others were reported by scripts or later overwritten."""
    for event in newest_first:
        new = event.description.get("new_value")
        if field.kind is Kind.SECRET:
            is_current = (new != CLEARED) == (field.key in connector.secrets)
        else:
            is_current = _equal(field, new, now)
        if is_current:
            verb = str(new) if field.kind is Kind.SECRET else "changed"
            return Blame(verb, event.description.get("old_value"), event.id, event.author, event.timestamp)
    return None


def _created(field: Field, connector: Connector, now: Any, event: Event | None) -> Blame | None:
    """Return the creation if the field has not changed since."""
    configuration = event.description.get("configuration") if event else None
    if event is None or not isinstance(configuration, dict):
        return None
    if field.kind is Kind.SECRET:
        is_unchanged = (field.key in configuration) == (field.key in connector.secrets)
    else:
        is_unchanged = _equal(field, configuration.get(field.key, field.default), now)
    return Blame("created", None, event.id, event.author, event.timestamp) if is_unchanged else None


def _equal(field: Field, recorded: Any, now: Any) -> bool:
    try:
        return is_same(field, field.normalize(recorded), now)
    except FieldError:
        return False


def _changes_and_creation(connector: Connector) -> tuple[dict[str, list[Event]], Event | None]:
    """Return the newest changes of each field, and the creation unless older changes lie beyond ``REACH``."""
    queries = [_newest_changes(connector), _creation(connector)] if connector.version > 1 else [_creation(connector)]
    rows: Sequence[Any] = db.session.execute(union_all(*(select(query.subquery()) for query in queries))).all()
    changes: dict[str, list[Event]] = {}
    created, is_complete = None, True
    for event in sorted(rows, key=lambda row: row.id, reverse=True):
        if event.seen is None:
            created = event
        else:
            changes.setdefault(event.field, []).append(event)
            is_complete = event.seen < REACH
    return changes, created if is_complete else None


def _newest_changes(connector: Connector) -> Select[Any]:
    """Return the query for the newest changes of each field, among the newest ``REACH`` events."""
    newest = (
        select(_event.id, _event["metadata"]["field"].as_string().label("field"))
        .where(_event.connector_id == connector.id, IS_AUDIT)
        .where(_event.event_type == "ConfigChanged")
        .order_by(_event.timestamp.desc(), _event.id.desc())
        .limit(REACH)
        .subquery()
    )
    newest_first = func.row_number().over(partition_by=newest.c.field, order_by=newest.c.id.desc())
    ranked = select(newest, newest_first.label("rank"), func.count().over().label("seen")).subquery()
    return (
        select(ranked.c.field, ranked.c.seen, *_SHOWN)
        .join(_table, _event.id == ranked.c.id)
        .where(ranked.c.rank <= NEWEST)
    )


def _creation(connector: Connector) -> Select[Any]:
    """Return the query for the creation event, which has the time of the creation or is slightly later."""
    is_creation = IS_AUDIT, _event.event_type == "ConnectorCreated"
    created_at = connector.created_at
    # Timestamps are unique: an event of a busy microsecond gets a later one, by at most a second.
    is_in_time = _event.timestamp.between(created_at, created_at + timedelta(seconds=1))
    columns = (cast(null(), Text).label("field"), cast(null(), BigInteger).label("seen"), *_SHOWN)
    query = select(*columns).where(_event.connector_id == connector.id, *is_creation, is_in_time)
    return query.order_by(_event.id).limit(1)
