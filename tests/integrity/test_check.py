"""The daily check: one server runs it, and only an intact log gets a checkpoint."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from painchain.core.crypto import KEY_BYTES, Keyring
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.integrity import check_job, checkpoints, latest_checkpoint
from painchain.integrity.check_job import State
from painchain.workers import integrity
from painchain.workers.integrity import IntegrityWorker
from tests.integrity.checks import NOW, Events, checkpoint_sizes, of_type, request_check, state
from tests.support.backups import restore_backup, take_backup
from tests.support.collector import Collector
from tests.support.event_log import write
from tests.support.tampering import change


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
