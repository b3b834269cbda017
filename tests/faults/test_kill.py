"""Killed at any moment: what was answered is there with its events, nothing is half there, and the chain is whole."""

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
from tests.faults.conftest import LONG, add_connector, checked
from tests.test_startup import PATIENCE, Server

KILLS, EDITS = (20, 1000) if LONG else (2, 60)
CLIENTS = 4


class Client(threading.Thread):
    """Edits a connector of its own until the server is gone, and keeps what was answered.

    Each edit takes the next of the `values`, which all clients share: one that changes nothing would have no events.
    """

    def __init__(
        self, server: Server, address: str, edits: int, values: Iterator[int], answered: list[tuple[str, int]]
    ):
        super().__init__(daemon=True)
        self.server, self.address, self.edits, self.values, self.answered = server, address, edits, values, answered
        self.failed = ""

    def run(self) -> None:
        """Edit."""
        with suppress(OSError, http.client.HTTPException), closing(self.server.connect()) as connection:
            for _ in range(self.edits):
                body = json.dumps({"config": {"poll_interval": next(self.values)}})
                headers = {"Content-Type": "application/json", "If-Match": "*"}
                connection.request("PATCH", self.address, body, headers)
                answer = connection.getresponse()
                told = answer.read()
                if answer.status != 200:
                    self.failed = f"{answer.status} {told!r}"
                    return
                self.answered.append((str(answer.headers["X-Request-Id"]), json.loads(told)["version"]))


def test_every_acknowledged_write_survives_and_nothing_is_partial(
    start: Callable[..., Server], instance: Path, url: str
) -> None:
    seed = random.randrange(10**9)
    dice, values = random.Random(seed), itertools.cycle(range(301, 3600))
    answered: list[tuple[str, int]] = []
    addresses: list[str] = []
    for kill in range(KILLS):
        server = start(database_url=url)
        addresses = addresses or [add_connector(server, f"Connector {number}") for number in range(CLIENTS)]
        before = len(answered)
        wanted = before + dice.randrange(1, EDITS)
        clients = [Client(server, address, EDITS // CLIENTS, values, answered) for address in addresses]
        for one in clients:
            one.start()
        while len(answered) < wanted and any(one.is_alive() for one in clients):
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.02))
        server.process.kill()
        server.process.wait()
        for one in clients:
            one.join(PATIENCE)
            assert not one.failed, one.failed
        assert len(answered) > before, f"seed {seed}"
        holds(instance, url, answered, f"seed {seed}, kill {kill}")


def holds(instance: Path, url: str, answered: list[tuple[str, int]], where: str) -> None:
    """Look at what is there after a new start."""
    app = create_app(settings_for(instance, url))
    try:
        with app.app_context():
            found = verification.verify_chain()
            assert found.broken is None, (where, found)
            assert not verification.completeness().drift, where
            look(answered, where)
    finally:
        close(app)


def look(answered: list[tuple[str, int]], where: str) -> None:
    event, connector = ChangeEvent.__table__.c, Connector.__table__.c
    query = select(event.id, event.event_type, event.request_id, event.connector_id, event.metadata)
    with db.engine.connect() as connection:
        events = connection.execute(query.order_by(event.id)).all()
        head = connection.execute(select(Base.metadata.tables[LogHead.__tablename__])).one()
        there = connection.execute(select(connector.id, connector.type, connector.version, connector.config)).all()
    assert [one.id for one in events] == list(range(1, head.last_event + 1)), where
    actions: dict[str, list[Any]] = defaultdict(list)
    for one in events:
        actions[one.request_id].append(one)
    edits = {request: some for request, some in actions.items() if some[0].event_type != "ConnectorCreated"}
    for some in edits.values():
        assert sorted(one.event_type for one in some) == ["ConfigChanged", "ConnectorUpdated"], where
    lost = {request for request, _ in answered} - set(edits)
    assert not lost, where
    for one in there:
        own = [some for some in edits.values() if some[0].connector_id == one.id]
        assert one.version == len(own) + 1, where  # no edit without its events, no events without their edit
        if own:
            updated = max((event for some in own for event in some), key=lambda event: event.id)
            newest = next(one for one in actions[updated.request_id] if one.event_type == "ConnectorUpdated")
            assert one.config["poll_interval"] == newest.metadata["changes"]["poll_interval"]["new"], where


@pytest.mark.skipif(not LONG, reason="make test-faults runs it")
def test_a_killed_restore_is_complete_or_has_no_effect(
    start: Callable[..., Server], instance: Path, tmp_path: Path, url: str
) -> None:
    server = start(database_url=url)
    for _ in range(300):
        assert server.ask("POST", "/api/painchain/log", REPORT)[0] == 201
    server.stop()
    own = {"PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_DATABASE_URL": url}
    environ = {**os.environ, **own, "PAINCHAIN_PORT": "0"}
    command = [sys.executable, "-c", "from painchain.cli.main import main; main(prog_name='painchain')"]
    subprocess.run([*command, "backup", str(tmp_path / "file")], check=True, env=environ, capture_output=True)
    restore = [*command, "restore", str(tmp_path / "file"), "--replace", "--yes"]
    began = time.monotonic()
    subprocess.run(restore, check=True, env=environ, capture_output=True)
    whole, before, cut = time.monotonic() - began, checked(instance, url).last, 0
    for kill in range(12):
        restoring = subprocess.Popen(restore, env=environ, stderr=subprocess.DEVNULL)
        with suppress(subprocess.TimeoutExpired):
            restoring.wait(whole * (0.5 + kill / 20))
        restoring.kill()
        cut += restoring.wait() != 0
        found = checked(instance, url)
        assert found.broken is None
        assert found.last in (before, before + 1)
        before = found.last
    assert cut, "none was killed before its end"


REPORT = {"event_type": "connector_created", "connector_name": "Work GitHub", "connector_type": "github"}
