"""Watch sources between polls. One thread with one event loop runs the watches of this process."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from painchain import connectors
from painchain.configuration import connector_store
from painchain.connectors.contract import CursorUpdate, PollError
from painchain.core import logs, runtime
from painchain.database.session import WriteBusy, db
from painchain.ingestion import watching
from painchain.ingestion.watching import Outcome, WatchedConnector

LOOK_SECONDS = 1.0
STOP_SECONDS = 2.0
HELD_SECONDS = 0.3  # while a poll holds the connector
RETRY_SECONDS = 30.0

log = logging.getLogger(__name__)
Value = TypeVar("Value")


def clock() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


@dataclass
class Watch:
    """One watch of this process. It holds the connector's lease `until` that time, also while it waits for a poll."""

    connector: WatchedConnector
    until: datetime
    task: asyncio.Task[None] | None = None


class WatchWorker:
    """The thread that runs watches. Several servers share the connectors through the database."""

    def __init__(self, app: Flask, clock: Callable[[], datetime] = clock):
        self._app = app
        self._clock = clock
        with app.app_context():
            self._engine = db.engine
        self._watches: dict[int, Watch] = {}
        self._version: Hashable = None  # of the database when there was nothing to watch
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_main: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End every watch. The next watch receives again what is not stored."""
        self._stopping.set()
        if self._loop and self._stop_main:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stop_main.set)
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                asyncio.run(self._main())
            except Exception as error:  # polls continue, and watches are restarted
                logs.log_failure(log, "Watching", error)
                self._stopping.wait(RETRY_SECONDS)

    async def _main(self) -> None:
        self._loop, self._stop_main = asyncio.get_running_loop(), asyncio.Event()
        outage = logs.RepeatedFailure(log, "Updating the watches", logging.WARNING)
        try:
            while not self._stopping.is_set():
                try:
                    await self._synchronise()
                    outage.succeeded()
                except (SQLAlchemyError, WriteBusy) as error:
                    outage.failed(error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop_main.wait(), LOOK_SECONDS)
        finally:
            for connector_id in list(self._watches):
                await self._end(connector_id)

    async def _synchronise(self) -> None:
        """Start, restart and end watches, and renew the leases of running ones."""
        version = None
        if not self._watches:
            # Without a watch, nothing else waits for this thread.
            version = runtime.of(self._app).changes.version(self._engine)
            if version == self._version:
                return
        self._version = None
        connectors_by_id = await self._in_app(watching.watched_connectors)
        for connector_id, watch in list(self._watches.items()):
            if not await self._should_continue(watch, connectors_by_id.get(connector_id)):
                await self._end(connector_id)
        for connector_id, connector in connectors_by_id.items():
            if connector_id not in self._watches:
                await self._begin(connector)
        if not self._watches and not connectors_by_id:
            self._version = version

    async def _should_continue(self, watch: Watch, connector: WatchedConnector | None) -> bool:
        if connector is None or connector.version != watch.connector.version:
            return False
        if (watch.task is None or watch.task.done()) and connector.last_success != watch.connector.last_success:
            return False  # it has ended by itself, and a poll has set a new start position
        now = self._clock()
        if not watching.LEASE / 2 <= watch.until - now <= watching.LEASE:
            until = await self._in_app(watching.renew, watch.connector.connector_id, watch.until, now)
            if until is None:
                return False
            watch.until = until
        return True

    async def _begin(self, connector: WatchedConnector) -> None:
        until = await self._in_app(watching.acquire, connector.connector_id, self._clock())
        if until is None:
            return
        watch = self._watches[connector.connector_id] = Watch(connector, until)
        watch.task = asyncio.create_task(self._watch(watch))

    async def _end(self, connector_id: int) -> None:
        watch = self._watches.pop(connector_id)
        if watch.task:
            watch.task.cancel()
            await asyncio.gather(watch.task, return_exceptions=True)
        with suppress(SQLAlchemyError, WriteBusy):
            await self._in_app(watching.release, connector_id, watch.until)

    async def _watch(self, watch: Watch) -> None:
        """Watch one connector until a poll is needed. An error does not affect other watches."""
        connector_id = watch.connector.connector_id
        logs.set_context(connector=connector_id)  # of this task alone
        try:
            context, listen = await self._in_app(self._prepare, connector_id)
            if context is None or listen is None:
                return
            updates = listen(context)
            try:
                async for update in updates:
                    if not await self._store(watch, update):
                        return
            finally:
                await updates.aclose()
        except PollError as error:  # the next poll reports the error too
            log.warning("The watch of connector %s ended: %s", connector_id, error)
        except Exception as error:  # an error in one connector type; the next poll restarts the watch
            logs.log_failure(log, "A watch", error, logging.WARNING)

    def _prepare(self, connector_id: int) -> Any:
        connector = connector_store.get(connector_id)
        connector_type = connectors.TYPES.get(connector.type) if connector else None
        context = watching.poll_context(connector_id, self._clock())
        return context, connector_type.watch if connector_type else None

    async def _store(self, watch: Watch, update: CursorUpdate) -> bool:
        """Store a received update as soon as possible. Return whether the watch continues."""
        outage = logs.RepeatedFailure(log, "Storing an update of a watch", logging.WARNING)
        while True:
            try:
                outcome = await self._in_app(
                    watching.store, watch.connector.connector_id, watch.until, update, self._clock()
                )
            except (SQLAlchemyError, WriteBusy) as error:
                outage.failed(error)
                await asyncio.sleep(LOOK_SECONDS)
                continue
            outage.succeeded()
            if outcome is not Outcome.WAIT:
                return outcome is Outcome.STORED
            await asyncio.sleep(HELD_SECONDS)

    def _in_app(self, work: Callable[..., Value], *arguments: Any) -> Coroutine[Any, Any, Value]:
        def run() -> Value:
            with self._app.app_context():
                try:
                    return work(*arguments)
                finally:
                    db.session.remove()

        return asyncio.to_thread(run)
