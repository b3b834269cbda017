"""List all objects of a cluster and compare them with the cursor, which finds what the watch has missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any

from painchain.connectors.contract import (
    MAX_EVENTS,
    Cursor,
    ErrorKind,
    PollContext,
    PollError,
    PollGap,
    PollResult,
    SourceEvent,
)
from painchain.connectors.http_client import HttpClient, Response, ResponseTooLarge
from painchain.connectors.kubernetes import helm
from painchain.connectors.kubernetes.api import Cluster, ResourceStream, resolve_cluster
from painchain.connectors.kubernetes.bookkeeping import LeaveOut, leave_out
from painchain.connectors.kubernetes.changes import compare_all, deletion
from painchain.connectors.kubernetes.json_values import Fingerprint, as_dict, as_list, fingerprinter, parse_time
from painchain.connectors.kubernetes.observation import (
    ObjectType,
    ObservedObject,
    StoredObject,
    observe,
    stored_object,
)

PAGES = (500, 50, 5)  # objects per page; smaller pages if a response is too large
PAGE_BYTES = 32 * 1024 * 1024
RELISTS = 3
MAX_OBJECTS = 20_000
CURSOR = 1  # the version of the cursor format


@dataclass
class Listing:
    """The current objects of one stream."""

    api: str
    version: str = ""
    objects: dict[str, ObservedObject] = field(default_factory=dict)


@dataclass
class Reader:
    """How objects are read: through `client`, with `fingerprint` for marks, and without those of `leave_out`."""

    client: HttpClient
    fingerprint: Fingerprint
    leave_out: LeaveOut
    requests: int = 0

    def get(self, path: str, params: Mapping[str, Any]) -> Response:
        """Send a request, and count it."""
        self.requests += 1
        return self.client.get(path, params)


@dataclass
class Comparison:
    """The state of one poll: its events, and whether more are left."""

    cluster: str
    leave_out: LeaveOut
    now: datetime
    since: datetime
    events: list[SourceEvent] = field(default_factory=list)
    has_more: bool = False

    @property
    def is_full(self) -> bool:
        """Whether the next poll has to find the rest."""
        return len(self.events) >= MAX_EVENTS


def poll(context: PollContext) -> PollResult:
    """Return how the cluster differs from the cursor. A stream that is listed for the first time brings no events.

    :raises PollError: if the cluster does not respond, or the account can list nothing.
    """
    cluster = resolve_cluster(context.settings)
    old = context.cursor if _is_same_cluster(context.cursor, cluster) else {}
    salt = old.get("salt") or token_hex(16)
    last_heard = parse_time(old.get("heard"))
    comparison = Comparison(cluster.name, leave_out(context.settings), context.now, last_heard or context.now)
    streams: dict[str, Any] = {}
    forbidden: list[ResourceStream] = []
    with HttpClient(
        cluster.base_url, cluster.headers, context.now, cluster.ssl_context(), max_bytes=PAGE_BYTES
    ) as client:
        reader = Reader(client, fingerprinter(salt), comparison.leave_out)
        for stream in cluster.streams():
            before = old.get("streams", {}).get(stream.key)
            if context.stopping() or comparison.is_full:
                comparison.has_more = True
                listing = None
            else:
                listing = _list_stream(reader, stream, before, forbidden)
            if listing:
                streams[stream.key] = _compare(stream, before, listing, comparison)
            elif before:
                streams[stream.key] = before
            _refuse_too_many(streams)
    if not streams and forbidden:
        raise PollError(
            f"The account cannot list any of these resources: {_labels(forbidden)}. {GRANT}",
            ErrorKind.PERMISSION,
            status=403,
        )
    if not streams and not comparison.has_more:
        raise PollError("No Kubernetes API found at this address. Check the API server URL.", ErrorKind.NOT_FOUND)
    cursor = {
        "v": CURSOR,
        "server": cluster.base_url,
        "salt": salt,
        "heard": context.now.isoformat(),
        "streams": streams,
    }
    note = f"The account cannot list {_labels(forbidden)}, so their changes are not seen. {GRANT}" if forbidden else ""
    if comparison.has_more:
        note = f"There is more to read than fits in one poll. The next poll follows immediately. {note}".strip()
    events = helm.add_charts(comparison.events, streams.values())
    gap = _gap(last_heard, context)
    return PollResult(events, cursor, comparison.has_more, note, gap, requests=reader.requests)


GRANT = "Grant it the verbs list and watch for them."


def _is_same_cluster(cursor: Cursor, cluster: Cluster) -> bool:
    """Return whether a cursor is of this cluster. Another one would report every object as deleted and created."""
    return cursor.get("v") == CURSOR and cursor.get("server") == cluster.base_url


def _gap(last_heard: datetime | None, context: PollContext) -> PollGap | None:
    """Return the period without a poll or watch, if it is longer than usual."""
    usual = timedelta(seconds=2 * int(context.settings.get("poll_interval") or 300) + 60)
    if last_heard is None or context.now - last_heard <= usual:
        return None
    words = "Kubernetes keeps no history: objects created and deleted in this period are not on the timeline."
    return PollGap(last_heard, context.now, words)


def _list_stream(
    reader: Reader, stream: ResourceStream, before: Any, forbidden: list[ResourceStream]
) -> Listing | None:
    """Return all objects of a stream. If the account may not list it, add it to `forbidden` and return None."""
    apis = stream.resource.apis
    first = as_dict(before).get("api")
    for api in sorted(apis, key=lambda api: (api != first, apis.index(api))):
        try:
            return _list_with_retries(reader, stream, api)
        except PollError as error:
            if error.kind is ErrorKind.PERMISSION:
                forbidden.append(stream)
                return None
            if error.status != 404:
                raise
    return None


def _list_with_retries(reader: Reader, stream: ResourceStream, api: str) -> Listing:
    """List a stream page by page; start again if the list has expired meanwhile (410)."""
    sizes, tries = list(PAGES), 0
    while True:
        try:
            return _list_pages(reader, stream, api, sizes[0])
        except ResponseTooLarge:
            if not sizes[1:]:
                raise
            sizes.pop(0)
        except PollError as error:
            tries += 1
            if error.status != 410 or tries > RELISTS:
                raise


def _list_pages(reader: Reader, stream: ResourceStream, api: str, size: int) -> Listing:
    listing = Listing(api)
    params: dict[str, Any] = {"limit": size}
    while True:
        response = reader.get(stream.resource.path(api, stream.namespace), params)
        next_page = _add_page(listing, response, stream, reader)
        if not next_page:
            return listing
        params = {"limit": size, "continue": next_page}


def _add_page(listing: Listing, response: Response, stream: ResourceStream, reader: Reader) -> str:
    """Add a page to the listing and return the token of the next page, or ""."""
    page = as_dict(response.value)
    meta = as_dict(page.get("metadata"))
    if not isinstance(page.get("items", []), list | None) or not meta.get("resourceVersion"):
        raise PollError(
            f"The response is not a list of {stream.label}. Check the API server URL.", ErrorKind.INVALID_RESPONSE
        )
    kind, items = stream.resource.kind, as_list(page.get("items"))
    objects = (observe(kind, item, reader.fingerprint, reader.leave_out) for item in items)
    listing.objects |= {observed.uid: observed for observed in objects if observed}
    listing.version = str(meta["resourceVersion"])
    return str(meta.get("continue") or "")


def _compare(stream: ResourceStream, before: Any, listing: Listing, comparison: Comparison) -> dict[str, Any]:
    """Add the events of a stream to the comparison, and return its part of the cursor."""
    object_type = ObjectType(comparison.cluster, stream.resource.kind, comparison.leave_out)
    entries = dict(as_dict(before).get("known", {}))
    is_new = before is None
    for uid, observed in listing.objects.items():
        if comparison.is_full and not is_new:
            comparison.has_more = True
            break
        stored = stored_object(uid, entries.get(uid))
        events, after = compare_all(object_type, stored, observed, comparison.now, comparison.since)
        _store(entries, uid, after)
        comparison.events += [] if is_new else events
    deleted = [StoredObject(uid, *entry) for uid, entry in entries.items() if uid not in listing.objects]
    for old in sorted(deleted, key=_revision):
        if comparison.is_full:
            comparison.has_more = True
            break
        del entries[old.uid]
        if event := deletion(object_type, old, None, comparison.now, comparison.since, entries.values()):
            comparison.events.append(event)
    return {"api": listing.api, "at": listing.version, "known": entries}


def _revision(old: StoredObject) -> int:
    """Return the number of a release's revision: the deletion of the last one uninstalled it."""
    revision = helm.parse_name(old.name)
    return revision.number if revision else 0


def _store(entries: dict[str, Any], uid: str, after: StoredObject | None) -> None:
    if after:
        entries[uid] = after.entry()
    else:
        entries.pop(uid, None)


def _refuse_too_many(streams: dict[str, Any]) -> None:
    if sum(len(stream["known"]) for stream in streams.values()) > MAX_OBJECTS:
        raise PollError(
            f"The cluster has more than {MAX_OBJECTS:,} objects. List only the namespaces that matter.",
            ErrorKind.SETTINGS,
        )


def _labels(streams: Sequence[ResourceStream], most: int = 20) -> str:
    named = ", ".join(stream.label for stream in streams[:most])
    return f"{named} and {len(streams) - most} more" if len(streams) > most else named
