"""Parse the values of settings: each parser returns the value of a text, or raises ValueError with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from painchain.core.roles import ROLES

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MIN_TOKEN_LENGTH = 16
DATABASES = ("sqlite", "postgresql+psycopg")


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Return a parser for integers from `low` to `high`."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or len(text) > 12 or not low <= int(text) <= high:
            raise ValueError(f"must be an integer between {low} and {high}")
        return int(text)

    return parse


def host_name(text: str) -> str:
    """Return the host name or IP address to listen on."""
    host = text.strip("[]")
    # One colon separates a port. An IPv6 address has at least two.
    if not host or host.count(":") == 1 or any(character.isspace() or character in "/@?#[]" for character in host):
        raise ValueError("must be a host name or an IP address, without scheme or port")
    return host


def folder(text: str) -> Path:
    """Return an absolute path; "~" is the home folder."""
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError("there is no such home folder") from None


def database_url(text: str) -> str:
    """Return `text` if it is the URL of a supported database."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text may contain a password, so the message does not repeat it.
        raise ValueError("not a database URL; try postgresql+psycopg://user@host/name") from None
    if url.drivername not in DATABASES:
        raise ValueError(f"{url.drivername!r} is not supported; use {' or '.join(DATABASES)}")
    if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
        raise ValueError("an audit trail needs a database file: sqlite:////path/to/painchain.db")
    return text


def log_level(text: str) -> str:
    """Return the log level in lower case."""
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("must be debug, info, warning or error")
    return text.lower()


def log_format(text: str) -> str:
    """Return the log format in lower case."""
    if text.lower() not in ("json", "text"):
        raise ValueError("must be json or text")
    return text.lower()


def bearer_token(text: str) -> str:
    """Return `text` if it is long enough for a bearer token and can be sent in a header."""
    if len(text) < MIN_TOKEN_LENGTH or not _is_plain(text):
        raise ValueError(f"must have at least {MIN_TOKEN_LENGTH} characters, ASCII without spaces")
    return text


def host_names(text: str) -> tuple[str, ...]:
    """Return comma-separated host names as browsers send them. A leading dot includes all subdomains."""
    names = [name.strip().strip("[]").lower() for name in text.split(",") if name.strip()]
    try:
        return tuple("." * name.startswith(".") + name.removeprefix(".").encode("idna").decode() for name in names)
    except UnicodeError:
        raise ValueError("must be comma-separated host names") from None


def web_address(text: str) -> str:
    """Return a URL that secrets may be sent to: https, or http to this machine."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in ("http", "https") or url.username is not None or not _is_plain(text):
        raise ValueError("must be a URL such as https://id.example")
    if url.query or url.fragment:
        raise ValueError("must be a URL without ? and #")
    if url.scheme == "http" and host not in LOOPBACK:
        raise ValueError("must begin with https://")
    return text


def posting_address(text: str) -> str:
    """Return a URL to post to: https, or http to this machine. It may have a query string."""
    address, _, _ = text.partition("?")
    if "#" in text or not _is_plain(text):
        raise ValueError("must be a URL such as https://collect.example/checkpoints")
    return web_address(address) and text


def origin(text: str) -> str:
    """Return scheme, host and port of a server's URL, without a slash at the end."""
    try:
        url = urlsplit(text)
        is_valid = url.scheme in ("http", "https") and url.hostname and url.username is None and _is_plain(text)
        _ = url.port
    except ValueError:
        is_valid = False
    if not is_valid or url.path.strip("/") or url.query or url.fragment:
        raise ValueError("must be a scheme and a host without a path, such as https://painchain.example")
    return f"{url.scheme}://{url.netloc.lower()}"


def secret_file(text: str) -> Path:
    """Return the path of a file that contains a secret."""
    path = folder(text)
    try:
        if not path.read_text(encoding="utf-8").strip():
            raise ValueError("the file is empty")
    except OSError as error:
        raise ValueError(f"cannot read the file: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("the file is not valid UTF-8 text") from None
    return path


def role(text: str) -> str:
    """Return `text` if it is a role."""
    if text not in ROLES:
        raise ValueError(f"must be {', '.join(ROLES[:-1])} or {ROLES[-1]}")
    return text


def label(text: str) -> str:
    """Return `text` if it fits on a button."""
    if len(text) > 40 or not text.isprintable():
        raise ValueError("must be a name of at most 40 characters")
    return text


def domains(text: str) -> tuple[str, ...]:
    """Return comma-separated domains of email addresses."""
    names = tuple(name.strip().lower().removeprefix("@") for name in text.split(",") if name.strip())
    if not all(name.isascii() and "@" not in name and not name.startswith(".") for name in names):
        raise ValueError("must be comma-separated domains such as example.com")
    return names


def _is_plain(text: str) -> bool:
    """Return whether a text is printable ASCII without spaces and backslashes."""
    return text.isascii() and text.isprintable() and " " not in text and "\\" not in text
