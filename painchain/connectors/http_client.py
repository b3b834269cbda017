"""An HTTP client for sources: it stays on one host, limits time and size, and explains errors.

The library for HTTP takes 5 MB and a fifth of a second, so it is imported by the first request.
"""

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

from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.http_errors import connection_error as connection_error
from painchain.connectors.http_errors import response_error as response_error
from painchain.connectors.http_errors import retry_after as retry_after

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
ANSWER_SECONDS = 30.0  # for a whole response, however slowly it arrives
ANSWER_BYTES = 32 * 1024 * 1024
REDIRECTS = 3
AGENT = "PainChain"
NO_CONTENT = (204, 205, 304)

_PLAIN = re.compile(r"https?://[A-Za-z0-9][A-Za-z0-9.-]*(/[\w/.~%+-]*)?", re.ASCII)  # a fast path for common URLs
_LINK = re.compile(r"<([^<>]*)>((?:[^,\"]|\"[^\"]*\")*)")
_REL = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]+))", re.IGNORECASE)

for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # they log every request with its full URL


class ResponseTooLarge(PollError):
    """A response over the size limit; a smaller page may fit."""


@dataclass(frozen=True)
class Response:
    """A response of a source. `value` is the JSON; None for 204 (no content) and 304 (not modified)."""

    status: int
    headers: Mapping[str, str]
    value: Any
    url: str

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing has changed since the ETag of the request (304)."""
        return self.status == 304


class HttpClient:
    """Sends requests to one source. All go to the origin of `base_url`; redirects and links to other origins fail.

    `headers` (with the token) are sent with every request. Use it as a context manager, in one thread: it keeps
    connections open. `step_seconds` limits one read or write, `response_seconds` a whole response, `max_bytes` its
    size after decompression.

    :raises PollError: if the URL or a header is invalid.
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
            raise PollError(
                "The URL is not an address such as https://host.example. Check the URL.", ErrorKind.SETTINGS
            )
        if not all(text.isascii() and text.isprintable() for text in headers.values()):
            message = "The token contains invalid characters. Enter only the token."
            raise PollError(message, ErrorKind.SETTINGS)
        import httpx2

        from painchain.core.http_transport import BoundedTransport, Deadline

        self._now, self._response_seconds, self._max_bytes = now, response_seconds, max_bytes
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
        """Return the response to a GET request for `path` (below the base URL), or for a full URL of the same origin.

        With an `etag` the request is conditional and the response can be `is_unchanged`. `deadline` is a time of
        ``time.monotonic()``.

        :raises PollError: if the status is neither 2xx nor 304, or there is no response.
        """
        is_whole = path.startswith(("http://", "https://"))
        url = path if is_whole else f"{self.base_url}/{path.lstrip('/')}"
        headers = {"If-None-Match": etag} if etag else {}
        end = time.monotonic() + self._response_seconds
        self._deadline.moment = end if deadline is None else min(end, deadline)
        for _ in range(REDIRECTS + 1):
            self._refuse_other_origin(url)
            with self._translated_errors():
                status, received, body = self._read(url, params, headers)
            if status not in (301, 302, 303, 307, 308):
                break
            url, params = self._join(url, received.get("location", "")), None
        else:
            raise PollError(
                f"{self._host} redirects too many times. Check the URL.", ErrorKind.INVALID_RESPONSE, status=status
            )
        if status != 304 and not 200 <= status < 300:
            raise response_error(self._host, url, status, received, body, self._now)
        return Response(status, received, None if status in NO_CONTENT else self._json(body), url)

    def post(self, path: str, value: Any, deadline: float | None = None) -> Response:
        """Return the response to a POST request with a JSON body. Redirects are not followed.

        :raises PollError: if the status is not 2xx, or there is no response.
        """
        url = f"{self.base_url}/{path.lstrip('/')}"
        end = time.monotonic() + self._response_seconds
        self._deadline.moment = end if deadline is None else min(end, deadline)
        with self._translated_errors():
            status, received, body = self._read(url, None, {}, value)
        if not 200 <= status < 300:
            raise response_error(self._host, url, status, received, body, self._now)
        return Response(status, received, None if status in NO_CONTENT else self._json(body), url)

    def pages(self, path: str, params: Mapping[str, Any] | None = None, limit: int = 100) -> Iterator[Response]:
        """Yield the pages of a list, following the ``Link`` header, at most `limit`."""
        response = self.get(path, params)
        for number in range(1, limit + 1):
            yield response
            following = next_page(response)
            if following is None or number == limit:
                return
            response = self.get(following)

    @property
    def _host(self) -> str:
        return self._origin[1]

    def _refuse_other_origin(self, url: str) -> None:
        scheme, host, port = origin = _origin(url)
        if origin != self._origin:
            where = f"{scheme}://{host}:{port}" if host else "an invalid address"
            raise PollError(
                f"{self._host} redirects to another address ({where}). PainChain does not send the token there. "
                "If the new address is right, enter it as the URL.",
                ErrorKind.SETTINGS,
            )

    def _join(self, url: str, location: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError:
            message = f"{self._host} redirects to an invalid address. Check the URL."
            raise PollError(message, ErrorKind.INVALID_RESPONSE) from None

    def _read(
        self, url: str, params: Mapping[str, Any] | None, headers: Mapping[str, str], posted: Any = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        body = bytearray()
        method = "GET" if posted is None else "POST"
        with self._client.stream(method, url, params=params, headers=headers, json=posted) as response:
            for part in response.iter_bytes():
                body += part
                if len(body) > self._max_bytes:
                    message = f"{self._host} sent a response of more than {self._max_bytes / 2**20:.0f} MiB."
                    raise ResponseTooLarge(message, ErrorKind.INVALID_RESPONSE)
            return response.status_code, dict(response.headers), bytes(body)

    @contextmanager
    def _translated_errors(self) -> Iterator[None]:
        import httpx2

        try:
            yield
        except httpx2.TimeoutException:
            message = f"{self._host} did not respond in time. PainChain will retry."
            raise PollError(message, ErrorKind.UNREACHABLE) from None
        except httpx2.ConnectError as error:
            raise connection_error(self._host, error) from None
        except httpx2.DecodingError:
            message = f"{self._host} sent a response that cannot be decompressed. Check the URL."
            raise PollError(message, ErrorKind.INVALID_RESPONSE) from None
        except httpx2.HTTPError:
            message = f"The connection to {self._host} was lost. PainChain will retry."
            raise PollError(message, ErrorKind.UNREACHABLE) from None
        except (httpx2.InvalidURL, UnicodeError):
            raise PollError(f"{self._host} is not a valid address. Check the URL.", ErrorKind.SETTINGS) from None

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            sent = "invalid or incomplete JSON" if body.strip() else "an empty response"
            raise PollError(
                f"{self._host} sent {sent}. Check that this is the URL of the API.", ErrorKind.INVALID_RESPONSE
            ) from None


def next_page(response: Response) -> str | None:
    """Return the URL of the next page from the ``Link`` header (RFC 8288).

    >>> next_page(Response(200, {"link": '<https://a/?p=1,2>; rel="prev", <?p=3>; rel="next"'}, [], "https://a/x"))
    'https://a/x?p=3'
    """
    for address, parameters in _LINK.findall(response.headers.get("link", "")):
        relations = " ".join("".join(groups) for groups in _REL.findall(parameters)).lower().split()
        if "next" in relations:
            try:
                return urljoin(response.url, str(address).strip())
            except ValueError:
                return None
    return None


def link(address: Any) -> str | None:
    """Return `address` if it is an http or https URL that a person can open; None otherwise.

    >>> link("https://git.example/x"), link("javascript:alert(1)"), link(None)
    ('https://git.example/x', None, None)
    """
    if not isinstance(address, str) or len(address) > 2000:
        return None
    if _PLAIN.fullmatch(address):
        return address
    try:
        url = urlsplit(address)
        usable = url.scheme in ("http", "https") and url.hostname and url.username is None
    except ValueError:
        return None
    return address if usable else None


@cache
def _trust(verify: bool) -> ssl.SSLContext:
    """Return the TLS context of the system's trust store, cached: reading it takes 20 ms."""
    import httpx2

    return httpx2.create_ssl_context(verify)


def _origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of `url`, parsed by the library that sends the request.

    A URL with a user name has no origin: another parser could take part of it for the host.
    """
    import httpx2

    try:
        parsed = httpx2.URL(url)
        if parsed.userinfo:
            return "", "", 0
        return parsed.scheme, parsed.host.lower(), parsed.port or {"http": 80, "https": 443}.get(parsed.scheme, 0)
    except (httpx2.InvalidURL, ValueError, TypeError):
        return "", "", 0
