"""The JSON API of connectors: read, add, change, switch and delete them. Every write is audited."""

from __future__ import annotations

from typing import Any

from flask import abort, g, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain import connectors
from painchain.configuration import connector_store, shared_sources
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import InvalidValues, StaleRow
from painchain.core.validation import BadBody, read
from painchain.database import models
from painchain.ingestion import health as connector_polls
from painchain.timeline import visibility
from painchain.web.api.common import Editable, api_blueprint, field_errors
from painchain.web.api.resources.base import answer, answer_list
from painchain.web.api.resources.connectors import Connector, SavedConnector
from painchain.web.api.schemas import ConnectorPatch, NewConnector, Visibility
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

RECORDS = Editable("connector", connector_store.get, StaleRow)


def handle_invalid_connector(problem: InvalidValues) -> Response:
    """Return the error response for invalid connector values, by their place in the body."""
    errors = {key if key in ("name", "tags") else f"config.{key}": text for key, text in problem.errors.items()}
    return json_error(422, str(problem), field_errors(errors))


blueprint = api_blueprint("connectors_api")
blueprint.register_error_handler(InvalidValues, handle_invalid_connector)


@blueprint.get("/api/connectors")
def all_connectors() -> ResponseReturnValue:
    """List the connectors."""
    records = connector_store.list_all()
    health = connector_polls.read(records, g.now)
    return answer_list(Connector.of(connector, health.get(connector.id)) for connector in records)


@blueprint.post("/api/connectors")
def create() -> ResponseReturnValue:
    """Add a connector."""
    body = read(NewConnector, request.get_data())
    connector_type = connectors.ADDABLE[body.type]
    values = config_values(connector_type.key, body.config) | {"name": body.name, "tags": body.tags}
    with audited_transaction() as trail:
        connector = connector_store.create(connector_type, values, body.enabled, trail)
        warnings = shared_sources.warnings(connector)
    return saved_answer(connector, warnings, 201, Location=url_for(".connector", connector_id=connector.id))


@blueprint.get("/api/connectors/<int:connector_id>")
def connector(connector_id: int) -> ResponseReturnValue:
    """Return one connector with its ETag."""
    return connector_answer(RECORDS.get_or_404(connector_id))


@blueprint.patch("/api/connectors/<int:connector_id>")
def patch(connector_id: int) -> ResponseReturnValue:
    """Change some of a connector's values."""
    body = read(ConnectorPatch, request.get_data())
    RECORDS.require_if_match(connector_id)
    with audited_transaction() as trail:
        connector = RECORDS.matching(connector_id)
        values = config_values(connector.type, body.config)
        values |= {key: getattr(body, key) for key in ("name", "tags") if key in body.model_fields_set}
        saved = connector_store.update(connector, ConnectorEdit(values), trail)
        if body.enabled is not None:
            connector_store.set_enabled(connector, body.enabled, trail)
        warnings = shared_sources.warnings(connector, [change.key for change in saved.changes])
    return saved_answer(connector, warnings)


@blueprint.delete("/api/connectors/<int:connector_id>")
def delete(connector_id: int) -> ResponseReturnValue:
    """Delete a connector; its events stay."""
    with audited_transaction() as trail:
        connector_store.delete(RECORDS.matching(connector_id), trail)
    return "", 204


@blueprint.post("/api/connectors/<int:connector_id>/enable", defaults={"enabled": True})
@blueprint.post("/api/connectors/<int:connector_id>/disable", defaults={"enabled": False})
def switch(connector_id: int, enabled: bool) -> ResponseReturnValue:
    """Enable or disable a connector."""
    with audited_transaction() as trail:
        connector = RECORDS.matching(connector_id)
        connector_store.set_enabled(connector, enabled, trail)
    return connector_answer(connector)


@blueprint.put("/api/connectors/<int:connector_id>/visibility/<event_type>/<field>")
def set_visible(connector_id: int, event_type: str, field: str) -> ResponseReturnValue:
    """Show or hide one field of a connector's events."""
    is_visible = read(Visibility, request.get_data()).visible
    with audited_transaction() as trail:
        connector = RECORDS.matching(connector_id)
        if (event_type, field) not in visibility.toggles(type_of(connector)):
            abort(404, "Unknown event type or field for this connector.")
        edit = ConnectorEdit(visibility={(event_type, field): is_visible})
        connector_store.set_visible(connector, edit, trail)
    return connector_answer(connector)


def connector_answer(connector: models.Connector, status: int = 200, **headers: str) -> ResponseReturnValue:
    """Answer with a connector and its ETag."""
    health = connector_polls.read([connector], g.now).get(connector.id)
    return answer(Connector.of(connector, health), status, RECORDS.etag(connector) | headers)


def saved_answer(
    connector: models.Connector, warnings: list[str], status: int = 200, **headers: str
) -> ResponseReturnValue:
    """Answer with a connector that was just saved, its warnings and its ETag."""
    health = connector_polls.read([connector], g.now).get(connector.id)
    resource = SavedConnector.saved(connector, health, warnings)
    return answer(resource, status, RECORDS.etag(connector) | headers)


def config_values(type_key: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration values of a body.

    :raises BadBody: when the connector type has no field for one of its keys.
    """
    keys = {field.key for field in connectors.TYPES[type_key].fields}
    unknown = [key for key in config if key not in keys]
    if unknown:
        allowed = ", ".join(sorted(keys)) or "no configuration"
        message = f"Unknown field. A {type_key} connector accepts {allowed}."
        raise BadBody([{"field": f"config.{key}", "message": message} for key in unknown[:20]])
    return dict(config)
