"""Watch a cluster between polls: one stream per kind and namespace, from the resourceVersion of its list."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from painchain.connectors.contract import CursorUpdate, ErrorKind, PollContext, PollError
from painchain.connectors.http_client import AGENT, CONNECT_SECONDS
from painchain.connectors.kubernetes.api import Cluster, ResourceStream, resolve_cluster
from painchain.connectors.kubernetes.bookkeeping import leave_out
from painchain.connectors.kubernetes.json_values import Fingerprint, as_dict, fingerprinter, parse_time
from painchain.connectors.kubernetes.observation import ObservedObject, observe
from painchain.connectors.kubernetes.watch_update import MAX_STREAMS, LostStream, WatchEvent, WatchUpdate, utc_now
from painchain.core import address_policy

if TYPE_CHECKING:  # imported by the first watch, see `http_client`
    import httpx2

STREAM_SECONDS = 240  # the server ends a stream after this; the next one continues
SILENT_SECONDS = 150  # without a line; bookmarks come about once a minute
LINE_BYTES = 8 * 1024 * 1024
QUEUE_SIZE = 1_000
BATCH_SECONDS = 0.2
MAX_BATCH = 500
KEEP_SECONDS = 20.0  # how often the position is stored if nothing happens
FIRST_BACKOFF, MAX_BACKOFF = 1.0, 60.0
FORBIDDEN_PAUSE = 300.0
SHORT_SECONDS = 10.0  # after a shorter stream, the next one waits


class _ResourceExpired(Exception):
    """The server no longer has the resourceVersion (410)."""


async def watch(context: PollContext) -> AsyncIterator[CursorUpdate]:
    """Yield what happens in a cluster since the last poll or watch. Return when a new list is needed."""
    cluster = resolve_cluster(context.settings)
    if context.cursor.get("server") != cluster.base_url:
        return  # not polled yet
    await _refuse_private(cluster)
    streams = [stream for stream in cluster.streams() if stream.key in context.cursor.get("streams", {})][:MAX_STREAMS]
    queue: asyncio.Queue[WatchEvent | LostStream] = asyncio.Queue(QUEUE_SIZE)
    async with _client(cluster) as client:
        watches = [WatchStream(stream, context, client, queue) for stream in streams]
        tasks = [asyncio.create_task(watch.listen()) for watch in watches]
        try:
            while tasks:
                batch = await _next_batch(queue)
                alive = [watch.alive for watch in watches if watch.alive]
                update = WatchUpdate(
                    cluster.name,
                    batch,
                    min(alive, default=None),
                    frozenset(stream.key for stream in streams),
                    context.cursor["salt"],
                    leave_out(context.settings),
                )
                yield update
                if update.is_outdated or any(isinstance(item, LostStream) for item in batch):
                    return
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _refuse_private(cluster: Cluster) -> None:
    """Raise an error if the address of the cluster is not allowed. Every connection is checked as well.

    :raises PollError: if the address is not allowed.
    """
    import httpx2

    url = httpx2.URL(cluster.base_url)
    try:
        await address_policy.resolve_async(url.host, url.port or 443)
    except address_policy.AddressRefused as problem:
        raise PollError(str(problem), ErrorKind.SETTINGS) from None
    except OSError:
        return  # the streams retry


def _client(cluster: Cluster) -> httpx2.AsyncClient:
    import httpx2

    from painchain.core.http_transport import GuardedAsyncTransport

    return httpx2.AsyncClient(
        transport=GuardedAsyncTransport(cluster.ssl_context()),
        timeout=httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
    )


async def _next_batch(queue: asyncio.Queue[WatchEvent | LostStream]) -> list[WatchEvent | LostStream]:
    """Wait for the first item, then return all items of a short time; [] when the position should be stored."""
    try:
        batch = [await asyncio.wait_for(queue.get(), KEEP_SECONDS)]
    except TimeoutError:
        return []
    await asyncio.sleep(BATCH_SECONDS)
    while len(batch) < MAX_BATCH and not queue.empty():
        batch.append(queue.get_nowait())
    return batch


class WatchStream:
    """Reads one stream and opens it again from its position when it ends."""

    def __init__(
        self,
        stream: ResourceStream,
        context: PollContext,
        client: httpx2.AsyncClient,
        queue: asyncio.Queue[WatchEvent | LostStream],
    ):
        stored = context.cursor["streams"][stream.key]
        self._stream = stream
        self._settings = context.settings
        self._fingerprint: Fingerprint = fingerprinter(context.cursor["salt"])
        self._leave_out = leave_out(context.settings)
        self._client = client
        self._queue = queue
        self._api: str = stored["api"]
        self._version: str = stored["at"]
        self._states: dict[str, Any] = {uid: entry[3] for uid, entry in stored["known"].items()}
        self.alive: datetime | None = parse_time(context.cursor.get("heard")) or context.now
        self._pause = FIRST_BACKOFF

    async def listen(self) -> None:
        """Read until the resourceVersion has expired."""
        import httpx2

        while True:
            pause = 0.0
            try:
                pause = await self._open()
            except _ResourceExpired:
                await self._queue.put(LostStream(self._stream, self.alive or utc_now()))
                return
            except (httpx2.HTTPError, PollError, ValueError, RecursionError, ssl.SSLError, OSError):
                pause = self._pause = min(self._pause * 2, MAX_BACKOFF)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  jitter, no secret

    async def _open(self) -> float:
        """Read one stream to its end. Return how many seconds to wait before the next one."""
        cluster = await asyncio.to_thread(resolve_cluster, self._settings)  # Kubernetes renews the in-cluster token
        url = f"{cluster.base_url}/{self._stream.resource.path(self._api, self._stream.namespace)}"
        params = {
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(random.randint(STREAM_SECONDS // 2, STREAM_SECONDS)),  # noqa: S311
        }
        headers = {"User-Agent": AGENT, "Accept": "application/json", **cluster.headers}
        async with self._client.stream("GET", url, params=params, headers=headers) as response:
            if response.status_code == 410:
                raise _ResourceExpired
            if response.status_code in (401, 403, 404):
                self.alive = None  # only polls read it
                return FORBIDDEN_PAUSE
            if response.status_code != 200:  # redirects too: the token is sent to no other host
                raise ValueError(f"status {response.status_code}")
            self.alive, began = utc_now(), time.monotonic()
            async for line in _lines(response.aiter_bytes()):
                await self._read(json.loads(line))
                self.alive, self._pause = utc_now(), FIRST_BACKOFF
        if time.monotonic() - began < SHORT_SECONDS:
            self._pause = min(self._pause * 2, MAX_BACKOFF)
            return self._pause
        return 0.2

    async def _read(self, line: Any) -> None:
        kind, item = as_dict(line).get("type"), as_dict(as_dict(line).get("object"))
        if kind == "ERROR":
            if item.get("code") == 410:
                raise _ResourceExpired
            raise ValueError("the stream ended with an error")
        version = str(as_dict(item.get("metadata")).get("resourceVersion") or "")
        if not version or kind not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
            return
        self._version = version
        observed = None if kind == "BOOKMARK" else self._observe(item)
        if observed is None:
            await self._queue.put(WatchEvent(self._stream, version))
        elif kind == "DELETED":
            self._states.pop(observed.uid, None)
            await self._queue.put(WatchEvent(self._stream, version, "deleted", observed))
        elif self._states.get(observed.uid) != observed.state:  # most lines are heartbeats and counters
            self._states[observed.uid] = observed.state
            await self._queue.put(WatchEvent(self._stream, version, kind.lower(), observed))

    def _observe(self, item: Any) -> ObservedObject | None:
        return observe(self._stream.resource.kind, item, self._fingerprint, self._leave_out)


async def _lines(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the complete lines of a stream.

    :raises ValueError: if a line is longer than any object can be.
    """
    rest = bytearray()
    async for part in parts:
        rest += part
        if b"\n" in part:
            *lines, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            for line in lines:
                if line.strip():
                    yield line
        if len(rest) > LINE_BYTES:
            raise ValueError("a line is too long")
