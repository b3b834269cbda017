"""Create a connector as a copy of another: with its field visibility, and with the name of the other in the event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.connector_store import type_of
from painchain.connectors.base import NAME, ConnectorType
from painchain.core.redaction import scrub_value
from painchain.database.models import Connector
from painchain.timeline.visibility import Toggle


@dataclass(frozen=True)
class Original:
    """The connector that is copied: its name, and the fields that its copy hides as well."""

    name: str
    hidden: Sequence[Toggle] = ()


def create(
    connector_type: ConnectorType, submitted: Mapping[str, Any], enabled: bool, original: Original, trail: Trail
) -> Connector:
    """Add a connector that was prefilled with the settings of another one.

    :raises painchain.configuration.errors.InvalidValues: when a value is invalid, one is missing or the name is taken.
    """
    connector = connector_store.create(connector_type, submitted, False, trail, original.name)
    visibility = dict.fromkeys(original.hidden, False)
    connector_store.set_visible(connector, ConnectorEdit(visibility=visibility), trail, frozenset())
    if enabled:
        connector_store.set_enabled(connector, True, trail)
    return connector


def values(connector: Connector) -> dict[str, Any]:
    """Return the values that a copy begins with: those of the connector without secrets, and another name."""
    stored: dict[str, Any] = scrub_value(connector_store.values(connector))
    return {**type_of(connector).defaults(), **stored, NAME.key: f"Copy of {connector.name}"[: NAME.max_length]}
