"""Parse query parameters: shared by pages and the API."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from flask import request

from painchain.timeline.filter import parse_time


def time_parameter(name: str, zone: ZoneInfo) -> datetime | None:
    """Return the time in a query parameter; None if it is missing or empty.

    :raises painchain.timeline.filter.BadFilter: when it is not a time.
    """
    text = request.args.get(name, "").strip()
    return parse_time(text, name, zone) if text else None
