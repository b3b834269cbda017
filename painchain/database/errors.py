"""Explain database errors: what happened, and what to do about it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from painchain.core.redaction import scrub
from painchain.database.commit import OutcomeUnknown
from painchain.database.session import WriteBusy, WrongKey


@dataclass(frozen=True)
class Fault:
    """What happened (`message`), what to do about it (`advice`), and whether only a restart ends it."""

    message: str
    advice: str = ""
    needs_restart: bool = False

    def __str__(self) -> str:
        return ". ".join(sentence[0].upper() + sentence[1:] for sentence in (self.message, self.advice) if sentence)


FULL = Fault("the disk is full", "Free some space. PainChain then recovers by itself")
UNWRITABLE = Fault(
    "the disk reports an input/output error",
    "Check whether the disk is full, over quota or failing. PainChain recovers by itself when it can write again",
)
READ_ONLY = Fault(
    "the database is read-only",
    "Let the account that runs PainChain write to the database file and to its folder. PainChain then recovers by "
    "itself",
)
LOCKED = Fault(
    "the database is locked by another process",
    "Check which other program has the database open. PainChain recovers by itself when the lock is released",
)
DAMAGED = Fault(
    "the database file is damaged",
    "Stop PainChain, keep the damaged file, restore a backup (painchain restore) and check the disk",
    needs_restart=True,
)
CANNOT_OPEN = Fault(
    "the database file cannot be opened",
    "Check that the file and its folder exist, and that the account that runs PainChain may read and write them",
)
SERVER_GONE = Fault(
    "the database server does not answer",
    "Start it, or check the connection to it. PainChain then recovers by itself",
)
UNKNOWN = Fault(str(OutcomeUnknown()))
STATEMENT_MODE = Fault(
    "PgBouncer is in statement mode", "Set its pool_mode to transaction or session, and restart PainChain"
)
POOL_EXHAUSTED = Fault("too many requests are waiting for the database")
BUSY = Fault("the database is busy with other changes")
KEY_REPLACED = Fault("the encryption key was replaced", "Restart PainChain with the new key")

# SQLite's primary result codes, and PostgreSQL's conditions: the first two characters name their class.
_SQLITE = {5: LOCKED, 6: LOCKED, 8: READ_ONLY, 10: UNWRITABLE, 11: DAMAGED, 13: FULL, 14: CANNOT_OPEN, 26: DAMAGED}
_POSTGRESQL = {
    "53100": FULL,
    "25006": READ_ONLY,
    "55P03": LOCKED,
    "58030": UNWRITABLE,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
    "57P01": SERVER_GONE,
    "57P02": SERVER_GONE,
    "57P03": SERVER_GONE,
    "08": SERVER_GONE,
}


def classify(error: BaseException) -> Fault:
    """Return the fault that `error` reports. The result never contains a statement or its values."""
    if isinstance(error, WriteBusy):
        return KEY_REPLACED if isinstance(error, WrongKey) else BUSY
    if isinstance(error, PoolTimeout):
        return POOL_EXHAUSTED
    if isinstance(error, OutcomeUnknown):
        return UNKNOWN
    cause = getattr(error, "orig", None) or error
    if "statement pooling mode" in str(cause):
        return STATEMENT_MODE
    code = getattr(cause, "sqlite_errorcode", None)
    state = getattr(cause, "sqlstate", None)
    if code is not None:
        fault = _SQLITE.get(code & 0xFF)
    else:
        fault = _POSTGRESQL.get(state, _POSTGRESQL.get(state[:2])) if state else _connection_lost(error)
    return fault or Fault(driver_message(cause))


def folder_advice(error: BaseException, url: str) -> str:
    """Return what to do if `error` comes from a folder that this account cannot write to, or ""."""
    address = make_url(url)
    if address.get_backend_name() != "sqlite" or classify(error) not in (READ_ONLY, CANNOT_OPEN):
        return ""
    folder = Path(str(address.database).removeprefix("file:")).parent
    if not folder.is_dir() or os.access(folder, os.W_OK):
        return ""
    return (
        f"This account cannot write to the folder {folder}, and SQLite writes files there even to read a database. "
        "Make it writable, or copy the whole folder and set PAINCHAIN_INSTANCE to the copy"
    )


def _connection_lost(error: BaseException) -> Fault | None:
    """Return that the server is gone. Every error that a server reports has a condition; this one has none."""
    return SERVER_GONE if isinstance(error, OperationalError | InterfaceError) else None


def driver_message(error: BaseException) -> str:
    """Return the first line of the driver's own message, without secrets."""
    lines = str(error).strip().splitlines()
    return scrub(lines[0]).rstrip(".") if lines else type(error).__name__
