"""Read GitHub's paginated lists in one poll, and collect its events and failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import connector_key, dig, parse_time, unreadable, with_plain_ids
from painchain.connectors.contract import MAX_EVENTS, ErrorKind, PollContext, PollError, PollGap, SourceEvent
from painchain.connectors.github.client import REFUSED, GitHubClient
from painchain.connectors.http_client import Response, next_page
from painchain.connectors.poll_budget import PollBudgetExceeded

OVERLAP = timedelta(minutes=1)  # a list can lag behind
MAX_EVENTS_OF_PAGE = 300  # the most events that one page can bring
PAGE_LOST = (
    *REFUSED,
    ErrorKind.SETTINGS,
    ErrorKind.INVALID_RESPONSE,
)  # the page no longer exists: the list is read again from its start

WHOLE_HOST = (ErrorKind.AUTHENTICATION, ErrorKind.RATE_LIMITED, ErrorKind.TLS)
MAX_UNANSWERED = 3  # unanswered requests after which the poll fails

ListPosition = dict[str, Any]
ChangedAt = Callable[[Any], datetime | None]


class PollSession:
    """The state of one poll: its events, and the parts that could not be read.

    `changed` and `unchanged` have the paths of lists with and without news; a list that was refused is in neither.
    `has_more` says of each list with news whether it has a second page.
    `notes` are for the people who look at the connector.
    """

    def __init__(self, context: PollContext, api: GitHubClient):
        self.context = context
        self.api = api
        self.connector_key = connector_key(context.connector_id, context.settings, context.cursor)
        self.failures: list[tuple[str, PollError]] = []
        self.lists_read = 0
        self.changed = set[str]()
        self.unchanged = set[str]()
        self.has_more: dict[str, bool] = {}
        self.notes: list[str] = []
        self._events: dict[str, SourceEvent] = {}
        self._gaps: list[PollGap] = []

    @property
    def events(self) -> list[SourceEvent]:
        """The events of this poll, each once."""
        return [with_plain_ids(event, self.context.connector_id) for event in self._events.values()]

    def add(self, *events: SourceEvent) -> None:
        """Add events that are not there yet."""
        for event in events:
            self._events.setdefault(event.event_id, event)

    def put(self, event: SourceEvent) -> None:
        """Add an event, or replace the one with its id."""
        self._events[event.event_id] = event

    def remove(self, event: SourceEvent) -> None:
        """Remove an event that this poll has added, so that a later poll can record it."""
        if self._events.get(event.event_id) is event:
            del self._events[event.event_id]

    @property
    def gap(self) -> PollGap | None:
        """The period in which this poll gave up events, with every reason; None if it gave up none."""
        if not self._gaps:
            return None
        reasons = " ".join(dict.fromkeys(gap.reason for gap in self._gaps))
        return PollGap(min(gap.start for gap in self._gaps), max(gap.end for gap in self._gaps), reasons)

    def give_up(self, since: datetime | None, what: str) -> None:
        """Record that events are missing which several polls could not read. They are not read again."""
        now = self.context.now
        self._gaps.append(PollGap(min(since or now, now), now, f"Could not be read: {what}."))

    def note(self, message: str) -> None:
        """Add a note that is not there yet."""
        if message not in self.notes:
            self.notes.append(message)

    def check_room(self) -> None:
        """Make sure that this poll can take the events of another page.

        :raises PollBudgetExceeded: if it cannot.
        """
        if len(self._events) > MAX_EVENTS - MAX_EVENTS_OF_PAGE:
            raise PollBudgetExceeded(f"More than {MAX_EVENTS:,} events. The next poll follows immediately.")

    @contextmanager
    def attempt(self, name: str, counts_as_list: bool = True) -> Iterator[None]:
        """Read one part of a poll. If that fails, record the failure and continue with the next part.

        :raises PollError: if GitHub as a whole fails: it rejects the token or more requests, or does not respond.
        """
        try:
            yield
            self.lists_read += counts_as_list
        except PollBudgetExceeded:
            raise
        except Exception as problem:  # one odd item must not stop the rest
            error = problem if isinstance(problem, PollError) else unreadable(problem, name)
            errors = [*(failure for _, failure in self.failures), error]
            unanswered = [failure for failure in errors if failure.kind is ErrorKind.UNREACHABLE]
            is_broken = error.kind not in REFUSED and not self.api.has_answered
            if error.kind in WHOLE_HOST or is_broken or len(unanswered) >= MAX_UNANSWERED:
                raise
            self.failures.append((name, error))

    def newest_first(
        self, position: ListPosition, path: str, params: Mapping[str, Any], changed_at: ChangedAt, list_key: str = ""
    ) -> Iterator[Any]:
        """Yield the items of a list that are new since the previous poll.

        Pages are read until one has no new item. Then `position` is set to the newest time that was read; if the poll
        ends earlier, it names the page to continue with. `list_key` is the key of the list in the response.
        """
        since, is_resumed = read_since(position), "next" in position
        first = None
        for response in self._pages(position, path, params, conditional=True):
            first, items = first or response, list_items(response, list_key)
            times = [min(time, self.context.now) for item in items if (time := changed_at(item))]
            yield from (item for item in items if (time := changed_at(item)) is None or time >= since)
            position["top"] = cursor_time(
                max([*times, parse_time(position, "top") or parse_time(position, "since") or since])
            )
            if not any(time >= since for time in times):
                break
        if first is None:
            return
        top = position.pop("top", position["since"])
        position.pop("next", None)
        position["since"] = top
        if not is_resumed:
            self.api.store_etag(path, first)

    def values(self, position: ListPosition, path: str, params: Mapping[str, Any]) -> Iterator[Any]:
        """Yield the values of all pages. If the poll ends earlier, `position` names the page to continue with."""
        for response in self._pages(position, path, params, conditional=False):
            yield response.value
        position.pop("next", None)

    def _pages(
        self, position: ListPosition, path: str, params: Mapping[str, Any], conditional: bool
    ) -> Iterator[Response]:
        is_first = "next" not in position
        response = self._first(position, path, params, conditional)
        if response.is_unchanged:
            self.unchanged.add(path)
        else:
            self.changed.add(path)
        if is_first and not response.is_unchanged:
            self.has_more[path] = next_page(response) is not None
        while not response.is_unchanged:
            self.check_room()
            yield response
            following = next_page(response)
            if following is None:
                return
            position["next"] = following
            response = self._following(position)

    def _first(self, position: ListPosition, path: str, params: Mapping[str, Any], conditional: bool) -> Response:
        if "next" in position:
            return self._following(position)
        return self.api.get_changed(path, path, params) if conditional else self.api.get(path, params)

    def _following(self, position: ListPosition) -> Response:
        try:
            return self.api.get(position["next"])
        except PollError as error:
            if error.kind in PAGE_LOST:
                position.pop("next")
                position.pop("top", None)
            raise


def list_items(response: Response, list_key: str = "") -> list[Any]:
    """Return the objects in the list of a response; `list_key` is its key, if it has one.

    :raises PollError: if there is no list.
    """
    items = dig(response.value, list_key) if list_key else response.value
    if not isinstance(items, list):
        message = "The response is not from GitHub's API. Check the API URL."
        raise PollError(message, ErrorKind.INVALID_RESPONSE, status=response.status)
    return [item for item in items if isinstance(item, dict)]


def read_since(position: ListPosition) -> datetime:
    """Return the time from which a list is read: its position less an overlap, since event ids prevent duplicates."""
    return (parse_time(position, "since") or datetime.fromtimestamp(0, UTC)) - OVERLAP


def cursor_time(time: datetime) -> str:
    """Return a time in the format of cursors.

    >>> cursor_time(datetime.fromisoformat("2026-11-30T18:00:00+01:00"))
    '2026-11-30T17:00:00Z'
    """
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
