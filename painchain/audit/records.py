"""The values from which audit events are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Subject:
    """The connector of an event, as text that stays readable. `id` is None if only the name is known."""

    name: str
    type: str
    id: int | None = None


@dataclass(frozen=True)
class AuditRecord:
    """One event before it is written.

    `kind` is the event type in snake case. `title` is the event's title without its prefix. `subject` is its connector,
    or None.
    """

    kind: str
    title: str
    status: str
    description: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    subject: Subject | None = None


@dataclass(frozen=True)
class VisibilityChange:
    """A field of an event type was shown or hidden."""

    event_type: str
    field: str
    label: str
    visible: bool


@dataclass(frozen=True)
class Export:
    """An export: its format, its filter as JSON, and its maximum number of events."""

    format: str
    filter: dict[str, Any]
    events: int


@dataclass(frozen=True)
class RetentionChange:
    """The old and the new retention of a source in days. None means forever."""

    source: str
    old: int | None
    new: int | None


@dataclass(frozen=True)
class Pruned:
    """A deletion by retention: events of one source from before `before`, or as many of them as were reached.

    `boundary` is the hash of the newest event that the last step deleted.
    """

    source: str
    days: int
    before: datetime
    events: int
    oldest: datetime | None
    newest: datetime | None
    boundary: str | None
    cause: str
