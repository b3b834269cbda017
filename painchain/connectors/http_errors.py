"""Turn error responses and failed connections into messages that say what to do."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from painchain.connectors.contract import ErrorKind, PollError
from painchain.core.address_policy import AddressRefused

MAX_WAIT = timedelta(days=1)  # the longest wait that a source can request
PLAIN_WAIT = timedelta(minutes=1)  # the pause after a rate limit without a reset time


def response_error(
    host: str, url: str, status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> PollError:
    """Return the error for an error response: what it means and what to do."""
    retry_at = retry_after(headers, now)
    path = urlsplit(url).path
    if status == 429 or (status == 403 and (retry_at or b"rate limit" in body.lower()[:2000])):
        retry_at = retry_at or now + PLAIN_WAIT
        message = f"Rate limit of {host} reached. Polling resumes at {time_from(now, retry_at)}."
        return PollError(message, ErrorKind.RATE_LIMITED, retry_at, status)
    if status == 401:
        return PollError(
            f"{host} rejected the token (401). Enter a valid token.", ErrorKind.AUTHENTICATION, None, status
        )
    if status == 403:
        message = f"The token cannot read {path} (403). Grant it that permission."
        return PollError(message, ErrorKind.PERMISSION, None, status)
    if status in (404, 410):
        message = (
            f"{host} has nothing at {path} ({status}), or the token cannot access it. Check the URL and the names."
        )
        return PollError(message, ErrorKind.NOT_FOUND, None, status)
    if status >= 500:
        message = f"{host} returned a server error ({status}). PainChain will retry."
        return PollError(message, ErrorKind.SERVER_ERROR, retry_at, status)
    return PollError(
        f"{host} rejected the request for {path} ({status}). Check the URL.", ErrorKind.INVALID_RESPONSE, None, status
    )


def retry_after(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return the earliest time of the next request according to the headers, at most a day from now.

    ``Retry-After`` has seconds or a date (RFC 9110, 10.2.3); ``x-ratelimit-reset`` (GitHub) and ``ratelimit-reset``
    (GitLab) have seconds since 1970, which count only when ``…-remaining`` is 0.

    >>> noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    >>> retry_after({"retry-after": "60"}, noon), retry_after({"retry-after": "-1"}, noon)
    (datetime.datetime(2026, 3, 10, 12, 1, tzinfo=datetime.timezone.utc), None)
    """
    header = headers.get("retry-after", "").strip()
    if header:
        seconds = _number(header)
        return _date(header, now) if seconds is None else now + min(timedelta(seconds=seconds), MAX_WAIT)
    for name in ("x-ratelimit", "ratelimit"):
        reset = _number(headers.get(f"{name}-reset", ""))
        if headers.get(f"{name}-remaining") == "0" and reset is not None:
            return _within(datetime.fromtimestamp(reset, UTC), now)
    return None


def time_from(now: datetime, time: datetime) -> str:
    """Return a time in UTC, with its date unless that is the date of `now`.

    >>> now = datetime(2026, 3, 10, 23, 50, tzinfo=UTC)
    >>> time_from(now, now + timedelta(minutes=1)), time_from(now, now + timedelta(minutes=10))
    ('23:51:00 UTC', '2026-03-11 00:00:00 UTC')
    """
    utc = time.astimezone(UTC)
    return f"{utc:%H:%M:%S} UTC" if utc.date() == now.astimezone(UTC).date() else f"{utc:%Y-%m-%d %H:%M:%S} UTC"


def connection_error(host: str, error: BaseException) -> PollError:
    """Return the error for a failed connection, by the type of its cause."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, AddressRefused):
            return PollError(str(cause), ErrorKind.SETTINGS)
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return PollError(
            f"The TLS certificate of {host} could not be verified. Check the URL and the issuer of the certificate.",
            ErrorKind.TLS,
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        message = f"The TLS handshake with {host} failed. Check whether the URL should start with http:// or https://."
        return PollError(message, ErrorKind.TLS)
    if any(isinstance(cause, socket.gaierror | UnicodeError) for cause in causes):
        return PollError(f"Could not resolve {host}. Check the URL and this server's DNS.", ErrorKind.UNREACHABLE)
    return PollError(
        f"Could not connect to {host}. Check the URL and whether the server is running.", ErrorKind.UNREACHABLE
    )


def _number(text: str) -> int | None:
    """Return a number of seconds, or None. Ten digits are enough: longer numbers are cut."""
    return int(text[:10]) if text.isascii() and text.isdecimal() else None


def _date(text: str, now: datetime) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return _within(moment if moment.tzinfo else moment.replace(tzinfo=UTC), now)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _within(moment: datetime, now: datetime) -> datetime:
    return max(now, min(moment, now + MAX_WAIT))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
