"""`painchain checkpoint` prints the checkpoint that it writes, and reports an unwritable file."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from painchain.integrity import checkpoints, latest_checkpoint
from tests.support.command_line import Run
from tests.support.event_log import write
from tests.support.tampering import change


def test_the_command_prints_the_checkpoint_appends_it_and_is_audited(app: Flask, run: Run) -> None:
    first = run("checkpoint", "--reason", "before the migration")
    second = run("checkpoint")
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    with app.app_context():
        file = latest_checkpoint.file()
        assert file.read_text() == first.stdout + second.stdout
        assert [checkpoint.size for checkpoint in checkpoints.read(file)] == [1, 2]
    event_lines = run("events", "--event-type", "CheckpointMade").stdout.splitlines()
    assert "1 event" in event_lines[0]
    assert "before the migration" in event_lines[0]


def test_another_file_can_be_given(app: Flask, run: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    result = run("checkpoint", "--file", str(elsewhere))
    assert result.exit_code == 0, result.output
    assert elsewhere.read_text() == result.stdout
    with app.app_context():
        assert not latest_checkpoint.file().exists()


@pytest.mark.usefixtures("auditing_off")
def test_a_checkpoint_is_created_even_while_auditing_is_off(run: Run) -> None:
    assert run("checkpoint").exit_code == 0


def test_an_unwritable_file_is_reported(app: Flask, run: Run, tmp_path: Path) -> None:
    result = run("checkpoint", "--file", str(tmp_path / "nowhere" / "file"))
    assert result.exit_code == 1
    assert "painchain: No checkpoint was created. The checkpoint cannot be written to" in result.stderr
    assert "CheckpointMade" not in run("events", "--json").stdout
    with app.app_context():
        latest_checkpoint.file().mkdir()
        assert latest_checkpoint.last().problem is None, "a failure with another file has no effect here"
    assert run("checkpoint").exit_code == 1
    with app.app_context():
        assert "Is a directory" in (latest_checkpoint.last().problem or "")


def test_no_checkpoint_is_appended_after_one_that_does_not_match(app: Flask, run: Run) -> None:
    write(app, {}, {})
    assert run("checkpoint").exit_code == 0
    change(app, "UPDATE change_events SET mac = (SELECT mac FROM change_events WHERE id = 1) WHERE id = 3")
    result = run("checkpoint")
    assert result.exit_code == 1
    assert "does not match the log" in result.stderr
    with app.app_context():
        assert len(latest_checkpoint.file().read_text().splitlines()) == 1


def test_the_start_fails_if_the_chain_was_removed(app: Flask, run: Run) -> None:
    assert run("checkpoint").exit_code == 0
    change(app, "UPDATE alembic_version SET version_num = '0011'")
    result = run("events")
    assert result.exit_code == 2
    assert "painchain: The events in this database have no hash chain" in result.stderr
