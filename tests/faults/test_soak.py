"""The load of an incident, and a kill every two minutes: `make test-soak` runs it for half an hour on each database."""

from __future__ import annotations

import http.client
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from painchain.database.models import ChangeEvent, LogHead
from painchain.database.session import Base, db
from painchain.integrity import verification
from painchain.maintenance import demo_data
from painchain.startup import create_app
from tests.bench.incident import READERS, Incident
from tests.bench.incident import start as start_load
from tests.conftest import close, settings_for
from tests.support.started_server import Server

SECONDS = 60 * float(os.environ.get("PAINCHAIN_TEST_SOAK") or 0)
LIFE = min(120.0, SECONDS / 4)  # of a server, until it is killed
EVENTS, DASHBOARDS, WRITERS = 20_000, 30, 5
MIB = 1024 * 1024
LARGEST_WAL, IDLE_WAL = 16 * MIB, 5 * MIB
MEMORY, DESCRIPTORS = 200, 150  # in MiB, and in number
GROWTH = 1.25  # of the memory, from the first life of a server to the last


@dataclass(frozen=True)
class Usage:
    """What a server uses: memory in MiB, file descriptors, and bytes of the write-ahead log of SQLite."""

    memory: float
    descriptors: int
    wal: int

    @classmethod
    def of(cls, server: Server, instance: Path) -> Usage:
        """Read what a server uses now."""
        process = Path(f"/proc/{server.process.pid}")
        lines = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        wal = instance / "painchain.db-wal"
        descriptors = sum(1 for _ in (process / "fd").iterdir())
        return cls(int(lines["VmRSS"].split()[0]) / 1024, descriptors, wal.stat().st_size if wal.exists() else 0)


def peak(usages: list[Usage]) -> Usage:
    """Return the most of everything."""
    return Usage(*(max(getattr(usage, name) for usage in usages) for name in Usage.__annotations__))


@pytest.mark.skipif(not SECONDS, reason="make test-soak runs it")
@pytest.mark.both_databases
def test_a_long_incident_with_kills_loses_nothing_and_stays_flat(
    start: Callable[..., Server], instance: Path, url: str
) -> None:
    fill(instance, url)
    acknowledged: list[str] = []
    peaks: list[Usage] = []
    end = time.monotonic() + SECONDS
    is_last = False
    while not is_last:
        is_last = time.monotonic() + LIFE > end
        server = start(database_url=url)
        with under_load(server, acknowledged) as parts:
            peaks.append(peak(list(watch(server, instance, parts, LIFE * random.uniform(0.8, 1.2)))))
            if not is_last:
                server.process.kill()
                server.process.wait()
        assert "Traceback" not in server.err.read_text(), server.err.read_text()
    idle = peak(list(watch(server, instance, [], 10)))
    server.stop()
    kills = f"\n{len(peaks) - 1} kills, {len(acknowledged):,} acknowledged edits, idle: {idle}"
    sys.stdout.write("\n".join([kills, *map(str, peaks), ""]))
    assert_nothing_lost(instance, url, acknowledged)
    assert_flat(peaks, idle)


def fill(instance: Path, url: str) -> None:
    """Add the demo events."""
    app = create_app(settings_for(instance, url))
    with app.app_context():
        demo_data.fill(EVENTS, 90, 1, datetime.now(UTC), lambda events: None)
    close(app)


@contextmanager
def under_load(server: Server, acknowledged: list[str]) -> Iterator[list[Future[None]]]:
    """Put the load on a server, which may be killed. Add the IDs of the acknowledged edits."""
    incident = Incident(server.port, SECONDS + LIFE)
    with ThreadPoolExecutor(DASHBOARDS + WRITERS + READERS) as threads:
        try:
            yield (parts := start_load(incident, threads, DASHBOARDS, WRITERS))
        finally:
            incident.stopped.set()
    for part in parts:  # a part that paused has ended; others had lost their connection, but no answer was an error
        assert isinstance(part.exception(), OSError | http.client.HTTPException | None), part.exception()
    acknowledged += incident.acknowledged


def watch(server: Server, instance: Path, parts: list[Future[None]], seconds: float) -> Iterator[Usage]:
    """Yield once a second what a server uses, for some seconds in which no part of the load may end."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert not [part.exception() for part in parts if part.done()]
        assert server.process.poll() is None, server.err.read_text()
        yield Usage.of(server, instance)
        time.sleep(1)


def assert_nothing_lost(instance: Path, url: str, acknowledged: list[str]) -> None:
    """Assert that the log is intact and contains every acknowledged edit."""
    app = create_app(settings_for(instance, url))
    event = ChangeEvent.__table__.c
    try:
        with app.app_context():
            assert verification.verify_chain().broken is None
            assert verification.completeness().drift == []
            with db.engine.connect() as connection:
                rows = connection.execute(select(event.id, event.request_id).order_by(event.id)).all()
                head = connection.execute(select(Base.metadata.tables[LogHead.__tablename__])).one()
    finally:
        close(app)
    assert [row.id for row in rows] == list(range(1, head.last_event + 1))
    assert acknowledged
    assert set(acknowledged) - {row.request_id for row in rows} == set()


def assert_flat(peaks: list[Usage], idle: Usage) -> None:
    """Assert that no life of a server used much more than the first, and that an idle server uses less."""
    most = peak(peaks)
    assert most.memory <= min(MEMORY, GROWTH * peaks[0].memory)
    assert most.descriptors <= DESCRIPTORS
    assert most.wal <= LARGEST_WAL
    assert idle.wal <= IDLE_WAL
    assert idle.memory <= most.memory
    assert idle.descriptors <= most.descriptors
