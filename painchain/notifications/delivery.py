"""Send a message to an Apprise URL: which ones are taken, how much of one may be seen, and what went wrong in words."""

from __future__ import annotations

import logging
import re
import sys
import threading
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from painchain.core import address_policy, logs

SECONDS = 15.0
MAX_URL = 2_000
# Services that act on this machine instead of sending anything away.
LOCAL = ("blink1", "syslog", "windows", "dbus", "qt", "kde", "macosx", "gnome", "glib", "gio", "file", "vapid")
# Parameters that name a file of this machine, to be read or sent.
FILES = ("template", "keyfile", "subfile", "attach", "pgp", "pgppub", "pgpprv", "pgpkey", "file_url", "cert")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,253}")
_PARTS = re.compile(r"[?&;#]")
_STATUS = re.compile(r"error\s*=\s*(\d{3})")


class BadUrl(ValueError):
    """An address that is not taken. The message says why, and repeats nothing of it."""


class NotSent(Exception):
    """A message that did not arrive. The message says why in words, and holds nothing of the address."""


def check(url: str) -> str:
    """Return as much of an Apprise URL as may be seen: its scheme, and its host where no part of a secret stands there.

    :raises BadUrl: when it cannot be used.
    """
    service = _service(url)
    scheme = _scheme(url)
    if scheme in ("http", "https"):  # a service's own web address
        return f"{scheme}://{urlsplit(url).hostname}/…"
    host = str(service.host or "")
    of_host = service.templates and all("{host}" in template for template in service.templates)
    if not of_host or not _HOST.fullmatch(host):
        return f"{scheme}://…"
    return f"{scheme}://{host}{f':{service.port}' if service.port else ''}"


def send(url: str, title: str, text: str) -> None:
    """Send a message, within `SECONDS`.

    :raises NotSent: when it did not arrive, as far as can be known.
    """
    results: list[str | None] = []
    send_it = logs.carried(lambda: results.append(_sent(url, title, text)))
    thread = threading.Thread(target=send_it, name="message", daemon=True)
    thread.start()
    thread.join(SECONDS)
    problem = results[0] if results else f"There was no answer within {SECONDS:.0f} seconds."
    if problem:
        raise NotSent(problem)


def _sent(url: str, title: str, text: str) -> str | None:
    """Send a message and return what went wrong."""
    _guard_connections()
    _sending.refused, _sending.active = "", True
    heard = _Heard(threading.get_ident())
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    try:
        if _service(url).notify(body=text, title=title):
            return None
        return _sending.refused or heard.words
    except BadUrl as problem:
        return str(problem)
    except Exception:  # whatever a service raises, its message may hold the address
        return _sending.refused or heard.words
    finally:
        _sending.active = False
        logger.removeHandler(heard)


class _Sending(threading.local):
    """Whether this thread sends a message, and why a connection of it was refused."""

    active = False
    refused = ""


_sending = _Sending()


@cache
def _guard_connections() -> None:
    """Have every address checked that a thread which sends a message connects to.

    Apprise's services use several libraries, and each looks names up for itself: what Python tells its audit hooks is
    the address that a socket really goes to. A hook stays for as long as the process lives.
    """
    sys.addaudithook(_on_audit)


def _on_audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto", "socket.sendmsg") or not _sending.active:
        return
    where = arguments[1]
    if not isinstance(where, tuple):
        if where is not None or event == "socket.connect":
            raise address_policy.AddressRefused("A socket of this machine is not asked.")
        return  # on a connection that was made before
    try:
        address_policy.check(str(where[0]))
    except ValueError:  # a name, which the system would look up after this
        raise address_policy.AddressRefused("A name that was not looked up is not asked.") from None
    except address_policy.AddressRefused as problem:
        _sending.refused = str(problem)
        raise


class _Heard(logging.Handler):
    """What Apprise says about one attempt. Its own texts may hold parts of the address: only the status is kept."""

    def __init__(self, thread: int):
        super().__init__(logging.WARNING)
        self._thread = thread
        self.words = "The service rejected the message. Check the URL."

    def emit(self, record: logging.LogRecord) -> None:
        """Understand one line."""
        if record.thread != self._thread:
            return
        said = record.getMessage()
        if found := _STATUS.search(said):
            self.words = f"The service rejected the message (status {found[1]}). Check the URL."
        elif "onnection error" in said.lower() or "timed out" in said.lower() or "timeout" in said.lower():
            self.words = "The service could not be reached, or did not respond in time."


def _service(url: str) -> Any:
    """Return what sends to an address.

    :raises BadUrl: when it cannot be used.
    """
    _refuse_local(url)
    try:
        service = _apprise().Apprise.instantiate(url, asset=_asset())
    except Exception:  # its message may hold the address
        service = None
    if service is None or not service.enabled:
        raise BadUrl("Apprise does not support this URL. Try json://host.example or slack://…")
    service.socket_connect_timeout = service.socket_read_timeout = 8.0
    return service


def _refuse_local(url: str) -> None:
    if len(url) > MAX_URL or not url.isprintable() or any(one.isspace() for one in url):
        raise BadUrl(f"An Apprise URL can have at most {MAX_URL:,} characters and no spaces.")
    if _scheme(url) in LOCAL:
        raise BadUrl("This service acts on PainChain's own machine and is not allowed.")
    # Apprise reads parameters behind ; and # too, and takes blanks and signs off their names.
    names = {unquote(part.partition("=")[0]).lower().strip("+-: ") for part in _PARTS.split(url)[1:]}
    if names & set(FILES) or "file:/" in unquote(unquote(url)).lower():
        raise BadUrl("This URL reads files of PainChain's own machine and is not allowed.")


def _scheme(url: str) -> str:
    return url.partition(":")[0].strip().lower()


def _asset() -> Any:
    """Return how Apprise works here: it keeps nothing on disk, follows nobody elsewhere and makes no keys."""
    asset = _apprise().AppriseAsset(storage_mode="memory", service_timeout=SECONDS, allow_templates=False)
    asset.app_id = asset.app_desc = "PainChain"
    asset.http_redirects = asset.pgp_autogen = asset.pem_autogen = asset.async_mode = False
    return asset


def _apprise() -> Any:
    """Return the library. It takes a second and 25 MiB, so it is loaded by those who tell somebody."""
    # What it and its connections log can hold addresses.
    logging.getLogger("apprise").propagate = False
    logging.getLogger("urllib3").setLevel(logging.INFO)
    import apprise

    return apprise
