"""Export: hand out the events of a filter as a file, from the page and from the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, g, request, stream_with_context
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.exports import export
from painchain.exports.export import FORMATS, ExportNeedsAuditing, Format
from painchain.presentation import formatting
from painchain.timeline.filter import DEFAULT_RANGE, BadFilter, Filter, parse_filter
from painchain.web.common import responses
from painchain.web.common.transaction import audited_transaction
from painchain.web.dashboard.views import LISTS, View, view_of

blueprint = Blueprint("exports", __name__)


@blueprint.get("/export")
def choose() -> ResponseReturnValue:
    """Say what would be handed out, and offer the formats."""
    view = view_of(request.args, "/export")
    try:
        selection = export.select(_filter(view))
    except BadFilter as error:
        return responses.error(422, "This filter is not understood", str(error))
    chosen = _chosen(selection.wanted)
    return responses.page(
        "pages/dashboard/export.html", view=view, selection=selection, chosen=chosen, formats=FORMATS.values()
    )


@blueprint.post("/export")
def download() -> ResponseReturnValue:
    """Hand out the events of the form's filter."""
    view = view_of(request.form)
    try:
        return file_of(_filter(view), format_called(request.form.get("format", "")))
    except BadFilter as error:
        return responses.error(422, "Nothing was exported", str(error))
    except ExportNeedsAuditing as refusal:
        return responses.error(409, "Nothing was exported", str(refusal))


def file_of(wanted: Filter, format: Format) -> Response:
    """Put the export on the record, then stream it."""
    selection = export.select(wanted)
    with audited_transaction() as trail:
        export.record_export(selection, format, trail)
    pieces = export.written(format, export.chunks(selection))
    answer = Response(stream_with_context(piece.encode("utf-8", "backslashreplace") for piece in pieces))
    answer.headers["Content-Type"] = f"{format.mimetype}; charset=utf-8"
    name = f"painchain-{g.now:%Y-%m-%dT%H%M%SZ}.{format.suffix}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def format_called(key: str) -> Format:
    """Return the format of that key.

    :raises BadFilter: when there is none.
    """
    if key not in FORMATS:
        raise BadFilter("format", f"format must be one of {', '.join(FORMATS)}.")
    return FORMATS[key]


def _filter(view: View) -> Filter:
    return parse_filter(view.given, g.now, responses.zone(), DEFAULT_RANGE)


def _chosen(wanted: Filter) -> dict[str, str]:
    """Return the parts of a filter that are set, as people read them."""
    labels = {"q": "Search", "start": "From", "end": "To"} | LISTS
    parts = {name: getattr(wanted, name) for name in export.filter_json(wanted)}
    return {labels.get(name, name.capitalize()): _words(value) for name, value in parts.items()}


def _words(value: Any) -> str:
    if isinstance(value, datetime):
        return formatting.moment(value, responses.zone())
    return formatting.printable(", ".join(map(str, value)) if isinstance(value, tuple) else value)
