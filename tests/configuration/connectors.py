"""Create, change and read connectors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from flask import Flask

from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit, Saved
from painchain.connectors import TYPES
from painchain.eventlog import writer
from painchain.timeline import visibility

NOW = datetime(2100, 1, 1, tzinfo=UTC)
GITHUB = TYPES["github"]
TOKEN = "planted-f00dcafe-token"
ADDRESSES = {"github": "base_url", "gitlab": "base_url", "kubernetes": "api_server"}


@contextmanager
def audited_transaction(app: Flask, author: str = "operator", now: datetime = NOW) -> Iterator[Trail]:
    """Open an audited transaction."""
    with app.app_context(), writer.writing() as event_log:
        yield Trail(event_log, author, "one-action", now)


def create(app: Flask, type_key: str = "github", enabled: bool = False, author: str = "operator", **values: Any) -> int:
    """Add a connector and return its number."""
    all_values = {"name": "Work", "token": "made-up", **values}
    with audited_transaction(app, author) as trail:
        return int(connector_store.create(TYPES[type_key], all_values, enabled, trail).id)


def save(app: Flask, number: int, version: int | None = None, toggles: Any = None, **values: Any) -> Saved:
    """Save values of a connector."""
    with audited_transaction(app) as trail:
        return connector_store.update(
            connector_store.get(number), ConnectorEdit(values, toggles or {}, version=version), trail
        )


def stored(app: Flask, number: int) -> dict[str, Any]:
    """Return the values of a connector without its secrets."""
    with app.app_context():
        return connector_store.values(connector_store.get(number))


def attribute(app: Flask, number: int, name: str) -> Any:
    """Return one attribute of a connector."""
    with app.app_context():
        return getattr(connector_store.get(number), name)


def builtin(app: Flask) -> int:
    """Return the number of the built-in connector."""
    with app.app_context():
        return int(connector_store.list_all(connector_type="painchain")[0].id)


def hide(app: Flask, number: int, *toggles: visibility.Toggle, show: bool = False) -> list[Any]:
    """Hide or show fields."""
    with audited_transaction(app) as trail:
        return connector_store.set_visible(
            connector_store.get(number), ConnectorEdit(visibility=dict.fromkeys(toggles, show)), trail
        )


def hidden(app: Flask, number: int) -> frozenset[visibility.Toggle]:
    """Return the hidden fields of a connector."""
    with app.app_context():
        return visibility.hidden(number)
