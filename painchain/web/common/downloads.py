"""Answer with an export file: shared by the page and the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from flask import g, stream_with_context
from werkzeug.wrappers import Response

from painchain.core import runtime
from painchain.exports import export
from painchain.exports.export import FORMATS, Format
from painchain.timeline.filter import BadFilter, Filter
from painchain.web.common.transaction import audited_transaction


def export_response(event_filter: Filter, format: Format, with_byte_order_mark: bool) -> Response:
    """Audit the export, then stream the file.

    :raises painchain.exports.slots.TooManyExports: when too many are running. Nothing is recorded.
    :raises painchain.exports.export.ExportNeedsAuditing: when auditing is off.
    """
    end = runtime.current().exports.take(g.who.person_id)
    try:
        selection = export.select(event_filter)
        with audited_transaction() as trail:
            export.record_export(selection, format, trail)
        texts = export.render(format, export.slices(selection, format), with_byte_order_mark)
        response = Response(stream_with_context(_parts(texts, end)))
    except BaseException:
        end()
        raise
    response.call_on_close(end)  # also of a response that nobody has begun to read
    response.headers["Content-Type"] = f"{format.mimetype}; charset=utf-8"
    name = f"painchain-{g.now:%Y-%m-%dT%H%M%SZ}.{format.suffix}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _parts(texts: Iterable[str], end: Callable[[], None]) -> Iterator[bytes]:
    try:
        for text in texts:
            yield text.encode("utf-8", "backslashreplace")
    finally:
        end()


def parse_format(key: str) -> Format:
    """Return the export format with this key.

    :raises BadFilter: when there is no such format.
    """
    if key not in FORMATS:
        raise BadFilter("format", f"format must be one of {', '.join(FORMATS)}.")
    return FORMATS[key]
