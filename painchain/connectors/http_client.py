"""Ask a source over HTTP: one host and no other, bounded in time and size, with errors in words."""

from __future__ import annotations

import json
import logging
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx2

from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.http_errors import connection_error as connection_error
from painchain.connectors.http_errors import response_error as response_error
from painchain.connectors.http_errors import retry_after as retry_after
from painchain.core.http_transport import BoundedTransport, Deadline

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
ANSWER_SECONDS = 30.0  # for a whole answer, however slowly it drips
ANSWER_BYTES = 32 * 1024 * 1024
REDIRECTS = 3
AGENT = "PainChain"
NO_CONTENT = (204, 205, 304)

_PLAIN = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(/[\w/.~%+-]*)?", re.ASCII)  # quickly known for a web address
_LINK = re.compile(r"<([^<>]*)>((?:[^,\"]|\"[^\"]*\")*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)

for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # they log every request, with its whole address


class ResponseTooLarge(PollError):
    """An answer that is larger than any is read; a smaller page of it may not be."""


@dataclass(frozen=True)
class Response:
    """What the source answered. `value` is the JSON; None where nothing has changed (304) or there is none (204)."""

    status: int
    headers: Mapping[str, str]
    value: Any
    url: str

    @property
    def is_unchanged(self) -> bool:
        """Whether the source says that nothing has changed since the ETag that was sent."""
        return self.status == 304


class HttpClient:
    """Asks one source. Every request goes to the origin of `base_url`; redirects and links elsewhere are refused.

    `headers` (with the token) go with every request. Use it as a context manager, in one thread: it keeps connections
    open. `seconds` are those of one step, `whole` those of a whole answer, `most` its bytes when it is unpacked.

    :raises PollError: when the URL or a header is none that can be sent.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        now: datetime,
        verify: ssl.SSLContext | bool = True,
        step_seconds: float = READ_SECONDS,
        response_seconds: float = ANSWER_SECONDS,
        max_bytes: int = ANSWER_BYTES,
    ):
        self.base_url = base_url.rstrip("/")
        self._origin = _origin(self.base_url)
        if not self._origin[1]:
            raise PollError("The URL is no address such as https://host.example. Check it.", ErrorKind.SETTINGS)
        if not all(text.isascii() and text.isprintable() for text in headers.values()):
            words = "The token has characters that no token has. Enter it again, by itself."
            raise PollError(words, ErrorKind.SETTINGS)
        self._now, self._whole, self._most = now, response_seconds, max_bytes
        self._deadline = Deadline()
        self._client = httpx2.Client(
            headers={"User-Agent": AGENT, "Accept": "application/json", **headers},
            transport=BoundedTransport(
                verify if isinstance(verify, ssl.SSLContext) else _trust(verify), self._deadline
            ),
            timeout=httpx2.Timeout(step_seconds, connect=min(CONNECT_SECONDS, step_seconds)),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._client.close()

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, etag: str | None = None, deadline: float | None = None
    ) -> Response:
        """Return the answer to a GET of `path` (below the base URL) or of a whole URL on the same host.

        With an `etag` the request is conditional, and the answer can be `unchanged`. `deadline` is a moment of
        ``time.monotonic()``.

        :raises PollError: whatever else the source answers than 2xx or 304, or if it does not answer.
        """
        is_whole = path.startswith(("http://", "https://"))
        url = path if is_whole else f"{self.base_url}/{path.lstrip('/')}"
        headers = {"If-None-Match": etag} if etag else {}
        end = time.monotonic() + self._whole
        self._deadline.moment = end if deadline is None else min(end, deadline)
        for _ in range(REDIRECTS + 1):
            self._refuse_other_origin(url)
            with self._talking():
                status, answered, body = self._read(url, params, headers)
            if status not in (301, 302, 303, 307, 308):
                break
            url, params = self._joined(url, answered.get("location", "")), None
        else:
            raise PollError(
                f"{self._host} keeps redirecting. Check the URL.", ErrorKind.INVALID_RESPONSE, status=status
            )
        if status != 304 and not 200 <= status < 300:
            raise response_error(self._host, url, status, answered, body, self._now)
        return Response(status, answered, None if status in NO_CONTENT else self._json(body), url)

    def post(self, path: str, value: Any, deadline: float | None = None) -> Response:
        """Return the answer to a question that is posted as JSON to `path`; a redirect is none.

        :raises PollError: whatever else the source answers than 2xx, or if it does not answer.
        """
        url = f"{self.base_url}/{path.lstrip('/')}"
        end = time.monotonic() + self._whole
        self._deadline.moment = end if deadline is None else min(end, deadline)
        with self._talking():
            status, answered, body = self._read(url, None, {}, value)
        if not 200 <= status < 300:
            raise response_error(self._host, url, status, answered, body, self._now)
        return Response(status, answered, None if status in NO_CONTENT else self._json(body), url)

    def pages(self, path: str, params: Mapping[str, Any] | None = None, limit: int = 100) -> Iterator[Response]:
        """Yield the answers of a list, page by page as its ``Link`` header leads, `limit` at most."""
        answer = self.get(path, params)
        for number in range(1, limit + 1):
            yield answer
            following = next_page(answer)
            if following is None or number == limit:
                return
            answer = self.get(following)

    @property
    def _host(self) -> str:
        return self._origin[1]

    def _refuse_other_origin(self, url: str) -> None:
        scheme, host, port = origin = _origin(url)
        if origin != self._origin:
            where = f"{scheme}://{host}:{port}" if host else "none that is plain"
            raise PollError(
                f"{self._host} leads to another address ({where}), where the token must not go. "
                "Enter the address that it moved to, if that is right.",
                ErrorKind.SETTINGS,
            )

    def _joined(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError:
            words = f"{self._host} redirects to what is no address. Check the URL."
            raise PollError(words, ErrorKind.INVALID_RESPONSE) from None

    def _read(
        self, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str], posted: Any = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        body = bytearray()
        method = "GET" if posted is None else "POST"
        with self._client.stream(method, url, params=params, headers=headers, json=posted) as response:
            for part in response.iter_bytes():
                body += part
                if len(body) > self._most:
                    words = f"{self._host} answers with more than {self._most / 2**20:.0f} MiB at once. Ask for less."
                    raise ResponseTooLarge(words, ErrorKind.INVALID_RESPONSE)
            return response.status_code, dict(response.headers), bytes(body)

    @contextmanager
    def _talking(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TimeoutException:
            words = f"{self._host} did not answer in time, or too slowly; it is asked again."
            raise PollError(words, ErrorKind.UNREACHABLE) from None
        except httpx2.ConnectError as error:
            raise connection_error(self._host, error) from None
        except httpx2.DecodingError:
            words = f"{self._host} answered with something that cannot be unpacked. Check the URL."
            raise PollError(words, ErrorKind.INVALID_RESPONSE) from None
        except httpx2.HTTPError:
            message = f"The connection to {self._host} broke off; it is asked again."
            raise PollError(message, ErrorKind.UNREACHABLE) from None
        except (httpx2.InvalidURL, UnicodeError):
            raise PollError(f"{self._host} is no address. Check the URL.", ErrorKind.SETTINGS) from None

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            said = "something that is no JSON, or only part of it" if body.strip() else "nothing"
            raise PollError(
                f"{self._host} answered with {said}. Check that the URL is that of the API.", ErrorKind.INVALID_RESPONSE
            ) from None


def next_page(answer: Response) -> str | None:
    """Return the address of the next page, as the ``Link`` header has it (RFC 8288).

    >>> next_page(Response(200, {"link": '<https://a/?p=1,2>; rel="prev", <?p=3>; rel="next"'}, [], "https://a/x"))
    'https://a/x?p=3'
    """
    for address, rest in _LINK.findall(answer.headers.get("link", "")):
        relations = " ".join("".join(one) for one in _REL.findall(rest)).lower().split()
        if "next" in relations:
            try:
                return urljoin(answer.url, str(address).strip())
            except ValueError:
                return None
    return None


def link(address: Any) -> str | None:
    """Return `address` if it is a web address, for a person to follow; None otherwise.

    >>> link("https://git.example/x"), link("javascript:alert(1)"), link(None)
    ('https://git.example/x', None, None)
    """
    if not isinstance(address, str) or len(address) > 2000:
        return None
    if _PLAIN.fullmatch(address):
        return address
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        return None
    return address if usable else None


@cache
def _trust(verify: bool) -> ssl.SSLContext:
    """Return how certificates are checked, by the trust store of the system: reading that takes 20 ms."""
    return httpx2.create_ssl_context(verify)


def _origin(url: str) -> tuple[str, str, int]:
    """Return where a request to `url` goes, as the library reads it that sends the request.

    None has a user name: others could take what follows it for a part of that.
    """
    try:
        parts = httpx2.URL(url)
        if parts.userinfo:
            return "", "", 0
        return parts.scheme, parts.host.lower(), parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    except (httpx2.InvalidURL, ValueError, TypeError):
        return "", "", 0
