"""Export events through the API."""

from __future__ import annotations

from flask import g, request
from flask.typing import ResponseReturnValue

from painchain.exports.export import ExportNeedsAuditing
from painchain.timeline import queries
from painchain.web.api.events import guarded
from painchain.web.common.responses import UTC_ZONE, json_error
from painchain.web.dashboard.exports import file_of, format_called

blueprint = guarded("exports_api")


# A POST, though it only reads: it writes an event, and no prefetching browser or link on another site should do that.
@blueprint.post("/api/export")
def exported() -> ResponseReturnValue:
    """Hand out the events of the query's filter."""
    given = dict(request.args.lists())
    wanted = queries.parse_filter(given, g.now, UTC_ZONE)
    try:
        return file_of(wanted, format_called(request.args.get("format", "ndjson")))
    except ExportNeedsAuditing as refusal:
        return json_error(409, str(refusal))
