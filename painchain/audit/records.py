"""What audit events are about: plain values, which outlive what they name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class Subject:
    """The connector an event is about, as text that outlives it. `id` is None when only its name is known."""

    name: str
    type: str
    id: int | None = None


@dataclass(frozen=True)
class AuditRecord:
    """One event before it is written.

    `kind` is the event type in snake case, `title` what stands behind it in the event's title. `description` and
    `metadata` are the event's own; `subject` is the connector it is about, if it is about one.
    """

    kind: str
    title: str
    status: str
    description: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    subject: Subject | None = None


@dataclass(frozen=True)
class VisibilityChange:
    """One field of one event type, shown or hidden from now on."""

    event_type: str
    field: str
    label: str
    visible: bool


@dataclass(frozen=True)
class Export:
    """An export: its format, its filter (the parts by name), and how many events it has at most."""

    format: str
    filter: dict[str, Any]
    events: int


@dataclass(frozen=True)
class RetentionChange:
    """For how many days the events of one source are kept from now on. None means forever."""

    source: str
    old: int | None
    new: int | None


@dataclass(frozen=True)
class Pruned:
    """What was deleted of one source: its events from before `before`, or those that were reached.

    `boundary` is the hash in the chain of the newest event of the last step.
    """

    source: str
    days: int
    before: datetime
    events: int
    oldest: datetime | None
    newest: datetime | None
    boundary: str | None
    cause: str
