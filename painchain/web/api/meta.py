"""The JSON API of health, the OpenAPI document and the connector types."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue
from sqlalchemy import update

from painchain import __version__, connectors
from painchain.audit import trail as audit_trail
from painchain.core import runtime
from painchain.database.models import LogHead
from painchain.database.session import db, write_transaction
from painchain.eventlog import write_check, writer
from painchain.web.api import openapi
from painchain.web.api.common import api_blueprint
from painchain.web.api.resources.base import Health, answer, answer_list
from painchain.web.api.resources.connectors import ConnectorType
from painchain.web.common import errors

blueprint = api_blueprint("meta_api")


@blueprint.get("/health")
def health() -> ResponseReturnValue:
    """Check that the database reads and writes; 503 if it does not."""
    if fault := runtime.current().database_fault:
        return errors.unhealthy(fault)
    writer.check_key()
    with write_transaction():
        db.session.execute(update(LogHead).values(id=1))
    write_check.check()
    return answer(Health(status="ok", database="ok", auditing=audit_trail.auditing().on, version=__version__))


@blueprint.get("/openapi.json")
def description() -> ResponseReturnValue:
    """Describe the API (OpenAPI 3.1)."""
    return jsonify(openapi.document())


@blueprint.get("/api/connector-types")
def connector_types() -> ResponseReturnValue:
    """List the connector types with their fields and event types."""
    return answer_list(ConnectorType.of(connector_type) for connector_type in connectors.TYPES.values())
