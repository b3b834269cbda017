"""The stand-alone verifier of exports needs only Python, and reports which lines are genuine."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from painchain import verify_export
from painchain.core import crypto
from painchain.eventlog import chain, writer
from painchain.exports import export
from painchain.integrity import checkpoints
from painchain.timeline.filter import Filter
from tests.conftest import ON_SQLITE
from tests.support.event_log import rotate, write
from tests.support.exports import texts_of

FILE = Path(verify_export.__file__)
Lines = list[dict[str, Any]]
Verify = Callable[..., tuple[int, str]]


@pytest.fixture
def exported(app: Flask) -> Lines:
    """The lines of an export of ten events; retention removed the sixth, and the eighth and later have a new key."""
    write(app, *({"title": f"é {number}", "description": {"b": [1.5, None], "a": "\u202e"}} for number in range(2, 8)))
    rotate(app)
    write(app, *({"tags": ["ci"], "author": "bob"} for _ in range(3)))
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([6])
    return lines_of(app)


def lines_of(app: Flask) -> Lines:
    """Return the lines of an export, newest first."""
    with app.app_context():
        lines = [json.loads(line) for line in texts_of("ndjson").splitlines()]
    return sorted(lines, key=lambda line: -line["id"])


@pytest.fixture
def verify(app: Flask, tmp_path: Path) -> Verify:
    """Return a function that verifies lines, and returns exit code and output.

    With `alone`, another interpreter runs the script in a folder without PainChain.
    """
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "verify_export.py").write_bytes(FILE.read_bytes())
    roots = app.extensions["painchain"].keys.roots

    def verify(lines: Lines | str, *more: str, keys: str | None = None, alone: bool = False) -> tuple[int, str]:
        text = lines if isinstance(lines, str) else "".join(json.dumps(line) + "\n" for line in lines)
        file, key = folder / "export.ndjson", folder / "secret.key"
        file.write_text(text)
        key.write_text(keys if keys is not None else _key_file(app))
        arguments = [str(file), "--key", str(key), *more]
        if not alone:
            out, err = io.StringIO(), io.StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                code = verify_export.main(arguments)
            return code, out.getvalue() + err.getvalue()
        command = [sys.executable, "-I", "-S", "verify_export.py", *arguments]
        done = subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr

    assert roots
    return verify


def _key_file(app: Flask) -> str:
    import base64

    return "\n".join(base64.urlsafe_b64encode(root).decode() for root in app.extensions["painchain"].keys.roots)


def test_the_script_and_painchain_agree_on_the_chain_format() -> None:
    root = b"3" * crypto.KEY_BYTES
    assert (verify_export.FIELDS, verify_export.VERSION, verify_export.START) == (
        chain.FIELDS,
        chain.VERSION,
        chain.START,
    )
    for purpose in ("chain of events", checkpoints.PURPOSE, "name of the key"):
        assert verify_export.derive_key(root, purpose) == crypto.Keyring((root,)).derive(purpose)


@ON_SQLITE
@pytest.mark.parametrize("order", ["newest first", "oldest first", "any"])
def test_a_complete_export_is_genuine_in_any_line_order(exported: Lines, verify: Verify, order: str) -> None:
    lines = {"newest first": exported, "oldest first": exported[::-1], "any": random.Random(1).sample(exported, 9)}
    code, output = verify(lines[order], alone=True)
    assert code == 0, output
    assert output.splitlines()[0] == "9 of 9 lines are genuine."
    assert "First event: 1. Last event: 10. Missing events between them: 1 (in 1 gap)." in output


def test_events_of_a_filtered_export_are_genuine_individually(app: Flask, exported: Lines, verify: Verify) -> None:
    with app.app_context():
        text = texts_of("ndjson", Filter(author=("bob",)))
    code, output = verify(text)
    assert (code, output.splitlines()) == (
        0,
        ["3 of 3 lines are genuine.", "First event: 8. Last event: 10. Missing events between them: 0."],
    )
    assert len(exported) == 9
    assert "expected for a filtered export" in verify([exported[0], exported[5]])[1]


NOT_AN_EVENT = "Line 1 is not an event of an NDJSON export"
EDITS: list[tuple[Callable[[Lines], Lines], str]] = [
    (
        lambda lines: [*lines[:2], {**lines[2], "author": "eve"}, *lines[3:]],
        "Line 3 was edited, or belongs to another log",
    ),
    (lambda lines: [*lines[:2], {**lines[2], "id": 80}, *lines[3:]], "Line 3 was edited"),
    (lambda lines: [{**lines[0], "timestamp": "2026-01-15T14:00:00.000001Z"}], "Line 1 was edited"),
    (lambda lines: [{**lines[0], "approved": True}, *lines[1:]], NOT_AN_EVENT),
    (lambda lines: [{**lines[0], "chain": {**lines[0]["chain"], "previous": None}}], NOT_AN_EVENT),
    (lambda lines: [{**lines[0], "chain": None}, *lines[1:]], NOT_AN_EVENT),
    (lambda lines: [*lines, lines[0]], "Line 10 is a duplicate of event 10"),
    (lambda lines: [{**lines[0], "id": lines[1]["id"]}, *lines[1:]], "Line 1 was edited"),
    (lambda lines: [{}, *lines], NOT_AN_EVENT),
    (lambda lines: [{**lines[0], "timestamp": lines[0]["timestamp"].replace("T", " ")}], NOT_AN_EVENT),
    (lambda lines: [{**lines[0], "timestamp": lines[0]["timestamp"].replace("Z", "9Z")}], NOT_AN_EVENT),
    (lambda lines: [{**lines[0], "recorded_at": "2026-W03-4T14:00:00Z"}], NOT_AN_EVENT),
    (lambda lines: [{**lines[0], "chain": {**lines[0]["chain"], "version": True}}], NOT_AN_EVENT),
    (lambda lines: [{**lines[0], "chain": {**lines[0]["chain"], "version": 1.0}}], NOT_AN_EVENT),
    (lambda lines: [{**lines[0], "chain": {**lines[0]["chain"], "mac": "AB" * 32}}], NOT_AN_EVENT),
]


@ON_SQLITE
@pytest.mark.parametrize(("edit", "words"), EDITS)
def test_the_first_line_that_is_not_genuine_is_reported(
    exported: Lines, verify: Verify, edit: Callable[[Lines], Lines], words: str
) -> None:
    code, output = verify(edit(exported))
    assert code == 1
    assert words in output


@ON_SQLITE
@pytest.mark.parametrize("line", ["nonsense", "[]", "null", "[" * 100_000, "9" * 9000, '{"id": NaN}', "\x00"])
def test_a_line_that_is_not_an_event_is_reported(exported: Lines, verify: Verify, line: str) -> None:
    code, output = verify(json.dumps(exported[0]) + "\n" + line)
    assert code == 1
    assert "1 of 2 lines are genuine" in output
    assert "Line 2 is not an event of an NDJSON export" in output


@ON_SQLITE
def test_a_line_with_a_duplicate_member_is_reported(exported: Lines, verify: Verify) -> None:
    text = json.dumps(exported[0])
    assert "Line 1 is not an event of an NDJSON export" in verify('{"author": "eve", ' + text[1:])[1]


@ON_SQLITE
@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-8-sig"),
        lambda text: text.replace("1.5", "1.50000000000000000001").encode(),
        lambda text: text.replace("1.5", "15e-1").encode(),
        lambda text: text.replace("1.5", "1.5, 1.5").encode(),
        lambda text: text.replace("\\u00e9", "\\u0065\\u0301").encode(),
        lambda text: text.replace("null", '""').encode(),
        lambda text: text.replace("null", "0").encode(),
    ],
)
def test_a_line_that_parsers_read_differently_is_not_genuine(
    app: Flask, exported: Lines, edit: Callable[[str], bytes]
) -> None:
    line = json.dumps(exported[-2])
    export = verify_export.Export(list(app.extensions["painchain"].keys.roots))
    export.read(line.encode())
    export.read(edit(line))
    assert (export.genuine, export.bad) == (1, 1)
    assert edit(line) != line.encode()


def test_a_replaced_key_cannot_sign_later_events(app: Flask, exported: Lines, verify: Verify) -> None:
    new, old = (chain.Chain(crypto.Keyring((root,))) for root in app.extensions["painchain"].keys.roots)
    assert new.key_id != old.key_id
    forged = {**exported[0], "title": "never"}
    mac = old.link(bytes.fromhex(forged["chain"]["previous"]), 10, chain.canonical({**forged, **_times(forged)}))
    forged["chain"] = {**forged["chain"], "mac": mac.hex()}
    code, output = verify([forged, *exported[1:]])
    assert (code, output.splitlines()[0]) == (1, "8 of 9 lines are genuine.")
    assert "Event 10 is hashed with a key that was already replaced when event 8 was written: someone with" in output
    assert verify([*exported, forged])[1].splitlines()[0] == "9 of 10 lines are genuine.", (
        "the duplicate is the forgery"
    )
    ninth = {**exported[1], "title": "never"}
    mac = old.link(bytes.fromhex(ninth["chain"]["previous"]), 9, chain.canonical({**ninth, **_times(ninth)}))
    ninth["chain"] = {**ninth["chain"], "mac": mac.hex()}
    code, output = verify([forged, *exported[2:], ninth])
    assert (code, output.splitlines()[0]) == (1, "7 of 9 lines are genuine.")
    assert "Event 9 is hashed with a key that was already replaced when event 8 was written" in output
    assert "1 more event is like it." in output


def _times(line: dict[str, Any]) -> dict[str, int]:
    return {name: verify_export.microseconds(line[name]) for name in ("timestamp", "recorded_at")}


def test_lines_of_two_logs_with_a_common_start_do_not_match(app: Flask, exported: Lines, verify: Verify) -> None:
    with app.app_context(), writer.writing() as event_log:
        event_log.connection.exec_driver_sql("DELETE FROM change_events WHERE id = 10")
        event_log.last_event, event_log.mac = 9, bytes.fromhex(exported[1]["chain"]["mac"])
        event_log.append(*(new_event for new_event in _new_events()))
    lines = lines_of(app)
    assert [line["id"] for line in lines[:2]] == [11, 10]
    mixed = [lines[0], *exported]
    code, output = verify(mixed)
    assert code == 1
    assert "Line 2 is out of order: event 10 is genuine, but does not follow" in output


def _new_events() -> list[writer.NewEvent]:
    from tests.support.event_log import new_event

    return [new_event(90), new_event(91)]


@ON_SQLITE
def test_no_line_matches_another_key(exported: Lines, verify: Verify) -> None:
    code, output = verify(exported, keys=crypto.new_key(), alone=True)
    assert code == 1
    assert "0 of 9 lines are genuine." in output
    assert "this is the key of the exported log." in output


@ON_SQLITE
@pytest.mark.parametrize(("lines", "keys"), [("", None), ("{}\n", "nonsense"), ("{}\n", ""), ("{}\n", "é")])
def test_unverifiable_input_gives_exit_code_2(app: Flask, verify: Verify, lines: str, keys: str | None) -> None:
    code, output = verify(lines, keys=keys)
    assert (code, output.startswith("Could not verify the export.")) == (2, True)
    assert verify("{}\n", "--checkpoint", "nowhere", alone=True)[0] == 2


def test_a_checkpoint_shows_whether_the_end_is_missing(app: Flask, verify: Verify, tmp_path: Path) -> None:
    from datetime import UTC, datetime

    checkpoint_file = tmp_path / "checkpoints"
    write(app, {})
    with app.app_context():
        for _ in range(2):
            checkpoints.append(checkpoint_file, checkpoints.make(lambda: datetime(2026, 1, 15, 15, tzinfo=UTC)))
            write(app, {"event_id": f"later {_}"})
    lines = lines_of(app)
    assert verify(lines, "--checkpoint", str(checkpoint_file)) == (
        0,
        "4 of 4 lines are genuine.\nFirst event: 1. Last event: 4. Missing events between them: 0.\n"
        "2 of 2 checkpoints match.\n",
    )
    code, output = verify(lines[2:], "--checkpoint", str(checkpoint_file))
    assert code == 1
    end = "The end is missing: at 2026-01-15T15:00:00.000000Z the log had 3 events, but the last line is event 2."
    assert end in output
    code, output = verify(lines[:1], "--checkpoint", str(checkpoint_file))
    assert (code, "1 of 2 checkpoints match." in output, "1 cannot be compared" in output) == (0, True, True)
    checkpoint_file.write_text(checkpoint_file.read_text().replace('"size":2', '"size":4'))
    assert verify(lines, "--checkpoint", str(checkpoint_file))[0] == 2


def test_memory_use_does_not_grow_with_the_export() -> None:
    root = b"4" * crypto.KEY_BYTES
    export_file = verify_export.Export([root])
    key, mac = verify_export.derive_key(root, "chain of events"), bytes(32)
    import hmac

    for number in range(1, 3000):
        before, mac = mac, hmac.digest(key, mac + number.to_bytes(8, "big") + b"", "sha256")
        export_file._is_duplicate(number)
        export_file.matching += 1
        export_file._join(number, before, mac)
    assert (
        len(export_file._starts),
        len(export_file._ends),
        export_file.bad,
        export_file.missing,
        export_file.gaps,
    ) == (1, 1, 0, 0, 0)


def test_every_line_of_an_export_contains_its_chain_values(exported: Lines) -> None:
    by_number = {line["id"]: line["chain"] for line in exported}
    assert all(value["version"] == 1 and len(value["mac"]) == 64 for value in by_number.values())
    assert by_number[1]["previous"] == "00" * 32
    assert by_number[5]["previous"] == by_number[4]["mac"]
    assert len(by_number[7]["previous"]) == 64, "retention removed the previous event"
    assert export.FORMATS["ndjson"].label == "NDJSON"
