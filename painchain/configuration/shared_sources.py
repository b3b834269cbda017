"""Find connectors that follow the same repositories, whose events are recorded once for each of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Row, func, select

from painchain.configuration.connector_store import type_of, values
from painchain.connectors.base import Kind
from painchain.database.models import Connector, PollState
from painchain.database.session import db

MAX_NAMED = 3

_IDENTIFYING = (Kind.URL, Kind.LIST)


def warnings(connector: Connector, changed: Collection[str] | None = None) -> list[str]:
    """Return a message for each other connector that follows some of the same repositories on the same server.

    `changed` are the keys of the fields that were just changed. Without any that say what is followed, there is no
    message. None stands for all fields.
    """
    connector_type = type_of(connector)
    identifying = {field.key for field in connector_type.fields if field.kind in _IDENTIFYING}
    if connector_type.followed is None or (changed is not None and identifying.isdisjoint(changed)):
        return []
    query = (
        select(Connector, PollState.cursor)
        .outerjoin(PollState, PollState.connector_id == Connector.id)
        .where(Connector.type == connector.type)
        .order_by(func.lower(Connector.name), Connector.id)
    )
    rows = {row.Connector.id: row for row in db.session.execute(query)}
    own = rows.pop(connector.id)
    followed = _followed(own)
    messages = []
    for row in rows.values():
        is_same_server = not connector_type.changes_origin(values(connector), values(row.Connector))
        if is_same_server and (shared := _shared(followed, _followed(row))):
            messages.append(_message(row.Connector, shared))
    return messages


def _followed(row: Row[Any]) -> Mapping[str, str]:
    """Return what the connector of a row follows, with the row's poll cursor."""
    followed = type_of(row.Connector).followed
    return followed(values(row.Connector), row.cursor or {}) if followed else {}


def _shared(own: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    """Return the names of what both follow."""
    names = {own[identity].casefold(): own[identity] for identity in own if identity in others}
    return sorted(names.values(), key=str.casefold)


def _message(other: Connector, shared: list[str]) -> str:
    more = len(shared) - MAX_NAMED
    names = ", ".join(shared[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
    return (
        f"“{other.name}” also follows {names}. While both connectors are enabled, each event is recorded twice: once "
        "for each connector."
    )
