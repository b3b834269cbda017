"""A server is killed at random times: acknowledged writes are stored, none is partial, and the chain is intact."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from painchain.database.models import ChangeEvent, Connector, LogHead
from painchain.database.session import Base, db
from painchain.integrity import verification
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.faults.conftest import LONG, add_connector, verify_log
from tests.support.started_server import PATIENCE, Server

KILLS, EDITS = (20, 1000) if LONG else (2, 60)
CLIENTS = 4
LOG = "/api/painchain/log"
REPORT = {"event_type": "connector_created", "connector_name": "Work GitHub", "connector_type": "github"}


class Client(threading.Thread):
    """Edits its own connector until the server is killed, and records the acknowledged requests.

    All clients share `values`, and each edit takes the next one, so that every edit is a change and has events.
    """

    def __init__(
        self, server: Server, address: str, edits: int, values: Iterator[int], acknowledged: list[tuple[str, int]]
    ):
        super().__init__(daemon=True)
        self.server, self.address, self.edits, self.values, self.answered = server, address, edits, values, acknowledged
        self.failed = ""

    def run(self) -> None:
        """Send the edits."""
        with suppress(OSError, http.client.HTTPException), closing(self.server.connect()) as connection:
            for _ in range(self.edits):
                body = json.dumps({"config": {"poll_interval": next(self.values)}})
                headers = {"Content-Type": "application/json", "If-Match": "*"}
                connection.request("PATCH", self.address, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 200:
                    self.failed = f"{answer.status} {content!r}"
                    return
                self.answered.append((str(answer.headers["X-Request-Id"]), json.loads(content)["version"]))


def test_every_acknowledged_write_survives_and_nothing_is_partial(
    start: Callable[..., Server], instance: Path, url: str
) -> None:
    seed = random.randrange(10**9)
    dice, values = random.Random(seed), itertools.cycle(range(301, 3600))
    acknowledged: list[tuple[str, int]] = []
    addresses: list[str] = []
    for kill in range(KILLS):
        server = start(database_url=url)
        addresses = addresses or [add_connector(server, f"Connector {number}") for number in range(CLIENTS)]
        before = len(acknowledged)
        stop_at = before + dice.randrange(1, EDITS)
        clients = [Client(server, address, EDITS // CLIENTS, values, acknowledged) for address in addresses]
        for client in clients:
            client.start()
        while len(acknowledged) < stop_at and any(client.is_alive() for client in clients):
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.02))
        server.process.kill()
        server.process.wait()
        for client in clients:
            client.join(PATIENCE)
            assert not client.failed, client.failed
        assert len(acknowledged) > before, f"seed {seed}"
        assert_nothing_lost(instance, url, acknowledged, f"seed {seed}, kill {kill}")


def assert_nothing_lost(instance: Path, url: str, acknowledged: list[tuple[str, int]], where: str) -> None:
    """Start again, and assert that the database contains every acknowledged edit with its events."""
    app = create_app(settings_for(instance, url))
    try:
        with app.app_context():
            result = verification.verify_chain()
            assert result.broken is None, (where, result)
            assert not verification.completeness().drift, where
            assert_complete(acknowledged, where)
    finally:
        close(app)


def assert_complete(acknowledged: list[tuple[str, int]], where: str) -> None:
    event, connector = ChangeEvent.__table__.c, Connector.__table__.c
    query = select(event.id, event.event_type, event.request_id, event.connector_id, event.metadata)
    with db.engine.connect() as connection:
        events = connection.execute(query.order_by(event.id)).all()
        head = connection.execute(select(Base.metadata.tables[LogHead.__tablename__])).one()
        stored_connectors = connection.execute(
            select(connector.id, connector.type, connector.version, connector.config)
        ).all()
    assert [event.id for event in events] == list(range(1, head.last_event + 1)), where
    actions: dict[str, list[Any]] = defaultdict(list)
    for event in events:
        actions[event.request_id].append(event)
    edits = {
        request: request_events
        for request, request_events in actions.items()
        if request_events[0].event_type != "ConnectorCreated"
    }
    for request_events in edits.values():
        assert sorted(request_event.event_type for request_event in request_events) == [
            "ConfigChanged",
            "ConnectorUpdated",
        ], where
    lost = {request for request, _ in acknowledged} - set(edits)
    assert not lost, where
    for stored in stored_connectors:
        own = [request_events for request_events in edits.values() if request_events[0].connector_id == stored.id]
        assert stored.version == len(own) + 1, where  # no edit without its events, no events without their edit
        if own:
            updated = max((event for request_events in own for event in request_events), key=lambda event: event.id)
            newest = next(action for action in actions[updated.request_id] if action.event_type == "ConnectorUpdated")
            assert stored.config["poll_interval"] == newest.metadata["changes"]["poll_interval"]["new"], where


class Reporter(threading.Thread):
    """Reports events until the server is killed, and records the request IDs and event IDs of the acknowledged ones."""

    def __init__(self, server: Server, acknowledged: list[tuple[str, str]]):
        super().__init__(daemon=True)
        self.server, self.acknowledged, self.failed = server, acknowledged, ""

    def run(self) -> None:
        """Send the reports."""
        with suppress(OSError, http.client.HTTPException), closing(self.server.connect()) as connection:
            for _ in range(EDITS):
                connection.request("POST", LOG, json.dumps(REPORT), {"Content-Type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status != 201:
                    self.failed = f"{answer.status} {content!r}"
                    return
                self.acknowledged.append((str(answer.headers["X-Request-Id"]), json.loads(content)["event_id"]))


def test_every_acknowledged_report_survives_although_reports_share_transactions(
    start: Callable[..., Server], instance: Path, url: str
) -> None:
    seed = random.randrange(10**9)
    dice = random.Random(seed)
    acknowledged: list[tuple[str, str]] = []
    for kill in range(KILLS):
        server = start(database_url=url)
        stop_at = len(acknowledged) + dice.randrange(1, EDITS)
        reporters = [Reporter(server, acknowledged) for _ in range(4 * CLIENTS)]
        for reporter in reporters:
            reporter.start()
        while len(acknowledged) < stop_at and any(reporter.is_alive() for reporter in reporters):
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.02))
        server.process.kill()
        server.process.wait()
        for reporter in reporters:
            reporter.join(PATIENCE)
            assert not reporter.failed, reporter.failed
        where = f"seed {seed}, kill {kill}"
        assert len(acknowledged) >= stop_at, where
        assert_reports_stored(instance, url, acknowledged, where)


def assert_reports_stored(instance: Path, url: str, acknowledged: list[tuple[str, str]], where: str) -> None:
    """Start again, and assert that the log is intact and contains every acknowledged report once."""
    app = create_app(settings_for(instance, url))
    event = ChangeEvent.__table__.c
    try:
        with app.app_context(), db.engine.connect() as connection:
            assert verification.verify_chain().broken is None, where
            stored = connection.execute(select(event.id, event.request_id, event.event_id).order_by(event.id)).all()
    finally:
        close(app)
    assert [row.id for row in stored] == list(range(1, len(stored) + 1)), where
    by_request = {row.request_id: row.event_id for row in stored}
    assert len(by_request) == len(stored), where
    assert not set(acknowledged) - set(by_request.items()), where


@pytest.mark.skipif(not LONG, reason="make test-faults runs it")
def test_a_killed_restore_is_complete_or_has_no_effect(
    start: Callable[..., Server], instance: Path, tmp_path: Path, url: str
) -> None:
    server = start(database_url=url)
    for _ in range(300):
        assert server.ask("POST", LOG, REPORT)[0] == 201
    server.stop()
    own = {"PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_DATABASE_URL": url}
    environ = {**os.environ, **own, "PAINCHAIN_PORT": "0"}
    command = [sys.executable, "-c", "from painchain.cli.main import main; main(prog_name='painchain')"]
    subprocess.run([*command, "backup", str(tmp_path / "file")], check=True, env=environ, capture_output=True)
    restore = [*command, "restore", str(tmp_path / "file"), "--replace", "--yes"]
    start = time.monotonic()
    subprocess.run(restore, check=True, env=environ, capture_output=True)
    duration, before, killed_count = time.monotonic() - start, verify_log(instance, url).last, 0
    for kill in range(12):
        restoring = subprocess.Popen(restore, env=environ, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            restoring.wait(duration * (0.5 + kill / 20))
        restoring.kill()
        killed_count += restoring.wait() != 0
        result = verify_log(instance, url)
        assert result.broken is None
        assert result.last in (before, before + 1)
        before = result.last
    assert killed_count, "no restore was killed before its end"
