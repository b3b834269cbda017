"""Settings from environment variables. An invalid value stops the start with one line that says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import URL

from painchain.core.address_policy import Network, parse_networks
from painchain.core.setting_parsers import (
    LOOPBACK,
    bearer_token,
    database_url,
    domains,
    folder,
    host_name,
    host_names,
    label,
    log_format,
    log_level,
    origin,
    posting_address,
    role,
    secret_file,
    web_address,
    whole_number,
)

PREFIX = "PAINCHAIN_"


class ConfigError(Exception):
    """A setting has a value that PainChain cannot start with. The message names the variable and the reason."""


@dataclass(frozen=True)
class Setting:
    """One environment variable: its name without prefix, its default as text, its parser and its help.

    `unset` is the value if there is neither a text nor a default. A secret appears in no message.
    """

    name: str
    default: str
    parse: Callable[[str], Any]
    help: str
    secret: bool
    unset: Any

    @property
    def variable(self) -> str:
        """The name of the environment variable."""
        return PREFIX + self.name.upper()

    def read(self, environ: Mapping[str, str]) -> Any:
        """Return the value of this setting in `environ`.

        :raises ConfigError: if it is not valid.
        """
        text = environ.get(self.variable, "").strip() or self.default
        try:
            text.encode()
            return self.parse(text) if text else self.unset
        except UnicodeEncodeError:
            raise ConfigError(f"{self.variable}: not valid UTF-8 text.") from None
        except ValueError as error:
            # People sometimes put the secret itself where the name of its file belongs.
            quoted = "" if self.secret or self.parse is secret_file else f" ({text!r})"
            raise ConfigError(f"{self.variable}{quoted}: {error}.") from None


def setting(default: str, parse: Callable[[str], Any], help: str, *, secret: bool = False, unset: Any = "") -> Any:
    """Declare a field of `Settings` with what `Setting` describes."""
    return field(
        repr=not secret,
        metadata={"default": default, "parse": parse, "help": help} | {"secret": secret, "unset": unset},
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting of a running server. Its repr leaves out secrets."""

    host: str = setting(
        "127.0.0.1", host_name, "Address to listen on. If it is not a loopback address, everyone has to sign in."
    )
    port: int = setting("8000", whole_number(0, 65535), "Port to listen on. 0 picks a free port.")
    instance: Path = setting(
        "instance", folder, "Folder for the database and the key file. Created at the first start."
    )
    database_url: str = setting(
        "",
        database_url,
        "Database that stores the events. Empty: painchain.db in the instance folder. "
        "For multiple servers: postgresql+psycopg://user:password@host/name (PostgreSQL 15 or newer).",
        secret=True,
    )
    secret_key: str = setting(
        "",
        str,
        "Key that encrypts stored tokens and chains the log. Empty: secret.key in the instance folder, created at the "
        "first start. While you replace the key: the new key, a space, and the old key.",
        secret=True,
    )
    secret_key_file: Path | None = setting(
        "",
        secret_file,
        "File that contains the key, such as a Docker or systemd secret. PainChain does not change it.",
        unset=None,
    )
    trusted_hosts: tuple[str, ...] = setting(
        "",
        host_names,
        "Comma-separated host names that requests may use. "
        "Empty: the loopback names when listening on loopback, otherwise any name.",
        unset=(),
    )
    public_url: str = setting(
        "",
        origin,
        "URL at which people reach the server, such as https://painchain.example. Used for links, webhooks and OpenID "
        "Connect. Unless it is a loopback address, everyone has to sign in.",
    )
    trusted_proxies: int = setting(
        "0",
        whole_number(0, 5),
        "Number of proxies in front of the server whose X-Forwarded-For, -Proto and -Host headers are trusted. "
        "0: these headers are ignored. 1 or more: everyone has to sign in.",
    )
    allow_private_addresses: tuple[Network, ...] = setting(
        "no",
        parse_networks,
        "Whether connectors and notification rules may connect to private networks and this machine: no, yes, or "
        "comma-separated networks such as 10.0.0.0/8. Link-local and metadata addresses are always blocked.",
        unset=(),
    )
    threads: int = setting("32", whole_number(1, 256), "Number of requests handled at the same time.")
    max_request_bytes: int = setting("1048576", whole_number(1024, 67108864), "Largest request body accepted.")
    session_idle_minutes: int = setting(
        "720", whole_number(1, 525600), "Minutes without a request after which a session ends."
    )
    session_days: int = setting("14", whole_number(1, 365), "Days after which a session ends in any case.")
    oidc_issuer: str = setting(
        "",
        web_address,
        "OpenID Connect: issuer URL, exactly as the provider states it. Also needs the client ID and the public URL.",
    )
    oidc_client_id: str = setting("", str, "OpenID Connect: client ID from the provider.")
    oidc_client_secret: str = setting(
        "",
        str,
        "OpenID Connect: client secret from the provider. Empty: a public client, with PKCE only.",
        secret=True,
    )
    oidc_client_secret_file: Path | None = setting(
        "", secret_file, "OpenID Connect: file that contains the client secret.", unset=None
    )
    oidc_name: str = setting("single sign-on", label, "OpenID Connect: name on the sign-in button (“Sign in with …”).")
    oidc_role: str = setting(
        "",
        role,
        "OpenID Connect: role of the account created at the first sign-in: viewer, editor or admin. "
        "Empty: only people who have an account with their email address can sign in.",
    )
    oidc_domains: tuple[str, ...] = setting(
        "",
        domains,
        "OpenID Connect: comma-separated domains of email addresses that may sign in. Empty: any.",
        unset=(),
    )
    max_webhook_bytes: int = setting(
        "5242880",
        whole_number(1024, 26214400),
        "Largest webhook delivery accepted. Polling finds the events of larger ones.",
    )
    checkpoint_file: Path = setting(
        "",
        folder,
        "File that checkpoints of the log are appended to. Empty: checkpoints.ndjson in the instance folder.",
    )
    checkpoint_url: str = setting(
        "",
        posting_address,
        "URL that each checkpoint is posted to as JSON: https, or http on this machine. Empty: none.",
        secret=True,
    )
    log_level: str = setting("info", log_level, "Log level on standard error: debug, info, warning or error.")
    log_format: str = setting(
        "", log_format, "Log format of the server: json or text. Empty: text on a terminal, otherwise json."
    )
    metrics_token: str = setting(
        "",
        bearer_token,
        "Token for Prometheus at /metrics, at least 16 characters. Empty: /metrics is off.",
        secret=True,
    )
    metrics_token_file: Path | None = setting(
        "", secret_file, "File that contains the token for Prometheus.", unset=None
    )

    @property
    def is_loopback_only(self) -> bool:
        """Whether only this machine reaches the server: it listens on loopback, with no proxy and no public URL."""
        if self.trusted_proxies:
            return False
        return self.host in LOOPBACK and (not self.public_url or urlsplit(self.public_url).hostname in LOOPBACK)


