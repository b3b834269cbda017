"""What can be set from the environment; a bad value stops the start with a clear line."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

PREFIX = "PAINCHAIN_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
DATABASES = ("sqlite", "postgresql+psycopg")


class ConfigError(Exception):
    """A setting has a value that PainChain cannot start with; the message says which and why."""


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return a parser for whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 12 or not low <= int(text) <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return int(text)

    return parse


def host_name(text: str) -> str:
    """Return `text` if it can be an address to listen on."""
    host = text.strip("[]")
    # One colon: a port follows. An IPv6 address has two at least.
    if not host or host.count(":") == 1 or any(one.isspace() or one in "/@?#[]" for one in host):
        raise ValueError("give a host name or an IP address, without scheme or port")
    return host


def folder(text: str) -> Path:
    """Return the folder that `text` names, from the root on."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError("there is no home folder of that name") from None


def database_url(text: str) -> str:
    """Return `text` if it is a database URL that PainChain runs on."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text may hold a password, so it is not repeated.
        raise ValueError("this is not a database URL; try postgresql+psycopg://user@host/name") from None
    if url.drivername not in DATABASES:
        raise ValueError(f"{url.drivername!r} is not supported; use {' or '.join(DATABASES)}")
    if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("an audit trail needs a file: sqlite:////path/to/painchain.db")
    return text


def file_url(file: Path) -> str:
    """Return the URL of a SQLite file, whatever characters its folder's name has."""
    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


def log_level(text: str) -> str:
    """Return `text` if it names a level of the standard library's logging."""
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("give debug, info, warning or error")
    return text.lower()


def host_names(text: str) -> tuple[str, ...]:
    """Return the comma-separated host names in `text` as browsers send them; one with a dot in front is a suffix."""
    names = [name.strip().strip("[]").lower() for name in text.split(",") if name.strip()]
    try:
        return tuple("." * name.startswith(".") + name.removeprefix(".").encode("idna").decode() for name in names)
    except UnicodeError:
        raise ValueError("give host names, comma-separated") from None


@dataclass(frozen=True)
class Setting:
    """One environment variable: its name without prefix, its default as text, its parser and its help."""

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    secret: bool = False

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()


SETTINGS = (
    Setting("host", "127.0.0.1", host_name, "Address to listen on. Elsewhere than on loopback everybody signs in."),
    Setting("port", "8000", whole_number(0, 65535), "Port to listen on; 0 takes a free one."),
    Setting("instance", "instance", folder, "Folder of the database and the key file. Made at the first start."),
    Setting(
        "database_url",
        "",
        database_url,
        "Where events are kept. Empty: painchain.db in the instance folder. "
        "For several servers: postgresql+psycopg://user:password@host/name (PostgreSQL 15 or newer).",
        secret=True,
    ),
    Setting(
        "secret_key",
        "",
        str,
        "Key that opens stored tokens. Empty: secret.key in the instance folder, made at the first start.",
        secret=True,
    ),
    Setting(
        "trusted_hosts",
        "",
        host_names,
        "Host names under which the server may be reached, comma-separated. "
        "Empty: the loopback names while listening on loopback, any name otherwise.",
    ),
    Setting("threads", "32", whole_number(1, 256), "Requests answered at the same time."),
    Setting("max_request_bytes", "1048576", whole_number(1024, 67108864), "Largest request body that is read."),
    Setting("session_idle_minutes", "720", whole_number(1, 525600), "A session ends when it was unused for so long."),
    Setting("session_days", "14", whole_number(1, 365), "A session ends after so many days, used or not."),
    Setting(
        "max_webhook_bytes",
        "5242880",
        whole_number(1024, 26214400),
        "Largest webhook delivery that is read. What is larger is found by polling.",
    ),
    Setting("log_level", "info", log_level, "How much is logged to standard error: debug, info, warning, error."),
)


@dataclass(frozen=True)
class Settings:
    """Every setting of one running server."""

    host: str
    port: int
    instance: Path
    database_url: str
    secret_key: str
    trusted_hosts: tuple[str, ...]
    threads: int
    max_request_bytes: int
    session_idle_minutes: int
    session_days: int
    max_webhook_bytes: int
    log_level: str


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`.

    :raises ConfigError: when a value cannot be used.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text = environ.get(setting.variable, "").strip() or setting.default
        try:
            text.encode()
            values[setting.name] = setting.parse(text) if text else ""
        except UnicodeEncodeError:
            raise ConfigError(f"{setting.variable}: this is not text in UTF-8.") from None
        except ValueError as error:
            shown = "" if setting.secret else f" ({text!r})"
            raise ConfigError(f"{setting.variable}{shown}: {error}.") from None
    values["database_url"] = values["database_url"] or file_url(values["instance"] / "painchain.db")
    if not values["trusted_hosts"]:
        values["trusted_hosts"] = LOOPBACK if values["host"] in LOOPBACK else ()
    return Settings(**values)


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Return the PAINCHAIN_ variables in `environ` that mean nothing, most likely misspelt."""
    known = {setting.variable for setting in SETTINGS}
    ours = (name for name in environ if name.startswith(PREFIX) and not name.startswith(PREFIX + "TEST_"))
    return sorted(name for name in ours if name not in known)


class LogLine(logging.Formatter):
    """A log line in which no control character acts.

    Further lines, as a traceback has them, are indented: no text can pass for a line of the log.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        lines = super().format(record).split("\n")
        return "\n    ".join("".join(one if one.isprintable() else ascii(one)[1:-1] for one in line) for line in lines)


def set_up_logging(settings: Settings) -> None:
    """Log to standard error at the chosen level."""
    handler = logging.StreamHandler()
    handler.setFormatter(LogLine("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
