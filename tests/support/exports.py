"""The lines of an export, and the events it must contain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from painchain.exports import export
from painchain.exports.export import FORMATS
from painchain.timeline.filter import Filter

Events = Callable[..., list[dict[str, Any]]]
Report = Callable[..., str]


def texts_of(format: str, event_filter: Filter | None = None) -> str:
    selection = export.select(event_filter or Filter())
    return "".join(export.render(FORMATS[format], export.slices(selection, FORMATS[format])))


def newest_first(events: Events, **query: Any) -> list[dict[str, Any]]:
    return list(reversed(events(**query)))
