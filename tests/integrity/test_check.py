"""The daily check: one server runs it, a break is recorded once, and only an intact log gets a checkpoint."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from painchain.core import address_policy
from painchain.core.crypto import KEY_BYTES, Keyring
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.integrity import check as integrity_check
from painchain.integrity import check_job, checkpoints, latest_checkpoint
from painchain.integrity.check_job import State
from painchain.workers import integrity
from painchain.workers.integrity import IntegrityWorker
from tests.support.backups import restore_backup, take_backup
from tests.support.event_log import write
from tests.support.tampering import change

Events = Callable[..., list[dict[str, Any]]]
NOW = datetime(2026, 1, 15, 14, tzinfo=UTC)


@pytest.fixture
def run_check(app: Flask) -> Callable[..., State]:
    """Return a function that runs the worker at ``NOW`` plus a time span, and returns the state of the check."""

    def run_check(**after: float) -> State:
        IntegrityWorker(app, lambda: NOW + timedelta(**after)).run_once()
        return state(app)

    return run_check


def state(app: Flask) -> State:
    """Return the state of the check."""
    with app.app_context():
        return check_job.state()


def request_check(app: Flask) -> None:
    """Press "Check now"."""
    with app.app_context(), writer.writing():
        check_job.request_check()


def checkpoint_sizes(app: Flask) -> list[int]:
    """Return the sizes of the checkpoints in the file."""
    with app.app_context():
        return [checkpoint.size for checkpoint in checkpoints.read_with_known_key(latest_checkpoint.file())[0]]


def of_type(events: Events, *names: str) -> list[dict[str, Any]]:
    """Return PainChain's own events of these types, oldest first."""
    return [event for event in events(source="painchain") if event["event_type"] in names]


def test_daily_check_makes_a_checkpoint(app: Flask, run_check: Callable[..., State]) -> None:
    write(app, {}, {})
    first = run_check()
    assert first.result
    assert (first.result.events, first.result.broken, first.checked_at) == (3, None, NOW)
    assert first.due == datetime(2026, 1, 16, 3, tzinfo=UTC)
    assert checkpoint_sizes(app) == [3]
    run_check(hours=12)
    assert checkpoint_sizes(app) == [3], "the next is not due yet"
    write(app, {"event_id": "later"})
    assert run_check(hours=13).checked_at == NOW + timedelta(hours=13)
    assert checkpoint_sizes(app) == [3, 4]


def test_only_one_server_acquires_the_check(app: Flask) -> None:
    with app.app_context():
        checks = [check_job.acquire(NOW), check_job.acquire(NOW + timedelta(seconds=1))]
        assert [bool(check) for check in checks] == [True, False]
        taken_over = check_job.acquire(NOW + timedelta(seconds=61))
        assert taken_over
        assert taken_over.daily, "the daily check of the server that stopped"
        assert checks[0]
        assert not check_job.report_progress(checks[0], 1, 2, NOW), "the first server has lost the check"


@pytest.mark.both_databases
def test_only_one_of_concurrent_servers_checks_and_posts(app: Flask, collector: Collector) -> None:
    object.__setattr__(app.extensions["painchain"].settings, "checkpoint_url", collector.url)
    together = threading.Barrier(4)

    def serve() -> None:
        together.wait(20)
        IntegrityWorker(app, lambda: NOW).run_once()

    servers = [threading.Thread(target=serve) for _ in range(4)]
    for server in servers:
        server.start()
    for server in servers:
        server.join(20)
    assert state(app).result
    assert checkpoint_sizes(app) == [1]
    assert len(collector.checkpoints) == 1


def test_check_on_demand_makes_no_checkpoint(app: Flask, run_check: Callable[..., State]) -> None:
    run_check()
    request_check(app)
    assert state(app).requested
    finished = run_check(minutes=1)
    assert (finished.requested, finished.checked_at) == (False, NOW + timedelta(minutes=1))
    assert checkpoint_sizes(app) == [1]


@pytest.mark.both_databases
def test_break_and_its_repair_are_recorded_once(app: Flask, run_check: Callable[..., State], events: Events) -> None:
    write(app, {}, {})
    change(app, "UPDATE change_events SET author = 'eve' WHERE id = 2")
    broken = run_check().result
    assert broken
    assert broken.broken
    assert (broken.broken.kind, broken.broken.event) == ("edited", 2)
    assert checkpoint_sizes(app) == [], "nothing is signed that is not whole"
    [recorded] = of_type(events, "ChainBroken")
    assert (recorded["author"], recorded["metadata"]["of_event"]) == ("system", 2)
    assert recorded["description"]["cause"] == "daily check of the log"
    run_check(days=1)
    assert len(of_type(events, "ChainBroken")) == 1
    change(app, "UPDATE change_events SET author = 'eve' WHERE id = 1")
    run_check(days=2)
    assert [event["metadata"]["of_event"] for event in of_type(events, "ChainBroken")] == [2, 1]
    for number, author in (1, "system"), (2, "ann"):
        change(app, f"UPDATE change_events SET author = '{author}' WHERE id = {number}")
    run_check(days=3)
    run_check(days=4)
    [*_, mended] = recorded = of_type(events, "ChainBroken", "ChainMended")
    assert [event["event_type"] for event in recorded][2:] == ["ChainMended"]
    assert mended["metadata"]["was"] == "event 1 (edited)"
    assert len(checkpoint_sizes(app)) == 2


