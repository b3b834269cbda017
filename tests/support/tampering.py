"""Change the database behind PainChain's back."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import text
from sqlalchemy.engine import Connection

from painchain.database.session import db
from painchain.eventlog.chain import FIELDS
from tests.support.event_log import verify_log


def change(app: Flask, statement: str) -> None:
    """Run a statement, as an attacker with write access to the database would."""
    with app.app_context():
        db.session.execute(text(statement))
        db.session.commit()


def edit_database(app: Flask, statements: str) -> None:
    """Run statements as an attacker would, without foreign-key checks."""
    with app.app_context(), db.engine.begin() as connection:
        disable_foreign_keys(connection)
        for statement in statements.split(";"):
            connection.execute(text(statement))
    with app.app_context():
        db.engine.dispose()


def disable_foreign_keys(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL session_replication_role = replica"))


LAST = 12
PRUNED = (4, 5, 9)
EXISTING = [number for number in range(1, LAST + 1) if number not in PRUNED]


def broken(app: Flask) -> tuple[str, int, str]:
    """Return kind, event number and diagnosis of the first break."""
    first_break = verify_log(app).broken
    assert first_break
    assert first_break.advice
    return first_break.kind, first_break.event, first_break.words


def swap(first: int, second: int) -> str:
    """Return the statements that swap two events."""
    ids = "UPDATE change_events SET id = {} WHERE id = {}"
    return ";".join(ids.format(*pair) for pair in ((1000, first), (first, second), (second, 1000)))


def shift(first: int, by: int, last: int = 100) -> str:
    """Return the statements that renumber events."""
    return (
        f"UPDATE change_events SET id = -(id + {by}) WHERE id BETWEEN {first} AND {last};"
        "UPDATE change_events SET id = -id WHERE id < 0"
    )


def close_up(first: int, count: int) -> str:
    """Return the statements that remove events and renumber the later ones."""
    return f"DELETE FROM change_events WHERE id >= {first} AND id < {first + count};{shift(first, -count)}"


def copy(number: int, to: int, mac: str = "mac") -> str:
    """Return the statement that inserts a copy of an event."""
    fields = ", ".join(f"'copy of ' || {name} || {to}" if name == "event_id" else name for name in FIELDS)
    columns = f"id, mac, {', '.join(FIELDS)}"
    return f"INSERT INTO change_events ({columns}) SELECT {to}, {mac}, {fields} FROM change_events WHERE id = {number}"


def move(number: int, to: int) -> str:
    """Return the statements that move an event and renumber the events in between."""
    low, high, by = (number + 1, to, -1) if number < to else (to, number - 1, 1)
    away = f"UPDATE change_events SET id = 1000 WHERE id = {number}"
    return f"{away};{shift(low, by, high)};UPDATE change_events SET id = {to} WHERE id = 1000"


ALL = "DELETE FROM change_events;DELETE FROM pruned_runs"
END = "UPDATE log_head SET last_event = {0}, mac = (SELECT mac FROM change_events WHERE id = {0})"
EVENT = "vent {0} (“job {0}”, 2026-01-15 14:00:00 UTC)".format
