"""Count the events of a restored log while they are verified, so that they are not read a second time."""

from __future__ import annotations

from collections.abc import Iterable
from operator import itemgetter

from sqlalchemy import delete
from sqlalchemy.engine import Connection

from painchain.database.models import EventCount, EventSet
from painchain.eventlog.reader import Link
from painchain.eventlog.stored_form import COLUMNS
from painchain.indexes import rollups

_counted = itemgetter(*(COLUMNS.index(name) for name in rollups.COLUMNS))
_METADATA = COLUMNS.index("metadata")


class RestoredCounts:
    """Adds verified events to the rollups, in batches."""

    def __init__(self, connection: Connection):
        self._connection = connection
        self._events: list[rollups.Event] = []

    def add(self, events: Iterable[Link]) -> None:
        """Add verified events, in order of their numbers."""
        rows = (event.row for event in events if event.row is not None)
        self._events += [(*_counted(row), rollups.listed_metadata(row[_METADATA])) for row in rows]
        if len(self._events) >= rollups.READ_BATCH:
            self.finish()

    def finish(self) -> None:
        """Add the events that are left."""
        events, self._events = self._events, []
        rollups.add(self._connection, 0, 0, events)

    def discard(self) -> None:
        """Remove what was added."""
        for model in (EventCount, EventSet):
            self._connection.execute(delete(model))
