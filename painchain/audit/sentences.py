"""Format changes, retention times and names of sources as text for audit events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from painchain import connectors
from painchain.audit.diff import Change
from painchain.audit.records import VisibilityChange
from painchain.connectors.base import Kind
from painchain.core.redaction import looks_secret, scrub, scrub_value
from painchain.core.text import format_value


def pascal_case(kind: str) -> str:
    """Return an event type as stored: ``connector_created`` is ``ConnectorCreated``."""
    return kind.title().replace("_", "")


def source_label(source: str) -> str:
    """Return the label of the connector type of a source, or the source itself."""
    connector_type = connectors.TYPES.get(source)
    return connector_type.label if connector_type else source


def kept_for(days: int | None) -> str:
    """Return a retention time as text.

    >>> kept_for(None), kept_for(1), kept_for(90)
    ('for ever', '1 day', '90 days')
    """
    return "for ever" if days is None else f"{days} day{'' if days == 1 else 's'}"


def outside_change(connector_type: str | None, key: str, old: Any, new: Any) -> Change:
    """Return a change that a script reports, with the kind and label of the field's definition.

    A field that no connector type defines counts as a secret if its name looks like one.
    """
    key = scrub(key)
    field = connectors.field(connector_type, key)
    if field:
        return Change(field.key, field.label, field.kind.value, old, new)
    label = key.replace("_", " ").strip().capitalize() or key
    return Change(key, label, Kind.SECRET.value if looks_secret(key) else "json", old, new)


def recordable(change: Change) -> Change:
    """Return a change without secrets and without credentials in its texts."""
    change = change.recorded()
    if change.kind == Kind.SECRET:
        return change
    return replace(
        change,
        key=scrub(change.key),
        label=scrub(change.label),
        old=scrub_value(change.old),
        new=scrub_value(change.new),
    )


def change_sentence(change: Change) -> str:
    """Return one change as text."""
    if change.kind == Kind.SECRET:
        return f"{change.label} {change.new}"
    return f"{change.label} changed from {format_value(change.old)} to {format_value(change.new)}"


def visibility_sentence(change: VisibilityChange) -> str:
    """Return a change of visibility as text."""
    return f"{change.label} of {change.event_type} events {'shown' if change.visible else 'hidden'}"


def changes_sentence(changes: Iterable[Change], visibility: Iterable[VisibilityChange] = ()) -> str:
    """Return all changes of one save as text."""
    return "; ".join([*map(change_sentence, changes), *map(visibility_sentence, visibility)])
