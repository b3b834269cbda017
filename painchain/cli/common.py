"""The terminal: open the database for one command, read its filter, end with words."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any, NoReturn
from zoneinfo import ZoneInfo

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from painchain.audit.trail import SYSTEM, Trail
from painchain.core import config, logs, reasons
from painchain.core.crypto import KeyUnusable
from painchain.core.redaction import scrub
from painchain.database import errors as database_errors
from painchain.database.session import WriteBusy, db
from painchain.eventlog.writer import EventLogWriter, new_request_id
from painchain.integrity.checkpoints import CheckpointsKept
from painchain.migrations import NewerDatabase
from painchain.presentation.formatting import printable
from painchain.startup import create_app
from painchain.timeline import queries
from painchain.timeline.queries import BadFilter, Filter


def settings(serving: bool = False) -> config.Settings:
    """Read the settings, or stop with a line that says which one is wrong.

    A command that is no server logs as text unless told otherwise: somebody reads what it says.
    """
    try:
        loaded = config.load(os.environ)
    except config.ConfigError as error:
        stop(scrub(str(error)))
    for name in config.unknown(os.environ):
        click.echo(f"painchain: {name} is not a setting and is ignored; see the README's table.", err=True)
    logs.set_up(loaded.log_level, logs.chosen(loaded.log_format) if serving else loaded.log_format or "text")
    if serving:
        logs.catch_strays()
    return loaded


def app(
    database_fails: int = 2, serving: bool = False, create: Callable[[config.Settings], Flask] = create_app
) -> Flask:
    """Create the app, or stop with a line that says what is in the way.

    `database_fails` is the exit code for a database that cannot be used.
    """
    loaded = settings(serving)
    try:
        return create(loaded)
    except (KeyUnusable, NewerDatabase, CheckpointsKept) as error:
        stop(str(error))
    except OSError as error:
        stop(f"The instance folder {loaded.instance} cannot be used: {error.strerror or error}.")
    except (SQLAlchemyError, WriteBusy) as error:
        stop(f"The database cannot be used: {reason(error)}.", database_fails)


@contextmanager
def opened(failure: str, code: int = 1, create: Callable[[config.Settings], Flask] = create_app) -> Iterator[None]:
    """Open the database for one command. Where it fails, stop with `failure`, the reason and exit code `code`."""
    with app(code, create=create).app_context():
        try:
            yield
        except (SQLAlchemyError, WriteBusy) as error:
            stop(f"{failure} ({reason(error)}).", code)
        finally:
            db.session.remove()
            db.engine.dispose()


def reason(error: Exception) -> str:
    """Return why the database refuses, in our words and in its own, in one line."""
    if isinstance(error, WriteBusy):
        return str(error)
    known, own = database_errors.classify(error).words, database_errors.own_words(getattr(error, "orig", None) or error)
    return own if known == own else f"{known}: {own}"


def stop(message: str, code: int = 2) -> NoReturn:
    """End with a message and an exit code: 2 for what was asked, 1 for what could not be done."""
    click.echo(f"painchain: {message}", err=True)
    raise SystemExit(code)


def utf8(context: click.Context, option: click.Parameter, value: Any) -> Any:
    """Return what was given for an option, if it is text in UTF-8."""
    for text in [value] if isinstance(value, str) else value or ():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise click.BadParameter("this is not text in UTF-8.") from None
    return value


def _tidy(context: click.Context, option: click.Parameter, value: str | None) -> str:
    try:
        return reasons.tidy(utf8(context, option, value) or "")
    except reasons.TooLong as problem:
        raise click.BadParameter(str(problem)) from None


reason_option = click.option("--reason", callback=_tidy, help="Why you do it; it is kept with what is recorded.")


def trail(event_log: EventLogWriter, now: datetime, request_id: str = "", reason: str = "") -> Trail:
    """Return the record of what a command does: by PainChain itself, and which account of the machine gave it."""
    cause = f"command line ({os_user()})"
    return Trail(event_log, SYSTEM, request_id or new_request_id(now), now, reason=reason, cause=cause)


def os_user() -> str:
    """Return the name of the account that runs this, as the machine knows it."""
    try:
        return plain(getpass.getuser())[:100]
    except (KeyError, OSError):
        return f"user {os.getuid()}"


_FILTER = (
    click.option("--source", multiple=True, callback=utf8, help="Only events from there, such as painchain."),
    click.option("--event-type", multiple=True, callback=utf8, help="Only such events, such as ConfigChanged."),
    click.option("--connector", multiple=True, callback=utf8, help="Only of this connector: its name or its id."),
    click.option("--tag", multiple=True, callback=utf8, help="Only with this tag."),
    click.option("--team", multiple=True, callback=utf8, help="Only of this team: with any of its tags."),
    click.option("--author", multiple=True, callback=utf8, help="Only by this person."),
    click.option("--status", multiple=True, callback=utf8, help="Only with this outcome, such as changed."),
    click.option("--range", type=click.Choice([*queries.RANGES, "all"]), help="Only so far back.  [default: all]"),
    click.option("--start-date", callback=utf8, help="Only from then on: 2026-01-31 or 2026-01-31T14:00:00Z."),
    click.option("--end-date", callback=utf8, help="Only before then. A time without an offset is local."),
    click.option(
        "--q",
        callback=utf8,
        help="Only what this search finds, as in the search box: words, author:system, -tag:test, around:14:00~1h.",
    ),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a filter."""
    for option in reversed(_FILTER):
        command = option(command)
    return command


