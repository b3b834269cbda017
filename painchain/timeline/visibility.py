"""Which fields of which event type the dashboard shows. Events are recorded with all their fields."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, tuple_

from painchain.connectors import BUILTIN, TYPES, configurable_types
from painchain.connectors.base import ConnectorType
from painchain.database.models import Connector, HiddenField
from painchain.database.prepared import Prepared
from painchain.database.session import db
from painchain.indexes import notes

Toggle = tuple[str, str]  # event type, field key
NOTE_TEXT: Toggle = (notes.EVENT_TYPE, "text")
NOTE_FIELDS = frozenset({NOTE_TEXT})  # the fields of notes that are shown beneath other events
# The sources whose fields are hidden at the built-in connector.
_AT_BUILTIN = frozenset(
    key for key, connector_type in TYPES.items() if not connector_type.addable or connector_type.builtin
)
_OF_CONNECTOR = Prepared(
    select(HiddenField.event_type, HiddenField.field).where(HiddenField.connector_id == bindparam("connector_id"))
)
_ALL = Prepared(select(Connector.id, Connector.type, HiddenField.event_type, HiddenField.field).join(HiddenField))


def toggles(connector_type: ConnectorType) -> list[Toggle]:
    """Return every field that can be hidden, in the order of the form."""
    return [
        (event_type.name, field.key) for event_type in configurable_types(connector_type) for field in event_type.fields
    ]


def hidden(connector_id: int) -> frozenset[Toggle]:
    """Return the fields that are hidden on a connector's events."""
    rows = _OF_CONNECTOR.all(db.session.connection(), connector_id=connector_id)
    return frozenset((event_type, field) for event_type, field in rows)


@dataclass(frozen=True)
class Hidden:
    """All hidden fields: those of the built-in connector's events, and those of others by connector id."""

    builtin: frozenset[Toggle]
    by_connector: Mapping[int, frozenset[Toggle]]

    def of(self, source: str, connector_id: int | None) -> frozenset[Toggle]:
        """Return the fields that are hidden on an event. The toggles of the built-in connector count for audit events.

        They also count for events of sources without connectors, and for notes, which every event can have.
        """
        if source in _AT_BUILTIN:
            return self.builtin
        return self.by_connector.get(connector_id or 0, frozenset()) | (self.builtin & NOTE_FIELDS)


def all_hidden() -> Hidden:
    """Read all hidden fields."""
    by_connector: dict[int, set[Toggle]] = {}
    builtin = 0
    for connector_id, connector_type, event_type, field in _ALL.all(db.session.connection()):
        by_connector.setdefault(connector_id, set()).add((event_type, field))
        builtin = connector_id if connector_type == BUILTIN.key else builtin
    frozen = {connector_id: frozenset(toggles) for connector_id, toggles in by_connector.items()}
    return Hidden(frozen.get(builtin, frozenset()), frozen)


def differences(hidden: frozenset[Toggle], requested: Mapping[Toggle, bool]) -> list[tuple[Toggle, bool]]:
    """Return the toggles of `requested` (visible or not) that `hidden` contradicts."""
    return [(toggle, visible) for toggle, visible in requested.items() if visible == (toggle in hidden)]


def store(connector: Connector, changed: Iterable[tuple[Toggle, bool]]) -> None:
    """Show or hide fields of a connector's events."""
    by_visible: dict[bool, list[Toggle]] = {True: [], False: []}
    for toggle, visible in changed:
        by_visible[visible].append(toggle)
    if by_visible[True]:
        key = tuple_(HiddenField.event_type, HiddenField.field)
        is_of_connector = HiddenField.connector_id == connector.id
        db.session.execute(delete(HiddenField).where(is_of_connector, key.in_(by_visible[True])))
    if by_visible[False]:
        rows = [
            {"connector_id": connector.id, "event_type": event_type, "field": field}
            for event_type, field in by_visible[False]
        ]
        db.session.execute(insert(HiddenField), rows)
