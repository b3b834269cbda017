"""The events of a restored log are counted while they are verified."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from painchain.audit.records import Subject
from painchain.audit.trail import Trail
from painchain.database.models import EventCount, EventSet
from painchain.database.session import db
from painchain.eventlog import writer as eventlog_writer
from painchain.indexes import rollups
from painchain.integrity import verification
from painchain.maintenance.restored_counts import RestoredCounts
from tests.support.backups import restore_backup, take_backup

NOW = datetime(2026, 1, 15, 14, tzinfo=UTC)


@pytest.mark.both_databases
def test_derived_data_is_rebuilt(app: Flask, other: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "MAX_UNCOUNTED", 50)
    monkeypatch.setattr(verification, "BATCH", 7)
    monkeypatch.setattr(rollups, "READ_BATCH", 20)
    with app.app_context(), eventlog_writer.writing() as event_log:
        trail = Trail(event_log, "ann", eventlog_writer.new_request_id(NOW), NOW)
        for number in range(70):
            trail.log_connector_enabled(Subject(f"Work {number % 7}", "github"))
    take_backup(app, tmp_path / "file")
    restore_backup(other, tmp_path / "file")
    for query in ("stats?q=work", "stats?author=ann&tag=audit", "changes?q=%22work+3%22&limit=500"):
        address = f"/api/{query}&end_date=2026-02-01"
        before, after = (server_app.test_client().get(address).get_json() for server_app in (app, other))
        assert before == after
        assert before
    with other.app_context():
        counted, last = db.session.execute(text("SELECT counted, last_event FROM log_head")).one()
        assert (counted, last) == (71, 72)  # all but the event of the restore
        restored = derived()
        with eventlog_writer.writing() as event_log:
            RestoredCounts(event_log.connection).discard()
            rollups.add(event_log.connection, 0, counted)
        assert derived() == restored


def derived() -> list[set[tuple[Any, ...]]]:
    """Return the rollups and the bitmaps."""
    return [{*map(tuple, db.session.execute(select(model.__table__)))} for model in (EventCount, EventSet)]


def test_a_broken_log_is_counted_like_new_events(
    app: Flask, other: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "BATCH", 1)
    monkeypatch.setattr(rollups, "READ_BATCH", 1)
    app.test_client().post("/api/connectors/1/disable")
    with app.app_context():
        db.session.execute(text("UPDATE change_events SET author = 'eve' WHERE id = 2"))
        db.session.commit()
    take_backup(app, tmp_path / "file")
    assert restore_backup(other, tmp_path / "file", even_broken=True).broken
    with other.app_context():
        assert derived() == [set(), set()]  # they are so few that readers count them
