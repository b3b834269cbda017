"""`painchain verify` prints the results of its checks as text or JSON; exit code 0 means that all passed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from flask import Flask

from painchain.core.crypto import new_key
from tests.support.command_line import COMMAND, ROOT, Run
from tests.support.event_log import rotate, write
from tests.support.forked_command import on_a_terminal
from tests.support.tampering import change


def test_an_unchanged_log_passes(app: Flask, run: Run) -> None:
    write(app, {}, {})
    result = run("verify")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[:2] == [
        "Integrity: OK. 3 events verified.",
        "Completeness: OK. Replaying the log gives the current configuration.",
    ]
    assert result.stdout.splitlines()[2].startswith("Took ")
    assert result.stderr == ""
    assert run("events", "--json").stdout.count("\n") == 3, "it writes nothing"


@pytest.mark.both_databases
def test_tampering_is_reported_with_its_place(app: Flask, run: Run) -> None:
    write(app, {"title": "a\x1b[2Jb"}, {})
    change(app, "UPDATE change_events SET author = 'eve' WHERE id = 2")
    change(app, "UPDATE connectors SET tags = '[]'")
    result = run("verify")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "Integrity: FAILED at event 2 (edited). Event 2 (“a\\x1b[2Jb”, 2026-01-15 14:00:00 UTC) was edited "
        "after it was written."
    )
    assert lines[1].startswith("  Compare it with a backup or an export from before, keep a copy of the database")
    assert lines[2] == "  Verified up to there: 1 event."
    assert lines[3] == "Completeness: FAILED. 1 difference between the configuration and the log:"
    assert lines[4] == (
        "  Tags of connector “PainChain System”: the log says “system”, “audit”, it is nothing: "
        "someone edited the database by hand."
    )


def test_the_results_are_available_as_json(app: Flask, run: Run) -> None:
    write(app, {}, {})
    results = json.loads(run("verify", "--json").stdout)
    assert (results["ok"], results["integrity"]["events"], results["integrity"]["last"]) == (True, 3, 3)
    assert (results["completeness"], results["checkpoints"]) == (
        {"ok": True, "whole": True, "drift": [], "explained": [], "gaps": []},
        None,
    )
    change(app, "DELETE FROM change_events WHERE id = 3")
    results = json.loads(run("verify", "--json").stdout)
    assert (results["ok"], results["completeness"]["ok"]) == (False, True)
    assert (results["integrity"]["broken"]["kind"], results["integrity"]["broken"]["event"]) == ("truncated", 3)


def test_checkpoints_reveal_a_truncated_log_with_the_old_head_restored(app: Flask, run: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "checkpoints")
    assert run("checkpoint", "--file", file).exit_code == 0
    change(app, "CREATE TABLE old_head AS SELECT last_event, mac, seal FROM log_head")
    write(app, {"event_id": "a"})
    assert run("checkpoint", "--file", file).exit_code == 0
    good = run("verify", "--checkpoint", file)
    assert (good.exit_code, good.stdout.splitlines()[1]) == (0, "Checkpoints: OK. 2 of 2 match.")
    change(app, "DELETE FROM change_events WHERE id > 2")
    names = ("last_event", "mac", "seal")
    change(app, f"UPDATE log_head SET {', '.join(f'{name} = (SELECT {name} FROM old_head)' for name in names)}")
    assert run("verify").exit_code == 0, "the log alone does not show it"
    cut = run("verify", "--checkpoint", file)
    assert cut.exit_code == 1
    assert cut.stdout.splitlines()[1].startswith("Checkpoints: FAILED. 1 of 2 do not match. The log had 3 events at ")
    assert json.loads(run("verify", "--checkpoint", file, "--json").stdout)["checkpoints"]["ok"] is False
    change(app, "DROP TABLE old_head")


def test_checkpoints_match_after_a_key_rotation(app: Flask, run: Run, tmp_path: Path) -> None:
    file = str(tmp_path / "checkpoints")
    key = new_key()
    assert run("checkpoint", "--file", file).exit_code == 0
    keys = Path(app.instance_path) / "secret.key"
    keys.write_text(f"{key}\n{keys.read_text()}")
    rotate(app, _root(key))
    write(app, {})
    assert run("checkpoint", "--file", file).exit_code == 0
    result = run("verify", "--checkpoint", file)
    assert (result.exit_code, result.stdout.splitlines()[1]) == (0, "Checkpoints: OK. 2 of 2 match."), result.output


def _root(key: str) -> bytes:
    from painchain.core.crypto import parse_key

    return parse_key(key, "test").roots[0]


@pytest.mark.parametrize(
    ("text", "words"), [("", "there is no checkpoint in"), ("nonsense\n", "line 1: This is not a checkpoint")]
)
def test_a_file_without_a_checkpoint_is_reported(run: Run, tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "checkpoints").write_text(text)
    result = run("verify", "--checkpoint", str(tmp_path / "checkpoints"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("painchain: Could not check the log")
    assert words in result.stderr
    assert run("verify", "--checkpoint", str(tmp_path / "nowhere")).exit_code == 2


def test_an_impossible_check_gives_exit_code_2(app: Flask, run: Run) -> None:
    change(app, "DELETE FROM hidden_fields")
    change(app, "ALTER TABLE change_events RENAME TO renamed")
    assert run("verify").exit_code == 2
    change(app, "ALTER TABLE renamed RENAME TO change_events")


@pytest.mark.parametrize("database", ["sqlite"])
def test_on_a_terminal_there_is_a_progress_bar(app: Flask, environment: None, database: str, tmp_path: Path) -> None:
    write(app, {}, {})
    terminal_text = on_a_terminal("verify", out=tmp_path / "out")
    assert "Integrity: OK." in (tmp_path / "out").read_text()
    assert "Verifying" in terminal_text
    assert "100%" in terminal_text


def test_ctrl_c_stops_the_command_with_a_message(app: Flask, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write(app, {}, {})

    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("click._termui_impl.ProgressBar.update", interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        result = run("verify")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.exit_code, result.stderr) == (2, "painchain: Stopped before the check was complete.\n")


@pytest.mark.parametrize(("command", "status"), [("verify", 2), ("events", 1), ("export", 1), ("--help", 1)])
def test_a_result_that_cannot_be_printed_is_an_error(app: Flask, environment: None, command: str, status: int) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*COMMAND, command], cwd=ROOT, env=os.environ, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        status,
        "painchain: Cannot write the results: No space left on device.",
    )
    assert "Traceback" not in done.stderr
