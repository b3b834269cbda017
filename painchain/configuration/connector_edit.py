"""An edit of a connector, and the changes that saving it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from painchain.audit.diff import Change
from painchain.audit.records import VisibilityChange
from painchain.timeline.visibility import Toggle


@dataclass(frozen=True)
class ConnectorEdit:
    """An edit of a connector.

    `values` are new values by field key, secrets in plain text; missing fields stay unchanged. `visibility` sets which
    fields of its events are visible. `version` is the version that the person read; None skips the check.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    visibility: Mapping[Toggle, bool] = field(default_factory=dict)
    version: int | None = None


@dataclass(frozen=True)
class Saved:
    """The changes that a save made; falsy if it made none."""

    changes: Sequence[Change] = ()
    visibility: Sequence[VisibilityChange] = ()

    def __bool__(self) -> bool:
        return bool(self.changes or self.visibility)
