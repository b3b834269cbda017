"""Answer with an export file: shared by the page and the API."""

from __future__ import annotations

from flask import g, stream_with_context
from werkzeug.wrappers import Response

from painchain.exports import export
from painchain.exports.export import FORMATS, Format
from painchain.timeline.filter import BadFilter, Filter
from painchain.web.common.transaction import audited_transaction


def export_response(event_filter: Filter, format: Format, with_byte_order_mark: bool) -> Response:
    """Audit the export, then stream the file."""
    selection = export.select(event_filter)
    with audited_transaction() as trail:
        export.record_export(selection, format, trail)
    texts = export.render(format, export.slices(selection, format), with_byte_order_mark)
    response = Response(stream_with_context(text.encode("utf-8", "backslashreplace") for text in texts))
    response.headers["Content-Type"] = f"{format.mimetype}; charset=utf-8"
    name = f"painchain-{g.now:%Y-%m-%dT%H%M%SZ}.{format.suffix}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def parse_format(key: str) -> Format:
    """Return the export format with this key.

    :raises BadFilter: when there is no such format.
    """
    if key not in FORMATS:
        raise BadFilter("format", f"format must be one of {', '.join(FORMATS)}.")
    return FORMATS[key]
