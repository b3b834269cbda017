"""What rows have in common that have a name and are changed through forms: versions, and values checked by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from painchain.audit.trail import Trail
from painchain.configuration.errors import NamedRow, StaleRow
from painchain.connectors.base import Field, FieldError
from painchain.database.models.versioned import Versioned


def refuse_stale(row: NamedRow, version: int | None) -> None:
    """Refuse a change based on an older version of the row; None skips the check.

    :raises StaleRow: when the version differs.
    """
    if version is not None and version != row.version:
        raise StaleRow(row)


def created(trail: Trail) -> dict[str, Any]:
    """Return the values of the columns of ``Versioned`` for a new row."""
    now, author = trail.now, trail.author
    return {"version": 1, "created_at": now, "created_by": author, "updated_at": now, "updated_by": author}


def touch(row: Versioned, trail: Trail) -> None:
    """Note on a row that it is changed: its next version, when and by whom."""
    row.version += 1
    row.updated_at, row.updated_by = trail.now, trail.author


def clean(fields: Iterable[Field], submitted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the normalised values of the submitted fields, and an error for each invalid one."""
    cleaned: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for field in fields:
        if field.key in submitted:
            try:
                cleaned[field.key] = field.clean(submitted[field.key])
            except FieldError as error:
                errors[field.key] = str(error)
    return cleaned, errors


def is_taken(name: str, stored: Iterable[tuple[int, str]], row: NamedRow | None) -> bool:
    """Return whether another row than `row` has this name, in any case. `stored` are the IDs and names of all."""
    return any(other.casefold() == name.casefold() for number, other in stored if row is None or number != row.id)
