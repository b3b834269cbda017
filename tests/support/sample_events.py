"""Sample events that are written directly to the log, and a sample connector type that polls a real server."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.connectors.base import ConnectorType, EventType, Field, Kind, fields, poll_interval
from painchain.connectors.contract import ConnectionTestResult, PollContext, PollGap, PollResult, RateLimit, SourceEvent
from painchain.connectors.http_client import HttpClient
from painchain.eventlog.writer import NewEvent

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def new(number: int, **members: Any) -> NewEvent:
    """Return a new event that differs from the others only by its number."""
    timestamp = members.get("timestamp", NOW - HOUR)
    plain: dict[str, Any] = {
        "event_id": f"made-up-{number}",
        "source": "github",
        "event_type": "Commit",
        "title": f"[Commit] number {number}",
        "description": {"text": f"Commit {number}"},
        "metadata": {},
        "author": "system",
        "request_id": f"request-{number}",
        "timestamp": timestamp,
        "recorded_at": timestamp,
    }
    return NewEvent(**{**plain, **members})


def poll_clock(context: PollContext) -> PollResult:
    """Request the strikes after the cursor."""
    with _clock_client(context.settings, context.now) as client:
        response = client.get("strikes", {"after": context.cursor.get("last", 0)}).value
    events = [
        SourceEvent(
            event_id=f"strike-{strike['number']}",
            event_type="Strike",
            title=f"[Strike] {strike.get('title', strike['number'])}",
            timestamp=datetime.fromtimestamp(strike["at"], UTC) if "at" in strike else context.now,
            author=strike.get("author") or "unknown",
            status="struck",
            url=strike.get("url"),
            text=strike.get("text", ""),
            facts={"hour": strike["number"] % 12},
        )
        for strike in response["strikes"]
    ]
    gap, rate = response.get("gap"), response.get("rate")
    return PollResult(
        events,
        {"last": max([context.cursor.get("last", 0), *(strike["number"] for strike in response["strikes"])])},
        has_more=response.get("more", False),
        note=response.get("note", ""),
        gap=PollGap(*(datetime.fromtimestamp(second, UTC) for second in gap), reason="The clock stood still.")
        if gap
        else None,
        rate_limit=RateLimit(*rate[:2], datetime.fromtimestamp(rate[2], UTC)) if rate else None,
    )


def check_clock(settings: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Request the owner of the token."""
    with _clock_client(settings, now) as client:
        owner = client.get("me").value
    return ConnectionTestResult(True, owner["name"], owner["sees"])


def _clock_client(settings: Mapping[str, Any], now: datetime) -> HttpClient:
    return HttpClient(settings["base_url"], {"Authorization": f"Bearer {settings['token']}"}, now, step_seconds=5)


CLOCK = ConnectorType(
    key="clock",
    label="Clock",
    summary="The strikes of a made-up clock.",
    icon="clock",
    colour="grey",
    fields=(
        Field("base_url", "API URL", Kind.URL, required=True),
        Field("token", "Token", Kind.SECRET, required=True),
        poll_interval(60, "How often the clock is polled."),
    ),
    event_types=(EventType("Strike", "Strike", fields(hour="Hour"), "clock"),),
    poll=poll_clock,
    test_connection=check_clock,
)
