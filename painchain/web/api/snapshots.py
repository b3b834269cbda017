"""The JSON API of the configuration at a point in time."""

from __future__ import annotations

from flask import g
from flask.typing import ResponseReturnValue

from painchain.history import snapshots
from painchain.web.api.common import api_blueprint
from painchain.web.api.resources.base import answer
from painchain.web.api.resources.connectors import Past
from painchain.web.common.parameters import time_parameter
from painchain.web.common.responses import UTC_ZONE

blueprint = api_blueprint("snapshots_api")


@blueprint.get("/api/as-of")
def configuration() -> ResponseReturnValue:
    """Return the configuration at a point in time."""
    at = time_parameter("at", UTC_ZONE) or g.now
    return answer(Past.of(at, snapshots.snapshot_at(at)))
