"""Verification detects any tampering with the log at its first position, and explains it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import Connection

from painchain.core.crypto import Keyring
from painchain.database.models import ChangeEvent
from painchain.database.session import WrongKey, db
from painchain.eventlog import reader, writer
from painchain.eventlog.chain import FIELDS, Chain, canonical
from painchain.eventlog.stored_form import JSON_FIELDS
from painchain.integrity import verification
from tests.support.databases import on_databases
from tests.support.event_log import verify_log, write
from tests.support.tampering import ALL, END, EVENT, broken, change, copy, edit_database, move, shift, swap

CASES: list[tuple[str, str, int, str]] = [
    ("UPDATE change_events SET author = 'eve' WHERE id = 3", "edited", 3, f"E{EVENT(3)} was edited"),
    ("UPDATE change_events SET title = 'x' WHERE id = 7", "edited", 7, "was edited after it was written"),
    ("UPDATE change_events SET metadata = '[1]' WHERE id = 12", "edited", 12, "was edited"),
    ("UPDATE change_events SET mac = NULL WHERE id = 7", "edited", 7, f"The hash of e{EVENT(7)} was removed"),
    ("UPDATE change_events SET mac = (SELECT mac FROM change_events WHERE id = 2) WHERE id = 12", "edited", 12, "hash"),
    ("DELETE FROM change_events WHERE id = 7", "removed", 7, f"between e{EVENT(6)} and e{EVENT(8)}"),
    ("DELETE FROM change_events WHERE id IN (2, 3)", "removed", 2, "Events 2 to 3 (2) are missing between event 1"),
    (
        f"DELETE FROM change_events WHERE id = 6;{shift(7, -1)}",
        "removed",
        6,
        "1 event after event 5 (removed by retention)",
    ),
    (f"DELETE FROM change_events WHERE id = 11;{shift(12, -1)}", "removed", 11, f"1 event after e{EVENT(10)}"),
    ("DELETE FROM pruned_runs WHERE first = 4", "removed", 4, "Events 4 to 5 (2) are missing"),
    ("UPDATE pruned_runs SET last = 7 WHERE first = 4", "removed", 4, "4 to 7 was forged or changed"),
    ("UPDATE pruned_runs SET first = 3 WHERE first = 4", "removed", 3, "forged"),
    ("DELETE FROM change_events WHERE id = 12", "truncated", 12, f"at the end of the log, after e{EVENT(11)}"),
    (f"DELETE FROM change_events WHERE id > 10;{END.format(10)}", "truncated", 11, "PainChain sealed another end"),
    (END.format(11), "truncated", 12, "That event is genuine: the recorded end was moved back by hand"),
    ("UPDATE log_head SET last_event = 14", "truncated", 13, "Events 13 to 14 (2) are missing at the end"),
    ("UPDATE log_head SET seal = mac", "truncated", 13, "PainChain sealed another end"),
    (f"{ALL};UPDATE log_head SET last_event = 0", "truncated", 1, "its start"),
    (copy(12, 13), "inserted", 13, "That event was inserted"),
    (f"{copy(12, 13, 'NULL')};UPDATE log_head SET last_event = 13", "inserted", 13, "has no hash"),
    (copy(3, 4), "inserted", 4, "Retention removed event 4, but event 4"),
    (copy(3, 0), "inserted", 0, "Event numbers start at 1"),
    (f"{shift(10, 1)};{copy(3, 10)}", "inserted", 10, "was inserted. The later events, from event 11 (“job 10”"),
    (f"{shift(11, 2)};{copy(3, 11)};{copy(2, 12)}", "inserted", 11, "Events 11 to 12 (2) were inserted"),
    (swap(2, 3), "reordered", 2, "Two events were swapped"),
    (swap(8, 12), "reordered", 8, "event 8 (“job 12”"),
    (swap(10, 12), "reordered", 10, "12”, 2026-01-15 14:00:00 UTC) and event 12 (“job 10"),
    (move(10, 12), "reordered", 10, "Event 10 was moved: it is now event 12 (“job 10”"),
    (move(12, 10), "reordered", 10, "Event 12 was moved: it is now event 10 (“job 12”"),
    (shift(10, 5), "reordered", 10, "Event 10 was moved: it is now event 15"),
]  # fmt: skip


# An edited event, one without a hash, a gap, a forged run, a cut end, an emptied log, an insertion and a swap.
ON_POSTGRESQL = (0, 3, 5, 10, 12, 18, 20, 26)


@pytest.mark.parametrize(("database", "statement", "kind", "number", "words"), on_databases(CASES, ON_POSTGRESQL))
def test_tampering_is_diagnosed(log: Flask, database: str, statement: str, kind: str, number: int, words: str) -> None:
    edit_database(log, statement)
    diagnosis = broken(log)
    assert diagnosis[:2] == (kind, number), diagnosis
    assert words in diagnosis[2]


def test_truncation_is_detected_after_later_writes(log: Flask) -> None:
    edit_database(log, f"DELETE FROM change_events WHERE id > 10;{END.format(10)}")
    write(log, {"title": "later", "event_id": "later"}, {"event_id": "latest"})
    kind, number, words = broken(log)
    assert (kind, number) == ("severed", 11)
    assert words.startswith(
        f"The end of the log was cut off or changed by hand after e{EVENT(10)}. The log then continued"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE change_events SET description = 'no JSON' WHERE id = 3",
        "UPDATE change_events SET description = '{\"a\": NaN}' WHERE id = 3",
        "UPDATE change_events SET tags = printf('%.*c', 90000, '[') WHERE id = 3",
        "UPDATE change_events SET timestamp = 'yesterday' WHERE id = 3",
        "UPDATE change_events SET recorded_at = 1.5 WHERE id = 3",
        "UPDATE change_events SET title = CAST(x'ff' AS TEXT) WHERE id = 3",
        "UPDATE change_events SET title = x'ff' WHERE id = 3",
        "UPDATE change_events SET mac = 'text' WHERE id = 7",
        "UPDATE change_events SET mac = 7 WHERE id = 7",
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
def test_invalid_value_is_diagnosed_as_an_edit(log: Flask, statement: str, database: str) -> None:
    change(log, statement)
    kind, number, _ = broken(log)
    assert (kind, f"id = {number}") == ("edited", statement[-6:])


@pytest.mark.parametrize("statement", ["DELETE FROM log_head", "UPDATE log_head SET last_event = 'end'"])
@pytest.mark.parametrize("database", ["sqlite"])
def test_log_without_a_readable_head_is_broken(log: Flask, statement: str, database: str) -> None:
    change(log, statement)
    assert broken(log)[0] == "truncated"


def test_another_key_raises_wrong_key(log: Flask) -> None:
    change(log, "UPDATE log_head SET key_id = 'another'")
    with pytest.raises(WrongKey):
        verify_log(log)


def test_replaced_key_cannot_sign_later_events(log: Flask) -> None:
    old = Chain(Keyring(log.extensions["painchain"].keys.roots[1:]))
    with log.app_context(), db.engine.begin() as connection:
        forged = connection.execute(text("SELECT mac FROM change_events WHERE id = 11")).scalar_one()
        row = dict(event_of(connection, 12))
        mac = old.link(bytes(forged), 12, canonical(row))
        connection.execute(text("UPDATE change_events SET mac = :mac WHERE id = 12"), {"mac": mac})
        values = {"mac": mac, "seal": old.seal_head(12, mac)}
        connection.execute(text("UPDATE log_head SET mac = :mac, seal = :seal"), values)
    assert "with a key that had already been replaced" in broken(log)[2]


NUMBERS = {"a": 1e-05, "b": 2**70, "c": 2.0**70, "d": "Größe → \x7f 😀"}


@pytest.mark.both_databases
def test_another_notation_of_the_same_values_is_no_edit(log: Flask) -> None:
    write(log, {"metadata": NUMBERS})
    assert verify_log(log).broken is None
    spaced = (
        json.dumps(NUMBERS).replace("1e-05", "0.00001").replace("1.1805916207174113e+21", "1180591620717411303424.0")
    )
    set_metadata(log, spaced)
    assert verify_log(log).broken is None


@pytest.mark.both_databases
def test_an_integer_instead_of_an_equal_floating_point_number_is_an_edit(log: Flask) -> None:
    write(log, {"metadata": {"c": 2.0**70}})
    set_metadata(log, json.dumps({"c": 2**70}))
    assert broken(log)[:2] == ("edited", 13)


def set_metadata(log: Flask, metadata: str) -> None:
    """Change the stored metadata of event 13."""
    with log.app_context(), db.engine.begin() as connection:
        update = text("UPDATE change_events SET metadata = CAST(:metadata AS json) WHERE id = 13")
        if connection.dialect.name == "sqlite":
            update = text("UPDATE change_events SET metadata = :metadata WHERE id = 13")
        connection.execute(update, {"metadata": metadata})


def event_of(connection: Connection, number: int) -> dict[str, Any]:
    """Return the hashed fields of an event."""
    [row] = reader._EVENTS.all(connection, after=number - 1, last=number, limit=1)
    values = zip((*FIELDS, "id", "mac"), row, strict=True)
    return {name: json.loads(value) if name in JSON_FIELDS else value for name, value in values}


@pytest.mark.both_databases
def test_verification_works_while_events_are_written_and_removed(log: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "BATCH", 3)
    steps: list[tuple[int, int]] = []

    def write_meanwhile(done: int, total: int) -> None:
        steps.append((done, total))
        if len(steps) == 1:
            with writer.writing() as event_log:
                event_log.remove([2, 3, 6])
            with writer.writing() as event_log:
                event_log.append(*(event_during_check(number) for number in range(13, 19)))
            with writer.writing() as event_log:
                event_log.remove([17, 18])

    with log.app_context():
        result = verification.verify_chain(write_meanwhile)
    assert (result.broken, result.last) == (None, 18)
    assert steps[-1] == (18, 18)
    assert verify_log(log).broken is None


def event_during_check(number: int) -> writer.NewEvent:
    """Return an event that is written during a check."""
    from tests.support.event_log import new_event

    return new_event(number, event_id=f"later-{number}")


def test_chain_covers_every_event_column_except_words() -> None:
    stored = {column.name for column in ChangeEvent.__table__.columns}
    assert stored == {"id", "mac", "words", *FIELDS}, "what pages show is hashed or compared with the events"
