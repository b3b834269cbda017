"""List everything of a cluster and compare: what the watch has missed, or all of it where nothing can be watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from painchain.connectors.contract import (
    MOST_FOUND,
    Cursor,
    ErrorKind,
    PollContext,
    PollError,
    PollGap,
    PollResult,
    SourceEvent,
)
from painchain.connectors.http_client import Answer, Client, TooLarge
from painchain.connectors.kubernetes.api import Cluster, Stream, reach
from painchain.connectors.kubernetes.changes import Known, Place, Sight, gone, known, sight, step
from painchain.connectors.kubernetes.object_state import Marker, items, mapping, marker, when

PAGES = (500, 50, 5)  # objects of one page; fewer where they are too large together
PAGE_BYTES = 32 * 1024 * 1024
RELISTS = 3
MOST_OBJECTS = 20_000
CURSOR = 1  # the version of what the cursor looks like


class Forbidden(Exception):
    """The account may not list this."""


@dataclass
class Listing:
    """One stream as it is now."""

    api: str
    version: str = ""
    sights: dict[str, Sight] = field(default_factory=dict)


@dataclass
class Compared:
    """One poll while it goes on."""

    now: datetime
    since: datetime
    found: list[SourceEvent] = field(default_factory=list)
    more: bool = False

    @property
    def full(self) -> bool:
        """Whether the rest is left to the next poll."""
        return len(self.found) >= MOST_FOUND


def poll(turn: PollContext) -> PollResult:
    """Return what differs from what the cursor knows. What is seen for the first time is known, not told.

    :raises PollError: when the cluster does not answer, or the account may list nothing at all.
    """
    cluster = reach(turn.settings)
    old = turn.cursor if _fits(turn.cursor, cluster) else {}
    salt = old.get("salt") or token_hex(16)
    heard = when(old.get("heard"))
    comparing = Compared(turn.now, heard or turn.now)
    streams: dict[str, Any] = {}
    forbidden: list[Stream] = []
    with Client(cluster.base_url, cluster.headers, turn.now, cluster.trust(), most=PAGE_BYTES) as client:
        for stream in cluster.streams():
            before = old.get("streams", {}).get(stream.key)
            if turn.stopping() or comparing.full:
                comparing.more = True
                listing = None
            else:
                listing = _listed(client, stream, before, marker(salt), forbidden)
            if listing:
                streams[stream.key] = _compare(stream, cluster.name, before, listing, comparing)
            elif before:
                streams[stream.key] = before
            _refuse_too_many(streams)
    if not streams and forbidden:
        raise PollError(
            f"The account may list nothing of what is looked at: {_words(forbidden)}. {GIVE}",
            ErrorKind.PERMISSION,
            status=403,
        )
    if not streams and not comparing.more:
        raise PollError("There is no Kubernetes API at this address. Check the API server URL.", ErrorKind.MISSING)
    cursor = {"v": CURSOR, "server": cluster.base_url, "salt": salt, "heard": turn.now.isoformat(), "streams": streams}
    note = f"The account may not list {_words(forbidden)}: their changes are not seen. {GIVE}" if forbidden else ""
    if comparing.more:
        note = f"There is more to read than fits in one poll. The next poll follows immediately. {note}".strip()
    return PollResult(comparing.found, cursor, comparing.more, note, _gap(heard, turn))


GIVE = "Give it the verbs list and watch for them."


def _fits(cursor: Cursor, cluster: Cluster) -> bool:
    """Say whether a cursor tells of this cluster: that of another one would make everything Deleted and Created."""
    return cursor.get("v") == CURSOR and cursor.get("server") == cluster.base_url


def _gap(heard: datetime | None, turn: PollContext) -> PollGap | None:
    """Return the stretch in which neither a poll nor a watch looked, where it is longer than they leave it."""
    usual = timedelta(seconds=2 * int(turn.settings.get("poll_interval") or 300) + 60)
    if heard is None or turn.now - heard <= usual:
        return None
    words = "Kubernetes keeps no history: what came and went again in this time is not told."
    return PollGap(heard, turn.now, words)


def _listed(client: Client, stream: Stream, before: Any, mark: Marker, forbidden: list[Stream]) -> Listing | None:
    """Return all objects of a stream, or None where it cannot be listed, which is noted."""
    apis = stream.resource.apis
    first = mapping(before).get("api")
    for api in sorted(apis, key=lambda one: (one != first, apis.index(one))):
        try:
            return _list(client, stream, api, mark)
        except PollError as error:
            if error.trouble is ErrorKind.PERMISSION:
                forbidden.append(stream)
                return None
            if error.status != 404:
                raise
    return None


def _list(client: Client, stream: Stream, api: str, mark: Marker) -> Listing:
    """List a stream page by page; anew where the list has become too old meanwhile (410)."""
    sizes, tries = list(PAGES), 0
    while True:
        try:
            return _pages(client, stream, api, mark, sizes[0])
        except TooLarge:
            if not sizes[1:]:
                raise
            sizes.pop(0)
        except PollError as error:
            tries += 1
            if error.status != 410 or tries > RELISTS:
                raise


def _pages(client: Client, stream: Stream, api: str, mark: Marker, size: int) -> Listing:
    listing = Listing(api)
    params: dict[str, Any] = {"limit": size}
    while True:
        answer = client.get(stream.resource.path(api, stream.namespace), params)
        following = _take(listing, answer, stream, mark)
        if not following:
            return listing
        params = {"limit": size, "continue": following}


def _take(listing: Listing, answer: Answer, stream: Stream, mark: Marker) -> str:
    """Add a page to the listing and return the token of the next, "" if there is none."""
    page = mapping(answer.value)
    meta = mapping(page.get("metadata"))
    if not isinstance(page.get("items", []), list | None) or not meta.get("resourceVersion"):
        raise PollError(f"The answer is no list of {stream.words}. Check the API server URL.", ErrorKind.BAD_ANSWER)
    seen = (sight(stream.resource.kind, thing, mark) for thing in items(page.get("items")))
    listing.sights |= {one.uid: one for one in seen if one}
    listing.version = str(meta["resourceVersion"])
    return str(meta.get("continue") or "")


def _compare(stream: Stream, cluster: str, before: Any, listing: Listing, comparing: Compared) -> dict[str, Any]:
    """Add to what is found how a stream differs from before, and return it as the cursor keeps it."""
    place = Place(cluster, stream.resource.kind)
    entries = dict(mapping(before).get("known", {}))
    new = before is None
    for uid, one in listing.sights.items():
        if comparing.full and not new:
            comparing.more = True
            break
        found, after = step(place, known(uid, entries.get(uid)), one, comparing.now, comparing.since)
        _keep(entries, uid, after)
        if found and not new:
            comparing.found.append(found)
    for uid in [uid for uid in entries if uid not in listing.sights]:
        if comparing.full:
            comparing.more = True
            break
        old = Known(uid, *entries.pop(uid))
        if found := gone(place, old, None, comparing.now, comparing.since):
            comparing.found.append(found)
    return {"api": listing.api, "at": listing.version, "known": entries}


def _keep(entries: dict[str, Any], uid: str, after: Known | None) -> None:
    if after:
        entries[uid] = after.entry()
    else:
        entries.pop(uid, None)


def _refuse_too_many(streams: dict[str, Any]) -> None:
    if sum(len(stream["known"]) for stream in streams.values()) > MOST_OBJECTS:
        raise PollError(
            f"The cluster has more than {MOST_OBJECTS:,} objects to look at. List the namespaces that matter.",
            ErrorKind.SETTINGS,
        )


def _words(streams: Sequence[Stream], most: int = 20) -> str:
    named = ", ".join(stream.words for stream in streams[:most])
    return f"{named} and {len(streams) - most} more" if len(streams) > most else named
