"""Take and restore backups."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask

from painchain.audit.trail import Trail
from painchain.connectors.contract import Delivery
from painchain.database import session
from painchain.eventlog import writer as eventlog_writer
from painchain.ingestion import kept_deliveries
from painchain.maintenance import backup, backup_format
from tests.support.event_log import NOW


def keep_delivery(app: Flask, connector_id: int) -> None:
    """Keep a delivery of a webhook that made no event."""
    delivery = Delivery({"x-kind": "push"}, b'{"title": ["\xc3\x9cber"]}')
    with app.app_context(), session.write_transaction() as connection:
        kept = kept_deliveries.safe(delivery, delivery.headers, ())
        kept_deliveries.add(connection, connector_id, kept, "push", 0, "The mapping does not fit.", NOW)


def take_backup(app: Flask, file: Path) -> backup_format.Manifest:
    with app.app_context(), file.open("wb") as out:
        return backup.create(out, datetime.now(UTC))


def restore_backup(app: Flask, file: Path, even_broken: bool = False) -> backup.RestoreResult:
    with app.app_context(), file.open("rb") as source:
        check_result = backup_format.check(source, app.extensions["painchain"].keys)

        def record(event_log: eventlog_writer.EventLogWriter) -> Trail:
            return Trail(event_log, "ann", eventlog_writer.new_request_id(NOW), datetime.now(UTC), cause="a test")

        return backup.restore(source, check_result, record, even_broken=even_broken)


def lines(file: Path) -> list[bytes]:
    """Return the lines of a backup."""
    with gzip.open(file) as packed:
        return packed.read().splitlines(keepends=True)


def with_new_digest(lines: list[bytes], **more: Any) -> bytes:
    """Return a backup of these lines with a correct digest, which is possible without the key."""
    digest = hashlib.sha256(b"".join(lines[:-1])).hexdigest()
    end = {**json.loads(lines[-1]), "sha256": digest, **more}
    return gzip.compress(b"".join(lines[:-1]) + json.dumps(end).encode() + b"\n")
