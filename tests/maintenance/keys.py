"""Keys of a server, and the secrets they encrypt."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy.orm import undefer

from painchain.audit.trail import SYSTEM, Trail
from painchain.core.crypto import Keyring, open_sealed, parse_key
from painchain.database import encrypted_columns
from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer

TOKEN, HOOK, URL = "made-up-token", "webhook", "json://me:made-up-password@127.0.0.1:9/x"


def keys_in(file: Path) -> Keyring:
    """Return the keys of a file."""
    return parse_key(file.read_text(), "the file")


def decrypted_secrets(app: Flask) -> list[str]:
    """Return every stored secret in plain text."""
    with app.app_context(), db.engine.connect() as connection:
        return sorted(
            open_sealed(app.extensions["painchain"].box, text) for text in encrypted_columns.encrypted_texts(connection)
        )


def new_trail(event_log: writer.EventLogWriter) -> Trail:
    """Return the audit trail of a test."""
    now = datetime.now(UTC)
    return Trail(event_log, SYSTEM, writer.new_request_id(now), now)


def newest(app: Flask, count: int = 1) -> list[Any]:
    """Return the newest events, the newest first."""
    with app.app_context():
        query = db.select(ChangeEvent).options(undefer(ChangeEvent.mac)).order_by(ChangeEvent.id.desc())
        return list(db.session.scalars(query.limit(count)))