def test_break_is_recorded_and_notified_while_auditing_is_off(
    app: Flask, client: FlaskClient, run_check: Callable[..., State], events: Events
) -> None:
    rule = {"name": "On call", "url": "json://127.0.0.1:9/", "kinds": ["chain_broken"]}
    assert client.post("/api/notify-rules", json=rule).status_code == 201
    assert client.post("/api/connectors/1/disable").status_code == 200
    change(app, "UPDATE change_events SET author = 'eve' WHERE id = 1")
    run_check()
    assert len(of_type(events, "ChainBroken")) == 1
    with app.app_context():
        [message] = db.session.execute(text("SELECT title, text FROM notices")).all()
    assert message.title == "PainChain: Chain Broken"
    assert "Event 1" in message.text


def test_log_that_ends_before_its_checkpoint_is_broken(
    app: Flask, run_check: Callable[..., State], events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    write(app, {}, {})
    with app.app_context(), db.engine.connect() as connection:
        old = connection.execute(text("SELECT last_event, mac, seal FROM log_head")).one()
    write(app, {"event_id": "lost"})
    run_check()
    assert checkpoint_sizes(app) == [4]
    change(app, "DELETE FROM change_events WHERE id = 4")
    restore_backup = "UPDATE log_head SET last_event = 3, mac = :mac, seal = :seal"
    with app.app_context():
        db.session.execute(text(restore_backup), {"mac": old.mac, "seal": old.seal})
        db.session.commit()
        integrity_check.compare_newest_checkpoint()
    assert "has fewer now" in caplog.text
    result = run_check(minutes=1).result
    assert result
    assert result.broken
    assert (result.broken.kind, result.broken.event) == ("truncated", 4)
    assert len(of_type(events, "ChainBroken")) == 1
    run_check(days=1)
    assert checkpoint_sizes(app) == [4]


def test_log_rewritten_with_the_key_is_broken(app: Flask, run_check: Callable[..., State]) -> None:
    write(app, {}, {})
    run_check()
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([2, 3])
        event_log.last_event, event_log.mac = (
            1,
            bytes(db.session.scalar(text("SELECT mac FROM change_events WHERE id = 1"))),
        )
        db.session.execute(text("DELETE FROM pruned_runs"))
    write(app, {"event_id": "other 2"}, {"event_id": "other 3"}, {"event_id": "other 4"})
    result = run_check(days=1).result
    assert result
    assert result.broken
    assert (result.broken.kind, result.broken.event) == ("rewritten", 3)


@pytest.mark.parametrize("hours_ahead", [0, 1])
def test_checkpoints_discarded_by_a_restore_are_not_a_break(
    app: Flask, tmp_path: Path, events: Events, hours_ahead: int
) -> None:
    ahead = timedelta(hours=hours_ahead)  # then the clock was set back
    take_backup(app, tmp_path / "backup")
    for number in (1, 2, 3):
        write(app, {"event_id": f"given up {number}"})
        with app.app_context():
            checkpoints.append(latest_checkpoint.file(), checkpoints.make(lambda: datetime.now(UTC) + ahead))
    restore_backup(app, tmp_path / "backup")
    IntegrityWorker(app).run_once()
    result = state(app).result
    assert result
    assert (result.broken, result.checkpoints, result.before_restore) == (None, 3, 2), (
        "the restore discarded the end of the third"
    )
    assert of_type(events, "ChainBroken") == []
    assert len(checkpoint_sizes(app)) == 4, "and the next is appended"


@pytest.mark.parametrize("hours_ahead", [0, 1])
def test_restore_on_a_new_server_explains_older_checkpoints(app: Flask, tmp_path: Path, hours_ahead: int) -> None:
    """A server is lost. An older backup and its checkpoints are restored on a new server. Clocks may differ."""
    ahead = timedelta(hours=hours_ahead)
    write(app, {}, {})
    take_backup(app, tmp_path / "backup")
    write(app, {"event_id": "lost 1"}, {"event_id": "lost 2"})
    with app.app_context():
        checkpoints.append(latest_checkpoint.file(), checkpoints.make(lambda: datetime.now(UTC) + ahead))
        with writer.writing() as event_log:  # as after a first start
            mac = bytes(db.session.scalar(text("SELECT mac FROM change_events WHERE id = 1")))
            event_log.remove([2, 3, 4, 5])
            event_log.last_event, event_log.mac = 1, mac
            db.session.execute(text("DELETE FROM pruned_runs"))
        mismatch = latest_checkpoint.mismatch()
        assert mismatch
        assert mismatch.kind == "short"
    restore_backup(app, tmp_path / "backup")
    IntegrityWorker(app).run_once()
    assert (result := state(app).result)
    assert (result.broken, result.checkpoints, result.before_restore) == (None, 1, 1)


def test_retention_around_a_checkpoint_is_not_a_break(app: Flask, run_check: Callable[..., State]) -> None:
    write(app, {}, {}, {})
    run_check()
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([3, 4])
    write(app, {"event_id": "more"})
    result = run_check(days=1).result
    assert result
    assert (result.broken, result.pruned) == (None, 2)
    with app.app_context(), writer.writing() as event_log:
        event_log.remove([5])
    result = run_check(days=2).result
    assert result
    assert (result.broken, result.checkpoints) == (None, 2)


def test_checkpoints_with_a_lost_key_are_skipped(app: Flask, run_check: Callable[..., State]) -> None:
    run_check()
    keys = app.extensions["painchain"].keys
    with app.app_context():
        file = latest_checkpoint.file()
        [ours] = checkpoints.read(file)
        lost = Keyring((b"2" * KEY_BYTES,))
        app.extensions["painchain"].keys = lost
        foreign = checkpoints.line(replace(ours, key_id=lost.id))
        app.extensions["painchain"].keys = keys
    file.write_text(f"{foreign}\n{file.read_text()}")
    result = run_check(days=1).result
    assert result
    assert (result.checkpoints, result.with_lost_key) == (1, 1)
    assert len(checkpoint_sizes(app)) == 2, "and the next is appended"


def test_unwritable_checkpoint_file_is_reported_and_the_check_completes(
    app: Flask, run_check: Callable[..., State], caplog: pytest.LogCaptureFixture
) -> None:
    with app.app_context():
        latest_checkpoint.file().mkdir()
    state_of_check = run_check()
    assert state_of_check.result
    assert state_of_check.result.broken is None
    with app.app_context():
        problem = latest_checkpoint.last().problem
    assert problem
    assert "Is a directory" in problem
    assert "No checkpoint was created." in caplog.text


def test_failed_check_stores_its_error_and_is_retried(app: Flask, run_check: Callable[..., State]) -> None:
    run_check()
    change(app, "UPDATE log_check SET due = 0")
    change(app, "ALTER TABLE pruned_runs RENAME TO renamed")
    with pytest.raises(Exception, match="pruned_runs"):
        run_check(minutes=1)
    failed = state(app)
    assert (failed.error, failed.checked_at, failed.due) == (
        "The database did not answer.",
        NOW,
        NOW + timedelta(hours=1, minutes=1),
    )
    change(app, "ALTER TABLE renamed RENAME TO pruned_runs")
    assert run_check(minutes=62).error is None


def test_stopped_server_leaves_the_check_to_another(
    app: Flask, run_check: Callable[..., State], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "PAUSE_DAILY", 1e9)
    monkeypatch.setattr("painchain.integrity.verification.BATCH", 1)
    write(app, {}, {}, {})
    worker = IntegrityWorker(app, lambda: NOW)
    thread = threading.Thread(target=worker.run_once)
    thread.start()
    worker._stopping.set()
    thread.join(20)
    assert not thread.is_alive()
    after_stop = state(app)
    assert (after_stop.running, after_stop.result) == (None, None)
    monkeypatch.setattr(integrity, "PAUSE_DAILY", 0)
    assert run_check(seconds=1).result
    assert checkpoint_sizes(app) == [4], "it is still the day's"


# Posting


class Collector:
    """A server that receives checkpoints."""

    def __init__(self) -> None:
        self.checkpoints: list[dict[str, Any]] = []
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.checkpoints.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(collector.status)
                self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *about: Any) -> None:
                """Keep the output of the tests clean."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/take?key=hunter2"


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    threading.Thread(target=collector.server.serve_forever, args=(0.01,), daemon=True).start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.mark.parametrize("status", [500, 302])
def test_checkpoint_delivery_is_retried_until_it_succeeds(
    app: Flask,
    run_check: Callable[..., State],
    collector: Collector,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    object.__setattr__(app.extensions["painchain"].settings, "checkpoint_url", collector.url)
    address_policy.allow_networks(())  # does not apply to addresses that the operator configures
    collector.status = status
    run_check()
    run_check(seconds=29)
    with app.app_context():
        [stored] = latest_checkpoint.file().read_text().splitlines()
        delivery = latest_checkpoint.last()
    assert collector.checkpoints == [json.loads(stored)]
    assert (delivery.waiting, delivery.error) == (True, f"127.0.0.1 answered with status {status}.")
    assert "hunter2" not in caplog.text
    collector.status = 204
    run_check(seconds=31)
    run_check(seconds=9999)
    with app.app_context():
        delivery = latest_checkpoint.last()
    assert (len(collector.checkpoints), delivery.waiting, delivery.error) == (2, False, None)
    assert delivery.posted_at == NOW + timedelta(seconds=31)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:9/", "Could not connect to 127.0.0.1. Check the URL and whether the server is running."),
        ("https://no..host/", "Could not resolve no..host. Check the URL and this server's DNS."),
    ],
)
def test_failed_delivery_has_a_readable_error(
    app: Flask, run_check: Callable[..., State], address: str, why: str
) -> None:
    object.__setattr__(app.extensions["painchain"].settings, "checkpoint_url", address)
    run_check()
    with app.app_context():
        assert latest_checkpoint.last().error == why
