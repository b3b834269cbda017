"""GET /api/annotations gives events to graphs, with times in milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

MINUTE = 60_000  # milliseconds
START = datetime(2026, 1, 15, 14, tzinfo=UTC)
ZERO = int(START.timestamp() * 1000)


def titles(client: Any, **query: Any) -> list[str]:
    return [annotation["title"] for annotation in client.get("/api/annotations", query_string=query).get_json()]


def test_events_are_annotations_newest_first(client):
    migration = {
        "title": "Migrate orders",
        "kind": "migration",
        "service": "orders",
        "environment": "production",
        "status": "failure",
        "description": "Lock wait timeout",
        "time": "2026-01-15T14:00:00Z",
        "end_time": "2026-01-15T15:07:00+01:00",
        "tags": ["payments"],
    }
    flag = {"title": "Flag <b>on</b>", "kind": "feature_flag", "description": "R&D", "time": "2026-01-15T14:30:00.250Z"}
    assert client.post("/api/events", json=[migration, flag]).status_code == 201
    response = client.get("/api/annotations", query_string={"source": "api"})
    assert response.get_json() == [
        {
            "time": ZERO + 30 * MINUTE + 250,
            "timeEnd": ZERO + 30 * MINUTE + 250,
            "title": "Flag &lt;b&gt;on&lt;/b&gt;",
            "text": "by system · R&amp;D",
            "tags": ["api", "FeatureFlag"],
        },
        {
            "time": ZERO,
            "timeEnd": ZERO + 7 * MINUTE,
            "title": "Migrate orders",
            "text": "orders · production · failure · by system · Lock wait timeout",
            "tags": ["api", "Migration", "bad", "payments"],
        },
    ]
    assert titles(client, **{"from": ZERO, "to": ZERO + MINUTE}) == ["Migrate orders"]
    assert titles(client, **{"from": ZERO + 1, "to": ZERO + 60 * MINUTE}) == ["Flag &lt;b&gt;on&lt;/b&gt;"]
    assert titles(client, q="outcome:bad", start_date="2026-01-15") == ["Migrate orders"]
    assert titles(client, source="api", limit=1) == ["Flag &lt;b&gt;on&lt;/b&gt;"]


def test_a_bad_parameter_is_named(client):
    for query, name in (
        ({"from": "yesterday"}, "from"),
        ({"to": "-1"}, "to"),
        ({"to": "9" * 15}, "to"),
        ({"from": str(ZERO + 1), "to": str(ZERO)}, "end_date"),
        ({"from": str(ZERO), "start_date": "2026-01-01"}, "from"),
        ({"limit": "501"}, "limit"),
        ({"q": "colour:red"}, "q"),
        ({"since": "1"}, "since"),
    ):
        response = client.get("/api/annotations", query_string=query)
        assert (response.status_code, response.get_json()["errors"][0]["field"]) == (422, name), query
