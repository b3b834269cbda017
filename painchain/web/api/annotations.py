"""The JSON API that gives events to graphs as annotations, as Grafana reads them."""

from datetime import UTC, datetime

from flask import g, request
from flask.typing import ResponseReturnValue

from painchain.timeline import queries
from painchain.timeline.filter import BadFilter, parse_filter
from painchain.web.api.common import api_blueprint
from painchain.web.api.events import MAX_LIMIT, page_limit
from painchain.web.api.resources.base import answer_list
from painchain.web.api.resources.events import Annotation
from painchain.web.common.responses import UTC_ZONE

blueprint = api_blueprint("annotations_api")

EARLIEST, LATEST = 10**8, 10**14  # 2 January 1970, and the year 5138
EDGES = {"from": "start_date", "to": "end_date"}  # in epoch milliseconds, as Grafana writes them


@blueprint.get("/api/annotations")
def annotations() -> ResponseReturnValue:
    """List events as annotations, newest first; their times are in epoch milliseconds."""
    parameters = dict(request.args.lists())
    for name, date in EDGES.items():
        if name in parameters:
            if date in parameters:
                raise BadFilter(name, f"Send {name} or {date}, not both.")
            parameters[date] = [_time(name, parameters.pop(name)[0]).isoformat()]
    event_filter = parse_filter(parameters, g.now, UTC_ZONE)
    return answer_list(map(Annotation.of, queries.page(event_filter, limit=page_limit(MAX_LIMIT)).events))


def _time(name: str, text: str) -> datetime:
    """Return a time in epoch milliseconds.

    :raises BadFilter: when it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 15 and EARLIEST <= int(text) <= LATEST):
        raise BadFilter(name, f"{name} must be a time in milliseconds since 1970, from {EARLIEST} to {LATEST}.")
    return datetime.fromtimestamp(int(text) / 1000, UTC)
