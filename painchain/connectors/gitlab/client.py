"""Ask GitLab within the bounds of one poll: so many requests, so long, page by page."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from painchain.connectors.code_hosts import rows
from painchain.connectors.contract import MOST_FOUND, ErrorKind, PollContext, PollError, RateLimit, SourceEvent
from painchain.connectors.gitlab.events import Item
from painchain.connectors.http_client import Answer, Client, next_page

MOST_REQUESTS = 300  # of one poll
MOST_SECONDS = 90.0
PAGE = 100  # as many as GitLab gives
MOST_FILES = 100  # of a merge request or commit
API = "/api/v4"
# What can be wrong with one thing, list or project alone, and what can be wrong with all of GitLab as well.
REFUSED = (ErrorKind.PERMISSION, ErrorKind.MISSING)
ILL = (ErrorKind.FAR_ERROR, ErrorKind.BAD_ANSWER, ErrorKind.UNREACHABLE)


class PollBudgetExceeded(Exception):
    """One poll has asked or found as much as one may; the next goes on from there."""


def client(settings: Mapping[str, Any], now: datetime, seconds: float = 10.0) -> Client:
    """Return a client of the REST API. PRIVATE-TOKEN takes personal, project and group tokens alike."""
    base = str(settings["base_url"]).rstrip("/").removesuffix(API)
    return Client(base + API, {"PRIVATE-TOKEN": str(settings["token"] or "")}, now, seconds=seconds)


def escaped(part: str) -> str:
    """Return a path, branch or tag as one part of an address.

    >>> escaped("group/project")
    'group%2Fproject'
    """
    return quote(part, safe="")


def iso(when: datetime) -> str:
    """Return a moment as GitLab takes it."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ApiClient:
    """The requests of one poll, and the events that they brought: each once."""

    def __init__(self, http: Client, turn: PollContext):
        self.turn = turn
        self.found: dict[str, SourceEvent] = {}
        self.notes: list[str] = []
        self.moved = False  # whether the next poll would begin further on
        self.rate_limit: RateLimit | None = None
        self._http = http
        self._left = MOST_REQUESTS
        self._until = time.monotonic() + MOST_SECONDS

    def add(self, found: SourceEvent | None) -> None:
        """Keep an event, if it is one and not there yet."""
        if found is not None:
            self.found.setdefault(found.event_id, found)

    def note(self, words: str) -> None:
        """Keep what a person should know, once."""
        if words not in self.notes:
            self.notes.append(words)

    def get(self, path: str, params: Mapping[str, Any] | None = None, etag: str | None = None) -> Answer:
        """Return the answer to one request.

        :raises Spent: when this poll has asked or found enough.
        :raises PollError: as ``Client.get``.
        """
        full = len(self.found) > MOST_FOUND - PAGE
        if self._left <= 0 or full or time.monotonic() > self._until or self.turn.stopping():
            raise PollBudgetExceeded
        self._left -= 1
        answer = self._http.get(path, params, etag)
        self.rate_limit = rate_limit(answer.headers) or self.rate_limit
        return answer

    def further(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return what more GitLab tells of something, None where it does not: it is gone, too large, not to be read."""
        try:
            return self.get(path, params).value
        except PollError as error:
            if error.trouble in (*REFUSED, *ILL):
                return None
            raise

    def pages(self, path: str, params: Mapping[str, Any], first: int = 1) -> Iterator[list[Item]]:
        """Yield a list page by page, from page `first` to the end."""
        number: int | None = first
        while number:
            answer = self.get(path, {**params, "per_page": PAGE, "page": number})
            yield rows(answer.value)
            number = number + 1 if goes_on(answer) else None


def goes_on(answer: Answer) -> bool:
    """Say whether there is a further page. Its address is not followed: behind a proxy it can name another host."""
    return bool(answer.headers.get("x-next-page") or next_page(answer))


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Return how many requests are left, where GitLab tells: gitlab.com does, a self-managed one may."""
    limit, left, resets = (headers.get(f"ratelimit-{name}", "") for name in ("limit", "remaining", "reset"))
    if not left.isdecimal():
        return None
    when = datetime.fromtimestamp(min(int(resets), 2**33), UTC) if resets.isdecimal() else None
    return RateLimit(int(limit) if limit.isdecimal() else None, int(left), when)
