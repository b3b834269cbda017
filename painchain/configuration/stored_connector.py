"""Read a connector and everything its page shows, in one query."""

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

    `hidden` are its hidden fields. `builtin_hidden` are those of the built-in connector, which apply to audit events.
    """

    connector: Connector
    hidden: frozenset[Toggle]
    builtin_hidden: frozenset[Toggle]
    poll_state: PollState | None = None
    webhook: Webhook | None = None

    @property
    def hidden_in_feed(self) -> Hidden:
        """The fields hidden in audit events about the connector and in its own events."""
        return Hidden(self.builtin_hidden, {self.connector.id: self.hidden})

    def after_save(self, visibility: Iterable[VisibilityChange]) -> StoredConnector:
        """Return the connector after a save that changed this `visibility`. Call it inside the transaction of the save.

        The rows are detached from the session. They keep their values after the commit, so that the response can use
        them without reading them again.
        """
        db.session.flush()
        for row in (self.connector, self.poll_state, self.webhook):
            if row is not None:
                db.session.expunge(row)
        visible = {(change.event_type, change.field): change.visible for change in visibility}
        hidden = {toggle for toggle in self.hidden | visible.keys() if not visible.get(toggle, False)}
        is_builtin = self.connector.type == BUILTIN.key
        return replace(
            self, hidden=frozenset(hidden), builtin_hidden=frozenset(hidden) if is_builtin else self.builtin_hidden
        )


def read(connector_id: int, trail: Trail | None = None) -> StoredConnector | None:
    """Read a connector; None if no connector has this id. Also pass the built-in connector to `trail`, if given."""
    query = (
        select(Connector, PollState, Webhook, HiddenField.event_type, HiddenField.field)
        .outerjoin(PollState, PollState.connector_id == Connector.id)
        .outerjoin(Webhook, Webhook.connector_id == Connector.id)
        .outerjoin(HiddenField, HiddenField.connector_id == Connector.id)
        .where(or_(Connector.id == connector_id, Connector.type == BUILTIN.key))
    )
    hidden: dict[str, set[Toggle]] = {}
    rows: tuple[Connector, PollState | None, Webhook | None] | None = None
    for connector, poll_state, webhook, event_type, field in db.session.execute(query):
        if connector.id == connector_id:
            rows = connector, poll_state, webhook
        if trail and connector.type == BUILTIN.key:
            trail.audit_connector = connector
        if event_type is not None:
            hidden.setdefault(connector.type, set()).add((event_type, field))
    if rows is None:
        return None
    own, of_builtin = (frozenset(hidden.get(type_key, ())) for type_key in (rows[0].type, BUILTIN.key))
    return StoredConnector(rows[0], own, of_builtin, rows[1], rows[2])
