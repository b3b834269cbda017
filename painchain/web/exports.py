"""Export: hand out the events of a filter as a file, from the page and from the API."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from flask import Blueprint, g, request, stream_with_context
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain import export, timeline
from painchain.export import FORMATS, AuditingOff, Format
from painchain.timeline import DEFAULT_RANGE, BadFilter, Filter
from painchain.web import api, filters, responses
from painchain.web.dashboard import LISTS, View, view_of
from painchain.web.responses import UTC_ZONE, json_error, on_the_record

door = Blueprint("exports", __name__)


@door.get("/export")
def choose() -> ResponseReturnValue:
    """Say what would be handed out, and offer the formats."""
    view = view_of(request.args, "/export")
    try:
        selection = export.select(_filter(view))
    except BadFilter as error:
        return responses.error(422, "This filter is not understood", str(error))
    chosen = _chosen(selection.wanted)
    return responses.page("pages/export.html", view=view, selection=selection, chosen=chosen, formats=FORMATS.values())


@door.post("/export")
def download() -> ResponseReturnValue:
    """Hand out the events of the form's filter."""
    view = view_of(request.form)
    try:
        return _file(_filter(view), _format(request.form.get("format", "")))
    except BadFilter as error:
        return responses.error(422, "Nothing was exported", str(error))
    except AuditingOff as refusal:
        return responses.error(409, "Nothing was exported", str(refusal))


# A POST, though it only reads: it writes an event, and no prefetching browser or link on another site should do that.
@api.door.post("/api/export")
def exported() -> ResponseReturnValue:
    """Hand out the events of the query's filter."""
    given = dict(request.args.lists())
    wanted = timeline.parse_filter(given, g.now, UTC_ZONE)
    try:
        return _file(wanted, _format(request.args.get("format", "ndjson")))
    except AuditingOff as refusal:
        return json_error(409, str(refusal))


def _file(wanted: Filter, format: Format) -> Response:
    """Put the export on the record, then stream it."""
    selection = export.select(wanted)
    with on_the_record() as trail:
        export.begin(selection, format, trail)
    pieces = export.written(format, export.chunks(selection))
    answer = Response(stream_with_context(piece.encode("utf-8", "backslashreplace") for piece in pieces))
    answer.headers["Content-Type"] = f"{format.mimetype}; charset=utf-8"
    name = f"painchain-{g.now:%Y-%m-%dT%H%M%SZ}.{format.suffix}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _format(key: str) -> Format:
    if key not in FORMATS:
        raise BadFilter("format", f"format must be one of {', '.join(FORMATS)}.")
    return FORMATS[key]


def _filter(view: View) -> Filter:
    return timeline.parse_filter(view.given, g.now, responses.zone(), DEFAULT_RANGE)


def _chosen(wanted: Filter) -> dict[str, str]:
    """Return the parts of a filter that are set, as people read them."""
    labels = {"q": "Search", "start": "From", "end": "To"} | LISTS
    parts = {name: getattr(wanted, name) for name in export.spelt(wanted)}
    return {labels.get(name, name.capitalize()): _words(value) for name, value in parts.items()}


def _words(value: Any) -> str:
    if isinstance(value, datetime):
        return filters.moment(value, responses.zone())
    return filters.printable(", ".join(map(str, value)) if isinstance(value, tuple) else value)
