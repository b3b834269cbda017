"""The JSON API: log and read events, manage connectors; every write is audited exactly as the forms are."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import unquote_to_bytes, urlencode

from flask import Blueprint, abort, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import update
from werkzeug.wrappers import Response

from painchain import __version__, connectors
from painchain.audit import external_events
from painchain.audit import trail as audit_trail
from painchain.audit.external_events import LogBody
from painchain.configuration import connector_store
from painchain.configuration.connector_store import ConnectorEdit, type_of
from painchain.configuration.errors import ChangeRefused, InvalidValues, StaleConnector
from painchain.connectors.base import ConnectorType, Kind
from painchain.core import logs, runtime
from painchain.core.validation import BadBody, read
from painchain.database.models import Connector, LogHead
from painchain.database.session import db, one_write_at_a_time
from painchain.database.types import iso
from painchain.eventlog import writer
from painchain.exports.export import event_json
from painchain.ingestion import health as connector_polls
from painchain.ingestion.health import Health
from painchain.timeline import coverage, queries, silent_connectors, visibility
from painchain.timeline.coverage import CoverageGap
from painchain.timeline.queries import BadFilter, Cursor, Filter
from painchain.timeline.silent_connectors import Silence
from painchain.web.api import openapi
from painchain.web.api.schemas import ConnectorPatch, NewConnector, Visibility
from painchain.web.common import errors
from painchain.web.common.connector_health import health_json
from painchain.web.common.responses import UTC_ZONE, json_error
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("api", __name__)

DEFAULT_LIMIT, MAX_LIMIT = 100, 500
FILTERS = ("source", "event_type", "connector", "tag", "team", "author", "status", "start_date", "end_date", "q")
PARAMETERS = {
    "api.changes": (*FILTERS, "limit", "cursor"),
    "api.histogram": FILTERS,
    "api.stats": FILTERS,
    "snapshots_api.configuration": ("at",),
    "exports_api.exported": (*FILTERS, "format"),
}


@blueprint.before_request
def refuse_other_sites() -> ResponseReturnValue | None:
    """Refuse writes that another site's page sends, and bodies that are not JSON."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin.partition("://")[2] != request.host
    if foreign or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        logs.security("origin_refused", "A write came from another site's page.")
        return json_error(
            403, "This request comes from another site; only PainChain's own pages and scripts may write."
        )
    if (request.content_length or request.method in ("PATCH", "PUT")) and request.mimetype != "application/json":
        return json_error(415, "Send the body as application/json.")
    return None


@blueprint.before_request
def refuse_unknown_parameters() -> None:
    """Refuse a query that would be ignored or misread. Probes of /health may append what they like.

    :raises BadFilter: when there is no such parameter, or it is not text in UTF-8.
    """
    if not request.query_string or not request.path.startswith("/api/"):
        return
    known = PARAMETERS.get(request.endpoint or "", ())
    for name in request.args:
        if name not in known:
            allowed = f"Allowed are {', '.join(known)}." if known else "This address takes none."
            raise BadFilter(name, f"There is no parameter of this name. {allowed}")
    try:
        unquote_to_bytes(request.query_string).decode()
    except UnicodeDecodeError:
        raise BadFilter("", "The query is not text in UTF-8.") from None


@blueprint.errorhandler(BadBody)
def bad_body(problem: BadBody) -> Response:
    """Answer a body that is not what the route takes."""
    return json_error(422, f"Nothing was saved. {problem}", problem.errors)


@blueprint.errorhandler(BadFilter)
def bad_filter(problem: BadFilter) -> Response:
    """Answer a query that cannot be understood."""
    return json_error(422, str(problem), [{"field": problem.parameter, "message": str(problem)}])


@blueprint.errorhandler(ChangeRefused)
def refused(problem: ChangeRefused) -> Response:
    """Answer a change that is not made."""
    if isinstance(problem, InvalidValues):
        errors = [{"field": _place(key), "message": message} for key, message in problem.errors.items()]
        return json_error(422, str(problem), errors)
    if isinstance(problem, StaleConnector):
        return json_error(412, f"{problem} Read it again and repeat the change.", headers=_etag(problem.connector))
    return json_error(409, str(problem))


