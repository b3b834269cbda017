"""Checkpoints: signed records of the length of the log and the hash of its last event at one time.

The file has one JSON object per line. Stored out of reach of anyone with write access to the database, checkpoints
show what the chain alone cannot: that its end was cut off, or that an older database replaced it.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from painchain.core import runtime
from painchain.core.crypto import Keyring
from painchain.database.models import LogHead
from painchain.database.session import Base, WrongKey, db
from painchain.database.types import iso
from painchain.eventlog.chain import Chain

VERSION = 1
PURPOSE = "checkpoints"
MODE = 0o644  # nothing in it is secret, and programs that copy it must read it
MAX_LINE_LENGTH = 1_000
MEMBERS = {"version", "size", "head", "time", "key"}  # and the seal

_UNCHAINED = "The events in this database have no hash chain, but checkpoints of a chained log exist."
_WHAT_TO_DO = (
    "Restore the right database. To use this older one, move {file} away and start again: "
    "PainChain then chains its events as they are now."
)
_head = Base.metadata.tables[LogHead.__tablename__]
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode  # in ASCII


class MissingChain(Exception):
    """The log has no chain, although checkpoints of a chained log exist."""


class BadCheckpoint(ValueError):
    """A checkpoint cannot be read or made. The message says why, and what to do."""


class KeyGone(BadCheckpoint):
    """A checkpoint was signed with a key that this server does not have, so it cannot be verified."""


@dataclass(frozen=True)
class Checkpoint:
    """At `time` the log ended with event number `size` and hash `head`. `key_id` names the signing key."""

    size: int
    head: bytes
    time: datetime
    key_id: str


def make(clock: Callable[[], datetime]) -> Checkpoint:
    """Return a checkpoint of the log as it is committed now.

    :raises BadCheckpoint: when the end of the log was changed by hand.
    :raises WrongKey: when the log is written with another key than this process has.
    """
    chain: Chain = runtime.current().chain
    with db.engine.connect() as connection:
        head = connection.execute(select(_head)).one()
    if head.key_id != chain.key_id:
        raise WrongKey
    if not hmac.compare_digest(head.seal, chain.seal_head(head.last_event, head.mac)):
        raise BadCheckpoint(
            "The end of the log was changed by hand, so no checkpoint was made. Run “painchain verify”."
        )
    return Checkpoint(head.last_event, head.mac, clock(), chain.key_id)


def as_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint and its seal as the JSON object of the file.

    :raises BadCheckpoint: when this process does not have the signing key.
    """
    members = {
        "version": VERSION,
        "size": checkpoint.size,
        "head": checkpoint.head.hex(),
        "time": iso(checkpoint.time),
        "key": checkpoint.key_id,
    }
    return {**members, "seal": _seal(members).hex()}


def line(checkpoint: Checkpoint) -> str:
    """Return the line of a checkpoint in the file, without a newline."""
    return _encode(as_json(checkpoint))


def parse(text: str) -> Checkpoint:
    """Parse one line and verify its seal.

    :raises BadCheckpoint: when the line is not a checkpoint, or its seal is wrong or from an unknown key.
    """
    members, seal = _members(text)
    if members["version"] != VERSION:
        raise BadCheckpoint("Another version of PainChain made this checkpoint.")
    if not hmac.compare_digest(seal, _seal(members)):
        raise BadCheckpoint("The seal of this checkpoint is wrong: it was changed, or another server made it.")
    return Checkpoint(
        members["size"], bytes.fromhex(members["head"]), datetime.fromisoformat(members["time"]), members["key"]
    )


def _members(text: str) -> tuple[dict[str, Any], bytes]:
    """Return the members of a checkpoint line, with their types checked, and its seal.

    :raises BadCheckpoint: when the line is not a checkpoint.
    """
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        members: dict[str, Any] = json.loads(text[:MAX_LINE_LENGTH])
        seal = bytes.fromhex(members.pop("seal"))
        bytes.fromhex(members["head"])
        has_zone = datetime.fromisoformat(members["time"]).tzinfo is not None
        if set(members) == MEMBERS and has_zone and type(members["size"]) is int and members["size"] >= 0:
            return members, seal
    raise BadCheckpoint("This is not a checkpoint. A checkpoint is a line that “painchain checkpoint” prints.")


