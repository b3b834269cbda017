"""Connectors: as they are, as they were, their types, health, tests and webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from painchain import connectors
from painchain.audit.diff import SET
from painchain.configuration import connector_store
from painchain.configuration.connector_store import type_of
from painchain.connectors import base
from painchain.connectors.base import Kind
from painchain.connectors.contract import ConnectionTestResult
from painchain.database import models
from painchain.history.projection import ConnectorState, Snapshot
from painchain.ingestion.health import Health
from painchain.timeline import visibility
from painchain.web.api.resources.base import Resource, Secret, Time

STATES = ("off", "waiting", "polling", "fine", "failing", "rate_limited")
TypeKey = Annotated[str, Field(json_schema_extra={"enum": list(connectors.TYPES)})]


class RateLimit(Resource):
    """How much of a source's rate limit is left."""

    limit: int | None
    remaining: int
    resets: Time | None


class ConnectorHealth(Resource):
    """The polling status of a connector."""

    state: Annotated[str, Field(json_schema_extra={"enum": list(STATES)})]
    last_poll: Time | None
    last_success: Time | None
    error: str | None
    failures: int
    failing_since: Time | None
    next_poll: Time | None
    rate_limit: RateLimit | None
    requests: int | None = Field(description="How many requests the last successful poll sent, if they are counted.")
    note: str

    @classmethod
    def of(cls, health: Health) -> ConnectorHealth:
        """Return the resource of a connector's health."""
        rate_limit = None
        if health.rate_remaining is not None:
            rate_limit = RateLimit(limit=health.rate_limit, remaining=health.rate_remaining, resets=health.rate_resets)
        return cls(
            state=health.state,
            last_poll=health.last_poll,
            last_success=health.last_success,
            error=health.error,
            failures=health.failures,
            failing_since=health.failing_since,
            next_poll=health.due,
            rate_limit=rate_limit,
            requests=health.requests,
            note=health.note,
        )


class Connector(Resource):
    """A connector. For a secret, the response only says whether it is set."""

    id: int
    type: TypeKey
    name: str
    enabled: bool
    tags: list[str]
    config: dict[str, str | int | bool | list[str] | Secret | None]
    visibility: dict[str, dict[str, bool]] = Field(description="Whether each field is shown, by event type.")
    health: ConnectorHealth | None = Field(description="Polling status; null if the connector is not polled.")
    version: int
    created_at: Time
    created_by: str
    updated_at: Time
    updated_by: str

    @classmethod
    def of(cls, connector: models.Connector, health: Health | None) -> Connector:
        """Return the resource of a connector."""
        connector_type = type_of(connector)
        values: dict[str, Any] = dict(connector_store.values(connector))
        for field in connector_type.fields:
            if field.kind is Kind.SECRET:
                values[field.key] = Secret(set=field.key in connector.secrets)
        hidden = visibility.hidden(connector.id)
        return cls(
            id=connector.id,
            type=connector.type,
            name=connector.name,
            enabled=connector.enabled,
            tags=connector.tags,
            config={field.key: values[field.key] for field in connector_type.fields},
            visibility={
                event_type.name: {field.key: (event_type.name, field.key) not in hidden for field in event_type.fields}
                for event_type in connectors.configurable_types(connector_type)
            },
            health=ConnectorHealth.of(health) if health else None,
            version=connector.version,
            created_at=connector.created_at,
            created_by=connector.created_by,
            updated_at=connector.updated_at,
            updated_by=connector.updated_by,
        )


class SavedConnector(Connector):
    """A connector that was just saved, with warnings about its configuration."""

    warnings: list[str] = Field(
        description="Warnings, for example that another connector follows the same repository. The change was saved."
    )

    @classmethod
    def saved(cls, connector: models.Connector, health: Health | None, warnings: list[str]) -> SavedConnector:
        """Return the resource of a connector with its warnings."""
        return cls(**dict(Connector.of(connector, health)), warnings=warnings)


