"""The JSON API of the configuration as of a moment."""

from __future__ import annotations

from flask import g
from flask.typing import ResponseReturnValue

from painchain.history import snapshots
from painchain.web.api.common import api_blueprint
from painchain.web.api.resources.base import answer
from painchain.web.api.resources.connectors import Past
from painchain.web.common.responses import UTC_ZONE
from painchain.web.dashboard.snapshots import moment_given

blueprint = api_blueprint("snapshots_api")


@blueprint.get("/api/as-of")
def configuration() -> ResponseReturnValue:
    """Return the configuration as of a moment."""
    at = moment_given("at", UTC_ZONE) or g.now
    return answer(Past.of(at, snapshots.snapshot_at(at)))
