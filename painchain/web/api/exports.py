"""The JSON API of exports."""

from __future__ import annotations

from flask import g, request
from flask.typing import ResponseReturnValue

from painchain.exports.export import ExportNeedsAuditing
from painchain.exports.slots import TooManyExports
from painchain.timeline.filter import BadFilter, parse_filter
from painchain.web.api.common import api_blueprint
from painchain.web.common.downloads import export_response, parse_format
from painchain.web.common.responses import UTC_ZONE, json_error

RETRY_SECONDS = "10"
blueprint = api_blueprint("exports_api")


# POST, because each export is recorded: a prefetching browser or a link on another site must not start one.
@blueprint.post("/api/export")
def exported() -> ResponseReturnValue:
    """Export the events that match the query."""
    filter = parse_filter(dict(request.args.lists()), g.now, UTC_ZONE)
    with_byte_order_mark = request.args.get("bom", "false")
    if with_byte_order_mark not in ("true", "false"):
        raise BadFilter("bom", "bom must be true or false.")
    try:
        return export_response(
            filter, parse_format(request.args.get("format", "ndjson")), with_byte_order_mark == "true"
        )
    except ExportNeedsAuditing as refusal:
        return json_error(409, str(refusal))
    except TooManyExports as refusal:
        return json_error(429, str(refusal), headers={"Retry-After": RETRY_SECONDS})
