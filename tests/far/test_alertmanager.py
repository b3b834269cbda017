"""A real Alertmanager: an alert fires, is repeated and is resolved, and makes two events of one group."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.far.conftest import Hook
from tests.far.programs import Alertmanager, require, until


def test_an_alert_that_fires_is_repeated_and_resolved_makes_two_events(hook: Hook, tmp_path: Path) -> None:
    require("prometheus-alertmanager", "amtool")
    url, secret = hook.add("alertmanager")
    alertmanager = Alertmanager(tmp_path, url, secret)
    labels = ["alertname=QueueBacklog", "service=mailer", "environment=production", "severity=page"]
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
    alert = [*labels, "--annotation=summary=Mails wait", f"--start={start:%Y-%m-%dT%H:%M:%SZ}"]
    with alertmanager.running():
        alertmanager.alert(*alert)
        until(lambda: alertmanager.notifications() >= 3, "the alert is repeated")
        [firing] = hook.events()
        alertmanager.alert(*alert, f"--end={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        until(lambda: len(hook.events()) == 2, "the end of the alert")
    resolved = next(event for event in hook.events() if event["id"] != firing["id"])
    assert [event["status"] for event in (firing, resolved)] == ["firing", "resolved"]
    for event in (firing, resolved):
        assert (event["event_type"], datetime.fromisoformat(event["timestamp"])) == ("Incident", start)
        assert event["title"] == "QueueBacklog: Mails wait"
        facts: dict[str, Any] = event["metadata"]
        assert (facts["service"], facts["environment"]) == ("mailer", "production")
        assert event["tags"] == ["page"]
    assert "end_time" not in firing["metadata"]
    assert resolved["metadata"]["duration"] >= 600
    assert len(hook.rows()) == 1
