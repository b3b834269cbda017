"""Write the server's log: one line each, as JSON or as text, in which no input acts and no secret stands."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from painchain.core.redaction import scrub

OURS = "painchain"
LONGEST = 2_000  # characters of one member; a traceback may have ten times as many
IN_THE_WORDS = ("method", "path", "status")  # members that the message of a request's line has already

# What a line is about: the request that is answered, the connector that is polled.
_about: ContextVar[Mapping[str, Any]] = ContextVar("painchain_log", default={})  # noqa: B039  never changed in place
_security = logging.getLogger("painchain.security")
_WAITRESS_PATH = re.compile(r"(serving) .*", re.DOTALL)


def set_context(**members: Any) -> None:
    """Let every line from here on have these members, and none of those before: a thread begins something new."""
    _about.set(members)


def add_context(**members: Any) -> None:
    """Let every line from here on have these members as well."""
    _about.set({**_about.get(), **members})


@contextmanager
def context(**members: Any) -> Iterator[None]:
    """Let every line that is written inside have these members as well."""
    before = _about.set({**_about.get(), **members})
    try:
        yield
    finally:
        _about.reset(before)


def with_context(do: Callable[[], None]) -> Callable[[], None]:
    """Return `do` for another thread to run: what it logs is about the same."""
    members = _about.get()

    def run() -> None:
        with context(**members):
            do()

    return run


def security(event: str, words: str, level: int = logging.WARNING, **members: Any) -> None:
    """Log what concerns the safety of the server, under a name by which a monitor finds it."""
    _security.log(level, words, extra={"members": {"event": event, **members}})


def log_failure(log: logging.Logger, what: str, problem: BaseException, level: int = logging.ERROR) -> None:
    """Log a failure by its kind and place. Its own message may repeat a secret, and is left out."""
    log.log(level, "%s failed: %s", what, type(problem).__name__, extra={"exception": format_frames(problem)})


def format_frames(problem: BaseException) -> str:
    """Return where an exception and those that led to it were raised, the first cause first; never their messages."""
    told: list[str] = []
    one: BaseException | None = problem
    while one is not None and len(told) < 5:
        told.append(f"{''.join(traceback.format_tb(one.__traceback__))}{type(one).__name__}")
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "\n".join(reversed(told))


class Json(logging.Formatter):
    """A line is one JSON object in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        line = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
            **_members(record),
        }
        if exception := _exception(record):
            line["exception"] = exception
        return json.dumps(line, default=str)


class Text(logging.Formatter):
    """A line is a sentence with its members behind it; the places of an exception follow indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        members = _members(record)
        said = IN_THE_WORDS if "status" in members else ()
        behind = "".join(f" {name}={_quoted(value)}" for name, value in members.items() if name not in said)
        first = f"{_moment(record)} {record.levelname} {record.name}: {_message(record)}{behind}"
        return "\n    ".join(_printable(line) for line in (_flat(first), *_exception(record).splitlines()))


FORMATS: dict[str, type[logging.Formatter]] = {"json": Json, "text": Text}


def configure(level: str, form: str) -> None:
    """Log to standard error. Libraries are heard from "warning" on: what they say in detail may hold secrets."""
    handler = logging.StreamHandler()
    handler.setFormatter(FORMATS[form]())
    handler.addFilter(lambda record: record.levelno >= logging.WARNING or record.name.partition(".")[0] == OURS)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def choose_format(form: str) -> str:
    """Return the format that is set; by itself text for whoever reads on a terminal, and JSON for what collects it."""
    return form or ("text" if sys.stderr.isatty() else "json")


def log_uncaught() -> None:
    """Log warnings of Python, and what a thread or the server ends with, like everything else."""
    logging.captureWarnings(True)
    log = logging.getLogger(OURS)
    threading.excepthook = lambda told: (
        log_failure(log, f"The thread {told.thread.name if told.thread else '?'}", told.exc_value)
        if told.exc_value and not isinstance(told.exc_value, SystemExit)
        else None
    )
    sys.excepthook = lambda kind, problem, trace: log_failure(log, "PainChain", problem)


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.name.startswith("waitress"):
        message = _WAITRESS_PATH.sub(r"\1 a request", message)  # it tells the whole path: a one-time link is a secret
    return scrub(message[:LONGEST])


def _members(record: logging.LogRecord) -> dict[str, Any]:
    told = {**_about.get(), **getattr(record, "members", {})}
    return {name: scrub(value[:LONGEST]) if isinstance(value, str) else value for name, value in told.items()}


def _exception(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[1]:
        return format_frames(record.exc_info[1])[-10 * LONGEST :]
    return str(getattr(record, "exception", ""))[-10 * LONGEST :]


def _quoted(value: Any) -> str:
    return str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False, default=str)


def _flat(line: str) -> str:
    return line.replace("\n", "\\n")


def _printable(line: str) -> str:
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)