# Variables of `painchain event` and `painchain run`, which read no settings. docs/events.md explains them.
CLIENT_VARIABLES = ("PAINCHAIN_URL", "PAINCHAIN_TOKEN", "PAINCHAIN_TOKEN_FILE", "PAINCHAIN_TIMEOUT", "PAINCHAIN_SPOOL")

# All settings in the order of the documentation.
SETTINGS = tuple(Setting(declared.name, **declared.metadata) for declared in fields(Settings))


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`.

    :raises ConfigError: if a value is not valid, or two values contradict each other.
    """
    values = {setting.name: setting.read(environ) for setting in SETTINGS}
    values["database_url"] = values["database_url"] or file_url(values["instance"] / "painchain.db")
    values["checkpoint_file"] = values["checkpoint_file"] or values["instance"] / "checkpoints.ndjson"
    values["trusted_hosts"] = _trusted_hosts(**{name: values[name] for name in ("host", "trusted_hosts", "public_url")})
    for name in ("secret_key", "oidc_client_secret", "metrics_token"):
        if values[name] and values[f"{name}_file"]:
            variable = PREFIX + name.upper()
            raise ConfigError(f"{variable}_FILE: {variable} is set too; remove one of them.")
    if file := values["oidc_client_secret_file"]:
        values["oidc_client_secret"] = file.read_text(encoding="utf-8").strip()
    if file := values["metrics_token_file"]:
        try:
            values["metrics_token"] = bearer_token(file.read_text(encoding="utf-8").strip())
        except ValueError as error:
            raise ConfigError(f"{PREFIX}METRICS_TOKEN_FILE: {error}.") from None
    if values["oidc_issuer"]:
        for name in ("oidc_client_id", "public_url"):
            if not values[name]:
                raise ConfigError(f"{PREFIX}OIDC_ISSUER: OpenID Connect also needs {PREFIX}{name.upper()}.")
    return Settings(**values)


def _trusted_hosts(host: str, trusted_hosts: tuple[str, ...], public_url: str) -> tuple[str, ...]:
    """Return the host names that requests may use; none means any."""
    if not trusted_hosts:
        trusted_hosts = LOOPBACK if host in LOOPBACK else ()
    if trusted_hosts and public_url:
        trusted_hosts = tuple(dict.fromkeys((*trusted_hosts, urlsplit(public_url).hostname or "")))
    return trusted_hosts


def file_url(file: Path) -> str:
    """Return the URL of a SQLite file, whatever characters its path contains."""
    return URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)


def unknown(environ: Mapping[str, str]) -> list[str]:
    """Return the PAINCHAIN_ variables in `environ` that are not settings, probably because of a typo."""
    defined = {setting.variable for setting in SETTINGS} | set(CLIENT_VARIABLES)
    variables = (name for name in environ if name.startswith(PREFIX) and not name.startswith(PREFIX + "TEST_"))
    return sorted(name for name in variables if name not in defined)
