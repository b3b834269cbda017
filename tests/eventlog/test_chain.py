"""The chain verifies on every database, after retention and after an upgrade."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from painchain import migrations
from painchain.audit import trail as audit_trail
from painchain.core.crypto import KEY_BYTES, Keyring
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.eventlog.chain import FIELDS, START, Chain, canonical
from painchain.integrity import checkpoints
from painchain.integrity.checkpoints import MissingChain
from painchain.startup import create_app
from tests.support.caching import DATABASES
from tests.support.event_log import NOW, verify_log, write
from tests.support.migrations import alembic
from tests.support.tampering import change
from tests.support.thorough import examples

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("aé\u202e\n😀"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3, alphabet="aé😀_"), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_first_start_is_chained(app: Flask) -> None:
    result = verify_log(app)
    assert (result.events, result.last, result.broken) == (1, 1, None)


@pytest.mark.both_databases
@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    description=st.dictionaries(st.text("aé\u202e\n😀"), JSON, max_size=3),
    tags=st.lists(st.text("a é,"), max_size=3, unique=True),
)
def test_stored_event_has_its_hashed_content(app: Flask, description: dict[str, Any], tags: list[str]) -> None:
    write(
        app, {"description": description, "metadata": description, "tags": tags, "timestamp": NOW - timedelta(hours=1)}
    )
    assert verify_log(app).broken is None


def test_canonical_form_is_as_documented() -> None:
    event = dict.fromkeys(FIELDS) | {"description": {"b": 1, "a": "é"}, "timestamp": 5, "recorded_at": NOW}
    assert canonical(event) == (
        b'[1,null,null,null,null,null,null,null,{"a":"\\u00e9","b":1},null,null,null,null,null,null,5,1768485600000000]'
    )


def test_every_field_changes_the_hash() -> None:
    event: dict[str, Any] = dict.fromkeys(FIELDS, 1)
    for name in FIELDS:
        assert canonical({**event, name: 2}) != canonical(event)
    chain = Chain(Keyring((b"1" * KEY_BYTES,)))
    assert chain.link(START, 1, b"x") != chain.link(START, 2, b"x") != chain.link(b"1" * 32, 2, b"x")
    assert chain.link(START, 1, b"x") != Chain(Keyring((b"2" * KEY_BYTES,))).link(START, 1, b"x")


@pytest.mark.parametrize(
    ("kind", "number", "statement"),
    [
        ("edited", 3, "UPDATE change_events SET author = 'eve' WHERE id = 3"),
        ("edited", 3, "UPDATE change_events SET timestamp = timestamp + 1 WHERE id = 3"),
        ("removed", 3, "DELETE FROM change_events WHERE id = 3"),
        ("truncated", 6, "DELETE FROM change_events WHERE id = 6"),
        (
            "truncated",
            6,
            "DELETE FROM change_events WHERE id = 6;"
            "UPDATE log_head SET last_event = 5, mac = (SELECT mac FROM change_events WHERE id = 5)",
        ),
    ],
)
def test_tampering_is_detected(app: Flask, kind: str, number: int, statement: str) -> None:
    write(app, *({} for _ in range(5)))
    assert verify_log(app).broken is None
    for part in statement.split(";"):
        change(app, part)
    broken = verify_log(app).broken
    assert broken
    assert (broken.kind, broken.event) == (kind, number)


def test_later_writes_do_not_hide_truncation(app: Flask) -> None:
    write(app, {}, {}, {})
    change(app, "DELETE FROM change_events WHERE id = 4")
    change(app, "UPDATE log_head SET last_event = 3, mac = (SELECT mac FROM change_events WHERE id = 3)")
    write(app, {"event_id": "later"}, {"event_id": "latest"})
    broken = verify_log(app).broken
    assert broken
    assert broken.event == 4


@pytest.mark.both_databases
@pytest.mark.parametrize("batches", [[[2, 3], [5]], [[3], [2, 4], [5]], [[2, 3, 4, 5, 6]], [[1, 6]]])
def test_chain_verifies_after_retention(app: Flask, batches: list[list[int]]) -> None:
    write(app, *({} for _ in range(5)))
    with app.app_context():
        for ids in batches:
            with writer.writing() as event_log:
                assert event_log.remove(ids)
            write(app, {"event_id": f"after-{ids}"})
    result = verify_log(app)
    removed_count = sum(map(len, batches))
    assert (result.broken, result.pruned, result.events) == (None, removed_count, 6 - removed_count + len(batches))
    with app.app_context():
        runs = db.session.execute(text("SELECT first, last FROM pruned_runs ORDER BY first")).all()
    assert all(run[1] + 1 < next_run[0] for run, next_run in pairwise(runs))


def test_forged_run_is_detected(app: Flask) -> None:
    write(app, {}, {}, {})
    change(app, "INSERT INTO pruned_runs SELECT id, id, mac, mac FROM change_events WHERE id = 3")
    change(app, "DELETE FROM change_events WHERE id = 3")
    broken = verify_log(app).broken
    assert broken
    assert (broken.kind, broken.event) == ("removed", 3)


@pytest.mark.both_databases
def test_upgrade_chains_an_older_log(app: Flask) -> None:
    write(app, {"description": {"text": "é"}}, {}, {})
    with app.app_context():
        with writer.writing() as event_log:
            event_log.remove([3])
        folder = alembic(app)
        flask_migrate.downgrade(directory=folder, revision="0011")
        migrations.upgrade()
    write(app, {"event_id": "new"})
    result = verify_log(app)
    assert (result.events, result.pruned, result.broken) == (4, 1, None)


def test_log_whose_chain_was_removed_is_not_chained_again(app: Flask) -> None:
    file = app.extensions["painchain"].settings.checkpoint_file
    with app.app_context():
        checkpoints.append(file, checkpoints.make(lambda: NOW))
        flask_migrate.downgrade(directory=alembic(app), revision="0011")
        for content in (file.read_text(), "nonsense\n"):
            file.write_text(content)
            with pytest.raises(MissingChain, match="Restore the right database"):
                create_app(app.extensions["painchain"].settings)
        file.rename(file.with_suffix(".old"))
    again = create_app(app.extensions["painchain"].settings)
    with again.app_context():
        events = db.session.execute(text("SELECT event_type, title FROM change_events ORDER BY id")).all()
        db.session.remove()
        DATABASES.release(db.engine)
    assert events[-1] == ("ChainBegun", "[Chain Begun] 1 event")
    assert len(events) == 2
    assert verify_log(app).broken is None


def test_process_with_another_key_writes_nothing(app: Flask) -> None:
    with app.app_context():
        app.extensions["painchain"].chain = Chain(Keyring((b"2" * KEY_BYTES,)))
        with pytest.raises(writer.WrongKey, match="key was replaced"), writer.writing() as event_log:
            audit_trail.Trail(event_log, "ann", "f" * 32, NOW)
    assert verify_log(app).events == 1
