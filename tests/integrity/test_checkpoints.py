"""Checkpoints are read back unchanged, changed ones are refused, and an unfinished line is ignored."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask

from painchain.core.crypto import KEY_BYTES, Keyring
from painchain.database.session import WrongKey
from painchain.integrity import checkpoints
from painchain.integrity.checkpoints import BadCheckpoint, Checkpoint
from tests.support.event_log import write
from tests.support.tampering import change

NOW = datetime(2026, 1, 15, 14, 0, 0, 120, tzinfo=UTC)


def make_checkpoint(app: Flask) -> Checkpoint:
    """Make a checkpoint."""
    with app.app_context():
        return checkpoints.make(lambda: NOW)


def line(app: Flask) -> str:
    """Make a checkpoint and return its line."""
    with app.app_context():
        return checkpoints.line(checkpoints.make(lambda: NOW))


def read(app: Flask, file: Path) -> list[Checkpoint]:
    """Read a file of checkpoints."""
    with app.app_context():
        return checkpoints.read(file)


def append(app: Flask, file: Path) -> Checkpoint:
    """Make a checkpoint and append it to a file."""
    with app.app_context():
        checkpoint = checkpoints.make(lambda: NOW)
        checkpoints.append(file, checkpoint)
        return checkpoint


@pytest.mark.both_databases
def test_checkpoint_contains_the_end_of_the_log_and_reads_back(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.ndjson"
    first = append(app, file)
    write(app, {}, {})
    second = append(app, file)
    assert (first.size, second.size, second.time) == (1, 3, NOW)
    assert first.head != second.head
    assert read(app, file) == [first, second]
    members = json.loads(file.read_text().splitlines()[1])
    assert members | {"seal": ""} == {
        "version": 1,
        "size": 3,
        "head": second.head.hex(),
        "time": "2026-01-15T14:00:00.000120Z",
        "key": second.key_id,
        "seal": "",
    }
    assert len(members["seal"]) == 64


@pytest.mark.parametrize("name", ["size", "head", "time", "key", "seal", "version", "more", "nan"])
def test_changed_checkpoint_is_refused(app: Flask, name: str) -> None:
    members = json.loads(line(app))
    wrong_values = {
        "size": members["size"] + 1,
        "head": "00" * 32,
        "time": "2026-01-16T14:00:00.000120Z",
        "key": "0" * 16,
        "seal": "00" * 32,
        "version": 2,
        "more": 1,
        "nan": float("nan"),
    }
    with app.app_context(), pytest.raises(BadCheckpoint):
        checkpoints.parse(json.dumps({**members, name: wrong_values[name]}))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "1", "{", "nonsense", "é", "[" * 990, "9" * 990, "x" * 5000, '{"seal": null}']
)
def test_invalid_checkpoint_is_refused(app: Flask, text: str) -> None:
    with app.app_context(), pytest.raises(BadCheckpoint, match="This is not a checkpoint"):
        checkpoints.parse(text)


def test_error_names_the_invalid_line(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.ndjson"
    append(app, file)
    with file.open("a") as more:
        more.write("{}\n")
    with pytest.raises(BadCheckpoint, match=r"checkpoints\.ndjson, line 2: This is not a checkpoint"):
        read(app, file)
    with pytest.raises(BadCheckpoint, match="cannot be read: No such file"):
        read(app, tmp_path / "nowhere")
    with app.app_context():
        assert checkpoints.read_with_known_key(tmp_path / "nowhere") == ([], 0)


def test_checkpoint_of_a_retired_key_is_valid_and_of_an_unknown_key_is_not(app: Flask) -> None:
    checkpoint_line = line(app)
    keys = app.extensions["painchain"].keys
    new = b"2" * KEY_BYTES
    with app.app_context():
        app.extensions["painchain"].keys = Keyring((new, *keys.roots))
        assert checkpoints.parse(checkpoint_line).key_id == keys.id
        app.extensions["painchain"].keys = Keyring((new,))
        with pytest.raises(BadCheckpoint, match="a key that this server does not have"):
            checkpoints.parse(checkpoint_line)


def test_unfinished_line_is_ignored_and_then_removed(app: Flask, tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.ndjson"
    first = append(app, file)
    with file.open("a") as torn:
        torn.write('{"head":"ab')
    assert read(app, file) == [first]
    second = append(app, file)
    assert read(app, file) == [first, second]
    assert file.read_bytes().count(b"\n") == 2


def test_unwritable_file_is_an_error(app: Flask, tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "nowhere" / "checkpoints.ndjson", Path("/dev/full")):
        with app.app_context(), pytest.raises(BadCheckpoint, match="cannot be written to"):
            checkpoints.append(file, checkpoints.make(lambda: NOW))


def test_file_is_world_readable_and_owner_writable(app: Flask, tmp_path: Path) -> None:
    mask = os.umask(0o002)
    try:
        append(app, file := tmp_path / "checkpoints.ndjson")
    finally:
        os.umask(mask)
    assert file.stat().st_mode & 0o777 == 0o644


def test_forged_end_of_the_log_is_not_signed(app: Flask) -> None:
    write(app, {}, {})
    change(app, "UPDATE log_head SET last_event = 2")
    with pytest.raises(BadCheckpoint, match="changed by hand"):
        make_checkpoint(app)


def test_log_with_another_key_is_not_signed(app: Flask) -> None:
    change(app, "UPDATE log_head SET key_id = 'another'")
    with pytest.raises(WrongKey):
        make_checkpoint(app)
