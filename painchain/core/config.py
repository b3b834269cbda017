"""What can be set from the environment; a bad value stops the start with a clear line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from painchain.core.address_policy import Network, networks
from painchain.core.roles import ROLES

PREFIX = "PAINCHAIN_"
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SHORTEST_TOKEN = 16
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


def log_format(text: str) -> str:
    """Return `text` if it names a form that log lines can have."""
    if text.lower() not in ("json", "text"):
        raise ValueError("give json or text")
    return text.lower()


def bearer_token(text: str) -> str:
    """Return `text` if it can be sent as a token and not be guessed."""
    if len(text) < SHORTEST_TOKEN or not _plain(text):
        raise ValueError(f"give {SHORTEST_TOKEN} characters at least, ASCII without blanks")
    return text


def host_names(text: str) -> tuple[str, ...]:
    """Return the comma-separated host names in `text` as browsers send them; one with a dot in front is a suffix."""
    names = [name.strip().strip("[]").lower() for name in text.split(",") if name.strip()]
    try:
        return tuple("." * name.startswith(".") + name.removeprefix(".").encode("idna").decode() for name in names)
    except UnicodeError:
        raise ValueError("give host names, comma-separated") from None


def web_address(text: str) -> str:
    """Return a web address that secrets may go to: by https, or to this machine."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None or not _plain(text):
        raise ValueError("give an address such as https://id.example")
    if parts.query or parts.fragment:
        raise ValueError("give an address without ? and #")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise ValueError("give an address that begins with https://")
    return text


def posting_address(text: str) -> str:
    """Return a web address that something is posted to: by https, or to this machine; it may have a query."""
    address, _, _ = text.partition("?")
    if "#" in text or not _plain(text):
        raise ValueError("give an address such as https://collect.example/checkpoints")
    return web_address(address) and text


