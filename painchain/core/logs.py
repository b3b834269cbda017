"""Write the server's log, one line per record, as JSON or text. Input is escaped and secrets are removed."""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, NamedTuple, TextIO

from painchain.core.redaction import scrub

LOGGER_NAME = "painchain"
MAX_LENGTH = 2_000  # characters of one member; a traceback may have ten times as many
IN_THE_MESSAGE = ("method", "path", "status")  # members that the message of a request already contains

# The context of a record, such as the request or the polled connector.
_context: ContextVar[Mapping[str, Any]] = ContextVar("painchain_log", default={})  # noqa: B039  never changed in place
_security = logging.getLogger("painchain.security")
_ENCODER = json.JSONEncoder(default=str)  # `json.dumps` would make one for each line
_WAITRESS_PATH = re.compile(r"(serving) .*", re.DOTALL)


class Line(NamedTuple):
    """What one line says. Nothing in it is secret."""

    seconds: float  # since 1970
    level: str
    logger: str
    message: str
    members: dict[str, Any]
    exception: str = ""


def set_context(**members: Any) -> None:
    """Replace the context of this thread's records by these members."""
    _context.set(members)


def add_context(**members: Any) -> None:
    """Add these members to the context of the records that follow."""
    _context.set({**_context.get(), **members})


@contextmanager
def context(**members: Any) -> Iterator[None]:
    """Add these members to the context of the records inside the block."""
    token = _context.set({**_context.get(), **members})
    try:
        yield
    finally:
        _context.reset(token)


def with_context(do: Callable[[], None]) -> Callable[[], None]:
    """Return `do` with the current context, to run in another thread."""
    members = _context.get()

    def run() -> None:
        with context(**members):
            do()

    return run


def security(event: str, message: str, level: int = logging.WARNING, **members: Any) -> None:
    """Log a security event. Monitoring can match on the `event` name."""
    _security.log(level, message, extra={"members": {"event": event, **members}})


def log_failure(log: logging.Logger, task: str, error: BaseException, level: int = logging.ERROR) -> None:
    """Log an exception with its type and traceback. Its message is left out, because it may contain a secret."""
    log.log(level, "%s failed: %s", task, type(error).__name__, extra={"exception": format_frames(error)})


class RepeatedFailure:
    """Logs a failure that repeats: each kind once with its traceback, and at the end how many there were."""

    def __init__(self, log: logging.Logger, task: str, level: int = logging.ERROR):
        self._log, self._task, self._level = log, task, level
        self._kinds: set[type[BaseException]] = set()
        self._count = 0

    def failed(self, error: BaseException) -> None:
        """Log the failure if it is the first of its kind, and count it."""
        self._count += 1
        if type(error) not in self._kinds:
            self._kinds.add(type(error))
            log_failure(self._log, self._task, error, self._level)

    def succeeded(self) -> None:
        """Log the end of the failures, if there were any."""
        if self._count > 1:
            self._log.log(self._level, "%s works again after %s failures.", self._task, self._count)
        self._kinds.clear()
        self._count = 0


def format_frames(problem: BaseException) -> str:
    """Return the tracebacks of an exception and its causes, the first cause first, without their messages."""
    frames: list[str] = []
    exception: BaseException | None = problem
    while exception is not None and len(frames) < 5:
        frames.append(f"{''.join(traceback.format_tb(exception.__traceback__))}{type(exception).__name__}")
        exception = exception.__cause__ or (None if exception.__suppress_context__ else exception.__context__)
    return "\n".join(reversed(frames))


class Form(logging.Formatter):
    """How a line is written."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as text."""
        return self.line(_line_of(record))

    def line(self, line: Line) -> str:
        """Return a line as text."""
        raise NotImplementedError


class Json(Form):
    """Write a line as one JSON object in ASCII."""

    def line(self, line: Line) -> str:
        """Return a line as text."""
        members = {
            "time": _moment(line.seconds),
            "level": line.level.lower(),
            "logger": line.logger,
            "message": line.message,
            **line.members,
        }
        if line.exception:
            members["exception"] = line.exception
        return _ENCODER.encode(members)