class TypeField(Resource):
    """A configuration field of a connector type."""

    key: str
    label: str
    kind: Annotated[str, Field(json_schema_extra={"enum": [kind.value for kind in Kind]})]
    required: bool
    default: Any
    minimum: int | None
    maximum: int | None
    choices: list[str] | None = Field(description="The values that a choice accepts; null for other kinds.")
    help: str

    @classmethod
    def of(cls, field: base.Field) -> TypeField:
        """Return the resource of a field."""
        return cls(
            key=field.key,
            label=field.label,
            kind=field.kind.value,
            required=field.required,
            default=field.normalize(field.default),
            minimum=field.minimum if field.maximum else None,
            maximum=field.maximum or None,
            choices=[value for value, _ in field.choices if value] or None,
            help=field.help,
        )


class EventField(Resource):
    """A field of an event type."""

    key: str
    label: str


class TypeEvent(Resource):
    """An event type of a connector type."""

    name: str
    label: str
    fields: list[EventField]


class ConnectorType(Resource):
    """A connector type with its configuration fields and event types."""

    type: TypeKey
    label: str
    builtin: bool
    fields: list[TypeField]
    event_types: list[TypeEvent]

    @classmethod
    def of(cls, connector_type: base.ConnectorType) -> ConnectorType:
        """Return the resource of a connector type."""
        event_types = [
            TypeEvent(
                name=event_type.name,
                label=event_type.label,
                fields=[EventField(key=field.key, label=field.label) for field in event_type.fields],
            )
            for event_type in connector_type.event_types
        ]
        return cls(
            type=connector_type.key,
            label=connector_type.label,
            builtin=connector_type.builtin,
            fields=[TypeField.of(field) for field in connector_type.all_fields],
            event_types=event_types,
        )


class Checked(Resource):
    """The result of a connection test."""

    ok: bool
    identity: str
    sees: list[str]
    missing: list[str]

    @classmethod
    def of(cls, result: ConnectionTestResult) -> Checked:
        """Return the resource of a test result."""
        return cls(ok=result.ok, identity=result.identity, sees=list(result.sees), missing=list(result.missing))


class Gap(Resource):
    """A period without records, because auditing was off."""

    start: Time | None
    end: Time | None


class HiddenField(Resource):
    """A field that was hidden."""

    event_type: str
    field: str


class PastConnector(Resource):
    """A connector at a past time. For a secret, the response only says whether it was set."""

    id: int
    type: str
    name: str
    enabled: bool | None
    tags: list[str] | None
    config: dict[str, Any]
    hidden: list[HiddenField]
    changed_at: Time | None
    changed_by: str
    complete: bool

    @classmethod
    def of(cls, state: ConnectorState) -> PastConnector:
        """Return the resource of a connector's past state."""
        return cls(
            id=state.id,
            type=state.type,
            name=state.name,
            enabled=state.enabled,
            tags=state.values.get("tags"),
            config=_past_config(state),
            hidden=[HiddenField(event_type=event_type, field=field) for event_type, field in sorted(state.hidden)],
            changed_at=state.since,
            changed_by=state.by,
            complete=state.is_complete,
        )


def _past_config(state: ConnectorState) -> dict[str, Any]:
    secrets = {
        field.key: {"set": state.values[field.key] == SET} for field in state.fields if field.kind is Kind.SECRET
    }
    return {key: value for key, value in {**state.values, **secrets}.items() if key not in ("name", "tags")}


class Past(Resource):
    """The configuration at a point in time."""

    at: Time
    begins: Time | None
    complete: bool
    gaps: list[Gap]
    connectors: list[PastConnector]

    @classmethod
    def of(cls, at: datetime, snapshot: Snapshot) -> Past:
        """Return the resource of a snapshot."""
        return cls(
            at=at,
            begins=snapshot.begins,
            complete=snapshot.is_complete,
            gaps=[Gap(start=gap.start, end=gap.end) for gap in snapshot.gaps],
            connectors=[PastConnector.of(state) for state in snapshot.connectors],
        )
