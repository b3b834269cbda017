"""Send the requests of one poll to GitLab, and collect the events that they bring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from painchain.connectors.code_hosts import objects
from painchain.connectors.contract import MAX_EVENTS, ErrorKind, PollContext, PollError, SourceEvent
from painchain.connectors.gitlab.payloads import Item
from painchain.connectors.http_client import HttpClient, Response, next_page
from painchain.connectors.poll_budget import ApiClient, PollBudget, PollBudgetExceeded

MAX_REQUESTS = 300  # of one poll
MAX_SECONDS = 90.0  # of one poll
PAGE = 100  # the largest page that GitLab sends
OVERLAP = timedelta(minutes=2)  # of one poll with the previous one: changes can become visible out of order
MAX_ROWS = 1_000  # of one list within an event, such as the files of a merge request
API = "/api/v4"
# Errors that concern one item, list or project, and errors that can concern GitLab as a whole.
REFUSED = (ErrorKind.PERMISSION, ErrorKind.NOT_FOUND)
SERVER_ERRORS = (ErrorKind.SERVER_ERROR, ErrorKind.INVALID_RESPONSE, ErrorKind.UNREACHABLE)


def open_client(settings: Mapping[str, Any], now: datetime, seconds: float = 10.0) -> HttpClient:
    """Return a client of the REST API. PRIVATE-TOKEN accepts personal, project and group tokens."""
    base = str(settings["base_url"]).rstrip("/").removesuffix(API)
    return HttpClient(base + API, {"PRIVATE-TOKEN": str(settings["token"] or "")}, now, step_seconds=seconds)


def quote_path(part: str) -> str:
    """Return a path, branch or tag, quoted as one segment of a URL.

    >>> quote_path("group/project")
    'group%2Fproject'
    """
    return quote(part, safe="")


def iso(when: datetime) -> str:
    """Return a time in the format of GitLab's parameters.

    >>> iso(datetime.fromisoformat("2026-11-30T18:00:00+01:00"))
    '2026-11-30T17:00:00.000Z'
    """
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class Rows:
    """The first rows of a list. If `is_cut`, there are more. `total` counts all, if GitLab says how many."""

    items: list[Item]
    is_cut: bool = False
    total: int | None = None


class GitLabClient(ApiClient):
    """The requests of one poll of GitLab, and the events that they brought, each once."""

    rate_limit_prefix = "ratelimit"

    def __init__(self, http: HttpClient, context: PollContext, seconds: float | None = None):
        super().__init__(http, PollBudget(MAX_REQUESTS, seconds or MAX_SECONDS, context.stopping))
        self.context = context
        self.events: dict[str, SourceEvent] = {}
        self.notes: list[str] = []
        self.made_progress = False  # whether the next poll would start further on

    def add(self, event: SourceEvent | None) -> None:
        """Add an event, unless it is None or there already, perhaps with a time that differs by a second."""
        if event is not None and not any(former_id in self.events for former_id in event.former_ids):
            self.events.setdefault(event.event_id, event)

    def put(self, event: SourceEvent | None) -> None:
        """Replace an event that this poll has added, unless it is None."""
        if event is not None and event.event_id in self.events:
            self.events[event.event_id] = event

    def note(self, message: str) -> None:
        """Add a message for the person who configures the connector, once."""
        if message not in self.notes:
            self.notes.append(message)

    def get(self, path: str, params: Mapping[str, Any] | None = None, etag: str | None = None) -> Response:
        """Return the response to one GET request.

        :raises PollBudgetExceeded: if this poll may send no more requests, or has found enough events.
        :raises PollError: as ``Client.get``.
        """
        if len(self.events) > MAX_EVENTS - PAGE:
            raise PollBudgetExceeded
        return super().get(path, params, etag)

    def get_optional(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the value at `path`; None if it is gone, forbidden or cannot be read."""
        try:
            return self.get(path, params).value
        except PollError as error:
            if error.kind in (*REFUSED, *SERVER_ERRORS):
                return None
            raise

    def read_all(self, path: str, params: Mapping[str, Any] | None = None) -> Rows | None:
        """Return a list, up to ``MAX_ROWS`` rows of it; None if it is gone, forbidden or cannot be read."""
        items: list[Item] = []
        try:
            number, total = 1, ""
            while True:
                answer = self.get(path, {**(params or {}), "per_page": PAGE, "page": number})
                items += objects(answer.value)
                total = answer.headers.get("x-total", total)
                if not has_next_page(answer):
                    return Rows(items)
                if len(items) >= MAX_ROWS:
                    return Rows(items, True, int(total) if total.isdecimal() else None)
                number += 1
        except PollError as error:
            if error.kind in (*REFUSED, *SERVER_ERRORS):
                return Rows(items, True) if items else None
            raise

    def pages(self, path: str, params: Mapping[str, Any], first: int = 1) -> Iterator[list[Item]]:
        """Yield the pages of a list, from page `first` to the end."""
        number: int | None = first
        while number:
            answer = self.get(path, {**params, "per_page": PAGE, "page": number})
            yield objects(answer.value)
            number = number + 1 if has_next_page(answer) else None


def has_next_page(answer: Response) -> bool:
    """Return whether there is a next page. Its URL is not followed: behind a proxy it can name another host."""
    return bool(answer.headers.get("x-next-page") or next_page(answer))
