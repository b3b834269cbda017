"""What commands share: settings, the database, filter options, messages and exit codes."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any
from zoneinfo import ZoneInfo

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from painchain.audit.trail import SYSTEM, Trail
from painchain.cli.messages import count_noun as count_noun
from painchain.cli.messages import plain as plain
from painchain.cli.messages import stop as stop
from painchain.cli.messages import utf8 as utf8
from painchain.core import config, logs, reasons
from painchain.core.crypto import KeyUnusable
from painchain.core.redaction import scrub
from painchain.database import errors as database_errors
from painchain.database.commit import OutcomeUnknown
from painchain.database.encrypted_columns import UnreadableSecret
from painchain.database.session import WriteBusy, db
from painchain.eventlog.writer import EventLogWriter, new_request_id
from painchain.integrity.checkpoints import MissingChain
from painchain.migrations import NewerDatabase
from painchain.startup import create_app
from painchain.timeline.filter import RANGES, BadFilter, Filter, parse_filter


def settings(serving: bool = False) -> config.Settings:
    """Read the settings, or stop with one line that names the invalid one.

    The server logs as JSON unless it runs on a terminal. Other commands log as text unless configured otherwise.
    """
    try:
        loaded = config.load(os.environ)
    except config.ConfigError as error:
        stop(scrub(str(error)))
    for name in config.unknown(os.environ):
        click.echo(
            f"painchain: {name} is not a known setting and is ignored. See docs/admin/configuration.md.", err=True
        )
    logs.configure(loaded.log_level, logs.choose_format(loaded.log_format) if serving else loaded.log_format or "text")
    if serving:
        logs.log_uncaught()
    return loaded


def app(
    database_exit_code: int = 2, serving: bool = False, create: Callable[[config.Settings], Flask] | None = None
) -> Flask:
    """Create the app, or stop with one line that says why it cannot start.

    `database_exit_code` is the exit code if the database cannot be used.
    """
    loaded = settings(serving)
    try:
        return create(loaded) if create else create_app(loaded, serves=serving)
    except (KeyUnusable, UnreadableSecret, NewerDatabase, MissingChain) as error:
        stop(plain(str(error)))
    except OSError as error:
        stop(f"Cannot use the instance folder {loaded.instance}: {error.strerror or error}.")
    except (SQLAlchemyError, WriteBusy) as error:
        advice = database_errors.folder_advice(error, loaded.database_url)
        stop(". ".join(filter(None, (f"Cannot use the database: {reason(error)}", advice))) + ".", database_exit_code)


@contextmanager
def opened(failure: str, code: int = 1, create: Callable[[config.Settings], Flask] | None = None) -> Iterator[None]:
    """Open the database for one command. If it fails, stop with `failure`, the reason and exit code `code`."""
    with app(code, create=create).app_context():
        try:
            yield
        except OutcomeUnknown as unknown:
            words = str(unknown)
            stop(f"{words[0].upper()}{words[1:]} (painchain events). {unknown.advice}".rstrip(), code)
        except (SQLAlchemyError, WriteBusy) as error:
            stop(f"{failure}: {reason(error)}.", code)
        finally:
            db.session.remove()
            db.engine.dispose()


def reason(error: Exception) -> str:
    """Return in one line why the database failed: an explanation, then the driver's message."""
    if isinstance(error, WriteBusy):
        return str(error)
    explanation, driver_message = (
        database_errors.classify(error).message,
        database_errors.driver_message(getattr(error, "orig", None) or error),
    )
    return driver_message if explanation == driver_message else f"{explanation}: {driver_message}"


def _tidy(context: click.Context, option: click.Parameter, value: str | None) -> str:
    try:
        return reasons.normalize(utf8(context, option, value) or "")
    except reasons.ReasonTooLong as problem:
        raise click.BadParameter(str(problem)) from None


reason_option = click.option("--reason", callback=_tidy, help="Reason for the change, stored in the audit log.")


def trail(event_log: EventLogWriter, now: datetime, request_id: str = "", reason: str = "") -> Trail:
    """Return the audit trail of a command. The author is PainChain; the cause names the operating system account."""
    cause = f"command line ({os_user()})"
    return Trail(event_log, SYSTEM, request_id or new_request_id(now), now, reason=reason, cause=cause)


