"""Test a connection, with settings that need not be saved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from painchain.configuration.connector_store import ChangeRefused, InvalidValues, enter_again, type_of
from painchain.connectors.base import ConnectorType, Kind
from painchain.connectors.contract import ConnectionTestResult
from painchain.core.crypto import KeyUnusable
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.ingestion import polling


def check(connector: Connector, submitted: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Test the connection of a connector with its stored settings and what of them was `submitted` anew.

    A stored secret goes nowhere but where it was stored for: with another address it has to be entered again.

    :raises Refused: when it has no connection.
    :raises Invalid: when a field does not take its value, or a secret is missing.
    """
    if type_of(connector).builtin:
        raise ChangeRefused(
            f"“{connector.name}” has no connection to test: it records what changes in PainChain itself."
        )
    try:
        stored = polling.settings_of(connector)
    except KeyUnusable as problem:
        return ConnectionTestResult(ok=False, missing=(str(problem),))
    return _check(type_of(connector), stored, submitted, now)


def check_new(connector_type: ConnectorType, submitted: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Test the connection of a connector that is not there yet.

    :raises Invalid: when a field does not take its value, or a secret is missing.
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
            errors[field.key] = enter_again(field)
    if errors:
        raise InvalidValues(errors)
    db.session.rollback()  # no connection to the database is held while somebody else's server thinks
    return polling.check(connector_type.key, settings, now)
