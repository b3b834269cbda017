"""What somebody wants to change of a connector, and what a save changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from painchain.audit.diff import Change
from painchain.audit.records import VisibilityChange
from painchain.timeline.visibility import Toggle


@dataclass(frozen=True)
class ConnectorEdit:
    """What somebody wants to change of a connector.

    `values` are new values by field key, secrets in plain text; a field that is missing stays as it is. `shown` says
    which fields of its events are to be shown or hidden. `version` is the one they have read; None stands for any.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    shown: Mapping[Toggle, bool] = field(default_factory=dict)
    version: int | None = None


@dataclass(frozen=True)
class Saved:
    """What a save changed: nothing, if both are empty."""

    changes: Sequence[Change] = ()
    visibility: Sequence[VisibilityChange] = ()

    def __bool__(self) -> bool:
        return bool(self.changes or self.visibility)
