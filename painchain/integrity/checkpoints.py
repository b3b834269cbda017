"""Checkpoints: signed lines that say how long the log was at a moment, and what the hash of its last event was.

One JSON object a line. Kept out of reach of whoever can write to the database, they show what the chain alone cannot:
that its end was cut off, or an older database put in its place.
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
MODE = 0o644  # nothing in it is secret, and whoever keeps copies elsewhere has to read it
LONGEST_LINE = 1_000
MEMBERS = {"version", "size", "head", "time", "key"}  # and the seal on them

_UNCHAINED = "The events in this database are not chained, but there are checkpoints of a log that was."
_WHAT_TO_DO = (
    "Put the right database back. If this older one is really to be used, move {file} away and start again: its events "
    "are then chained as they are now."
)
_head = Base.metadata.tables[LogHead.__tablename__]
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode  # in ASCII


class MissingChain(Exception):
    """A log without a chain is about to be chained, although there are checkpoints of one that was chained already."""


class BadCheckpoint(ValueError):
    """What is no checkpoint of this log, or one that cannot be made. The message says why, and what to do."""


class KeyGone(BadCheckpoint):
    """A checkpoint of a key that is not here: nobody here can say whether it is genuine."""


@dataclass(frozen=True)
class Checkpoint:
    """At `time` the log ended with event number `size`, whose hash was `head`. `key_id` names the key that signs it."""

    size: int
    head: bytes
    time: datetime
    key_id: str


def make(clock: Callable[[], datetime]) -> Checkpoint:
    """Return a checkpoint of the log as it is committed now.

    :raises BadCheckpoint: when the end of the log was changed by hand: that is not signed.
    :raises WrongKey: when the log is written with another key than this process has.
    """
    chain: Chain = runtime.current().chain
    with db.engine.connect() as connection:
        head = connection.execute(select(_head)).one()
    if head.key_id != chain.key_id:
        raise WrongKey
    if not hmac.compare_digest(head.seal, chain.seal_head(head.last_event, head.mac)):
        raise BadCheckpoint(
            "The end of the log was changed by hand, so there is no checkpoint of it. Run “painchain verify”."
        )
    return Checkpoint(head.last_event, head.mac, clock(), chain.key_id)


def as_json(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint with its seal, as it stands in the file.

    :raises BadCheckpoint: when this process has not the key that it names.
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
    """Return the line that stands in the file for a checkpoint, without its end."""
    return _encode(as_json(checkpoint))


def parse(text: str) -> Checkpoint:
    """Return the checkpoint of one line.

    :raises BadCheckpoint: when it is none, or its seal is not of a key that is here.
    """
    members, seal = _members(text)
    if members["version"] != VERSION:
        raise BadCheckpoint("This checkpoint is of another version of PainChain.")
    if not hmac.compare_digest(seal, _seal(members)):
        raise BadCheckpoint("The seal of this checkpoint is not right: it was changed, or made by somebody else.")
    return Checkpoint(
        members["size"], bytes.fromhex(members["head"]), datetime.fromisoformat(members["time"]), members["key"]
    )


def _members(text: str) -> tuple[dict[str, Any], bytes]:
    """Return what a line says of a checkpoint, each of the right kind, and the seal on it.

    :raises BadCheckpoint: when it is something else.
    """
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        members: dict[str, Any] = json.loads(text[:LONGEST_LINE])
        seal = bytes.fromhex(members.pop("seal"))
        bytes.fromhex(members["head"])
        aware = datetime.fromisoformat(members["time"]).tzinfo is not None
        if set(members) == MEMBERS and aware and type(members["size"]) is int and members["size"] >= 0:
            return members, seal
    raise BadCheckpoint("This is no checkpoint: a line such as “painchain checkpoint” prints.")


def read(file: Path) -> list[Checkpoint]:
    """Return the checkpoints of a file, in its order. A last line without an end was never written wholly: left out.

    :raises BadCheckpoint: when it cannot be read, or a line is no checkpoint of a key that is here.
    """
    return [_parsed(file, *one) for one in enumerate(_lines(file), 1)]


def read_with_known_key(file: Path) -> tuple[Sequence[Checkpoint], int]:
    """Return the checkpoints of a file, if there is such a file yet, and how many others are of a key that is gone.

    Those say nothing any more. Whoever puts such a line in the place of another might as well take that one away.

    :raises BadCheckpoint: when it cannot be read, or a line is no checkpoint.
    """
    found, gone = [], 0
    for one in enumerate(_lines(file) if file.exists() else (), 1):
        try:
            found.append(_parsed(file, *one))
        except KeyGone:
            gone += 1
    return found, gone


def _lines(file: Path) -> Sequence[str]:
    try:
        return file.read_bytes().decode("ascii", "replace").split("\n")[:-1]
    except OSError as error:
        raise BadCheckpoint(f"The checkpoints in {file} cannot be read: {error.strerror}.") from None


def _parsed(file: Path, number: int, text: str) -> Checkpoint:
    try:
        return parse(text)
    except BadCheckpoint as problem:
        raise type(problem)(f"{file}, line {number}: {problem}") from None


def newest(file: Path) -> Checkpoint | None:
    """Return the last checkpoint of a file without reading the others; None if there is no such file yet, or nothing.

    :raises BadCheckpoint: as ``read`` does.
    """
    try:
        with file.open("rb") as lines:
            lines.seek(max(0, lines.seek(0, os.SEEK_END) - 2 * LONGEST_LINE))
            ended = lines.read().decode("ascii", "replace").split("\n")[-2:-1]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadCheckpoint(f"The checkpoints in {file} cannot be read: {error.strerror}.") from None
    try:
        return parse(ended[0]) if ended else None
    except BadCheckpoint as problem:
        raise BadCheckpoint(f"{file}, last line: {problem}") from None


def refuse_without_chain(file: Path) -> None:
    """Refuse to chain a log that has no chain, where one had: somebody has taken it away, or put an old database back.

    :raises MissingChain: when there are checkpoints in the file, or what is there cannot be read.
    """
    try:
        one = newest(file)
    except BadCheckpoint as problem:
        raise MissingChain(f"{_UNCHAINED} {problem} {_WHAT_TO_DO.format(file=file)}") from None
    if one:
        told = f"{one.size:,} events at {one.time:%Y-%m-%d %H:%M} UTC"
        raise MissingChain(f"{_UNCHAINED} The newest is of {told}. {_WHAT_TO_DO.format(file=file)}")


def append(file: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint behind the others, and come back when it is on the disk.

    :raises BadCheckpoint: when the file cannot be written. The others in it are as they were.
    """
    try:
        _append(file, f"{line(checkpoint)}\n".encode())
    except OSError as error:
        raise BadCheckpoint(f"The checkpoint cannot be written to {file}: {error.strerror}.") from None


def _append(file: Path, written: bytes) -> None:
    new = not file.exists()
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        _cut_unfinished(descriptor)
        end = os.fstat(descriptor).st_size
        if os.write(descriptor, written) != len(written):  # the disk is full
            os.ftruncate(descriptor, end)
            raise OSError(28, "No space left on device")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if new:
        _sync_folder(file.parent)


def _cut_unfinished(descriptor: int) -> None:
    """Cut off a last line that has no end: whoever wrote it was killed meanwhile."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, LONGEST_LINE, max(0, size - LONGEST_LINE))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)


def _sync_folder(folder: Path) -> None:
    """Let the name of a new file last as its content does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(members: dict[str, Any]) -> bytes:
    """Return the seal on the other members, made with the key that they name.

    :raises BadCheckpoint: when that key is not here.
    """
    keys: Keyring = runtime.current().keys
    for name, key in zip(keys.ids, keys.derived(PURPOSE), strict=True):
        if name == members["key"]:
            return hmac.digest(key, _encode(members).encode(), "sha256")
    raise KeyGone(
        "This checkpoint is of another key than this server has: "
        "one that was lost or taken away, or of another PainChain."
    )
