"""Verification detects random tampering with the log at its first position."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from painchain.database.session import db
from painchain.eventlog.chain import FIELDS
from tests.conftest import WITH_POSTGRES
from tests.support.event_log import verify_log
from tests.support.tampering import END, EXISTING, LAST, close_up, copy, disable_foreign_keys, move, shift, swap
from tests.support.thorough import examples

TABLES = ("change_events", "pruned_runs", "log_head")
State = dict[str, set[tuple[Any, ...]]]

# Random tampering

number = st.sampled_from(EXISTING)
value = st.sampled_from(
    [
        *(
            "'eve'",
            "NULL",
            "''",
            "'[]'",
            "'{}'",
            "12",
            "-1",
            "title",
            "author",
            "recorded_at",
            "timestamp + 1",
            "'null'",
        ),
        *(
            "x'00'",
            "CAST(author AS BLOB)",
            "1.5",
            "0",
            "-0.0",
            "true",
            "9223372036854775807",
            "1e400",
            "'1'",
            "char(0)",
        ),
        *(
            "title || char(0)",
            "author || ' '",
            "upper(author)",
            "'e\u0301'",
            '\'{"a": 1, "a": 2}\'',
            "'[1, NaN]'",
            "'[1'",
        ),
    ]
)
unused_number = st.sampled_from([-3, 0, 4, 5, 9, 13, 14])
any_number = st.integers(-1, 14)
run_column = st.sampled_from(["first", "last", "mac", "seal"])
head_column = st.sampled_from(["last_event", "mac", "seal"])
run_change = st.sampled_from(["first = first - 1", "last = last + 1", "seal = mac", "mac = seal", "last = 2"])
end_change = st.sampled_from([f"last_event = {value}" for value in ("last_event + 1", "last_event - 1", 0, -3)])
hash_change = st.sampled_from(["mac = seal", "seal = mac", "mac = x'00'"])
columns = st.sampled_from([*FIELDS, "mac"])
FORGED = "INSERT INTO pruned_runs SELECT {}, {}, mac, mac FROM change_events WHERE id = {}".format
MAC_OF = "(SELECT mac FROM change_events WHERE id = {})".format
tampering = st.one_of(
    st.builds("UPDATE change_events SET {1} = {2} WHERE id = {0}".format, number, columns, value),
    st.builds("DELETE FROM change_events WHERE id = {}".format, number),
    st.builds("DELETE FROM change_events WHERE id >= {}".format, number),
    st.builds(lambda n, source: f"UPDATE change_events SET mac = {MAC_OF(source)} WHERE id = {n}", number, number),
    st.builds(swap, number, number),
    st.builds(move, number, number),
    st.builds(shift, number, st.integers(1, 4)),
    st.builds(close_up, number, st.integers(1, 3)),
    st.builds(copy, number, unused_number),
    st.builds(lambda n, to: f"{shift(to, 1)};{copy(n, to)}", number, number),
    st.builds(lambda n: f"DELETE FROM change_events WHERE id > {n};{END.format(n)}", number),
    st.builds(FORGED, any_number, any_number, number),
    st.builds("DELETE FROM pruned_runs WHERE first >= {}".format, st.sampled_from([4, 9])),
    st.builds("UPDATE pruned_runs SET {}".format, run_change),
    st.builds("UPDATE log_head SET {}".format, end_change | hash_change),
    st.builds("UPDATE pruned_runs SET {0} = {1} WHERE first >= {2}".format, run_column, value, st.sampled_from([4, 9])),
    st.builds("UPDATE log_head SET {} = {}".format, head_column, value),
)  # fmt: skip


def state(connection: Connection) -> State:
    """Return all rows of the log."""
    rows = {table: connection.execute(text(f"SELECT * FROM {table}")) for table in TABLES}
    return {table: {tuple(map(_comparable, row)) for row in rows[table]} for table in TABLES}


def _comparable(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def first_touched(before: State, after: State) -> int:
    """Return the first event number at which two states differ; the number after the last for the head."""
    changed = {table: before[table] ^ after[table] for table in TABLES}
    events = [row[0] for row in changed["change_events"]]
    runs = [min(end for end in row[:2] if isinstance(end, int)) for row in changed["pruned_runs"]]
    return min([*events, *runs, *([LAST + 1] if changed["log_head"] else [])])


@pytest.fixture
def restore_log(log: Flask) -> Iterator[Callable[[], State]]:
    """Return a function that restores the log and returns its state."""
    with log.app_context():
        with db.engine.begin() as connection:
            before = state(connection)
            for table in TABLES:
                connection.execute(text(f"CREATE TABLE stored_{table} AS SELECT * FROM {table}"))

        def restore() -> State:
            with db.engine.begin() as connection:
                disable_foreign_keys(connection)
                for table in TABLES:
                    connection.execute(text(f"DELETE FROM {table}"))
                    connection.execute(text(f"INSERT INTO {table} SELECT * FROM stored_{table}"))
            return before

        yield restore
        with db.engine.begin() as connection:
            for table in TABLES:
                connection.execute(text(f"DROP TABLE stored_{table}"))


def tamper(log: Flask, before: State, statements: Sequence[str]) -> None:
    """Run the statements that the database accepts, and assert that the first tampered position is detected."""
    with log.app_context(), db.engine.begin() as connection:
        disable_foreign_keys(connection)
        for statement in ";".join(statements).split(";"):
            with suppress(DBAPIError), connection.begin_nested():
                connection.execute(text(statement))
        after = state(connection)
    assume(after != before)
    first_break = verify_log(log).broken
    assert first_break is not None
    assert first_break.event <= max(1, first_touched(before, after))


@pytest.mark.parametrize("database", ["sqlite"])
@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements=st.lists(tampering, min_size=1, max_size=3))
def test_random_tampering_is_detected_at_its_position(
    log: Flask, restore_log: Callable[[], State], statements: Sequence[str], database: str
) -> None:
    tamper(log, restore_log(), statements)


@pytest.mark.parametrize("database", [pytest.param("postgresql", marks=WITH_POSTGRES)])
@settings(max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statements=st.lists(tampering, min_size=1, max_size=3))
def test_random_tampering_is_detected_on_postgresql(
    log: Flask, restore_log: Callable[[], State], statements: Sequence[str], database: str
) -> None:
    tamper(log, restore_log(), statements)
