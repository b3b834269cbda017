"""The export page: download the events of a filter as a file."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from painchain.exports import export
from painchain.exports.export import FORMATS, ExportNeedsAuditing
from painchain.exports.slots import TooManyExports
from painchain.presentation import formatting
from painchain.timeline.filter import DEFAULT_RANGE, BadFilter, Filter, parse_filter
from painchain.web.common import responses
from painchain.web.common.downloads import export_response, parse_format
from painchain.web.dashboard.filter_view import LISTS, View, view_of

blueprint = Blueprint("exports", __name__)


@blueprint.get("/export")
def choose() -> ResponseReturnValue:
    """Show which events the file will contain, and offer the formats."""
    view = view_of(request.args, "/export")
    try:
        selection = export.select(_filter(view))
    except BadFilter as error:
        return responses.error(422, "Invalid filter", str(error))
    chosen = _chosen(selection.event_filter)
    return responses.page(
        "pages/dashboard/export.html", view=view, selection=selection, chosen=chosen, formats=FORMATS.values()
    )


@blueprint.post("/export")
def download() -> ResponseReturnValue:
    """Send the events of the form's filter as a file."""
    view = view_of(request.form)
    try:
        with_byte_order_mark = "without_byte_order_mark" not in request.form
        return export_response(_filter(view), parse_format(request.form.get("format", "")), with_byte_order_mark)
    except BadFilter as error:
        return responses.error(422, "Nothing was exported", str(error))
    except ExportNeedsAuditing as refusal:
        return responses.error(409, "Nothing was exported", str(refusal))
    except TooManyExports as refusal:
        return responses.error(429, "Nothing was exported", str(refusal))


def _filter(view: View) -> Filter:
    return parse_filter(view.parameters, g.now, responses.zone(), DEFAULT_RANGE)


def _chosen(event_filter: Filter) -> dict[str, str]:
    """Return the label and the formatted value of each part of a filter that is set."""
    labels = {"q": "Search", "start": "From", "end": "To"} | LISTS
    parts = {name: getattr(event_filter, name) for name in export.filter_json(event_filter)}
    return {labels.get(name, name.capitalize()): _format_value(value) for name, value in parts.items()}


def _format_value(value: Any) -> str:
    if isinstance(value, datetime):
        return formatting.moment(value, responses.zone())
    return formatting.printable(", ".join(map(str, value)) if isinstance(value, tuple) else value)
