"""Send a message to an Apprise URL: validate and redact the URL, and explain failures."""

from __future__ import annotations

import logging
import re
import sys
import threading
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from painchain.core import address_policy, logs
from painchain.notifications.limits import Limits

SECONDS = 15.0
MAX_URL = 2_000
# Services that act on this machine instead of sending a message.
LOCAL = ("blink1", "syslog", "windows", "dbus", "qt", "kde", "macosx", "gnome", "glib", "gio", "file", "vapid")
# Parameters that name a file of this machine to read or send.
FILES = ("template", "keyfile", "subfile", "attach", "pgp", "pgppub", "pgpprv", "pgpkey", "file_url", "cert")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,253}")
_PARTS = re.compile(r"[?&;#]")
_STATUS = re.compile(r"error\s*=\s*(\d{3})")


class BadUrl(ValueError):
    """An Apprise URL that cannot be used. The message says why and does not repeat the URL."""


class NotSent(Exception):
    """A notification that was not delivered. The error message says why and does not repeat the URL."""


def redacted_url(url: str) -> str:
    """Return the part of an Apprise URL that is no secret: its scheme, and its host unless that is secret.

    :raises BadUrl: if the URL cannot be used.
    """
    service = _service(url)
    scheme = _scheme(url)
    if scheme in ("http", "https"):  # the service's own web URL
        return f"{scheme}://{urlsplit(url).hostname}/…"
    host = str(service.host or "")
    of_host = service.templates and all("{host}" in template for template in service.templates)
    if not of_host or not _HOST.fullmatch(host):
        return f"{scheme}://…"
    return f"{scheme}://{host}{f':{service.port}' if service.port else ''}"


def limits(url: str) -> Limits:
    """Return what the service of a URL takes in one message. For a URL that cannot be used, anything goes."""
    try:
        return Limits(_service(url))
    except BadUrl:
        return Limits(None)


def send(url: str, title: str, text: str) -> None:
    """Send a message within `SECONDS`.

    :raises NotSent: if it was not delivered, as far as is known.
    """
    results: list[str | None] = []
    send_message = logs.with_context(lambda: results.append(_sent(url, title, text)))
    thread = threading.Thread(target=send_message, name="message", daemon=True)
    thread.start()
    thread.join(SECONDS)
    problem = results[0] if results else f"No response within {SECONDS:.0f} seconds."
    if problem:
        raise NotSent(problem)


def _sent(url: str, title: str, text: str) -> str | None:
    """Send a message and return an error message, or None."""
    _guard_connections()
    _sending.refused, _sending.active = "", True
    collector = _LogCollector(threading.get_ident())
    logger = logging.getLogger("apprise")
    logger.addHandler(collector)
    try:
        # Only the Apprise object converts text for each service: `notify` of a service drops what looks like a tag.
        sender = _apprise().Apprise(asset=_asset())
        sender.add(_service(url))
        if sender.notify(body=text, title=title, body_format="text"):
            return None
        return _sending.refused or collector.error
    except BadUrl as problem:
        return str(problem)
    except Exception:  # the message of the exception can contain the URL
        return _sending.refused or collector.error
    finally:
        _sending.active = False
        logger.removeHandler(collector)


class _Sending(threading.local):
    """Whether this thread is sending a message, and why one of its connections was refused."""

    active = False
    refused = ""


_sending = _Sending()


@cache
def _guard_connections() -> None:
    """Check every address that a sending thread connects to.

    Apprise's services use several HTTP libraries, and each resolves names itself. Python's audit hooks receive the
    address that a socket connects to. A hook cannot be removed again.
    """
    sys.addaudithook(_on_audit)


def _on_audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto", "socket.sendmsg") or not _sending.active:
        return
    address = arguments[1]
    if not isinstance(address, tuple):
        if address is not None or event == "socket.connect":
            raise address_policy.AddressRefused("Connections to local sockets are not allowed.")
        return  # on an existing connection
    try:
        address_policy.check_address(str(address[0]))
    except ValueError:  # a name that the system would resolve later
        raise address_policy.AddressRefused("Connections to unresolved names are not allowed.") from None
    except address_policy.AddressRefused as problem:
        _sending.refused = str(problem)
        raise


class _LogCollector(logging.Handler):
    """Collects what Apprise logs about one attempt. Its texts can contain the URL, so only the status is used."""

    def __init__(self, thread: int):
        super().__init__(logging.WARNING)
        self._thread = thread
        self.error = "The service rejected the message. Check the URL."

    def emit(self, record: logging.LogRecord) -> None:
        """Read the status from one log record."""
        if record.thread != self._thread:
            return
        message = record.getMessage()
        if match := _STATUS.search(message):
            self.error = f"The service rejected the message (status {match[1]}). Check the URL."
        elif "onnection error" in message.lower() or "timed out" in message.lower() or "timeout" in message.lower():
            self.error = "The service could not be reached, or did not respond in time."


def _service(url: str) -> Any:
    """Return the Apprise service for a URL.

    :raises BadUrl: if the URL cannot be used.
    """
    _refuse_local(url)
    try:
        service = _apprise().Apprise.instantiate(url, asset=_asset())
    except Exception:  # its message can contain the URL
        service = None
    if service is None or not service.enabled:
        raise BadUrl("Apprise does not support this URL. Try json://host.example or slack://…")
    service.socket_connect_timeout = service.socket_read_timeout = 8.0
    service.retry, service.optional = 0, False  # the outbox retries, and a failure counts
    return service


def _refuse_local(url: str) -> None:
    if len(url) > MAX_URL or not url.isprintable() or any(character.isspace() for character in url):
        raise BadUrl(f"An Apprise URL can have at most {MAX_URL:,} characters and no spaces.")
    if _scheme(url) in LOCAL:
        raise BadUrl("This service acts on PainChain's own machine and is not allowed.")
    # Apprise also reads parameters after ; and #, and strips blanks and signs from their names.
    names = {unquote(part.partition("=")[0]).lower().strip("+-: ") for part in _PARTS.split(url)[1:]}
    if names & set(FILES) or "file:/" in unquote(unquote(url)).lower():
        raise BadUrl("This URL reads files of PainChain's own machine and is not allowed.")


def _scheme(url: str) -> str:
    return url.partition(":")[0].strip().lower()


def _asset() -> Any:
    """Configure Apprise: no storage on disk, no redirects, no generated keys.

    Without a timeout Apprise sends in the calling thread, whose connections are checked.
    """
    asset = _apprise().AppriseAsset(storage_mode="memory", service_timeout=0, allow_templates=False)
    asset.app_id = asset.app_desc = "PainChain"
    asset.http_redirects = asset.pgp_autogen = asset.pem_autogen = asset.async_mode = False
    return asset


def _apprise() -> Any:
    """Import Apprise when it is first needed: that takes a second and 25 MiB."""
    # Its log records can contain URLs.
    logging.getLogger("apprise").propagate = False
    logging.getLogger("urllib3").setLevel(logging.INFO)
    import apprise

    return apprise
