"""Test a connection, with settings that need not be saved: a few at the same time, each within 10 seconds."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from painchain import connectors
from painchain.configuration.connector_store import reenter_message, type_of
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.connectors.base import ConnectorType, Kind
from painchain.connectors.contract import ConnectionTestResult
from painchain.core import logs
from painchain.core.crypto import KeyUnusable
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.ingestion.poll_errors import as_poll_error
from painchain.ingestion.sanitize import safe_text
from painchain.ingestion.source_events import settings_of

TEST_SECONDS = 10.0
TESTS = 8  # that run at the same time

_slots = threading.BoundedSemaphore(TESTS)


def check(connector: Connector, submitted: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Test the connection of a connector with its stored settings, replaced by those that were `submitted`.

    A stored secret is only sent to the address it was stored for: with another address it has to be entered again.

    :raises ChangeRefused: when it has no connection.
    :raises InvalidValues: when a field does not take its value, or a secret is missing.
    """
    if type_of(connector).builtin:
        raise ChangeRefused(
            f"“{connector.name}” has no connection to test: it records what changes in PainChain itself."
        )
    try:
        stored = settings_of(connector)
    except KeyUnusable as problem:
        return ConnectionTestResult(ok=False, missing=(str(problem),))
    return _check(type_of(connector), stored, submitted, now)


def check_new(connector_type: ConnectorType, submitted: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Test the connection of a connector that is not there yet.

    :raises InvalidValues: when a field does not take its value, or a secret is missing.
    """
    return _check(connector_type, connector_type.defaults(), submitted, now)


def _check(
    connector_type: ConnectorType, stored: Mapping[str, Any], submitted: Mapping[str, Any], now: datetime
) -> ConnectionTestResult:
    own = {field.key for field in connector_type.fields}
    cleaned, errors = connector_type.clean({key: value for key, value in submitted.items() if key in own})
    settings = {**stored, **cleaned}
    moved = connector_type.changes_origin(stored, settings)
    for field in connector_type.fields:
        if field.kind is not Kind.SECRET or field.key in errors:
            continue
        if field.required and not settings.get(field.key):
            errors[field.key] = f"{field.label} is required."
        elif moved and settings.get(field.key) and field.key not in cleaned:
            errors[field.key] = reenter_message(field)
    if errors:
        raise InvalidValues(errors)
    db.session.rollback()  # no connection to the database is held during the test
    return run_test(connector_type.key, settings, now)


def run_test(connector_type_key: str, settings: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Test a connection with these settings (secrets in plain text), within 10 seconds.

    It raises nothing: the result says in words what goes wrong.
    """
    connector_type = connectors.TYPES.get(connector_type_key)
    if connector_type is None or connector_type.test_connection is None:
        return ConnectionTestResult(False, missing=["Connectors of this type cannot be tested."])
    if not _slots.acquire(blocking=False):
        return ConnectionTestResult(
            False, missing=["Many connections are being tested just now. Try again in a moment."]
        )
    test, results = connector_type.test_connection, list[ConnectionTestResult]()

    def run() -> None:
        try:
            results.append(test(settings, now))
        except Exception as problem:  # whatever it is, the person reads it in words
            results.append(ConnectionTestResult(False, missing=[str(as_poll_error(problem, "A test"))]))
        finally:
            _slots.release()

    thread = threading.Thread(target=logs.with_context(run), name="check", daemon=True)
    thread.start()
    thread.join(TEST_SECONDS)
    late = ConnectionTestResult(False, missing=[f"No response within {TEST_SECONDS:.0f} seconds. Check the URL."])
    secret_keys = [field.key for field in connector_type.all_fields if field.kind is Kind.SECRET]
    secrets = [str(settings[key]) for key in secret_keys if settings.get(key)]
    return _without_secrets(results[0] if results else late, secrets)


def _without_secrets(result: ConnectionTestResult, secrets: Sequence[str]) -> ConnectionTestResult:
    sees, missing = ([safe_text(line, secrets, 500) for line in lines] for lines in (result.sees, result.missing))
    return replace(result, identity=safe_text(result.identity, secrets, 200), sees=sees, missing=missing)
