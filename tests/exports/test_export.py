"""Export: all events of a filter in three formats, in chunks, and always recorded."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import select

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.database.types import stored_json
from painchain.exports import export, ocsf
from painchain.exports.export import FORMATS, csv_line, event_json
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.conftest import ON_SQLITE
from tests.support.command_line import COMMAND, ROOT, Run

Events = Callable[..., list[dict[str, Any]]]
Report = Callable[..., str]


def texts_of(format: str, event_filter: Filter | None = None) -> str:
    selection = export.select(event_filter or Filter())
    return "".join(export.render(FORMATS[format], export.slices(selection, FORMATS[format])))


def newest_first(events: Events, **query: Any) -> list[dict[str, Any]]:
    return list(reversed(events(**query)))


# The formats


@pytest.mark.both_databases
def test_ndjson_equals_the_api_with_the_chain_position(app: Flask, events: Events, report: Report) -> None:
    for number in range(3):
        report(author=f"person {number}")
    with app.app_context():
        lines = texts_of("ndjson").splitlines()
    exported = [json.loads(line) for line in lines]
    extra_members = {"chain", "connector_type"}
    assert [{name: event[name] for name in event if name not in extra_members} for event in exported] == newest_first(
        events
    )
    assert all(extra_members < set(event) for event in exported)


TEXTS = (
    *("plain", "née → “quoted” 😀", 'back\\slash "quote" /', "tab\tline\nend\x1b[0m\x08", "delete \x7f", '{"a": "b"}'),
    *("\u2028 \uffff", "", "%s {0} ?", "it's"),
)


@pytest.mark.both_databases
@pytest.mark.parametrize("spaces", [False, True], ids=["as stored now", "with the spaces of older versions"])
def test_ndjson_is_byte_for_byte_what_the_encoder_makes_of_each_event(
    app: Flask,
    report: Report,
    spaces: bool,
) -> None:
    for text in TEXTS:
        report(field=f"field {text}", old_value=[text, 1.5, None, True], new_value={text: -7})
    with app.app_context():
        table = ChangeEvent.__table__
        for number, description, metadata in db.session.execute(
            select(table.c.id, table.c.description, table.c.metadata)
        ).all():
            text = TEXTS[number % len(TEXTS)]
            values = {"description": {**description, "more": {text: [text]}}, "metadata": {**metadata, "more": [text]}}
            stored = {name: json.dumps(value) if spaces else stored_json(value) for name, value in values.items()}
            as_json = "CAST(:{0} AS JSON)" if db.engine.dialect.name == "postgresql" else ":{0}"
            names = ", ".join(f"{name} = {as_json.format(name)}" for name in stored)
            plain = {"title": text, "author": text or "nobody", "url": text, "number": number, "time": number * 999_999}
            db.session.execute(
                db.text(
                    f"UPDATE change_events SET {names}, title = :title, author = :author, url = :url,"
                    " recorded_at = :time WHERE id = :number"
                ),
                {**stored, **plain},
            )
        db.session.commit()
        macs = {0: bytes(32), **{row.id: row.mac for row in db.session.execute(select(table.c.id, table.c.mac))}}
        events = queries.page(Filter(), limit=100).events
        expected = [
            {
                **event_json(event),
                "connector_type": event.connector_type,
                "chain": {"version": 1, "previous": macs[event.id - 1].hex(), "mac": event.mac.hex()},
            }
            for event in events
        ]
        lines = texts_of("ndjson").splitlines(keepends=True)
    assert len(events) > len(TEXTS)
    assert lines == [json.dumps(event, separators=(",", ":")) + "\n" for event in expected]


@ON_SQLITE
def test_an_export_does_not_leave_out_an_event_that_it_cannot_read(app: Flask, report: Report) -> None:
    report()
    with app.app_context():
        db.session.execute(db.text("UPDATE change_events SET timestamp = 9223372036854775807"))
        db.session.commit()
        with pytest.raises(ValueError, match="values that PainChain did not write"):
            texts_of("ndjson")


def test_csv_is_rfc_4180_with_a_header_and_a_line_for_each_event(
    app: Flask,
    events: Events,
    report: Report,
) -> None:
    report(author='Ann "Nan", née\nOther', new_value=600)
    with app.app_context():
        text = texts_of("csv")
    assert text.endswith("\r\n")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert list(rows[0]) == list(export.COLUMNS)
    from_api = newest_first(events)
    assert [row["event_id"] for row in rows] == [event["event_id"] for event in from_api]
    assert rows[0]["author"] == from_api[0]["author"]
    for column in ("description", "metadata", "tags"):
        assert json.loads(rows[0][column]) == from_api[0][column]


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "  +1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    "\ufeff=1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_csv_is_a_formula(text: str) -> None:
    [[cell]] = csv.reader(io.StringIO(csv_line([text]), newline=""))
    assert cell == f"'{text}"


@pytest.mark.parametrize("text", ["a=b", "", "1", "'quoted'", "[Config Changed] x", "ünï"])
def test_other_texts_are_unchanged_in_csv(text: str) -> None:
    [row] = csv.reader(io.StringIO(csv_line([text, "x"]), newline=""))
    assert row == [text, "x"]


def test_reported_formula_is_escaped_in_csv(app: Flask, report: Report) -> None:
    report(author="=HYPERLINK(0)")
    with app.app_context():
        rows = list(csv.DictReader(io.StringIO(texts_of("csv"), newline="")))
    assert rows[0]["author"] == "'=HYPERLINK(0)"


# The required members and their types in OCSF 1.8.0, https://schema.ocsf.io/1.8.0/classes/entity_management.
REQUIRED: dict[str, type] = {
    "activity_id": int,
    "category_uid": int,
    "class_uid": int,
    "type_uid": int,
    "severity_id": int,
    "time": int,
    "metadata": dict,
    "entity": dict,
}
RECOMMENDED = {"message", "status", "status_id", "actor", "timezone_offset"}
OPTIONAL = {"activity_name", "category_name", "class_name", "type_name", "severity", "status_code", "unmapped"}
METADATA: dict[str, type] = {
    "version": str,
    "product": dict,
    "uid": str,
    "original_event_uid": str,
    "event_code": str,
    "log_name": str,
    "sequence": int,
    "correlation_uid": str,
    "labels": list,
    "original_time": str,
    "logged_time": int,
}
ACTIVITIES = {
    "ConnectorCreated": 1,
    "ConnectorUpdated": 3,
    "ConfigChanged": 3,
    "FieldVisibilityChanged": 3,
    "ConnectorDeleted": 4,
    "ConnectorEnabled": 8,
    "ConnectorDisabled": 9,
    "EventsExported": 2,
    "TeamCreated": 1,
    "TeamUpdated": 3,
    "TeamDeleted": 4,
    "ViewSaved": 1,
    "ViewChanged": 3,
    "ViewDeleted": 4,
}


def check(event: dict[str, Any]) -> None:
    """Check an event against the OCSF class."""
    assert set(REQUIRED) <= set(event) <= {*REQUIRED, *RECOMMENDED, *OPTIONAL}
    assert all(type(event[name]) is kind for name, kind in REQUIRED.items())
    assert (event["category_uid"], event["class_uid"]) == (3, 3004)
    assert event["type_uid"] == 300400 + event["activity_id"]
    assert event["severity_id"] in range(7)
    assert event["status_id"] in (0, 1, 2, 99)
    assert 1_600_000_000_000 < event["time"] < 100_000_000_000_000, "milliseconds"
    assert event["metadata"]["version"] == "1.8.0"
    assert event["metadata"]["product"].keys() >= {"name", "vendor_name", "version"}
    assert all(type(value) is METADATA[name] for name, value in event["metadata"].items())
    assert event["entity"].get("name") or event["entity"].get("uid")
    assert set(event["entity"]) <= {"name", "uid", "type", "type_id"}
    assert all(isinstance(event["entity"][name], str) for name in ("name", "uid", "type") if name in event["entity"])
    assert event["entity"]["type_id"] == 99
    assert event["actor"]["user"]["name"]


def test_ocsf_is_entity_management_for_every_kind_of_event(
    app: Flask, client: FlaskClient, events: Events, make_connector: Callable[..., int]
) -> None:
    connector = f"/api/connectors/{make_connector('kubernetes', 'Cluster')}"
    for method, address, body in (
        ("POST", f"{connector}/enable", None),
        ("POST", f"{connector}/disable", None),
        ("PATCH", connector, {"config": {"poll_interval": 600}}),
        ("PUT", f"{connector}/visibility/K8sPod/reason", {"visible": False}),
        ("DELETE", connector, None),
        ("POST", "/api/teams", {"name": "Payments", "tags": ["a"]}),
        ("PATCH", "/api/teams/1", {"tags": ["b"]}),
        ("DELETE", "/api/teams/1", None),
        ("POST", "/api/views", {"name": "Ours", "filter": "q=a"}),
        ("PATCH", "/api/views/1", {"filter": "q=b"}),
        ("DELETE", "/api/views/1", None),
        ("POST", "/api/export", None),
    ):
        response = client.open(address, method=method, json=body, headers={"If-Match": "*"})
        assert response.status_code < 300, response.text
    with app.app_context():
        exported = json.loads(texts_of("ocsf"))
    from_api = newest_first(events)
    assert [item["metadata"]["uid"] for item in exported] == [event["event_id"] for event in from_api]
    for ocsf_event, event in zip(exported, from_api, strict=True):
        check(ocsf_event)
        assert ocsf_event["activity_id"] == ACTIVITIES[event["event_type"]], event["event_type"]
        assert ocsf_event["unmapped"]["description"] == event["description"]
    assert {event["event_type"] for event in from_api} == set(ACTIVITIES)


def test_ocsf_event_of_another_source_is_other_with_its_status(app: Flask, report: Report) -> None:
    report()
    with app.app_context():
        db.session.execute(db.text("UPDATE change_events SET source = 'gitlab', event_type = 'Job', status = 'failed'"))
        db.session.commit()
        exported = json.loads(texts_of("ocsf"))[0]
    check(exported)
    assert (exported["activity_id"], exported["activity_name"], exported["status_id"], exported["status"]) == (
        99,
        "Job",
        99,
        "failed",
    )


def test_every_audit_event_type_has_an_ocsf_activity() -> None:
    from painchain.connectors import BUILTIN

    assert {event_type.name for event_type in BUILTIN.event_types} == set(ocsf.ACTIVITIES)


@pytest.mark.parametrize(("format", "text"), [("ndjson", ""), ("csv", csv_line(export.COLUMNS)), ("ocsf", "[]")])
def test_empty_export_is_well_formed(app: Flask, format: str, text: str) -> None:
    with app.app_context():
        exported = texts_of(format, Filter(author=("nobody",)))
    assert (json.loads(exported) == json.loads(text)) if format == "ocsf" else exported == text


# Slices


def test_slices_are_read_lazily_with_minimal_rows(app: Flask, report: Report) -> None:
    for _ in range(10):
        report()
    statements: list[str] = []
    with app.app_context():
        selection = export.select(Filter())
        sqlalchemy_event.listen(db.engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2]))
        slices = export.slices(selection, FORMATS["ndjson"], size=4)
        assert statements == []
        assert next(slices).events == 4
        [positions] = statements  # the lines are read on the driver's own cursor
        assert "LIMIT" in positions
        assert "change_events.description" not in positions
        assert db.session().in_transaction() is False, "no transaction stays open while a client reads slowly"
        assert [events.events for events in slices] == [4, 3]


def test_events_written_during_an_export_are_left_out(app: Flask, events: Events, report: Report) -> None:
    for _ in range(5):
        report()
    before = [event["id"] for event in newest_first(events)]
    with app.app_context():
        slices = export.slices(export.select(Filter()), FORMATS["ndjson"], size=2)
        lines = next(slices).text.splitlines()
        report(author="late")
        # A source can report an old event late.
        db.session.execute(
            db.text("UPDATE change_events SET timestamp = timestamp - 86400000000 WHERE author = 'late'")
        )
        db.session.commit()
        lines += [line for slice in slices for line in slice.text.splitlines()]
    assert [json.loads(line)["id"] for line in lines] == before


# The command line


def test_export_command_applies_the_filter_and_is_recorded(
    run: Run,
    report: Report,
    events: Events,
) -> None:
    report(author="ann")
    report(author="bob")
    result = run("export", "--format", "ndjson", "--author", "ann")
    assert result.exit_code == 0, result.output
    assert [json.loads(line)["author"] for line in result.stdout.splitlines()] == ["ann"]
    assert result.stderr.count("Exporting") == 0, "a progress bar is for terminals"
    exported = events()[-1]
    assert (exported["event_type"], exported["title"]) == ("EventsExported", "[Events Exported] NDJSON")
    assert exported["metadata"] == {"action": "export", "format": "NDJSON", "filter": {"author": ["ann"]}, "events": 1}


def test_secret_in_the_filter_is_not_recorded(run: Run, events: Events) -> None:
    assert run("export", "--q", "https://me:planted@host.example/").exit_code == 0
    assert "planted" not in str(events())


def test_export_file_is_written_atomically(run: Run, report: Report, tmp_path: Path) -> None:
    report()
    file = tmp_path / "out" / "events.csv"
    refused = run("export", "--format", "csv", "--output", str(file))
    assert (refused.exit_code, "Cannot write " in refused.stderr) == (1, True), refused.output
    file.parent.mkdir()
    file.write_text("before")
    result = run("export", "--format", "csv", "--output", str(file))
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    assert file.read_bytes().startswith(b"id,event_id,")
    assert file.read_bytes().endswith(b"\r\n")
    result = run("export", "--format", "csv", "--bom", "--output", str(file))
    assert result.exit_code == 0, result.output
    assert file.read_bytes().startswith(b"\xef\xbb\xbfid,event_id,")
    assert list(file.parent.iterdir()) == [file]
    os.mkfifo(tmp_path / "pipe")
    refused = run("export", "--output", str(tmp_path / "pipe"))
    assert (refused.exit_code, "not a regular file" in refused.stderr) == (2, True), refused.output
    assert (tmp_path / "pipe").is_fifo(), "what is no file, such as /dev/null, is not replaced"


def test_export_is_refused_while_auditing_is_off(
    run: Run,
    auditing_off: None,
    events: Events,
    tmp_path: Path,
) -> None:
    before = events()
    result = run("export", "--output", str(tmp_path / "events.json"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Auditing is off" in result.stderr
    assert list(tmp_path.glob("*.json")) == []
    assert events() == before


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--format", "xml"], "--format"),
        (["--start-date", "soon"], "--start-date"),
        (["--output", ""], "Cannot write ''"),
    ],
)
def test_invalid_arguments_are_refused(run: Run, arguments: list[str], complaint: str) -> None:
    result = run("export", *arguments)
    assert result.exit_code in (1, 2)
    assert complaint in result.stderr


@pytest.mark.parametrize("database", ["sqlite"])
def test_closed_output_pipe_is_not_an_error(environment: None, report: Report) -> None:
    for _ in range(200):
        report(new_value="x" * 2000)
    with subprocess.Popen(
        [*COMMAND, "export"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("{")
        process.stdout.close()
        assert process.wait(60) in (0, 1)
        assert process.stderr is not None
        assert "Error" not in process.stderr.read()


@pytest.mark.parametrize("database", ["sqlite"])
def test_terminal_shows_a_progress_bar(environment: None, report: Report, tmp_path: Path) -> None:
    report()
    master, slave = pty.openpty()
    with subprocess.Popen([*COMMAND, "export", "--output", str(tmp_path / "o")], cwd=ROOT, stderr=slave) as process:
        assert process.wait(60) == 0
    os.close(slave)
    assert b"Exporting" in os.read(master, 10_000)
    os.close(master)
