"""An export has the events of a filter, in chunks, and is always recorded."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from flask import Flask

from painchain.database.session import db
from painchain.exports import export
from painchain.exports.export import FORMATS, csv_line
from painchain.timeline.filter import Filter
from tests.support.command_line import PATIENCE, Run
from tests.support.exports import Events, Report, newest_first, texts_of
from tests.support.forked_command import on_a_terminal, piped
from tests.support.statements import recorded_statements


@pytest.mark.parametrize(("format", "text"), [("ndjson", ""), ("csv", csv_line(export.COLUMNS)), ("ocsf", "[]")])
def test_empty_export_is_well_formed(app: Flask, format: str, text: str) -> None:
    with app.app_context():
        exported = texts_of(format, Filter(author=("nobody",)))
    assert (json.loads(exported) == json.loads(text)) if format == "ocsf" else exported == text


# Slices


def test_slices_are_read_lazily_with_minimal_rows(app: Flask, report: Report) -> None:
    for _ in range(10):
        report()
    with recorded_statements(app) as statements, app.app_context():
        selection = export.select(Filter())
        statements.clear()
        slices = export.slices(selection, FORMATS["ndjson"], size=4)
        assert statements == []
        assert next(slices).events == 4
        [positions, _] = [statement for statement in statements if statement != "BEGIN"]
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
def test_closed_output_pipe_is_not_an_error(environment: None, report: Report, tmp_path: Path) -> None:
    report(new_value="x" * 200_000)  # more than a pipe takes
    with piped(tmp_path, "export") as (process, pipe):
        with os.fdopen(pipe, "rb") as output:
            assert output.read(1) == b"{"
        assert process.wait(PATIENCE) in (0, 1)
    assert "Error" not in process.err.read_text()


@pytest.mark.parametrize("database", ["sqlite"])
def test_terminal_shows_a_progress_bar(environment: None, report: Report, tmp_path: Path) -> None:
    report()
    assert "Exporting" in on_a_terminal("export", "--output", str(tmp_path / "o"), out=tmp_path / "out")
