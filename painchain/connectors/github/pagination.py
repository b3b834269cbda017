"""One poll of GitHub under way: what it found, what it may not read, and where each list stands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import dig, moment
from painchain.connectors.contract import MOST_FOUND, ErrorKind, PollContext, PollError, SourceEvent
from painchain.connectors.github.client import GitHubClient
from painchain.connectors.http_client import Answer, next_page
from painchain.connectors.poll_budget import PollBudgetExceeded

OVERLAP = timedelta(minutes=1)  # lists can be behind by moments
A_PAGE = 300  # events that come of one page at most
REFUSED = (ErrorKind.MISSING, ErrorKind.PERMISSION)
LOST = (
    *REFUSED,
    ErrorKind.SETTINGS,
    ErrorKind.BAD_ANSWER,
)  # such a page will not come: the list is read anew

OF_ALL = (ErrorKind.SIGN_IN, ErrorKind.RATE_LIMITED, ErrorKind.TLS)
PATIENCE = 3  # times that no answer comes

Place = dict[str, Any]
Touched = Callable[[Any], datetime | None]


class PollSession:
    """What one poll has come to."""

    def __init__(self, turn: PollContext, asking: GitHubClient):
        self.turn = turn
        self.asking = asking
        self.refused: list[tuple[str, PollError]] = []
        self.read = 0
        self._found: dict[str, SourceEvent] = {}

    @property
    def found(self) -> list[SourceEvent]:
        """What was found, each event once."""
        return list(self._found.values())

    def add(self, *found: SourceEvent) -> None:
        """Take note of events."""
        for one in found:
            self._found.setdefault(one.event_id, one)

    @contextmanager
    def reading(self, what: str, counts: bool = True) -> Iterator[None]:
        """Read one of several things: if that fails, it is noted and the poll goes on.

        Unless GitHub as a whole fails: it takes no more requests or not the token, or it has not answered at all.
        """
        try:
            yield
            self.read += counts
        except PollError as error:
            silent = [one for _, one in (*self.refused, (what, error)) if one.trouble is ErrorKind.UNREACHABLE]
            broken = error.trouble not in REFUSED and not self.asking.has_answered
            if error.trouble in OF_ALL or broken or len(silent) >= PATIENCE:
                raise
            self.refused.append((what, error))

    def optional(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return what is at `path`; None if it is gone or forbidden."""
        try:
            return self.asking.get(path, params).value
        except PollError as error:
            if error.trouble not in REFUSED:
                raise
            return None

    def newest_first(
        self, place: Place, path: str, params: Mapping[str, Any], touched: Touched, under: str = ""
    ) -> Iterator[Any]:
        """Yield the items of a list that are new since it was read the last time.

        Pages are read until one has nothing new, wherever in it the new ones are. `place` then stands at the newest
        time that was read; if the poll ends before, it stands at the page to go on with. `under` is where the answer
        has its list.
        """
        since, resumed = since_of(place), "next" in place
        first = None
        for answer, items in self._pages(place, path, params, under, conditional=True):
            first = first or answer
            times = [min(when, self.turn.now) for item in items if (when := touched(item))]
            yield from (item for item in items if (when := touched(item)) is None or when >= since)
            place["top"] = stamp(max([*times, moment(place, "top") or moment(place, "since") or since]))
            if not any(when >= since for when in times):
                break
        if first is None:
            return
        top = place.pop("top", place["since"])
        place.pop("next", None)
        place["since"] = top
        if not resumed:
            self.asking.store_etag(path, first)

    def pages(self, place: Place, path: str, params: Mapping[str, Any], under: str = "") -> Iterator[list[Any]]:
        """Yield the pages of a whole list; if the poll ends before, `place` stands at the page to go on with."""
        for _, items in self._pages(place, path, params, under, conditional=False):
            yield items
        place.pop("next", None)

    def _pages(
        self, place: Place, path: str, params: Mapping[str, Any], under: str, conditional: bool
    ) -> Iterator[tuple[Answer, list[Any]]]:
        answer = self._first(place, path, params, conditional)
        while not answer.unchanged:
            if len(self._found) > MOST_FOUND - A_PAGE:
                raise PollBudgetExceeded(f"More than {MOST_FOUND:,} events. The next poll follows immediately.")
            yield answer, listed(answer, under)
            following = next_page(answer)
            if following is None:
                return
            place["next"] = following
            answer = self._following(place)

    def _first(self, place: Place, path: str, params: Mapping[str, Any], conditional: bool) -> Answer:
        if "next" in place:
            return self._following(place)
        return self.asking.get_changed(path, path, params) if conditional else self.asking.get(path, params)

    def _following(self, place: Place) -> Answer:
        try:
            return self.asking.get(place["next"])
        except PollError as error:
            if error.trouble in LOST:
                place.pop("next")
                place.pop("top", None)
            raise


def listed(answer: Answer, under: str = "") -> list[Any]:
    """Return the objects of an answer that is a list, or has it under a name.

    :raises PollError: if there is no list.
    """
    found = dig(answer.value, under) if under else answer.value
    if not isinstance(found, list):
        words = "The answer is not what GitHub's API answers. Check the API URL."
        raise PollError(words, ErrorKind.BAD_ANSWER, status=answer.status)
    return [item for item in found if isinstance(item, dict)]


def since_of(place: Place) -> datetime:
    """Return from when on a list is read again: a little before where it stands, since events are known by their id."""
    return (moment(place, "since") or datetime.fromtimestamp(0, UTC)) - OVERLAP


def stamp(when: datetime) -> str:
    """Return a time as cursors have it."""
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
