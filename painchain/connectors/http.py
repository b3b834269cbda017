"""Ask a source over HTTP: one host and no other, bounded in time and size, with errors in words."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx2

from painchain.connectors.poll import PollError, Trouble

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
ANSWER_SECONDS = 30.0  # for a whole answer, however slowly it drips
ANSWER_BYTES = 32 * 1024 * 1024
REDIRECTS = 3
AGENT = "PainChain"


class TooLarge(PollError):
    """An answer that is larger than any is read; a smaller page of it may not be."""


@dataclass(frozen=True)
class Answer:
    """What the source answered. `value` is the JSON; None where nothing has changed (304) or the body is empty."""

    status: int
    headers: Mapping[str, str]
    value: Any
    url: str

    @property
    def unchanged(self) -> bool:
        """Whether the source says that nothing has changed since the ETag that was sent."""
        return self.status == 304


class Client:
    """Asks one source. Every request goes to the origin of `base_url`; redirects and links elsewhere are refused.

    `headers` (with the token) go with every request. Use it as a context manager: it keeps connections open.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str],
        now: datetime,
        verify: ssl.SSLContext | bool = True,
        seconds: float = READ_SECONDS,
    ):
        self.base_url = base_url.rstrip("/")
        self._origin = _origin(self.base_url)
        self._now = now
        self._client = httpx2.Client(
            headers={"User-Agent": AGENT, "Accept": "application/json", **headers},
            verify=verify,
            timeout=httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._client.close()

    def get(
        self, path: str, params: Mapping[str, Any] | None = None, etag: str | None = None, deadline: float | None = None
    ) -> Answer:
        """Return the answer to a GET of `path` (below the base URL) or of a whole URL on the same host.

        With an `etag` the request is conditional, and the answer can be `unchanged`. `deadline` is a moment of
        ``time.monotonic()``.

        :raises PollError: whatever else the source answers than 2xx or 304, or if it does not answer.
        """
        url = path if "://" in path else f"{self.base_url}/{path.lstrip('/')}"
        headers = {"If-None-Match": etag} if etag else {}
        for _ in range(REDIRECTS + 1):
            self._refuse_other_origin(url)
            with self._talking(url):
                status, answered, body = self._read(url, params, headers, deadline or time.monotonic() + ANSWER_SECONDS)
            if status not in (301, 302, 303, 307, 308):
                break
            url, params = urljoin(url, answered.get("location", "")), None
        else:
            raise PollError(f"{self._host} keeps redirecting. Check the URL.", Trouble.BAD_ANSWER, status=status)
        if status != 304 and not 200 <= status < 300:
            raise refusal(self._host, url, status, answered, body, self._now)
        return Answer(status, answered, None if status == 304 or not body else self._json(body), url)

    def post(self, path: str, value: Any, deadline: float | None = None) -> Answer:
        """Return the answer to a question that is posted as JSON to `path`; a redirect is none.

        :raises PollError: whatever else the source answers than 2xx, or if it does not answer.
        """
        url = f"{self.base_url}/{path.lstrip('/')}"
        deadline = deadline or time.monotonic() + ANSWER_SECONDS
        with self._talking(url):
            status, answered, body = self._read(url, None, {}, deadline, value)
        if not 200 <= status < 300:
            raise refusal(self._host, url, status, answered, body, self._now)
        return Answer(status, answered, self._json(body) if body else None, url)

    def pages(self, path: str, params: Mapping[str, Any] | None = None, limit: int = 100) -> Iterator[Answer]:
        """Yield the answers of a list, page by page as its ``Link`` header leads, `limit` at most."""
        answer = self.get(path, params)
        for _ in range(limit):
            yield answer
            following = next_page(answer)
            if following is None:
                return
            answer = self.get(following)

    @property
    def _host(self) -> str:
        return urlsplit(self.base_url).hostname or self.base_url

    def _refuse_other_origin(self, url: str) -> None:
        if _origin(url) != self._origin:
            raise PollError(
                f"{self._host} leads to another address ({urlsplit(url).hostname}), where the token must not go. "
                "Enter the address that it moved to, if that is right.",
                Trouble.SETTINGS,
            )

    def _read(
        self,
        url: str,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        deadline: float,
        posted: Any = None,
    ) -> tuple[int, Mapping[str, str], bytes]:
        body = bytearray()
        method = "GET" if posted is None else "POST"
        with self._client.stream(method, url, params=params, headers=headers, json=posted) as response:
            for part in response.iter_bytes():
                body += part
                if len(body) > ANSWER_BYTES:
                    raise TooLarge(f"{self._host} answers with more than 32 MiB at once.", Trouble.BAD_ANSWER)
                if time.monotonic() > deadline:
                    raise PollError(f"{self._host} answers too slowly; it is asked again.", Trouble.UNREACHABLE)
            return response.status_code, dict(response.headers), bytes(body)

    @contextmanager
    def _talking(self, url: str) -> Iterator[None]:
        try:
            yield
        except httpx2.TimeoutException:
            raise PollError(f"{self._host} did not answer in time; it is asked again.", Trouble.UNREACHABLE) from None
        except httpx2.ConnectError as error:
            raise _no_connection(self._host, error) from None
        except httpx2.HTTPError:
            message = f"The connection to {self._host} broke off; it is asked again."
            raise PollError(message, Trouble.UNREACHABLE) from None
        except (httpx2.InvalidURL, UnicodeError):
            raise PollError(f"{self._host} is no address. Check the URL.", Trouble.SETTINGS) from None

    def _json(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise PollError(
                f"{self._host} answered with something that is no JSON, or only part of it. "
                "Check that the URL is that of the API.",
                Trouble.BAD_ANSWER,
            ) from None


def refusal(host: str, url: str, status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> PollError:
    """Return the error for an answer that is none: what it means and what to do."""
    retry_at = retry_after(headers, now)
    where = urlsplit(url).path
    if status == 429 or (status == 403 and (retry_at or b"rate limit" in body.lower()[:2000])):
        retry_at = retry_at or now + timedelta(minutes=1)
        words = f"{host} takes no more requests until {retry_at.astimezone(UTC):%H:%M:%S} UTC (rate limit)."
        return PollError(words, Trouble.RATE_LIMITED, retry_at, status)
    if status == 401:
        return PollError(f"{host} does not accept the token (401). Enter a valid one.", Trouble.SIGN_IN, None, status)
    if status == 403:
        words = f"The token may not read {where} (403). Give it that permission."
        return PollError(words, Trouble.PERMISSION, None, status)
    if status in (404, 410):
        words = f"{host} has nothing at {where} ({status}), or the token may not see it."
        return PollError(words, Trouble.MISSING, None, status)
    if status >= 500:
        words = f"{host} has a problem of its own ({status}); it is asked again."
        return PollError(words, Trouble.FAR_ERROR, retry_at, status)
    return PollError(f"{host} refused {where} ({status}). Check the URL.", Trouble.BAD_ANSWER, None, status)


def retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return the moment before which a source does not want to be asked again, by its headers.

    ``Retry-After`` has seconds or a date (RFC 9110, 10.2.3); ``x-ratelimit-reset`` (GitHub) and ``ratelimit-reset``
    (GitLab) have seconds since 1970, which count only when ``…-remaining`` is 0.
    """
    after = headers.get("retry-after", "")
    if after.isdecimal():
        return now + timedelta(seconds=min(int(after), 86_400))
    if after:
        try:
            moment = parsedate_to_datetime(after)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except ValueError:
            return None
    for name in ("x-ratelimit", "ratelimit"):
        reset = headers.get(f"{name}-reset", "")
        if headers.get(f"{name}-remaining") == "0" and reset.isdecimal():
            return min(datetime.fromtimestamp(min(int(reset), 2**33), UTC), now + timedelta(days=1))
    return None


def next_page(answer: Answer) -> str | None:
    """Return the address of the next page, as the ``Link`` header has it (RFC 8288)."""
    for part in answer.headers.get("link", "").split(","):
        address, _, rest = part.partition(";")
        if 'rel="next"' in rest or "rel=next" in rest:
            return urljoin(answer.url, address.strip().strip("<>"))
    return None


def link(address: Any) -> str | None:
    """Return `address` if it is a web address, for a person to follow; None otherwise.

    >>> link("https://git.example/x"), link("javascript:alert(1)"), link(None)
    ('https://git.example/x', None, None)
    """
    if not isinstance(address, str) or len(address) > 2000:
        return None
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        return None
    return address if usable else None


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        return parts.scheme, (parts.hostname or "").lower(), port
    except ValueError:
        return "", "", 0


def _no_connection(host: str, error: Exception) -> PollError:
    words = str(error).lower()
    if "certificate" in words or "ssl" in words or "tls" in words:
        return PollError(
            f"The TLS certificate of {host} could not be verified. Check the URL and the certificate.",
            Trouble.TLS,
        )
    if "name" in words or "address" in words or "resolve" in words:
        return PollError(f"There is no host called {host}. Check the URL.", Trouble.UNREACHABLE)
    return PollError(f"{host} cannot be reached. Check the URL, or whether it is running.", Trouble.UNREACHABLE)