def guarded(name: str, url_prefix: str | None = None) -> Blueprint:
    """Return one more part of the API: with the guards and refusals of this one, so that no part forgets any."""
    part = Blueprint(name, __name__, url_prefix=url_prefix)
    for guard in (refuse_other_sites, refuse_unknown_parameters):
        part.before_request(guard)
    part.register_error_handler(BadBody, bad_body)
    part.register_error_handler(BadFilter, bad_filter)
    return part


@blueprint.post("/api/painchain/log")
def log() -> ResponseReturnValue:
    """Record an event that a script reports."""
    body = read(LogBody, request.get_data())
    with audited_transaction() as trail:
        event_id = external_events.record(body, trail)
    if event_id is None:
        return json_error(409, "Auditing is off: nothing was recorded. Enable the PainChain connector in Settings.")
    answer = {
        "success": True,
        "message": f"PainChain event logged: {body.event_type}",
        "event_type": body.event_type,
        "event_id": event_id,
    }
    return jsonify(answer), 201


@blueprint.get("/api/changes")
def changes() -> ResponseReturnValue:
    """List events, newest first; the Link header leads to the next older ones."""
    wanted = _filter()
    limit = _limit()
    before = Cursor.parse(request.args["cursor"]) if "cursor" in request.args else None
    page = queries.page(wanted, before, limit)
    response = jsonify([event_json(event) for event in page.events])
    if page.older:
        kept = [(name, value) for name, value in request.args.items(multi=True) if name != "cursor"]
        following = urlencode([*kept, ("cursor", str(page.older))])
        response.headers["Link"] = f'<{request.base_url}?{following}>; rel="next"'
    return response


@blueprint.get("/api/changes/<path:number>")
def change(number: str) -> ResponseReturnValue:
    """Return one event, by its number or its event id."""
    found = queries.event(int(number)) if is_number(number) else queries.event_called(number)
    if found is None:
        abort(404, "There is no event of this id.")
    return jsonify(event_json(found))


@blueprint.get("/api/timeline")
def histogram() -> ResponseReturnValue:
    """Count events by time and source."""
    wanted = _filter()
    counted = queries.histogram(wanted, g.now, UTC_ZONE)
    stretches = coverage.between(wanted, counted.start, min(counted.end, g.now))
    silent = [] if wanted.end else silent_connectors.find_silent(g.now, wanted)
    bins = [
        {"start": iso(bin.start), "end": iso(bin.end), "total": bin.total, "counts": bin.counts} for bin in counted.bins
    ]
    return jsonify(
        start=iso(counted.start),
        end=iso(counted.end),
        bin_seconds=int(counted.width.total_seconds()),
        total=counted.total,
        counted_since=iso(counted.since) if counted.since else None,
        bins=bins,
        lapses=[lapse_json(one) for one in stretches],
        silences=[silence_json(one) for one in silent],
    )


def lapse_json(one: CoverageGap) -> dict[str, Any]:
    """Return a stretch in which nobody was looking; one that lasts has no `until`."""
    return {**asdict(one), "since": iso(one.since), "until": iso(one.until) if one.until else None}


def silence_json(one: Silence) -> dict[str, Any]:
    """Return a connector that has fallen silent, and the events that changed it just before."""
    return {
        "connector_id": one.connector_id,
        "connector_name": one.name,
        "connector_type": one.type,
        "last_event": iso(one.last),
        "usual_gap_seconds": one.usual.total_seconds(),
        "changes": [event_json(event) for event in one.changes],
    }


@blueprint.get("/api/stats")
def stats() -> ResponseReturnValue:
    """Count events by what they have in common."""
    wanted = _filter()
    counted = queries.statistics(wanted, ("source", "event_type", "connector_name", "author", "status"))
    by = {f"by_{column}": counts for column, counts in counted.by.items()}
    return jsonify(total=counted.total, counted_since=iso(counted.since) if counted.since else None, **by)


