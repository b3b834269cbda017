"""What every part of the API shares: its guards, its error responses, and ETags with If-Match."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote_to_bytes

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.accounts.users import AccountRefused, InvalidAccount
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.core.validation import BadBody
from painchain.timeline.filter import BadFilter
from painchain.web.common.permissions import SAFE_METHODS
from painchain.web.common.responses import json_error

MAX_ID = 2**63 - 1
FILTERS = (
    *("source", "event_type", "connector", "tag", "team", "author", "service", "environment"),
    *("status", "outcome"),
    *("start_date", "end_date", "q"),
)
# The query parameters of each route; a route that is not listed takes none.
PARAMETERS = {
    "events_api.changes": (*FILTERS, "limit", "cursor"),
    "events_api.histogram": FILTERS,
    "annotations_api.annotations": (*FILTERS, "from", "to", "limit"),
    "events_api.stats": FILTERS,
    "snapshots_api.configuration": ("at",),
    "exports_api.exported": (*FILTERS, "format", "bom"),
}
# Routes that take every JSON media type, such as application/cloudevents+json, and a CloudEvent in headers without any.
# Like application/json, CORS safelists none of them, nor this header: a page of another site has to ask first.
ANY_JSON, CLOUD_EVENT = frozenset({"change_events_api.record"}), "ce-specversion"
_ANY_JSON = re.compile(r"[a-z0-9.-]+/([a-z0-9!#$&^_.-]+\+)?json")


def api_blueprint(name: str, url_prefix: str | None = None) -> Blueprint:
    """Return a blueprint with the guards and error handlers of the API."""
    blueprint = Blueprint(name, __name__, url_prefix=url_prefix)
    blueprint.before_request(refuse_other_bodies)
    blueprint.before_request(refuse_unknown_parameters)
    blueprint.register_error_handler(BadBody, handle_bad_body)
    blueprint.register_error_handler(BadFilter, handle_bad_filter)
    for invalid, refused in ((InvalidValues, ChangeRefused), (InvalidAccount, AccountRefused)):
        blueprint.register_error_handler(invalid, handle_invalid_values)
        blueprint.register_error_handler(refused, handle_refused_change)
    return blueprint


def refuse_other_bodies() -> ResponseReturnValue | None:
    """Refuse bodies that are not JSON."""
    if request.method in SAFE_METHODS:
        return None
    if not request.content_length and request.method not in ("PATCH", "PUT"):
        return None
    if request.mimetype == "application/json":
        return None
    if request.endpoint in ANY_JSON and _is_any_json():
        return None
    return json_error(415, "Send the body as application/json.")


def _is_any_json() -> bool:
    # Python's SDK of CloudEvents names no media type unless it is told one.
    return bool(_ANY_JSON.fullmatch(request.mimetype) if request.mimetype else CLOUD_EVENT in request.headers)


def refuse_unknown_parameters() -> None:
    """Refuse a query that would be ignored or misread. Probes of /health may append any.

    :raises BadFilter: when a parameter is unknown or the query is not UTF-8.
    """
    if not request.query_string or not request.path.startswith("/api/"):
        return
    names = PARAMETERS.get(request.endpoint or "", ())
    for name in request.args:
        if name not in names:
            allowed = f"Allowed: {', '.join(names)}." if names else "This endpoint takes no parameters."
            raise BadFilter(name, f"Unknown parameter. {allowed}")
    try:
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError:
        raise BadFilter("", "The query string is not valid UTF-8.") from None


def handle_bad_body(problem: BadBody) -> Response:
    """Return the error response for an invalid body."""
    return json_error(422, f"Nothing was saved. {problem}", problem.errors)


def handle_bad_filter(problem: BadFilter) -> Response:
    """Return the error response for an invalid query."""
    return json_error(422, str(problem), field_errors({problem.parameter: str(problem)}))


def handle_invalid_values(problem: InvalidValues | InvalidAccount) -> Response:
    """Return the error response for invalid values."""
    return json_error(422, str(problem), field_errors(problem.errors))


def handle_refused_change(problem: ChangeRefused | AccountRefused) -> Response:
    """Return the error response for a change that conflicts with the current state."""
    return json_error(409, str(problem))


def field_errors(errors: Mapping[str, str]) -> list[dict[str, str]]:
    """Return messages by field in the shape of every JSON error."""
    return [{"field": field, "message": message} for field, message in errors.items()]


class Versioned(Protocol):
    """A record whose version grows with each change."""

    id: int
    version: int


Record = TypeVar("Record", bound=Versioned)


@dataclass(frozen=True)
class Editable(Generic[Record]):
    """One kind of record that the API reads and edits: how it is found, and its ETag."""

    noun: str
    find: Callable[[int], Record | None]
    stale: Callable[[Record], Exception]  # its message says who changed the record
    tag_prefix: str = ""

    def get_or_404(self, record_id: int) -> Record:
        """Return the record with this ID."""
        return found_or_404(self.noun, record_id, self.find)

    def etag(self, record: Record) -> dict[str, str]:
        """Return the header that names the version of a record."""
        return {"ETag": f'"{self._tag(record)}"'}

    def require_if_match(self, record_id: int) -> None:
        """Refuse a change that does not name the version it was made on: 428, or 404 if there is no record."""
        if "If-Match" not in request.headers:
            self.get_or_404(record_id)
            abort(428, f"Send the ETag of the {self.noun} as If-Match, to avoid overwriting other changes.")

    def matching(self, record_id: int) -> Record:
        """Return the record, or refuse with 412 if If-Match names another version. Without the header any matches."""
        record = self.get_or_404(record_id)
        if "If-Match" in request.headers and not request.if_match.contains(self._tag(record)):
            message = f"{self.stale(record)}"
            abort(json_error(412, message, headers=self.etag(record)))
        return record

    def _tag(self, record: Record) -> str:
        return f"{self.tag_prefix}{record.id}-{record.version}"


Found = TypeVar("Found")


def found_or_404(noun: str, record_id: int, find: Callable[[int], Found | None]) -> Found:
    """Return the record with this ID, or abort with 404. No database accepts a number above `MAX_ID`."""
    record = find(record_id) if record_id <= MAX_ID else None
    if record is None:
        abort(404, f"No {noun} with this ID.")
    return record
