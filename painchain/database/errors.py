"""What is wrong with the database, in plain words: what happened, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from painchain.core.redaction import scrub


@dataclass(frozen=True)
class Fault:
    """What happened (`words`), what to do about it (`advice`), and whether it lasts until PainChain starts anew."""

    words: str
    advice: str = ""
    lasting: bool = False

    def __str__(self) -> str:
        return ". ".join(one[0].upper() + one[1:] for one in (self.words, self.advice) if one)


FULL = Fault("the disk is full", "Make room on it: PainChain goes on by itself as soon as there is some")
UNWRITABLE = Fault(
    "the disk does not take what is written (an input/output error)",
    "See whether it is full, at its quota or failing: PainChain goes on by itself as soon as it can write",
)
READ_ONLY = Fault(
    "the database is read-only",
    "Let the account that runs PainChain write to the database file and to its folder: it goes on by itself then",
)
LOCKED = Fault(
    "another process holds the database locked",
    "See which program else has the database open; PainChain goes on by itself as soon as it lets go",
)
DAMAGED = Fault(
    "the database file is damaged",
    "Stop PainChain, keep the damaged file, restore a backup in its place (painchain restore), have the disk checked",
    lasting=True,
)
UNREACHABLE = Fault(
    "the database file cannot be opened",
    "See that it and its folder are there, and that the account that runs PainChain may read and write them",
)
GONE = Fault(
    "the database server does not answer",
    "Start it, or see that it can be reached: PainChain goes on by itself",
)
WAITING = Fault("too many requests are waiting for the database")

# The primary result codes of SQLite, and the conditions of PostgreSQL (the first two characters name their class).
_SQLITE = {5: LOCKED, 6: LOCKED, 8: READ_ONLY, 10: UNWRITABLE, 11: DAMAGED, 13: FULL, 14: UNREACHABLE, 26: DAMAGED}
_POSTGRESQL = {
    "53100": FULL,
    "25006": READ_ONLY,
    "55P03": LOCKED,
    "58030": UNWRITABLE,
    "XX001": DAMAGED,
    "XX002": DAMAGED,
    "57P01": GONE,
    "57P02": GONE,
    "57P03": GONE,
    "08": GONE,
}


def classify(error: BaseException) -> Fault:
    """Return what is wrong, as far as an error says; never a statement or what was in it."""
    if isinstance(error, PoolTimeout):
        return WAITING
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", None)
    state = getattr(cause, "sqlstate", None)
    if code is not None:
        known = _SQLITE.get(code & 0xFF)
    else:
        known = _POSTGRESQL.get(state, _POSTGRESQL.get(state[:2])) if state else _lost(error)
    return known or Fault(own_words(cause))


def _lost(error: BaseException) -> Fault | None:
    """Say that there is no connection to a server, of whose errors each has a condition else."""
    return GONE if isinstance(error, OperationalError | InterfaceError) else None


def own_words(error: BaseException) -> str:
    """Return the database's own words in one line."""
    lines = str(error).strip().splitlines()
    return scrub(lines[0]).rstrip(".") if lines else type(error).__name__