@blueprint.get("/api/connector-types")
def connector_types() -> ResponseReturnValue:
    """List the types of connectors with their fields and event types."""
    return jsonify([_type_json(connector_type) for connector_type in connectors.TYPES.values()])


@blueprint.get("/api/connectors")
def all_connectors() -> ResponseReturnValue:
    """List the connectors."""
    there = connector_store.list_all()
    health = connector_polls.read(there, g.now)
    return jsonify([connector_json(one, health.get(one.id)) for one in there])


@blueprint.post("/api/connectors")
def create() -> ResponseReturnValue:
    """Add a connector."""
    body = read(NewConnector, request.get_data())
    connector_type = connectors.ADDABLE[body.type]
    values = config_of(connector_type.key, body.config) | {"name": body.name, "tags": body.tags}
    with audited_transaction() as trail:
        one = connector_store.create(connector_type, values, body.enabled, trail)
    return answer(one, 201, Location=url_for(".connector", connector_id=one.id))


@blueprint.get("/api/connectors/<int:connector_id>")
def connector(connector_id: int) -> ResponseReturnValue:
    """Return one connector with its ETag."""
    return answer(get_or_404(connector_id))


@blueprint.patch("/api/connectors/<int:connector_id>")
def patch(connector_id: int) -> ResponseReturnValue:
    """Change some of a connector's values."""
    body = read(ConnectorPatch, request.get_data())
    if "If-Match" not in request.headers:
        get_or_404(connector_id)
        return json_error(428, "Send the ETag of the connector you read as If-Match, so that no one's change is lost.")
    with audited_transaction() as trail:
        one = _matched_or_412(connector_id)
        values = config_of(one.type, body.config)
        values |= {key: getattr(body, key) for key in ("name", "tags") if key in body.model_fields_set}
        connector_store.update(one, ConnectorEdit(values), trail)
        if body.enabled is not None:
            connector_store.set_enabled(one, body.enabled, trail)
    return answer(one)


@blueprint.delete("/api/connectors/<int:connector_id>")
def delete(connector_id: int) -> ResponseReturnValue:
    """Delete a connector; its events stay."""
    with audited_transaction() as trail:
        connector_store.delete(_matched_or_412(connector_id), trail)
    return "", 204


@blueprint.post("/api/connectors/<int:connector_id>/enable", defaults={"enabled": True})
@blueprint.post("/api/connectors/<int:connector_id>/disable", defaults={"enabled": False})
def switch(connector_id: int, enabled: bool) -> ResponseReturnValue:
    """Enable or disable a connector."""
    with audited_transaction() as trail:
        one = _matched_or_412(connector_id)
        connector_store.set_enabled(one, enabled, trail)
    return answer(one)


@blueprint.put("/api/connectors/<int:connector_id>/visibility/<event_type>/<field>")
def set_visible(connector_id: int, event_type: str, field: str) -> ResponseReturnValue:
    """Show or hide one field of a connector's events."""
    visible = read(Visibility, request.get_data()).visible
    with audited_transaction() as trail:
        one = _matched_or_412(connector_id)
        if (event_type, field) not in visibility.toggles(type_of(one)):
            abort(404, "This connector has no such event type or field.")
        connector_store.set_visible(one, ConnectorEdit(shown={(event_type, field): visible}), trail)
    return answer(one)


@blueprint.get("/health")
def health() -> ResponseReturnValue:
    """Say whether the database really reads and writes: 503 if it does not."""
    if damage := runtime.current().database_fault:
        return errors.unhealthy(damage)
    writer.check_key()
    with one_write_at_a_time():
        db.session.execute(update(LogHead).values(id=1))
    return jsonify(status="ok", database="ok", auditing=audit_trail.auditing().on, version=__version__)


@blueprint.get("/openapi.json")
def description() -> ResponseReturnValue:
    """Describe the API (OpenAPI 3.1)."""
    return jsonify(openapi.document())