def origin(text: str) -> str:
    """Return the address under which a server is reached, without a slash at its end."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None and _plain(text)
        _ = parts.port
    except ValueError:
        usable = False
    if not usable or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("give scheme and host and nothing behind, such as https://painchain.example")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def secret_file(text: str) -> Path:
    """Return the path of a file that holds a secret; what is in it is read at the start."""
    path = folder(text)
    try:
        if not path.read_text(encoding="utf-8").strip():
            raise ValueError("the file is empty")
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError("the file is no text in UTF-8") from None
    return path


def role(text: str) -> str:
    """Return `text` if it names a role."""
    if text not in ROLES:
        raise ValueError(f"give {', '.join(ROLES[:-1])} or {ROLES[-1]}")
    return text


def label(text: str) -> str:
    """Return `text` if it can be read on a button."""
    if len(text) > 40 or not text.isprintable():
        raise ValueError("give a name of 40 characters at most")
    return text


def domains(text: str) -> tuple[str, ...]:
    """Return the comma-separated domains of e-mail addresses in `text`."""
    names = tuple(name.strip().lower().removeprefix("@") for name in text.split(",") if name.strip())
    if not all(name.isascii() and "@" not in name and not name.startswith(".") for name in names):
        raise ValueError("give domains such as example.com, comma-separated")
    return names


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and "\\" not in text


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
        "Key that opens stored tokens and chains the log. Empty: secret.key in the instance folder, made at the first "
        "start. While it is replaced: the new key and the old one, with a space between.",
        secret=True,
    ),
    Setting(
        "secret_key_file",
        "",
        secret_file,
        "A file that holds the key instead, such as a secret of Docker or systemd. PainChain leaves it as it is.",
    ),
    Setting(
        "trusted_hosts",
        "",
        host_names,
        "Host names under which the server may be reached, comma-separated. "
        "Empty: the loopback names while listening on loopback, any name otherwise.",
    ),
    Setting(
        "public_url",
        "",
        origin,
        "Address under which people reach the server, such as https://painchain.example: for links, webhooks and "
        "OpenID Connect. Unless it is this machine's own, everybody signs in.",
    ),
    Setting(
        "trusted_proxies",
        "0",
        whole_number(0, 5),
        "Proxies in front of the server whose X-Forwarded-For, -Proto and -Host are believed, counted from the server. "
        "0: such headers are ignored. 1 or more: everybody signs in.",
    ),
    Setting(
        "allow_private_addresses",
        "no",
        networks,
        "Whether connectors and notify rules may lead to private networks and this machine: no, yes, or networks such "
        "as 10.0.0.0/8, comma-separated. Link-local and metadata addresses are never asked.",
    ),
    Setting("threads", "32", whole_number(1, 256), "Requests answered at the same time."),
    Setting("max_request_bytes", "1048576", whole_number(1024, 67108864), "Largest request body that is read."),
    Setting("session_idle_minutes", "720", whole_number(1, 525600), "A session ends when it was unused for so long."),
    Setting("session_days", "14", whole_number(1, 365), "A session ends after so many days, used or not."),
    Setting(
        "oidc_issuer",
        "",
        web_address,
        "OpenID Connect: the provider's issuer, exactly as it calls itself. Needs the client id and the public URL.",
    ),
    Setting("oidc_client_id", "", str, "OpenID Connect: the client id that the provider gave."),
    Setting(
        "oidc_client_secret",
        "",
        str,
        "OpenID Connect: the client secret that the provider gave. Empty: a public client, with PKCE alone.",
        secret=True,
    ),
    Setting("oidc_client_secret_file", "", secret_file, "OpenID Connect: a file that holds the client secret instead."),
    Setting("oidc_name", "single sign-on", label, "OpenID Connect: what the button says: “Sign in with …”."),
    Setting(
        "oidc_role",
        "",
        role,
        "OpenID Connect: role of an account that is made for whoever comes for the first time: viewer, editor, admin. "
        "Empty: only those who have an account with their e-mail address are let in.",
    ),
    Setting(
        "oidc_domains",
        "",
        domains,
        "OpenID Connect: domains of e-mail addresses that are let in, comma-separated. Empty: any.",
    ),
    Setting(
        "max_webhook_bytes",
        "5242880",
        whole_number(1024, 26214400),
        "Largest webhook delivery that is read. What is larger is found by polling.",
    ),
    Setting(
        "checkpoint_file",
        "",
        folder,
        "File that checkpoints of the log are appended to. Empty: checkpoints.ndjson in the instance folder.",
    ),
    Setting(
        "checkpoint_url",
        "",
        posting_address,
        "Address that each checkpoint is posted to as JSON: by https, or by http on this machine. Empty: none.",
        secret=True,
    ),
    Setting("log_level", "info", log_level, "How much is logged to standard error: debug, info, warning, error."),
    Setting(
        "log_format", "", log_format, "How the server logs: json or text. Empty: text on a terminal, JSON otherwise."
    ),
    Setting(
        "metrics_token",
        "",
        bearer_token,
        "Token for Prometheus at /metrics, 16 characters at least. Empty: there are no metrics.",
        secret=True,
    ),
    Setting("metrics_token_file", "", secret_file, "A file that holds the token for Prometheus instead."),
)


@dataclass(frozen=True)
class Settings:
    """Every setting of one running server. Printed, it shows those that hold no secret."""

    host: str
    port: int
    instance: Path
    database_url: str = field(repr=False)
    secret_key: str = field(repr=False)
    secret_key_file: Path | None
    trusted_hosts: tuple[str, ...]
    public_url: str
    trusted_proxies: int
    allow_private_addresses: tuple[Network, ...]
    threads: int
    max_request_bytes: int
    session_idle_minutes: int
    session_days: int
    oidc_issuer: str
    oidc_client_id: str
    oidc_client_secret: str = field(repr=False)
    oidc_client_secret_file: Path | None
    oidc_name: str
    oidc_role: str
    oidc_domains: tuple[str, ...]
    max_webhook_bytes: int
    checkpoint_file: Path
    checkpoint_url: str = field(repr=False)
    log_level: str
    log_format: str
    metrics_token: str = field(repr=False)
    metrics_token_file: Path | None

    @property
    def only_here(self) -> bool:
        """Whether the server is for this machine alone: it listens on loopback, and no address or proxy leads to it."""
        if self.trusted_proxies:
            return False
        return self.host in LOOPBACK and (not self.public_url or urlsplit(self.public_url).hostname in LOOPBACK)


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
            # Where the name of a file belongs, many a one puts the secret itself.
            shown = "" if setting.secret or setting.parse is secret_file else f" ({text!r})"
            raise ConfigError(f"{setting.variable}{shown}: {error}.") from None
    values["database_url"] = values["database_url"] or file_url(values["instance"] / "painchain.db")
    values["checkpoint_file"] = values["checkpoint_file"] or values["instance"] / "checkpoints.ndjson"
    if not values["trusted_hosts"]:
        values["trusted_hosts"] = LOOPBACK if values["host"] in LOOPBACK else ()
    if values["trusted_hosts"] and values["public_url"]:
        values["trusted_hosts"] = tuple(
            dict.fromkeys((*values["trusted_hosts"], urlsplit(values["public_url"]).hostname))
        )
    values["secret_key_file"] = values["secret_key_file"] or None
    if values["secret_key_file"] and values["secret_key"]:
        raise ConfigError("PAINCHAIN_SECRET_KEY_FILE: PAINCHAIN_SECRET_KEY is set too; leave out one.")
    _complete_oidc(values)
    _complete_metrics(values)
    return Settings(**values)


def _complete_oidc(values: dict[str, Any]) -> None:
    """Read the client secret from its file, and refuse a provider that cannot be used as it is set."""
    file = values["oidc_client_secret_file"] = values["oidc_client_secret_file"] or None
    values["oidc_domains"] = values["oidc_domains"] or ()
    if file and values["oidc_client_secret"]:
        raise ConfigError("PAINCHAIN_OIDC_CLIENT_SECRET_FILE: PAINCHAIN_OIDC_CLIENT_SECRET is set too; leave out one.")
    if file:
        values["oidc_client_secret"] = file.read_text(encoding="utf-8").strip()
    if values["oidc_issuer"]:
        for needed in ("oidc_client_id", "public_url"):
            if not values[needed]:
                raise ConfigError(f"PAINCHAIN_OIDC_ISSUER: sign-in through it needs {PREFIX}{needed.upper()} too.")


def _complete_metrics(values: dict[str, Any]) -> None:
    """Read the token for Prometheus from its file."""
    file = values["metrics_token_file"] = values["metrics_token_file"] or None
    if file and values["metrics_token"]:
        raise ConfigError("PAINCHAIN_METRICS_TOKEN_FILE: PAINCHAIN_METRICS_TOKEN is set too; leave out one.")
    if file:
        try:
            values["metrics_token"] = bearer_token(file.read_text(encoding="utf-8").strip())
        except ValueError as error:
            raise ConfigError(f"PAINCHAIN_METRICS_TOKEN_FILE: {error}.") from None


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Return the PAINCHAIN_ variables in `environ` that mean nothing, most likely misspelt."""
    known = {setting.variable for setting in SETTINGS}
    ours = (name for name in environ if name.startswith(PREFIX) and not name.startswith(PREFIX + "TEST_"))
    return sorted(name for name in ours if name not in known)
