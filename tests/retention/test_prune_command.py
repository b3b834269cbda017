"""`painchain prune` shows, removes and audits the expired events."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from tests.support.command_line import Run
from tests.support.retention import Events, pruned, set_rules, sources


def test_prune_shows_removes_and_audits_the_expired_events(app_with_events: Flask, run: Run, events: Events) -> None:
    set_rules(github=30)
    dry = run("prune", "--dry-run")
    assert dry.exit_code == 0
    assert dry.stdout.startswith("GitHub: 10 events would be deleted (")
    assert sources()["github"] == 20
    result = run("prune")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "Deleted 10 events."
    assert sources()["github"] == 10
    assert [event["author"] for event in pruned(events)] == ["system"]
    assert run("prune").stdout == "Nothing to delete: no event is past its retention period.\n"


def test_prune_is_refused_while_auditing_is_off(app_with_events: Flask, client: FlaskClient, run: Run) -> None:
    set_rules(github=30)
    assert client.post("/api/connectors/1/disable").status_code == 200
    result = run("prune")
    assert result.exit_code == 1
    assert "Auditing is off" in result.stderr
    assert sources()["github"] == 20
