"""Events to search, and the search for them."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask

from painchain.timeline import histogram, queries
from painchain.timeline.filter import parse_filter
from tests.support.sample_events import NOW

UTC_ZONE = ZoneInfo("UTC")


def matching_numbers(app: Flask, q: str, limit: int = 500, **more: Any) -> list[int]:
    """Return the numbers in the titles of the matching events, in feed order."""
    with app.app_context():
        event_filter = parse_filter({"q": [q], **more}, NOW, UTC_ZONE, "24h")
        page = queries.page(event_filter, limit=limit)
        assert histogram.count(event_filter) == len(page.events) or page.older
        return [int(event.title.split()[-1]) for event in page.events]
