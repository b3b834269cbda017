"""Send the requests of one poll within its limits: their number, its time and the source's rate limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from painchain.connectors.contract import RateLimit
from painchain.connectors.http_client import HttpClient, Response


class PollBudgetExceeded(Exception):
    """One poll has used up its requests, its time or its events. The next poll continues. The message says why."""


class PollBudget:
    """The limits of one poll: a number of requests and a number of seconds. `spent` requests were sent."""

    def __init__(self, requests: int, seconds: float, stopping: Callable[[], bool]):
        self.spent = 0
        self._requests = requests
        self._deadline = time.monotonic() + seconds
        self._stopping = stopping

    def spend(self) -> None:
        """Take one request from the budget.

        :raises PollBudgetExceeded: if none is left, the time is over or the server is shutting down.
        """
        if self._stopping():
            raise PollBudgetExceeded("The server is shutting down. The next poll continues.")
        if self.spent >= self._requests or time.monotonic() > self._deadline:
            raise PollBudgetExceeded("There is more to read than fits in one poll. The next poll follows immediately.")
        self.spent += 1


class ApiClient:
    """Sends the requests of one poll within its budget.

    `rate_limit` is the source's rate limit as of the newest response. The names of its headers begin with
    `rate_limit_prefix`.
    """

    rate_limit_prefix = ""

    def __init__(self, http: HttpClient, budget: PollBudget):
        self._http = http
        self._budget = budget
        self.rate_limit: RateLimit | None = None

    @property
    def requests(self) -> int:
        """The number of requests that were sent."""
        return self._budget.spent

    def get(self, path: str, params: Mapping[str, Any] | None = None, etag: str | None = None) -> Response:
        """Return the response to one GET request; with an `etag` the request is conditional.

        :raises PollBudgetExceeded: if this poll may send no more requests.
        :raises painchain.connectors.contract.PollError: as `HttpClient.get` does.
        """
        self._budget.spend()
        self.check_rate_limit()
        response = self._http.get(path, params, etag)
        self.rate_limit = parse_rate_limit(response.headers, self.rate_limit_prefix) or self.rate_limit
        return response

    def check_rate_limit(self) -> None:
        """Raise PollError if this client must not use the rest of the rate limit. By default it may use all of it."""


def parse_rate_limit(headers: Mapping[str, str], prefix: str) -> RateLimit | None:
    """Return the rate limit from the headers ``{prefix}-limit``, ``-remaining`` and ``-reset`` (seconds since 1970).

    Return None without a number of remaining requests: not every server sends them.

    >>> parse_rate_limit({"ratelimit-limit": "60", "ratelimit-remaining": "12"}, "ratelimit")
    RateLimit(limit=60, remaining=12, resets=None)
    """
    limit, remaining, reset = (headers.get(f"{prefix}-{name}", "") for name in ("limit", "remaining", "reset"))
    if not remaining.isdecimal():
        return None
    resets = datetime.fromtimestamp(min(int(reset), 2**33), UTC) if reset.isdecimal() else None
    return RateLimit(int(limit) if limit.isdecimal() else None, int(remaining), resets)
