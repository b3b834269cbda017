"""Apply what a watch has received to the stored cursor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from painchain.connectors.contract import Cursor, PollGap, PollResult, SourceEvent
from painchain.connectors.kubernetes import helm
from painchain.connectors.kubernetes.api import ResourceStream
from painchain.connectors.kubernetes.bookkeeping import DEFAULT_LEAVE_OUT, LeaveOut
from painchain.connectors.kubernetes.changes import compare_all, deletion
from painchain.connectors.kubernetes.json_values import parse_time
from painchain.connectors.kubernetes.observation import ObjectType, ObservedObject, StoredObject, stored_object

MAX_STREAMS = 130  # ten namespaces; only polls read the others


@dataclass(frozen=True)
class WatchEvent:
    """One line of a stream: `verb` is added, modified, deleted, or "" for a bookmark."""

    stream: ResourceStream
    version: str
    verb: str = ""
    observed: ObservedObject | None = None


@dataclass(frozen=True)
class LostStream:
    """A stream that cannot continue: only a new list shows what happened since `since`."""

    stream: ResourceStream
    since: datetime


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


@dataclass
class WatchUpdate:
    """Applies received items to a cursor. A poll may have moved it on; the version of each object decides."""

    cluster: str
    batch: Sequence[WatchEvent | LostStream]
    alive: datetime | None
    watched: frozenset[str] = frozenset()
    salt: str | None = None
    leave_out: LeaveOut = DEFAULT_LEAVE_OUT
    is_outdated: bool = False

    def __call__(self, cursor: Cursor) -> PollResult:
        """Return the events of the batch, and the new cursor."""
        if self.salt not in (None, cursor.get("salt")):
            self.is_outdated = True
            return PollResult([], cursor)  # the cursor is of another cluster by now
        now = utc_now()
        streams = dict(cursor.get("streams", {}))
        # A poll may have listed further streams: then there is more to watch.
        self.is_outdated = len(self.watched) < MAX_STREAMS and not streams.keys() <= self.watched
        since = parse_time(cursor.get("heard")) or now
        events: list[SourceEvent] = []
        lost: list[LostStream] = []
        for item in self.batch:
            if isinstance(item, LostStream):
                lost.append(item)
            elif item.stream.key in streams:
                streams[item.stream.key] = self._apply(streams[item.stream.key], item, events, now, since)
        cursor = {**cursor, "streams": streams, "heard": max(self.alive or since, since).isoformat()}
        events = helm.add_charts(events, streams.values())
        return PollResult(events, cursor, has_more=bool(lost), gap=_gap(lost, now))

    def _apply(
        self,
        stream: Mapping[str, Any],
        watch_event: WatchEvent,
        events: list[SourceEvent],
        now: datetime,
        since: datetime,
    ) -> Any:
        at = stream["at"] if is_later(stream["at"], watch_event.version) else watch_event.version
        if watch_event.observed is None:
            return {**stream, "at": at}
        entries = dict(stream["known"])
        uid = watch_event.observed.uid
        stored = stored_object(uid, entries.pop(uid, None))
        new_events, after = self._compare(stored, watch_event, stream, entries, now, since)
        events += new_events
        if after:
            entries[uid] = after.entry()
        return {**stream, "at": at, "known": entries}

    def _compare(
        self,
        old: StoredObject | None,
        watch_event: WatchEvent,
        stream: Mapping[str, Any],
        others: Mapping[str, Any],
        now: datetime,
        since: datetime,
    ) -> tuple[list[SourceEvent], StoredObject | None]:
        """Return the events of a line compared to the stored object, and the object to store."""
        assert watch_event.observed is not None  # noqa: S101  for the type checker: bookmarks come no further
        object_type = ObjectType(self.cluster, watch_event.stream.resource.kind, self.leave_out)
        if old and not is_later(watch_event.version, old.version):
            return [], old  # a poll has observed a later version
        if watch_event.verb == "deleted":
            last = watch_event.observed
            event = deletion(object_type, old, last, now, since, others.values()) if old else None
            return [event] if event else [], None
        if (
            old is None
            and watch_event.verb == "modified"
            and object_type.kind != "Pod"
            and not is_later(watch_event.version, stream["at"])
        ):
            return [], None  # a poll has observed the deletion
        return compare_all(object_type, old, watch_event.observed, now, since)


def is_later(version: str, other: str) -> bool:
    """Return whether a resourceVersion is later than another. Within one kind they increase.

    >>> is_later("10", "9"), is_later("9", "9")
    (True, False)
    """
    with suppress(ValueError):
        return int(version) > int(other)
    return version != other


def _gap(lost: Iterable[LostStream], now: datetime) -> PollGap | None:
    """Return the period from which only the result is known, not each change."""
    since = [lost_stream.since for lost_stream in lost]
    if not since:
        return None
    kinds = ", ".join(sorted({lost_stream.stream.resource.kind for lost_stream in lost}))
    words = f"The cluster no longer has all changes of {kinds} from this period. The timeline shows only their result."
    return PollGap(min(since), max(now, min(since)), words)
