"""The IDs of the root keys that were replaced: the log never returns to one of them, because it may have leaked."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from painchain.audit.trail import SOURCE
from painchain.database.models import ChangeEvent, UsedKey
from painchain.database.session import Base

# Their fact `old_key` names a replaced key, until retention deletes them.
EVENT_TYPES = ("KeyRotated", "KeyReplaced", "BackupRestored")

_event = ChangeEvent.__table__.c
_table = Base.metadata.tables[UsedKey.__tablename__]


def read(connection: Connection) -> set[str]:
    """Return the IDs of all replaced keys.

    The table knows them after retention. The events show them even if someone removed them from the table.
    """
    is_named = (_event.source == SOURCE, _event.event_type.in_(EVENT_TYPES))
    facts = connection.scalars(select(_event.metadata).where(*is_named))
    return {str(names["old_key"]) for names in facts if names.get("old_key")} | _stored(connection)


def add(connection: Connection, ids: Iterable[str]) -> None:
    """Store the IDs of replaced keys, inside a write transaction."""
    new = set(ids) - _stored(connection)
    if new:
        connection.execute(insert(_table), [{"id": key} for key in sorted(new)])


def _stored(connection: Connection) -> set[str]:
    return set(connection.scalars(select(_table.c.id)))
