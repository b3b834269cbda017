"""The setup checklist of a new server: what is done, the copy of the root key, and hiding the list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select

from painchain.audit import event_kinds
from painchain.audit.trail import Trail
from painchain.configuration.errors import ChangeRefused
from painchain.database.models import Connector, LogHead, NotifyRule, Onboarding, Person, Webhook
from painchain.database.session import db

ONLY_ROW = 1

_KEY_ID = select(LogHead.key_id).scalar_subquery()
_CONFIRMED_KEY_ID = select(Onboarding.key_id).scalar_subquery()
_DELIVERIES = (
    select(Webhook.connector_id)
    .join(Connector, Connector.id == Webhook.connector_id)
    .where(Connector.enabled, Webhook.last_delivery.is_not(None))
    .correlate(None)  # not with the connectors of the statement that it is part of
)
# The columns of SetupFacts: they can be part of any statement, so that the dashboard needs none of its own.
COLUMNS = (
    select(Onboarding.hidden_at.is_not(None)).scalar_subquery(),
    exists(_DELIVERIES),
    exists(select(Person.id)),
    exists().where(NotifyRule.enabled),
    _CONFIRMED_KEY_ID == _KEY_ID,
)


@dataclass(frozen=True)
class SetupFacts:
    """What is set up. `has_delivery` is whether an enabled connector received a webhook delivery."""

    is_hidden: bool
    has_delivery: bool
    has_account: bool
    has_notify_rule: bool
    has_key_copy: bool

    @classmethod
    def from_row(cls, values: Sequence[Any]) -> SetupFacts:
        """Return the facts of a row of `COLUMNS`."""
        return cls(*map(bool, values))


@dataclass(frozen=True)
class KeyCopy:
    """The current root key and, if an admin confirmed that a copy of it is stored elsewhere, when and who."""

    key_id: str
    confirmed_at: datetime | None = None
    confirmed_by: str | None = None


def key_copy() -> KeyCopy:
    """Return whether a copy of the current root key is known to be stored elsewhere."""
    query = select(LogHead.key_id, Onboarding.key_copied_at, Onboarding.key_copied_by)
    return KeyCopy(*db.session.execute(query.outerjoin(Onboarding, Onboarding.key_id == LogHead.key_id)).one())


def confirm_key_copy(key_id: str, trail: Trail) -> bool:
    """Store that a copy of the root key exists elsewhere. Return False if that was stored before.

    :raises ChangeRefused: if `key_id` is not the current root key.
    """
    current = key_copy()
    if key_id != current.key_id:
        raise ChangeRefused("The root key was replaced in the meantime. Store a copy of the new key.")
    if current.confirmed_at:
        return False
    row = _row()
    row.key_id, row.key_copied_at, row.key_copied_by = key_id, trail.now, trail.author
    trail.log(event_kinds.key_copy_confirmed(key_id))
    return True


def hide(open_steps: Sequence[str], trail: Trail) -> bool:
    """Hide the checklist for everybody. Return False if it was hidden before."""
    row = _row()
    if row.hidden_at:
        return False
    row.hidden_at = trail.now
    trail.log(event_kinds.setup_list_hidden(open_steps))
    return True


def _row() -> Onboarding:
    """Return the only row, a new one if there is none; inside a write transaction."""
    row = db.session.get(Onboarding, ONLY_ROW)
    if row is None:
        row = Onboarding(id=ONLY_ROW)
        db.session.add(row)
    return row