def os_user() -> str:
    """Return the name of the operating system account that runs this process."""
    try:
        return plain(getpass.getuser())[:100]
    except (KeyError, OSError):
        return f"user {os.getuid()}"


_FILTER = (
    click.option("--source", multiple=True, callback=utf8, help="Only events from this source, such as painchain."),
    click.option("--event-type", multiple=True, callback=utf8, help="Only events of this type, such as ConfigChanged."),
    click.option("--connector", multiple=True, callback=utf8, help="Only events of this connector: its name or ID."),
    click.option("--tag", multiple=True, callback=utf8, help="Only events with this tag."),
    click.option("--team", multiple=True, callback=utf8, help="Only events with any tag of this team."),
    click.option("--author", multiple=True, callback=utf8, help="Only events by this author."),
    click.option("--service", multiple=True, callback=utf8, help="Only events of this service, in any case."),
    click.option("--environment", multiple=True, callback=utf8, help="Only events of this environment, in any case."),
    click.option("--status", multiple=True, callback=utf8, help="Only events with this status, such as changed."),
    click.option(
        "--outcome", multiple=True, callback=utf8, help="Only events with this outcome: good, bad, running or neutral."
    ),
    click.option(
        "--range",
        type=click.Choice([*RANGES, "all"]),
        help="Only events from the last hour, day and so on.  [default: all]",
    ),
    click.option(
        "--start-date", callback=utf8, help="Only events at or after this time: 2026-01-31 or 2026-01-31T14:00:00Z."
    ),
    click.option(
        "--end-date", callback=utf8, help="Only events before this time. A time without a UTC offset is local."
    ),
    click.option(
        "--q",
        callback=utf8,
        help="Search query, such as words, author:system, -tag:test or around:14:00~1h.",
    ),
)


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the filter options to a command."""
    for option in reversed(_FILTER):
        command = option(command)
    return command


def chosen_filter(options: dict[str, Any], zone: ZoneInfo) -> Filter:
    """Return the filter that the options describe, or stop with one line that names the invalid option."""
    values = {name: [value] if isinstance(value, str) else value or () for name, value in options.items()}
    try:
        return parse_filter(values, datetime.now(UTC), zone)
    except BadFilter as problem:
        stop(f"--{problem.parameter.replace('_', '-')}: {problem}")


@contextmanager
def quiet_end() -> Iterator[None]:
    """Exit without a message on Ctrl-C, or when the output has no reader any more."""
    with suppress(KeyboardInterrupt):
        try:
            yield
        except BrokenPipeError:
            # Discard the rest of the output, so that Python reports no error at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
    """Return a host name for links to the server: the first trusted one, or the address it listens on."""
    named = next((name for name in loaded.trusted_hosts if not name.startswith(".")), "")
    host = named or {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(loaded.host, loaded.host)  # noqa: S104
    return f"[{host}]" if ":" in host else host


@contextmanager
def whole_file(name: str, permissions: int, replace: bool = True, **opening: Any) -> Iterator[Any]:
    """Open a temporary file for writing, and give it its name once it is complete and on the disk.

    Stop with a message if that fails. `opening` are the arguments of ``open``. An existing file is replaced only if
    `replace` is true; anything else of that name, such as a folder, is left alone.
    """
    path = Path(name)
    if not path.name or (path.exists() and not path.is_file()):  # such as /dev/null
        stop(f"Cannot write {name!r}: this is not a regular file.")
    partial_file = path.with_name(f".{path.name}.{token_hex(4)}.part")
    try:
        descriptor = os.open(partial_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, permissions)
        with os.fdopen(descriptor, **opening) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        _name(partial_file, path, replace)
    except KeyboardInterrupt:
        stop(f"Stopped: {name} was not written.", 1)
    except FileExistsError:
        stop(f"{name} was created in the meantime; nothing was written. Choose another file or add --force.", 1)
    except OSError as error:
        stop(f"Cannot write {name}: {error.strerror or error}.", 1)
    finally:
        with suppress(OSError):
            partial_file.unlink()


def _name(partial_file: Path, path: Path, replace: bool) -> None:
    """Give a complete file its name, and flush the folder so that a crash does not lose the name."""
    if replace:
        partial_file.replace(path)
    else:
        os.link(partial_file, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
