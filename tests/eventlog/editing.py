"""Edits in threads, also on another server: a small module, because its process imports it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

from flask import Flask

from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.core.config import Settings
from painchain.eventlog import writer
from painchain.startup import create_app


@contextmanager
def audited_transaction(app: Flask, now: datetime | None = None, author: str = "operator") -> Iterator[Trail]:
    """Open an audited transaction."""
    with app.app_context(), writer.writing() as event_log:
        yield Trail(event_log, author, "one-action", now or datetime.now(UTC))


def edit_in_threads(app: Flask, connectors: list[int], threads: range, edits: int) -> None:
    """Run edits in parallel threads, each with a new value."""
    start = threading.Barrier(len(threads))

    def edit(thread: int) -> None:
        start.wait()
        for edit in range(edits):
            number = connectors[(thread + edit) % len(connectors)]
            unique = thread * edits + edit
            values = {"poll_interval": 1000 + unique} if edit % 2 else {"name": f"Connector {unique}"}
            with audited_transaction(app, author=f"thread {thread}") as trail:
                assert connector_store.update(connector_store.get(number), ConnectorEdit(values), trail)

    with ThreadPoolExecutor(len(threads)) as pool:
        for done in [pool.submit(edit, thread) for thread in threads]:
            done.result()


def edit_on_another_server(settings: Settings, connectors: list[int], threads: range, edits: int) -> None:
    """Start a server and edit on it."""
    app = create_app(settings)
    edit_in_threads(app, connectors, threads, edits)