def chosen(given: dict[str, Any], zone: ZoneInfo) -> Filter:
    """Return the filter that was given as options, or stop with a line that says which is wrong."""
    values = {name: [value] if isinstance(value, str) else value or () for name, value in given.items()}
    try:
        return queries.parse_filter(values, datetime.now(UTC), zone)
    except BadFilter as problem:
        stop(f"--{problem.parameter.replace('_', '-')}: {problem}")


@contextmanager
def quiet_end() -> Iterator[None]:
    """End without a word on Ctrl-C, or when nobody reads any more."""
    with suppress(KeyboardInterrupt):
        try:
            yield
        except BrokenPipeError:
            # What is left unwritten has no reader; Python would complain about it at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def plain(text: str) -> str:
    """Return a text in one line, with every character that would act on the terminal spelt out.

    >>> plain("one\\ntwo\\x1b[2J")
    'one\\\\ntwo\\\\x1b[2J'
    """
    return printable(text).replace("\n", "\\n").replace("\t", "\\t")


def local_zone() -> ZoneInfo:
    """Return the time zone of the terminal: TZ, or else that of the machine."""
    name = os.environ.get("TZ", "").lstrip(":")
    with suppress(OSError, ValueError, KeyError):
        if name:
            return ZoneInfo(name)
        with Path("/etc/localtime").open("rb") as file:
            return ZoneInfo.from_file(file)
    return ZoneInfo("UTC")


def reachable(loaded: config.Settings) -> str:
    """Return a name under which a server is reached: one that is trusted; of every address that of this machine."""
    named = next((name for name in loaded.trusted_hosts if not name.startswith(".")), "")
    host = named or {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(loaded.host, loaded.host)  # noqa: S104
    return f"[{host}]" if ":" in host else host


@contextmanager
def whole_file(name: str, permissions: int, replace: bool = True, **opening: Any) -> Iterator[Any]:
    """Open a file that is written, which takes its name when it is whole and on the disk; end in words where it cannot.

    `opening` says how, as for ``open``. What is there already is replaced, unless it is no file.
    """
    path = Path(name)
    if not path.name or (path.exists() and not path.is_file()):  # what is in the place of /dev/null is no file
        stop(f"{name!r} cannot be written: it names no file.")
    part = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, permissions)
        with os.fdopen(descriptor, **opening) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _name(part, path, replace)
    except KeyboardInterrupt:
        stop(f"Stopped: {name} is not written.", 1)
    except FileExistsError:
        stop(f"{name} is there by now; nothing was written. Name another file, or add --force.", 1)
    except OSError as error:
        stop(f"{name} cannot be written: {error.strerror or error}.", 1)
    finally:
        with suppress(OSError):
            part.unlink()


def _name(part: Path, path: Path, replace: bool) -> None:
    """Give a file that is whole its name, and see to it that a crash does not take the name away."""
    if replace:
        part.replace(path)
    else:
        os.link(part, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
