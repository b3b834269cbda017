"""Compare two configurations field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from painchain.connectors.base import Field, Kind

EMPTY: tuple[Any, ...] = (None, "", [], {})
SET, REPLACED, CLEARED = "set", "replaced", "cleared"


@dataclass(frozen=True)
class Change:
    """The change of one field. It copies `key` and `label`, so that it stays readable if the field is later removed."""

    key: str
    label: str
    kind: str
    old: Any
    new: Any

    @property
    def added(self) -> list[Any]:
        """The items added to a list."""
        return _without(self.new, self.old)

    @property
    def removed(self) -> list[Any]:
        """The items removed from a list."""
        return _without(self.old, self.new)

    def recorded(self) -> Change:
        """Return the change as an event records it: for a secret, only that it was set, replaced or cleared."""
        if self.kind != Kind.SECRET:
            return self
        if self.new in EMPTY:
            return replace(self, old=SET, new=CLEARED)
        return replace(self, old=None, new=SET) if self.old in EMPTY else replace(self, old=SET, new=REPLACED)


def diff(fields: Iterable[Field], stored: Mapping[str, Any], submitted: Mapping[str, Any]) -> list[Change]:
    """Return the changes that turn `stored` into `submitted`, in field order.

    A field missing from `submitted` is unchanged; one missing from `stored` was never set and has its default.

    >>> interval = Field("poll_interval", "Poll interval", Kind.NUMBER, default=300)
    >>> diff([interval], {"poll_interval": 300}, {"poll_interval": "3600"})
    [Change(key='poll_interval', label='Poll interval', kind='number', old=300, new=3600)]
    >>> diff([interval], {}, {"poll_interval": "300"})
    []
    """
    changes = []
    for field in fields:
        if field.key in submitted:
            old = field.normalize(stored.get(field.key, field.default))
            new = field.normalize(submitted[field.key])
            if not is_same(field, old, new):
                changes.append(Change(field.key, field.label, field.kind.value, old, new))
    return changes


def is_same(field: Field, old: Any, new: Any) -> bool:
    """Return whether two normalised values of a field are equal. Tags compare as a set, other lists in order."""
    return set(old) == set(new) if field.kind is Kind.TAGS else bool(old == new)


def apply(stored: Mapping[str, Any], changes: Iterable[Change]) -> dict[str, Any]:
    """Return `stored` with the changes applied."""
    return {**stored, **{change.key: change.new for change in changes}}


def _without(items: Any, excluded: Any) -> list[Any]:
    if not isinstance(items, list):
        return []
    excluded_reprs = {repr(item) for item in excluded} if isinstance(excluded, list) else set()
    return [item for item in items if repr(item) not in excluded_reprs]
