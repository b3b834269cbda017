"""Read a connector with everything that its page shows of it, by one query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import or_, select

from painchain.audit.records import VisibilityChange
from painchain.audit.trail import Trail
from painchain.connectors import BUILTIN
from painchain.database.models import Connector, HiddenField, PollState, Webhook
from painchain.database.session import db
from painchain.timeline.visibility import Hidden, Toggle


@dataclass(frozen=True)
class StoredConnector:
    """The row of a connector and the rows that belong to it.

    `hidden` are its hidden fields, `builtin_hidden` those of the built-in connector, by which its audit events are
    shown.
    """

    connector: Connector
    hidden: frozenset[Toggle]
    builtin_hidden: frozenset[Toggle]
    poll_state: PollState | None = None
    webhook: Webhook | None = None

    @property
    def hidden_in_feed(self) -> Hidden:
        """What is hidden of the events about it and of its own events."""
        return Hidden(self.builtin_hidden, {self.connector.id: self.hidden})

    def after(self, visibility: Iterable[VisibilityChange]) -> StoredConnector:
        """Return the connector as a save left it that changed this `visibility`, inside the transaction of the save.

        The rows are detached from the session: they keep their values when the transaction commits, so that the answer
        need not read them again.
        """
        db.session.flush()
        for row in (self.connector, self.poll_state, self.webhook):
            if row is not None:
                db.session.expunge(row)
        shown = {(change.event_type, change.field): change.visible for change in visibility}
        hidden = {toggle for toggle in self.hidden | shown.keys() if not shown.get(toggle, False)}
        is_builtin = self.connector.type == BUILTIN.key
        return replace(
            self, hidden=frozenset(hidden), builtin_hidden=frozenset(hidden) if is_builtin else self.builtin_hidden
        )


def read(connector_id: int, trail: Trail | None = None) -> StoredConnector | None:
    """Read a connector; None if there is none of this id. `trail` gets the built-in connector, read with it."""
    query = (
        select(Connector, PollState, Webhook, HiddenField.event_type, HiddenField.field)
        .outerjoin(PollState, PollState.connector_id == Connector.id)
        .outerjoin(Webhook, Webhook.connector_id == Connector.id)
        .outerjoin(HiddenField, HiddenField.connector_id == Connector.id)
        .where(or_(Connector.id == connector_id, Connector.type == BUILTIN.key))
    )
    hidden: dict[str, set[Toggle]] = {}
    found: tuple[Connector, PollState | None, Webhook | None] | None = None
    for connector, poll_state, webhook, event_type, field in db.session.execute(query):
        if connector.id == connector_id:
            found = connector, poll_state, webhook
        if trail and connector.type == BUILTIN.key:
            trail.audit_connector = connector
        if event_type is not None:
            hidden.setdefault(connector.type, set()).add((event_type, field))
    if found is None:
        return None
    own, of_builtin = (frozenset(hidden.get(type_key, ())) for type_key in (found[0].type, BUILTIN.key))
    return StoredConnector(found[0], own, of_builtin, found[1], found[2])
