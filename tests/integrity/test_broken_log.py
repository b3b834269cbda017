"""A break of the log and its repair are recorded once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from painchain.database.session import db
from painchain.eventlog import writer
from painchain.integrity import check as integrity_check
from painchain.integrity.check_job import State
from tests.integrity.checks import Events, checkpoint_sizes, of_type
from tests.support.event_log import write
from tests.support.tampering import change


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
