"""Read the older pages of lists in turn, so that a change of an old item is found however old the item is.

GitHub sorts workflow runs, deployments and releases by creation: an old run that is run again, an old deployment that
is approved and an old draft that is published stay where they are. Each poll reads one page behind the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from painchain.connectors.code_hosts import integer, parse_time, text
from painchain.connectors.contract import PollError
from painchain.connectors.github.pagination import OVERLAP, PAGE_LOST, PollSession, cursor_time, list_items
from painchain.connectors.http_client import next_page

PAGE = 100
BUSY_PAGES = 5  # that a poll with news reads
MAX_CONDITIONAL = 10  # pages of a list whose ETag is stored

Note = Callable[[Any, datetime], None]


class Sweep:
    """Reads older pages of one repository. `lists` has the path, the key of the list and the reader of an item."""

    def __init__(self, session: PollSession, state: dict[str, Any], lists: Mapping[str, tuple[str, str, Note]]):
        self._session = session
        self._state = state
        self._lists = lists

    def read(self) -> None:
        """Read the next page, or several if this poll has news of the repository."""
        waiting = [kind for kind, (path, _, _) in self._lists.items() if self._has_more(kind, path)]
        if not waiting:
            self._state.pop("sweep", None)
            return
        is_quiet = not any(path in self._session.changed for path, _, _ in self._lists.values())
        for _ in range(1 if is_quiet else BUSY_PAGES):
            sweep = self._state.setdefault("sweep", {})
            kind = text(sweep, "kind") if text(sweep, "kind") in waiting else waiting[0]
            if self._read_page(kind, sweep):
                sweep["kind"] = waiting[(waiting.index(kind) + 1) % len(waiting)]
                if not is_quiet and kind == waiting[-1]:
                    return

    def _has_more(self, kind: str, path: str) -> bool:
        """Return whether a list has a second page, as the response to the newest request for its first page said."""
        older = self._state.setdefault("older", [])
        if path in self._session.has_more:
            has_more = self._session.has_more[path]
            if has_more != (kind in older):
                older = [*older, kind] if has_more else [other for other in older if other != kind]
                self._state["older"] = older
        return kind in older

    def _read_page(self, kind: str, sweep: dict[str, Any]) -> bool:
        """Read the next page of a list. Return whether it is the last."""
        path, list_key, note = self._lists[kind]
        place = sweep.setdefault(kind, {"page": 2, "began": cursor_time(self._session.context.now)})
        page, api, key = integer(place, "page") or 2, self._session.api, f"{path} {place.get('page')}"
        params = {"per_page": PAGE, "page": page}
        sweep["kind"] = kind
        try:
            response = api.get_changed(key, path, params) if page <= MAX_CONDITIONAL else api.get(path, params)
        except PollError as error:
            if error.kind in PAGE_LOST:
                sweep.pop(kind)  # the list is shorter now
            raise
        if not response.is_unchanged:
            since = (parse_time(place, "since") or datetime.fromtimestamp(0, UTC)) - OVERLAP
            begin = parse_time(self._state, "begin")
            for item in list_items(response, list_key):
                changed_at = max(
                    (time for name in ("updated_at", "published_at", "created_at") if (time := parse_time(item, name))),
                    default=None,
                )
                if changed_at and changed_at >= max(since, begin or since) and item.get("draft") is not True:
                    note(item, max(since, begin or since))
            if next_page(response) is None:
                place["last"] = page
            elif integer(place, "last") == page:
                place.pop("last")
            if page <= MAX_CONDITIONAL:
                api.store_etag(key, response)
        if page < (integer(place, "last") or page + 1):
            place["page"] = page + 1
            return False
        now = cursor_time(self._session.context.now)
        sweep[kind] = {"page": 2, "since": place["began"], "began": now, "last": page}
        return True