def is_number(text: str) -> bool:
    """Say whether a text is the number of an event rather than an event id."""
    return text.isascii() and text.isdigit() and len(text) < 19


def connector_json(one: Connector, health: Health | None) -> dict[str, Any]:
    """Return a connector as the API gives it: of a secret only whether it is set."""
    values = connector_store.values(one)
    secrets = {
        field.key: {"set": field.key in one.secrets} for field in type_of(one).fields if field.kind is Kind.SECRET
    }
    config = {field.key: {**values, **secrets}[field.key] for field in type_of(one).fields}
    hidden = visibility.hidden(one.id)
    return {
        "id": one.id,
        "type": one.type,
        "name": one.name,
        "enabled": one.enabled,
        "tags": one.tags,
        "config": config,
        "visibility": {
            event_type.name: {field.key: (event_type.name, field.key) not in hidden for field in event_type.fields}
            for event_type in type_of(one).event_types
        },
        "health": health_json(health),
        "version": one.version,
        "created_at": iso(one.created_at),
        "created_by": one.created_by,
        "updated_at": iso(one.updated_at),
        "updated_by": one.updated_by,
    }


def _type_json(connector_type: ConnectorType) -> dict[str, Any]:
    return {
        "type": connector_type.key,
        "label": connector_type.label,
        "builtin": connector_type.builtin,
        "fields": [
            {
                "key": field.key,
                "label": field.label,
                "kind": field.kind.value,
                "required": field.required,
                "default": field.normalize(field.default),
                "minimum": field.minimum if field.maximum else None,
                "maximum": field.maximum or None,
                "help": field.help,
            }
            for field in connector_type.all_fields
        ],
        "event_types": [
            {
                "name": event_type.name,
                "label": event_type.label,
                "fields": [{"key": field.key, "label": field.label} for field in event_type.fields],
            }
            for event_type in connector_type.event_types
        ],
    }


def answer(one: Connector, status: int = 200, **headers: str) -> ResponseReturnValue:
    """Return a connector with its ETag."""
    health = connector_polls.read([one], g.now).get(one.id)
    return jsonify(connector_json(one, health)), status, {**_etag(one), **headers}


def _etag(one: Connector) -> dict[str, str]:
    return {"ETag": f'"{one.id}-{one.version}"'}


def get_or_404(connector_id: int) -> Connector:
    """Return the connector of an id."""
    one = connector_store.get(connector_id) if connector_id < 2**63 else None
    if one is None:
        abort(404, "There is no connector of this id.")
    return one


def _matched_or_412(connector_id: int) -> Connector:
    """Return the connector, if it is still the version that If-Match names or there is no such header.

    :raises Stale: when it is another version.
    """
    one = get_or_404(connector_id)
    if "If-Match" in request.headers and not request.if_match.contains(f"{one.id}-{one.version}"):
        raise StaleConnector(one)
    return one


def config_of(type_key: str, config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration values of a body.

    :raises BadBody: when it has a key that the type has no field for.
    """
    known = {field.key for field in connectors.TYPES[type_key].fields}
    unknown = [key for key in config if key not in known]
    if unknown:
        allowed = ", ".join(sorted(known)) or "no configuration"
        message = f"There is no such field. A {type_key} connector has {allowed}."
        raise BadBody([{"field": f"config.{key}", "message": message} for key in unknown[:20]])
    return dict(config)


def _place(key: str) -> str:
    """Return where in a body a connector's field stands."""
    return key if key in ("name", "tags") else f"config.{key}"


def _filter() -> Filter:
    return queries.parse_filter(dict(request.args.lists()), g.now, UTC_ZONE)


def _limit() -> int:
    text = request.args.get("limit", str(DEFAULT_LIMIT))
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 1 <= int(text) <= MAX_LIMIT:
        raise BadFilter("limit", f"limit must be an integer between 1 and {MAX_LIMIT}.")
    return int(text)