class Text(Form):
    """Write a line as its message followed by its members. An indented traceback follows on the next lines."""

    def line(self, line: Line) -> str:
        """Return a line as text."""
        omitted = IN_THE_MESSAGE if "status" in line.members else ()
        suffix = "".join(f" {name}={_quoted(value)}" for name, value in line.members.items() if name not in omitted)
        first = f"{_moment(line.seconds)} {line.level} {line.logger}: {line.message}{suffix}"
        return "\n    ".join(map(_printable, (_flat(first), *line.exception.splitlines())))


FORMATS: dict[str, type[Form]] = {"json": Json, "text": Text}


class Handler(logging.StreamHandler[TextIO]):
    """Write records and lines to standard error."""

    def __init__(self, form: Form):
        super().__init__()
        self.setFormatter(form)
        self._form = form
        self.addFilter(_is_wanted)

    def write(self, line: Line) -> None:
        """Write a line."""
        text = f"{self._form.line(line)}{self.terminator}"
        self.acquire()
        try:
            self.stream.write(text)
            self.flush()
        except (OSError, ValueError):
            pass  # nobody reads standard error any more, or it is closed; `logging` ignores that, too
        finally:
            self.release()


def _is_wanted(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.WARNING or record.name.partition(".")[0] == LOGGER_NAME


def configure(level: str, form: str) -> None:
    """Log to standard error. Libraries log from "warning" on, because their details may contain secrets."""
    logging.basicConfig(level=level.upper(), handlers=[Handler(FORMATS[form]())], force=True)


def log_members(log: logging.Logger, level: int, message: str, members: dict[str, Any]) -> None:
    """Log a message of PainChain with members, in half of the time that `logging` takes.

    `logging` makes a record for each line, with the code, process and thread that logged it. Here, this is only done if
    another handler listens, such as one of a test.
    """
    if not log.isEnabledFor(level):
        return
    handlers = logging.root.handlers
    if len(handlers) == 1 and isinstance(handlers[0], Handler):
        context = _cleaned({**_context.get(), **members})
        handlers[0].write(Line(time.time(), logging.getLevelName(level), log.name, _shortened(message), context))
    else:
        log.log(level, message, extra={"members": members})


def choose_format(form: str) -> str:
    """Return the configured format. The default is text on a terminal, and JSON otherwise."""
    return form or ("text" if sys.stderr.isatty() else "json")


def log_uncaught() -> None:
    """Log Python warnings and uncaught exceptions of threads and the server."""
    logging.captureWarnings(True)
    log = logging.getLogger(LOGGER_NAME)
    threading.excepthook = lambda args: (
        log_failure(log, f"The thread {args.thread.name if args.thread else '?'}", args.exc_value)
        if args.exc_value and not isinstance(args.exc_value, SystemExit)
        else None
    )
    sys.excepthook = lambda kind, problem, trace: log_failure(log, "PainChain", problem)


def _line_of(record: logging.LogRecord) -> Line:
    members = _cleaned({**_context.get(), **getattr(record, "members", {})})
    return Line(record.created, record.levelname, record.name, _message(record), members, _exception(record))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    message = record.getMessage()
    if record.name.startswith("waitress"):
        message = _WAITRESS_PATH.sub(r"\1 a request", message)  # the path may be a one-time link, which is secret
    return _shortened(message)


def _shortened(message: str) -> str:
    return scrub(message[:MAX_LENGTH])


def _cleaned(members: dict[str, Any]) -> dict[str, Any]:
    return {name: _shortened(value) if isinstance(value, str) else value for name, value in members.items()}


def _exception(record: logging.LogRecord) -> str:
    if record.exc_info and record.exc_info[1]:
        return format_frames(record.exc_info[1])[-10 * MAX_LENGTH :]
    return str(getattr(record, "exception", ""))[-10 * MAX_LENGTH :]


def _quoted(value: Any) -> str:
    return str(value) if isinstance(value, int | float) else json.dumps(value, ensure_ascii=False, default=str)


def _flat(line: str) -> str:
    return line.replace("\n", "\\n")


def _printable(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in line)