def read(file: Path) -> list[Checkpoint]:
    """Return the checkpoints of a file, in file order, without an unfinished last line.

    :raises BadCheckpoint: when the file cannot be read, or a line is not a checkpoint signed with a known key.
    """
    return [_parse_line(file, number, text) for number, text in enumerate(_lines(file), 1)]


def read_with_known_key(file: Path) -> tuple[Sequence[Checkpoint], int]:
    """Return the checkpoints of a file that may not exist yet, and the number of others signed with an unknown key.

    Those others prove nothing. An attacker who replaces a line by such a line could also delete the line.

    :raises BadCheckpoint: when the file cannot be read, or a line is not a checkpoint.
    """
    verified, unknown_keys = [], 0
    for number, text in enumerate(_lines(file) if file.exists() else (), 1):
        try:
            verified.append(_parse_line(file, number, text))
        except KeyGone:
            unknown_keys += 1
    return verified, unknown_keys


def _lines(file: Path) -> Sequence[str]:
    try:
        return file.read_bytes().decode("ascii", "replace").split("\n")[:-1]
    except OSError as error:
        raise BadCheckpoint(f"The checkpoints in {file} cannot be read: {error.strerror}.") from None


def _parse_line(file: Path, number: int, text: str) -> Checkpoint:
    try:
        return parse(text)
    except BadCheckpoint as problem:
        raise type(problem)(f"{file}, line {number}: {problem}") from None


def newest(file: Path) -> Checkpoint | None:
    """Return the last checkpoint of a file without reading the others; None if the file is missing or empty.

    :raises BadCheckpoint: as ``read`` does.
    """
    try:
        with file.open("rb") as lines:
            lines.seek(max(0, lines.seek(0, os.SEEK_END) - 2 * MAX_LINE_LENGTH))
            last_lines = lines.read().decode("ascii", "replace").split("\n")[-2:-1]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadCheckpoint(f"The checkpoints in {file} cannot be read: {error.strerror}.") from None
    try:
        return parse(last_lines[0]) if last_lines else None
    except BadCheckpoint as problem:
        raise BadCheckpoint(f"{file}, last line: {problem}") from None


def refuse_without_chain(file: Path) -> None:
    """Refuse to chain a log if checkpoints exist: its chain was removed, or an old database replaced it.

    :raises MissingChain: when the file has a checkpoint or cannot be read.
    """
    try:
        checkpoint = newest(file)
    except BadCheckpoint as problem:
        raise MissingChain(f"{_UNCHAINED} {problem} {_WHAT_TO_DO.format(file=file)}") from None
    if checkpoint:
        newest_text = f"{checkpoint.size:,} events at {checkpoint.time:%Y-%m-%d %H:%M} UTC"
        raise MissingChain(f"{_UNCHAINED} The newest has {newest_text}. {_WHAT_TO_DO.format(file=file)}")


def append(file: Path, checkpoint: Checkpoint) -> None:
    """Append a checkpoint to the file and flush it to disk.

    :raises BadCheckpoint: when the file cannot be written. The other checkpoints stay as they were.
    """
    try:
        _append(file, f"{line(checkpoint)}\n".encode())
    except OSError as error:
        raise BadCheckpoint(f"The checkpoint cannot be written to {file}: {error.strerror}.") from None


def _append(file: Path, data: bytes) -> None:
    is_new = not file.exists()
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _cut_unfinished(descriptor)
        end = os.fstat(descriptor).st_size
        if os.write(descriptor, data) != len(data):  # the disk is full
            os.ftruncate(descriptor, end)
            raise OSError(28, "No space left on device")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        _sync_folder(file.parent)


def _cut_unfinished(descriptor: int) -> None:
    """Remove an unfinished last line, left by a process that was killed while writing."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, MAX_LINE_LENGTH, max(0, size - MAX_LINE_LENGTH))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)


def _sync_folder(folder: Path) -> None:
    """Flush the directory entry of a new file to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(members: dict[str, Any]) -> bytes:
    """Return the seal of these members, made with the key that they name.

    :raises BadCheckpoint: when this server does not have that key.
    """
    keys: Keyring = runtime.current().keys
    for name, key in zip(keys.ids, keys.derived(PURPOSE), strict=True):
        if name == members["key"]:
            return hmac.digest(key, _encode(members).encode(), "sha256")
    raise KeyGone(
        "This checkpoint was signed with a key that this server does not have: "
        "the key was lost or removed, or another server made the checkpoint."
    )
