"""`painchain events` prints events as text and as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from painchain.database.models import Team
from painchain.database.session import db
from tests.conftest import ON_SQLITE
from tests.support.command_line import Run, happened
from tests.support.forked_command import on_a_terminal, piped
from tests.support.sample_events import NOW
from tests.support.server_process import PATIENCE
from tests.support.thorough import further


def test_an_event_is_one_line_with_time_source_description_and_author(
    run: Run, report: Callable[..., str], events: Callable[..., list[dict[str, Any]]]
) -> None:
    report(connector_type="github", old_value=300, new_value=3600, author="ada")
    first, last = run("events").stdout.splitlines()
    when = events()[-1]["timestamp"][:19].replace("T", " ")
    assert (last[:21], last[21:33]) == (f"{when}  ", "PainChain   ")
    assert last[33:].rstrip().startswith("Work GitHub · Poll interval: 300 → 3600   ")
    assert last.endswith("   by ada")
    assert first.index(" by system") == last.index(" by ada")


LINES: list[tuple[dict[str, Any], str]] = [
    ({"old_value": 300, "new_value": 3600}, "Work GitHub · Poll interval: 300 → 3600"),
    ({"field": "branch", "old_value": "", "new_value": "main"}, "Work GitHub · Branch: nothing → “main”"),
    ({"field": "on", "old_value": True, "new_value": False}, "Work GitHub · On: on → off"),
    ({"field": "tags", "old_value": ["a"], "new_value": ["a", "b"]}, "Work GitHub · Tags: “a” → “a”, “b”"),
    ({"field": "token", "new_value": "made-up-token"}, "Work GitHub · Token set"),
    ({"event_type": "connector_created", "connector_type": "github", "field": None}, "Work GitHub created"),
    ({"event_type": "connector_deleted", "connector_type": "github", "field": None}, "Work GitHub deleted"),
    (
        {
            "event_type": "connector_updated",
            "connector_type": "github",
            "field": None,
            "changes": {"poll_interval": {"old": 1, "new": 2}, "tags": {"old": [], "new": ["a"]}},
        },
        "Work GitHub updated · 2 settings: Poll interval, Tags",
    ),
    (
        {
            "event_type": "field_visibility_changed",
            "connector_type": "PullRequest",
            "field": None,
            "connector_name": None,
            "field_key": "branches",
            "visible": False,
        },
        "Branches of PullRequest hidden",
    ),
]


@pytest.mark.parametrize(("body", "line"), LINES, ids=[line for _, line in LINES])
def test_a_line_describes_the_event(run: Run, report: Callable[..., str], body: dict[str, Any], line: str) -> None:
    report(**body)
    assert happened(run("events")) == ["PainChain System created", line]


@pytest.mark.parametrize(
    ("hidden", "line"),
    [
        (["old_value"], "Work GitHub · Poll interval: → 3600"),
        (["new_value"], "Work GitHub · Poll interval: 300 →"),
        (["old_value", "new_value"], "Work GitHub · Poll interval changed"),
        (["connector_name"], "Poll interval: 300 → 3600"),
        (["field"], "Work GitHub · Config Changed"),
        (["connector_name", "field"], "Config Changed"),
    ],
)
def test_a_hidden_field_is_not_in_the_line_but_in_the_json(
    run: Run, report: Callable[..., str], client: FlaskClient, hidden: list[str], line: str
) -> None:
    event_id = report(connector_type="github", old_value=300, new_value=3600)
    (builtin,) = client.get("/api/connectors").get_json()
    for field in hidden:
        address = f"/api/connectors/{builtin['id']}/visibility/ConfigChanged/{field}"
        assert client.put(address, json={"visible": False}).status_code == 200
    assert line in happened(run("events"))
    (printed_event,) = (event for event in lines_of(run("events", "--json")) if event["event_id"] == event_id)
    assert (printed_event["connector_name"], printed_event["description"]["old_value"]) == ("Work GitHub", 300)


def lines_of(result: Result) -> list[dict[str, Any]]:
    """Return the JSON object of each line."""
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_output_has_one_api_object_per_line(
    run: Run, report: Callable[..., str], events: Callable[..., list[dict[str, Any]]]
) -> None:
    report(new_value="größer\n\x1b[2J\x7f\u202e", author="ada")
    report()
    result = run("events", "--json")
    assert lines_of(result) == events()
    assert result.stdout.replace("\n", "").isprintable()


def test_the_newest_event_is_last_and_the_limit_applies(run: Run, report: Callable[..., str]) -> None:
    numbers = [report(new_value=number) for number in range(5)]
    assert [event["event_id"] for event in lines_of(run("events", "--json", "--limit", "3"))] == numbers[2:]
    assert len(lines_of(run("events", "--json"))) == 6
    nothing = run("events", "--limit", "0")
    assert (nothing.exit_code, nothing.output) == (0, "")


FILTERS: list[tuple[list[str], list[str]]] = [
    (["--author", "ada"], ["ada"]),
    (["--author", "ada", "--author", "bob"], ["ada", "bob"]),
    (["--author", "ada,bob"], []),
    (["--connector", "Other"], ["bob"]),
    (["--connector", "1"], ["system"]),
    (["--event-type", "ConnectorDeleted"], ["bob"]),
    (["--event-type", "ConnectorDeleted", "--event-type", "ConnectorCreated"], ["system", "bob"]),
    (["--source", "painchain"], ["system", "ada", "bob"]),
    (["--source", "github"], []),
    (["--tag", "audit"], ["system", "ada", "bob"]),
    (["--tag", "ui-team"], []),
    (["--team", "auditors"], ["system", "ada", "bob"]),
    (["--status", "deleted"], ["bob"]),
    (["--q", "poll interval"], ["ada"]),
    (["--range", "1h"], ["system", "ada", "bob"]),
    (["--range", "all", "--author", "bob"], ["bob"]),
    (["--start-date", "2999-01-01"], []),
    (["--end-date", "2999-01-01T00:00:00Z"], ["system", "ada", "bob"]),
    (["--end-date", "2020-01-01"], []),
    (["--author", "ada", "--status", "deleted"], []),
]


def test_a_filter_selects_the_same_events_as_the_dashboard(
    app: Flask, run: Run, report: Callable[..., str], subtests: pytest.Subtests
) -> None:
    report(author="ada")
    report(author="bob", event_type="connector_deleted", connector_type="gitlab", connector_name="Other", field=None)
    team(app, "Auditors", "audit")
    for arguments, authors in FILTERS:
        with subtests.test(arguments=arguments):
            assert [event["author"] for event in lines_of(run("events", "--json", *arguments))] == authors


def team(app: Flask, name: str, *tags: str) -> None:
    """Add a team without recording an event."""
    with app.app_context():
        columns = {
            "name": name,
            "tags": list(tags),
            "created_at": NOW,
            "created_by": "",
            "updated_at": NOW,
            "updated_by": "",
        }
        db.session.add(Team(**columns))
        db.session.commit()


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_an_empty_result_is_reported_on_standard_error(run: Run, more: list[str]) -> None:
    result = run("events", "--author", "nobody", *more)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "No matching events." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--start-date", "yesterday"], "--start-date: start_date must be a date"),
        (["--end-date", "2026-13-01"], "--end-date: end_date must be a date"),
        (["--start-date", "2026-02-01", "--end-date", "2026-01-01"], "--end-date: end_date must be later"),
        (["--range", "2h"], "--range"),
        (["--limit", "-1"], "--limit"),
        (["--limit", "many"], "--limit"),
        (["--team", "nobody"], "--team: No team is named “nobody”."),
        (["--q", "team:nobody"], "--q: No team is named “nobody”."),
        (["--q", "x" * 201], "--q: The search can have at most 200 characters"),
        (["--author", "x" * 201], "--author: author can have at most 200 characters"),
        (["--author", "\udcff"], "--author"),
        (["--follow", "--end-date", "2026-01-01"], "--end-date"),
    ],
)
def test_an_invalid_filter_is_refused(run: Run, arguments: list[str], complaint: str) -> None:
    result = run("events", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_times_are_in_the_local_time_zone_of_the_terminal(
    run: Run, report: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report()
    in_utc = run("events").stdout[:16]
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    (first, _) = run("events").stdout.splitlines()
    local = first[:16]
    assert (minutes(local) - minutes(in_utc)) % 1440 == 330
    # A time without an offset is local, too.
    assert lines_of(run("events", "--json", "--end-date", f"{local}:00".replace(" ", "T"))) == []


def minutes(moment: str) -> int:
    """Return the minutes since midnight of a printed time."""
    return int(moment[11:13]) * 60 + int(moment[14:16])


def test_an_unknown_time_zone_is_utc(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    in_utc = run("events").stdout
    monkeypatch.setenv("TZ", "Middle/Earth")
    assert run("events").stdout == in_utc


def test_event_text_cannot_control_the_terminal_or_forge_a_line(run: Run, report: Callable[..., str]) -> None:
    nasty = "a\nb\tc\rd\x1b[31me\x07f\u202eg\u2028h\x9bi"
    report(connector_name=nasty, field=nasty, new_value=nasty, author=nasty)
    result = run("events")
    assert result.stdout.count("\n") == 2
    assert result.stdout.replace("\n", "").isprintable()
    spelt = r"a\nb\tc\rd\x1b[31me\x07f\u202eg\u2028h\x9bi"
    assert result.stdout.splitlines()[-1].endswith(f"  by {spelt}")


def test_standard_output_contains_only_events(run: Run) -> None:
    assert len(run("events").stdout.splitlines()) == 1


def test_a_database_that_cannot_be_read_is_reported(run: Run, app: Flask) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(text("ALTER TABLE hidden_fields RENAME TO renamed"))
    result = run("events")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.splitlines()[-1].startswith("painchain: Cannot read the events: ")
    assert "hidden_fields" in result.stderr.splitlines()[-1]


@ON_SQLITE
def test_a_terminal_gets_colours_unless_they_are_disabled(environment: None, run: Run) -> None:
    coloured = on_a_terminal("events")
    assert "\x1b[36mPainChain" in coloured
    plain = on_a_terminal("events", NO_COLOR="1")
    assert "\x1b" not in plain
    assert plain.split() == run("events").stdout.split()
    assert "\x1b" in on_a_terminal("events", NO_COLOR="")
    assert "\x1b" not in on_a_terminal("events", "--json")


@ON_SQLITE
@pytest.mark.parametrize(
    "arguments",
    [["--follow"], *further(["--follow", "--json"], ["--json"])],
    ids=["--follow", "--follow --json", "--json"],
)
@pytest.mark.parametrize("size", [1, 20_000], ids=["while it waits", "in the middle"])
def test_a_closed_pipe_ends_the_command_silently(
    environment: None, report: Callable[..., str], tmp_path: Path, arguments: list[str], size: int
) -> None:
    report(new_value="long text " * size)
    with piped(tmp_path, "events", *arguments) as (process, pipe):
        with os.fdopen(pipe, "rb", buffering=0) as output:
            assert b"PainChain System" in output.readline()
        assert process.wait(PATIENCE) == 0
    assert [line for line in process.err.read_text().splitlines() if " DEBUG " not in line] == []
