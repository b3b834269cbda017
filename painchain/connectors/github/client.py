"""Ask GitHub within the bounds of one poll: so many requests, so long, and never the last of a rate limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from painchain.connectors.contract import ErrorKind, PollError, RateLimit
from painchain.connectors.http_client import Answer, Client

REQUESTS = 300  # of one poll
SECONDS = 60.0  # of one poll
MOST_ETAGS = 300
RESERVE = 20  # a twentieth of the rate limit is left to whoever else uses the token

Settings = Mapping[str, Any]


class PollBudgetExceeded(Exception):
    """This poll has asked as much as it may; the message says why."""


def client(settings: Settings, now: datetime, seconds: float = 10.0) -> Client:
    """Return a client that asks the configured host and no other.

    :raises PollError: if no request can carry the token.
    """
    token = settings.get("token") or ""
    if not token:
        raise PollError("There is no token. Enter one.", ErrorKind.SIGN_IN)
    if not (token.isascii() and token.isprintable()):
        raise PollError("The token has characters that no token has. Enter it again.", ErrorKind.SIGN_IN)
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json, application/json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    return Client(settings["base_url"], headers, now, seconds=seconds)


class ApiClient:
    """The requests of one poll. `etags` by key are those of the poll before, for conditional requests."""

    def __init__(self, asked: Client, now: datetime, stopping: Callable[[], bool], etags: Mapping[str, str]):
        self._client = asked
        self._now = now
        self._stopping = stopping
        self._etags = dict(etags)
        self._left = REQUESTS
        self._ends = time.monotonic() + SECONDS
        self.rate_limit: RateLimit | None = None
        self.answered = False

    def get(self, path: str, params: Mapping[str, Any] | None = None, key: str = "") -> Answer:
        """Return the answer to one request; with a `key` it is conditional on the ETag kept under it.

        :raises Enough: if this poll has asked enough.
        :raises PollError: if there is no answer, or little of the rate limit is left.
        """
        self._may_ask()
        self._left -= 1
        answer = self._client.get(path, params, etag=self._etags.get(key))
        self.rate_limit = parse_rate_limit(answer.headers) or self.rate_limit
        self.answered = True
        return answer

    def keep(self, key: str, answer: Answer) -> None:
        """Keep the ETag of an answer whose whole list has been read."""
        etag = answer.headers.get("etag", "")
        if 0 < len(etag) <= 100:
            self._etags.pop(key, None)
            self._etags[key] = etag

    def etags(self) -> dict[str, str]:
        """Return the ETags to go on with: the newest, so that they do not grow for ever."""
        return dict(list(self._etags.items())[-MOST_ETAGS:])

    def _may_ask(self) -> None:
        if self._stopping():
            raise PollBudgetExceeded("The server is going down; the rest follows.")
        if self._left <= 0 or time.monotonic() > self._ends:
            raise PollBudgetExceeded("There is more than one poll takes; the rest follows at once.")
        told = self.rate_limit
        if told and told.resets and told.resets > self._now and told.remaining < (told.limit or 0) / RESERVE:
            words = f"Only {told.remaining} requests are left of GitHub's rate limit; it is asked again at "
            words += f"{told.resets:%H:%M:%S} UTC."
            raise PollError(words, ErrorKind.RATE_LIMITED, told.resets)


def parse_rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Return what the headers of an answer say of the rate limit."""
    limit, remaining, resets = (headers.get(f"x-ratelimit-{name}", "") for name in ("limit", "remaining", "reset"))
    if not remaining.isdecimal():
        return None
    moment = datetime.fromtimestamp(min(int(resets), 2**33), UTC) if resets.isdecimal() else None
    return RateLimit(int(limit) if limit.isdecimal() else None, int(remaining), moment)
