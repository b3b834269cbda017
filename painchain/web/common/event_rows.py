"""Render the rows of events, each only once: a row looks the same to all readers who see the same fields."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Flask
from markupsafe import Markup

from painchain.core import runtime
from painchain.presentation.event_groups import EventRow
from painchain.web.common import responses


def event_row(
    row: EventRow, request_class: str, same_reason: bool = False, t0: datetime | None = None, here: int | None = None
) -> Markup:
    """Return a row of a feed as HTML. Rows are cached, except on the page of events around one of them (`here`).

    `t0` is the time from which the row counts. `same_reason` leaves out the reason, which an earlier row has.
    """

    def render() -> Markup:
        values: dict[str, Any] = {
            "row": row,
            "request_class": request_class,
            "same_reason": same_reason,
            "t0": t0 or None,
            "here": here,
        }
        return Markup(responses.fragment("dashboard/event", **values))  # noqa: S704  the template escapes

    if here:
        return render()
    key = ("row", request_class, same_reason, t0 or None, row.shown.zone.key, row.identity)
    return runtime.current().cache.get_or_compute(key, render) or render()


def install(app: Flask) -> None:
    """Give the templates the function `event_row`."""
    app.jinja_env.globals["event_row"] = event_row
