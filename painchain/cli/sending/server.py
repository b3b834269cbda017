"""Post change events to a PainChain server, and say in words why one was not recorded.

It uses the standard library: httpx2 needs 0.2 s of processor time until it can send its first request, which is most
of what `painchain run` may add to a command.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from painchain import __version__

MAX_ANSWER = 256 * 1024  # bytes
TEMPORARY = (408, 425, 429)

_URL = re.compile(r"https?://[!-~]+", re.IGNORECASE)


class BadServer(Exception):
    """The URL or the token of the server cannot be used."""


class Refused(Exception):
    """PainChain itself refuses an event, and would again."""

    def __init__(self, status: int, lines: list[str]):
        super().__init__(" ".join(lines))
        self.lines = lines
        self.is_invalid = status in (400, 413, 422)
        self.is_recorded = status == 409  # under the same ID
        self.is_denied = status in (401, 403)  # whatever the event


class Unavailable(Exception):
    """There is no answer of PainChain; the same event can be sent later."""


@dataclass(frozen=True)
class Server:
    """A PainChain server: its URL without a slash at the end, and the token, which can be empty."""

    url: str
    token: str = field(repr=False)

    @property
    def host(self) -> str:
        """Host and port, for messages."""
        return urlsplit(self.url).netloc


def find_server(url: str, token: str) -> Server:
    """Return the server with this URL and token.

    :raises BadServer: if one of them cannot be used.
    """
    if not url:
        raise BadServer("Set PAINCHAIN_URL to the URL of your PainChain server, such as https://painchain.example.")
    if not _is_usable(url):
        raise BadServer("PAINCHAIN_URL is not a URL such as https://painchain.example.")
    if not re.fullmatch(r"[!-~]*", token):
        raise BadServer("The token contains invalid characters. Set PAINCHAIN_TOKEN to the token only.")
    return Server(url.rstrip("/"), token)


def _is_usable(url: str) -> bool:
    if not _URL.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        is_bare = parts.username is None and not parts.query and not parts.fragment
        return bool(parts.hostname) and (parts.port is None or parts.port > 0) and is_bare
    except ValueError:
        return False


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect: the token is only for the server that it was made for."""


@cache
def opener() -> OpenerDirector:
    """Return what opens connections. It uses the proxies and the certificates that the environment names."""
    return build_opener(_NoRedirects, HTTPSHandler(context=ssl.create_default_context()))


def send(server: Server, body: bytes, seconds: float) -> str:
    """Post an event and return its ID. A single step on the network may take `seconds`.

    :raises Refused: if PainChain refuses the event.
    :raises Unavailable: if there is no answer of PainChain.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    headers["User-Agent"] = f"painchain/{__version__}"
    if server.token:
        headers["Authorization"] = f"Bearer {server.token}"
    try:
        request = Request(f"{server.url}/api/events", body, headers, method="POST")  # noqa: S310 (http or https)
        try:
            response = opener().open(request, timeout=seconds)
        except HTTPError as error:
            response = error
        with response:
            status, location, answer = response.status, response.headers.get("Location", ""), response.read(MAX_ANSWER)
    except (OSError, HTTPException, ValueError) as error:
        raise Unavailable(_connection_problem(server.host, error)) from None
    return _event_id(server, status, location, _json(answer))


def _event_id(server: Server, status: int, location: str, answer: Any) -> str:
    """Return the ID of the event according to an answer."""
    members = answer if isinstance(answer, dict) else {}
    if status in (200, 201) and isinstance(members.get("event_id"), str):
        return str(members["event_id"])
    # What a proxy answers while PainChain is away is no refusal.
    is_own = members.get("success") is False
    if is_own and 400 <= status < 500 and status not in TEMPORARY:
        raise Refused(status, _reasons(server, status, members))
    raise Unavailable(_status_problem(server.host, status, location))


def _reasons(server: Server, status: int, answer: dict[str, Any]) -> list[str]:
    """Return the lines that say why an event was refused."""
    if status == 401:
        advice = "rejected the token (401). Check" if server.token else "requires a token (401). Set"
        return [f"{server.host} {advice} PAINCHAIN_TOKEN."]
    if status == 403:
        return [f"{server.host} refused the event (403): {answer.get('message', '')}"]
    errors = answer.get("errors")
    lines = [
        ": ".join(filter(None, (str(error.get("field", "")), str(error.get("message", "")))))
        for error in (errors if isinstance(errors, list) else [])
        if isinstance(error, dict)
    ]
    return lines or [f"{server.host} refused the event ({status}): {answer.get('message', '')}"]


def _status_problem(host: str, status: int, location: str) -> str:
    if 300 <= status < 400:
        where = re.match(r"https?://[!-~]*?(?=[/?#]|$)", location)
        target = where[0] if where else "another address"
        return (
            f"{host} redirects to {target} ({status}). The token is not sent there. "
            "If that is your PainChain server, set PAINCHAIN_URL to it."
        )
    if status >= 500 or status in TEMPORARY:
        return f"{host} cannot record events at the moment ({status})."
    return f"{host} does not answer as PainChain does ({status}). Check PAINCHAIN_URL."


def _connection_problem(host: str, error: Exception) -> str:
    reason = getattr(error, "reason", error)
    if isinstance(reason, ssl.SSLCertVerificationError):
        return (
            f"The TLS certificate of {host} could not be verified. Check PAINCHAIN_URL. "
            "If the issuer is your own, set SSL_CERT_FILE to the file with its certificate."
        )
    if isinstance(reason, ssl.SSLError):
        return (
            f"The TLS handshake with {host} failed. Check whether PAINCHAIN_URL should start with http:// or https://."
        )
    if isinstance(reason, socket.gaierror | UnicodeError):
        return f"Could not resolve {host}. Check PAINCHAIN_URL and this machine's DNS."
    if isinstance(reason, TimeoutError):
        return f"{host} did not answer in time."
    if isinstance(error, ConnectionResetError | HTTPException):
        return f"The connection to {host} was lost."
    return f"Could not connect to {host}. Check PAINCHAIN_URL and whether the server is running."


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
