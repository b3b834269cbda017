"""Write events to the log, and verify its chain."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy import text

from painchain.core.crypto import KEY_BYTES, Keyring
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.eventlog.chain import Chain
from painchain.integrity import verification

NOW = datetime(2026, 1, 15, 14, tzinfo=UTC)


def write(app: Flask, *events: dict[str, Any]) -> None:
    """Write events to the log."""
    with app.app_context(), writer.writing() as event_log:
        event_log.append(
            *(new_event(event_log.last_event + offset, **members) for offset, members in enumerate(events, 1))
        )


def new_event(number: int, **members: Any) -> writer.NewEvent:
    """Return a new event with these members."""
    values = {
        "event_id": f"chain-{number}",
        "source": "gitlab",
        "event_type": "Job",
        "title": "a job",
        "description": {},
        "metadata": {},
        "author": "ann",
        "request_id": "f" * 32,
        "timestamp": NOW,
        "recorded_at": NOW,
    }
    return writer.NewEvent(**{**values, **members})


def verify_log(app: Flask) -> verification.Integrity:
    """Verify the chain."""
    with app.app_context():
        return verification.verify_chain()


NEW = b"2" * KEY_BYTES


def rotate(app: Flask, root: bytes = NEW) -> None:
    """Rotate the key, as `painchain rotate-key` does in one commit."""
    keys = Keyring((root, *app.extensions["painchain"].keys.roots))
    chain = Chain(keys)
    with app.app_context(), db.engine.begin() as connection:
        last, mac = connection.execute(text("SELECT last_event, mac FROM log_head")).one()
        values = {"seal": chain.seal_head(last, bytes(mac)), "key_id": chain.key_id}
        connection.execute(text("UPDATE log_head SET seal = :seal, key_id = :key_id"), values)
    app.extensions["painchain"].keys, app.extensions["painchain"].chain = keys, chain
