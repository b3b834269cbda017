"""Describe the JSON API truthfully (OpenAPI 3.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic.json_schema import models_json_schema

from painchain import __version__, connectors
from painchain.accounts.users import LONGEST_NAME
from painchain.audit.external_events import REQUIRED, LogBody
from painchain.connectors.base import MAX_ITEMS, NAME, TAGS, ConnectorType, Field, Kind
from painchain.core.roles import ROLES
from painchain.core.validation import TEXT, Body
from painchain.eventlog import outbox
from painchain.exports import ocsf
from painchain.exports.export import FORMATS
from painchain.indexes.search_query import MAX_TERMS, MAX_TEXT, QUALIFIERS
from painchain.timeline.coverage import KINDS as LAPSES
from painchain.web.api.schemas import (
    ConnectorCheck,
    ConnectorPatch,
    NewConnector,
    NewConnectorCheck,
    NewNotifyRule,
    NewPerson,
    NewTeam,
    NewToken,
    NotifyRulePatch,
    PersonPatch,
    RestoreBody,
    TeamPatch,
    Visibility,
)

Schema = dict[str, Any]


def _ref(name: str | int, kind: str = "schemas") -> Schema:
    return {"$ref": f"#/components/{kind}/{name}"}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _table(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _any(*choices: Schema) -> Schema:
    return choices[0] if len(choices) == 1 else {"anyOf": list(choices)}


def _record(**members: Schema) -> Schema:
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


def _each(schema: Schema, *names: str) -> dict[str, Schema]:
    return dict.fromkeys(names, schema)


STRING, INTEGER, BOOLEAN = {"type": "string"}, {"type": "integer"}, {"type": "boolean"}
STRING_OR_NULL, INTEGER_OR_NULL = {"type": ["string", "null"]}, {"type": ["integer", "null"]}
TIME = {"type": "string", "format": "date-time"}
TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
TYPE: Schema = {"enum": list(connectors.TYPES)}
COUNTS = _table(INTEGER)
PERSON = _record(
    **_each(STRING, "name", "created_by"),
    **_each(INTEGER, "id", "version"),
    role={"enum": list(ROLES)},
    email=STRING_OR_NULL,
    enabled=BOOLEAN,
    password=_record(set=BOOLEAN),
    created_at=TIME,
    disabled_at=TIME_OR_NULL,
)
LINK = {**STRING_OR_NULL, "description": "Sets the password, once; null if one was given. Shown this once."}
STATES = ("off", "waiting", "polling", "fine", "failing", "rate_limited")

# Control characters are refused, save those that end a line: they become spaces.
CONTROL = r"\x00-\x08\x0e-\x1b\x1f\x7f-\x84\x86-\x9f"
ONE_TAG = rf"[^,{CONTROL}]{{0,{TAGS.max_length}}}"
ANY_TEXT: Schema = {"type": "string", "pattern": TEXT}
PRINTABLE: Schema = {"pattern": rf"^[^{CONTROL}]*$"}
NOT_BLANK: Schema = {"type": "string", "pattern": rf"^[^{CONTROL}]*[^\s{CONTROL}][^{CONTROL}]*$"}
TAG_TEXT: Schema = {"type": "string", "pattern": rf"^{ONE_TAG}(,{ONE_TAG})*$"}
# Of the tags in a text one at least is more than blanks.
SOME_TAG = rf"^(?=[^{CONTROL}]*[^,\s{CONTROL}]){ONE_TAG}(,{ONE_TAG})*$"
ADDRESS = r"^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~%-]+)*/?$"
PEM = r"^([ \r\n]*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/= \r\n]+-----END CERTIFICATE-----[ \r\n]*)+$"
EMPTY: Schema = {"description": "Nothing.", "enum": [None, "", []]}

JSON = _ref("JsonValue")
ANY_JSON = _any(
    {"type": ["null", "boolean", "number"]}, ANY_TEXT, _list(JSON), {**_table(JSON), "propertyNames": ANY_TEXT}
)
FIELD = _record(
    **_each(STRING, "key", "label", "help"),
    **_each(INTEGER_OR_NULL, "minimum", "maximum"),
    kind={"enum": [kind.value for kind in Kind]},
    required=BOOLEAN,
    default={},
)
COUNTED_SINCE: Schema = {
    **TIME_OR_NULL,
    "description": "A search that matches too much to count it all is counted from here on; null: all is counted.",
}
TOKEN: dict[str, Schema] = {
    **_each(STRING, "name", "person"),
    "id": INTEGER,
    "role": {"enum": list(ROLES), "description": "What it may do, and its owner as well."},
    "created_at": TIME,
    **_each(TIME_OR_NULL, "expires", "last_used"),
}
CHECKPOINT = _record(
    version={"const": 1},
    size={**INTEGER, "description": "The number of the last event."},
    head={**STRING, "description": "Its hash, in hex."},
    time=TIME,
    key={**STRING, "description": "The name of the key that signs it."},
    seal={**STRING, "description": "HMAC-SHA256 over the other members, in hex."},
)
SCHEMAS: dict[str, Schema] = {
    "JsonValue": {"description": "Any JSON value without NUL characters.", **ANY_JSON},
    "Tags": {"description": f"{MAX_ITEMS} at most; a text is split at commas.", **_any(TAG_TEXT, _list(TAG_TEXT))},
    "TeamTags": {
        "description": f"{MAX_ITEMS} at most, and at least one; a text is split at commas.",
        **_any(
            {"type": "string", "pattern": SOME_TAG}, {**_list({"type": "string", "pattern": SOME_TAG}), "minItems": 1}
        ),
    },
    "Event": _record(
        **_each(STRING, "event_id", "source", "event_type", "title", "author", "request_id"),
        **_each(STRING_OR_NULL, "connector_name", "url", "status"),
        **_each(TIME, "timestamp", "recorded_at"),
        id=INTEGER,
        connector_id=INTEGER_OR_NULL,
        description={"type": "object", "properties": {"text": STRING}, "required": ["text"]},
        metadata={"type": "object"},
        tags=_list(STRING),
    ),
    "ConnectorHealth": _record(
        **_each(TIME_OR_NULL, "last_poll", "last_success", "failing_since", "next_poll"),
        state={"enum": list(STATES)},
        error=STRING_OR_NULL,
        failures=INTEGER,
        rate_limit=_any(
            _record(limit=INTEGER_OR_NULL, remaining=INTEGER, resets=TIME_OR_NULL),
            {"type": "null"},
        ),
        note=STRING,
    ),
    "Checked": _record(ok=BOOLEAN, identity=STRING, **_each(_list(STRING), "sees", "missing")),
    "Connector": _record(
        **_each(STRING, "name", "created_by", "updated_by"),
        **_each(TIME, "created_at", "updated_at"),
        **_each(INTEGER, "id", "version"),
        type=TYPE,
        enabled=BOOLEAN,
        tags=_list(STRING),
        config=_table(_any({"type": ["string", "integer", "boolean", "null"]}, _list(STRING), _record(set=BOOLEAN))),
        visibility=_table(_table(BOOLEAN)),
        health={
            "description": "How polling it goes; null for what is not polled.",
            **_any(_ref("ConnectorHealth"), {"type": "null"}),
        },
    ),
    "ConnectorType": _record(
        type=TYPE,
        label=STRING,
        builtin=BOOLEAN,
        fields=_list(FIELD),
        event_types=_list(_record(name=STRING, label=STRING, fields=_list(_record(key=STRING, label=STRING)))),
    ),
    "Logged": _record(success={"const": True}, message=STRING, event_type={"enum": list(REQUIRED)}, event_id=STRING),
    "Team": _record(
        **_each(STRING, "name", "created_by", "updated_by"),
        **_each(TIME, "created_at", "updated_at"),
        **_each(INTEGER, "id", "version"),
        tags=_list(STRING),
    ),
    "Person": PERSON,
    "NewPersonAdded": {
        **PERSON,
        "properties": {**PERSON["properties"], "link": LINK},
        "required": [*PERSON["properties"], "link"],
    },
    "PasswordLink": _record(link=STRING, expires=TIME),
    "Timeline": _record(
        **_each(TIME, "start", "end"),
        **_each(INTEGER, "bin_seconds", "total"),
        counted_since=COUNTED_SINCE,
        bins=_list(_record(start=TIME, end=TIME, total=INTEGER, counts=COUNTS)),
        lapses=_list(_ref("Lapse")),
        silences=_list(_ref("Silence")),
    ),
    "Lapse": {
        "description": "A stretch of time in which nobody was looking at a connector; without an end while it lasts.",
        **_record(
            **_each(STRING, "connector_name", "connector_type", "words"),
            connector_id=INTEGER,
            kind={"enum": list(LAPSES)},
            since=TIME,
            until=TIME_OR_NULL,
        ),
    },
    "Silence": {
        "description": "A connector that usually speaks and has fallen silent, and what changed it just before.",
        **_record(
            **_each(STRING, "connector_name", "connector_type"),
            connector_id=INTEGER,
            last_event=TIME,
            usual_gap_seconds={"type": "number"},
            changes=_list(_ref("Event")),
        ),
    },
    "Stats": _record(
        **_each(COUNTS, "by_source", "by_event_type", "by_connector_name", "by_author", "by_status"),
        total=INTEGER,
        counted_since=COUNTED_SINCE,
    ),
    "Gap": _record(start=TIME_OR_NULL, end=TIME_OR_NULL),
    "Past": _record(
        at=TIME,
        begins=TIME_OR_NULL,
        complete=BOOLEAN,
        gaps=_list(_ref("Gap")),
        connectors=_list(
            _record(
                **_each(STRING, "type", "name", "changed_by"),
                **_each(BOOLEAN, "complete"),
                id=INTEGER,
                enabled={"type": ["boolean", "null"]},
                tags=_any(_list(STRING), {"type": "null"}),
                config={"type": "object"},
                hidden=_list(_record(event_type=STRING, field=STRING)),
                changed_at=TIME_OR_NULL,
            )
        ),
    ),
    "Webhook": _record(
        **_each(TIME_OR_NULL, "made_at", "last_delivery"),
        url=STRING,
        set={**BOOLEAN, "description": "Whether there is a secret, and so whether anything is taken."},
        made_by=STRING_OR_NULL,
        last_told={**STRING_OR_NULL, "description": "What the last delivery was, in words."},
    ),
    "NewWebhook": _record(
        url={**STRING, "description": "Where the source delivers to."},
        secret={**STRING, "description": "Shown this once."},
    ),
    "NotifyRule": _record(
        **_each(STRING, "name", "updated_by"),
        **_each(INTEGER, "id", "version"),
        **_each(TIME_OR_NULL, "last_sent", "failed_at"),
        updated_at=TIME,
        url={**STRING, "description": "Its scheme, and its host if no secret stands there."},
        kinds=_list({"enum": [kind.key for kind in outbox.OFFERED]}),
        enabled=BOOLEAN,
        error={**STRING_OR_NULL, "description": "Why it failed last, in words; null if it went well."},
        lost={**INTEGER, "description": "Messages that were given up since it went well."},
    ),
    "Checkpoint": CHECKPOINT,
    "Integrity": _record(
        state={
            "enum": ["unknown", "whole", "broken"],
            "description": "What the last check found; unknown: there was none.",
        },
        **_each(TIME_OR_NULL, "checked_at"),
        **_each({"type": ["number", "null"]}, "seconds"),
        **_each(INTEGER_OR_NULL, "events", "pruned", "last_event"),
        head={**STRING_OR_NULL, "description": "The hash of the last event, in hex."},
        broken=_any(
            {
                **_record(kind=STRING, event=INTEGER, words=STRING),
                "description": "The first place that is not as it was written.",
            },
            {"type": "null"},
        ),
        complete={
            "type": ["boolean", "null"],
            "description": "Whether replaying the log gives the present configuration; null: not looked at.",
        },
        drift={**_list(STRING), "description": "What is configured otherwise than the log tells, in words."},
        explained={**_list(STRING), "description": "The same, where it may be because auditing was off."},
        running=_any(_record(began=TIME, reached=INTEGER, whole=INTEGER), {"type": "null"}),
        error={**STRING_OR_NULL, "description": "Why no check has got through since."},
        next_check=TIME,
        checkpoint=_record(
            last=_any(_ref("Checkpoint"), {"type": "null"}),
            problem={**STRING_OR_NULL, "description": "Why the last one could not be made."},
            posted_at=TIME_OR_NULL,
            post_waiting=BOOLEAN,
            post_error=STRING_OR_NULL,
        ),
    ),
    "Token": _record(**TOKEN),
    "NewTokenMade": _record(**TOKEN, token={**STRING, "description": "Its secret, shown this once."}),
    "Sent": _record(sent=BOOLEAN, error=STRING_OR_NULL),
    "Health": _record(**_each({"const": "ok"}, "status", "database"), auditing=BOOLEAN, version=STRING),
    "Failing": _record(
        success={"const": False},
        message=STRING,
        errors=_list(_record(field=STRING, message=STRING)),
        status={"const": "failing"},
        database={**STRING, "description": "What is wrong with it, in plain words."},
    ),
    "OcsfEvent": {
        "description": f"An Entity Management event (class 3004) of OCSF {ocsf.VERSION}.",
        "type": "object",
        "properties": {
            **_each(INTEGER, "activity_id", "type_uid", "severity_id", "time", "status_id"),
            **_each({"type": "object"}, "metadata", "entity", "actor", "unmapped"),
            "category_uid": {"const": ocsf.CATEGORY},
            "class_uid": {"const": ocsf.CLASS},
            "message": STRING,
        },
        "required": [
            "activity_id",
            "category_uid",
            "class_uid",
            "type_uid",
            "severity_id",
            "time",
            "metadata",
            "entity",
        ],
    },
    "Error": _record(success={"const": False}, message=STRING, errors=_list(_record(field=STRING, message=STRING))),
}

Parameters = dict[str, tuple[Schema, str]]
PATH: Parameters = {
    "event": (STRING, "Its number or its event id."),
    "id": ({**INTEGER, "examples": [1]}, "The connector's id."),
    "team": ({**INTEGER, "examples": [1]}, "The team's id."),
    "person": ({**INTEGER, "examples": [2]}, "The account's id."),
    "rule": ({**INTEGER, "examples": [1]}, "The rule's id."),
    "token": ({**INTEGER, "examples": [2]}, "The token's id."),
    "event_type": ({**STRING, "examples": ["ConfigChanged"]}, "One that connectors of this type report."),
    "field": ({**STRING, "examples": ["old_value"]}, "One that events of this type have."),
}
IF_MATCH: Parameters = {
    "If-Match": ({**STRING, "examples": ["*"]}, "The ETag of what is written to, as it was read; * stands for any."),
}
REASON: Parameters = {
    "X-Reason": (STRING, "Why, percent-encoded UTF-8 (500 characters at most); it is kept with what is recorded."),
}
SOME = _list({**ANY_TEXT, "maxLength": MAX_TEXT})
DAY = _any({"type": "string", "format": "date"}, TIME, {"const": ""})
_EXAMPLES = ", ".join(f"`{example}`" for _, example in QUALIFIERS.values())
SEARCH = (
    "A search as in the box of the dashboard: words that all occur in the event (the beginning of each will do, quotes "
    f"keep words together and whole) and qualifiers: {_EXAMPLES} or a range `2026-01-01..2026-01-31`. A minus before a "
    "word or qualifier excludes it; values with commas between them, or the same qualifier twice, mean either. "
    f"{MAX_TERMS} words and qualifiers at most; times are in UTC unless they have an offset. Anything else with a "
    "colon is refused and `errors` says what is allowed; in quotes it is text."
)
FILTER: Parameters = {
    "source": (SOME, "Connector types, repeated or comma-separated: any of them."),
    "event_type": (SOME, "Such as ConnectorUpdated, repeated or comma-separated: any of them."),
    "connector": (SOME, "Names or ids, repeated: any of them."),
    "tag": (SOME, "Repeated or comma-separated: any of them."),
    "team": (SOME, "Names of teams, repeated: with any tag of any of them. A name that no team has is refused."),
    "author": (SOME, "Repeated: any of them."),
    "status": (SOME, "Such as updated, repeated or comma-separated: any of them."),
    "start_date": (DAY, "From then on: between 1970 and 9000, in UTC unless it has an offset."),
    "end_date": (DAY, "Before then; later than start_date."),
    "q": ({**ANY_TEXT, "maxLength": MAX_TEXT}, SEARCH),
}
PAGE: Parameters = {
    "limit": ({"type": "integer", "minimum": 1, "maximum": 500, "default": 100}, "How many events."),
    "cursor": ({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}, "Where an older page begins: Link has it."),
}
AS_OF: Parameters = {"at": (DAY, "The moment, in UTC unless it has an offset; now if it is left out.")}
EXPORT: Parameters = {"format": ({"enum": list(FORMATS), "default": "ndjson"}, "How the events are written.")}
HEADERS = {
    "Content-Disposition": "The name of a file to save it as.",
    "ETag": "The version of the connector, team, rule or person.",
    "Link": 'The next older page as rel="next", if there is one.',
    "Location": "The address of what is new.",
}
REFUSALS = {
    400: "The request cannot be understood, or is meant for another host.",
    401: "Nobody is signed in, and no valid token was sent.",
    403: "Whoever asks has not the role for it, or the write comes from another site's page.",
    404: "There is nothing of this id.",
    409: "Not in this state: auditing is off, the connector built in or disabled, a setting moved, the last admin.",
    412: "The connector, team, rule or person has another version than If-Match names.",
    413: "The body is too large.",
    414: "The address is longer, or has more parameters, than the server reads.",
    415: "The body is not application/json.",
    422: "Parameters or body are not what is described here; `errors` names them.",
    428: "If-Match is missing.",
    503: "The database does not answer; nothing was saved.",
}


# Nobody need sign in while there is no account and the server listens on loopback alone.
SCHEMES: Schema = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token of Settings, API tokens."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "painchain_session",
        "description": "Of a browser that somebody is signed in with; by https its name begins with __Host-.",
    },
}
OWN_SCHEMES: Schema = {
    "metrics": {"type": "http", "scheme": "bearer", "description": "The token of PAINCHAIN_METRICS_TOKEN."}
}
# Which nobody signs in for, and what they take instead.
OPEN: dict[str, list[Schema]] = {"/health": [], "/metrics": [{"metrics": []}]}


@dataclass(frozen=True)
class Route:
    """One method of one address: what it answers, what it refuses and what it takes."""

    summary: str
    method: str
    path: str
    answer: Schema | None
    refusals: tuple[int, ...]
    body: type[Body] | None = None
    status: int = 200
    headers: tuple[str, ...] = ()
    query: Parameters | None = None
    also: tuple[str, ...] = ()  # media types of which the answer can be besides JSON
    bodiless: bool = False  # whether the body can be left out


READ = (400, 422, 503)
WRITE = (400, 403, 415, 422, 503)
CHANGE = (*WRITE, 404, 412)
ONE = "/api/connectors/{id}"
CHANGED = "/api/changes/{event}"
TEAM = "/api/teams/{team}"
TOGGLE = f"{ONE}/visibility/{{event_type}}/{{field}}"
ASK = (*WRITE, 409)
LOGGED, EVENT, CONNECTOR, CHECKED = _ref("Logged"), _ref("Event"), _ref("Connector"), _ref("Checked")
TEAM_READ = _ref("Team")
ONE_RULE, RULE = "/api/notify-rules/{rule}", _ref("NotifyRule")
ONE_PERSON, PERSON_READ = "/api/people/{person}", _ref("Person")
TOKENS = "/api/tokens"
TAGGED, PLACED = ("ETag",), ("Location",)
PUT_BACK = (*WRITE, 404, 409, 413)
ROUTES = (
    Route("Log an event", "POST", "/api/painchain/log", LOGGED, (*WRITE, 409, 413), LogBody, 201),
    Route("List events", "GET", "/api/changes", _list(EVENT), READ, headers=("Link",), query=FILTER | PAGE),
    Route(
        "Export events",
        "POST",
        "/api/export",
        _list(_ref("OcsfEvent")),
        (400, 403, 409, 415, 422, 503),
        headers=("Content-Disposition",),
        query=FILTER | EXPORT,
        also=tuple(one.mimetype for one in FORMATS.values() if one.mimetype != "application/json"),
    ),
    Route("Read an event", "GET", CHANGED, EVENT, (*READ, 404)),
    Route("Put settings back", "POST", f"{CHANGED}/restore", CONNECTOR, PUT_BACK, RestoreBody, headers=TAGGED),
    Route("Count events over time", "GET", "/api/timeline", _ref("Timeline"), READ, query=FILTER),
    Route("Count events by kind", "GET", "/api/stats", _ref("Stats"), READ, query=FILTER),
    Route("Read the configuration as of a moment", "GET", "/api/as-of", _ref("Past"), READ, query=AS_OF),
    Route("List connector types", "GET", "/api/connector-types", _list(_ref("ConnectorType")), (400, 422)),
    Route("List connectors", "GET", "/api/connectors", _list(CONNECTOR), READ),
    Route("Add a connector", "POST", "/api/connectors", CONNECTOR, (*WRITE, 413), NewConnector, 201, TAGGED + PLACED),
    Route("Read a connector", "GET", ONE, CONNECTOR, (*READ, 404), headers=TAGGED),
    Route("Change a connector", "PATCH", ONE, CONNECTOR, (*CHANGE, 413, 428), ConnectorPatch, headers=TAGGED),
    Route("Delete a connector", "DELETE", ONE, None, (*CHANGE, 409), status=204),
    Route("Enable a connector", "POST", f"{ONE}/enable", CONNECTOR, CHANGE, headers=TAGGED),
    Route("Disable a connector", "POST", f"{ONE}/disable", CONNECTOR, CHANGE, headers=TAGGED),
    Route("Poll a connector at once", "POST", f"{ONE}/sync", CONNECTOR, (*ASK, 404), status=202, headers=TAGGED),
    Route("Test a connection", "POST", f"{ONE}/test", CHECKED, (*ASK, 404, 413), ConnectorCheck, bodiless=True),
    Route("Test a new connection", "POST", "/api/connectors/test", CHECKED, (*WRITE, 413), NewConnectorCheck),
    Route("Show or hide a field", "PUT", TOGGLE, CONNECTOR, (*CHANGE, 413), Visibility, headers=TAGGED),
    Route("List teams", "GET", "/api/teams", _list(TEAM_READ), READ),
    Route("Add a team", "POST", "/api/teams", TEAM_READ, (*WRITE, 413), NewTeam, 201, TAGGED + PLACED),
    Route("Read a team", "GET", TEAM, TEAM_READ, (*READ, 404), headers=TAGGED),
    Route("Change a team", "PATCH", TEAM, TEAM_READ, (*CHANGE, 413, 428), TeamPatch, headers=TAGGED),
    Route("Delete a team", "DELETE", TEAM, None, CHANGE, status=204),
    Route("Read a webhook", "GET", f"{ONE}/webhook", _ref("Webhook"), (*READ, 404)),
    Route("Make a webhook secret", "POST", f"{ONE}/webhook", _ref("NewWebhook"), (*WRITE, 404, 409), status=201),
    Route("Remove a webhook", "DELETE", f"{ONE}/webhook", None, (*WRITE, 404), status=204),
    Route("List notify rules", "GET", "/api/notify-rules", _list(RULE), READ),
    Route("Add a notify rule", "POST", "/api/notify-rules", RULE, (*WRITE, 413), NewNotifyRule, 201, TAGGED + PLACED),
    Route("Read a notify rule", "GET", ONE_RULE, RULE, (*READ, 404), headers=TAGGED),
    Route("Change a notify rule", "PATCH", ONE_RULE, RULE, (*CHANGE, 413, 428), NotifyRulePatch, headers=TAGGED),
    Route("Delete a notify rule", "DELETE", ONE_RULE, None, CHANGE, status=204),
    Route("Send a test", "POST", f"{ONE_RULE}/test", _ref("Sent"), (*WRITE, 404)),
    Route("List people", "GET", "/api/people", _list(PERSON_READ), READ),
    Route(
        "Add a person", "POST", "/api/people", _ref("NewPersonAdded"), (*WRITE, 413), NewPerson, 201, TAGGED + PLACED
    ),
    Route("Read a person", "GET", ONE_PERSON, PERSON_READ, (*READ, 404), headers=TAGGED),
    Route("Change a person", "PATCH", ONE_PERSON, PERSON_READ, (*CHANGE, 409, 413, 428), PersonPatch, headers=TAGGED),
    Route("Remove a person", "DELETE", ONE_PERSON, None, (*CHANGE, 409), status=204),
    Route("Disable a person", "POST", f"{ONE_PERSON}/disable", PERSON_READ, (*CHANGE, 409), headers=TAGGED),
    Route("Enable a person", "POST", f"{ONE_PERSON}/enable", PERSON_READ, CHANGE, headers=TAGGED),
    Route("Make a password link", "POST", f"{ONE_PERSON}/link", _ref("PasswordLink"), (*WRITE, 404, 409), status=201),
    Route("List tokens", "GET", TOKENS, _list(_ref("Token")), READ),
    Route("Make a token", "POST", TOKENS, _ref("NewTokenMade"), (*ASK, 413), NewToken, 201, PLACED),
    Route("Read a token", "GET", f"{TOKENS}/{{token}}", _ref("Token"), (*READ, 404)),
    Route("Revoke a token", "DELETE", f"{TOKENS}/{{token}}", None, (*WRITE, 404), status=204),
    Route("Read the state of the log", "GET", "/api/integrity", _ref("Integrity"), READ),
    Route("Make a checkpoint", "POST", "/api/checkpoints", _ref("Checkpoint"), ASK, status=201),
    Route("Check the database", "GET", "/health", _ref("Health"), (400, 503)),
    Route("Read the metrics", "GET", "/metrics", None, (400, 401, 404), also=("text/plain",)),
    Route("Describe the API", "GET", "/openapi.json", {"type": "object"}, (400,)),
)


@cache
def document() -> Schema:
    """Return the OpenAPI document."""
    paths: dict[str, Schema] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    about = "Every error has the shape `Error`. X-Request-Id of a write is the `request_id` of its events."
    responses = {str(status): _refusal(status) for status in REFUSALS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "PainChain", "version": __version__, "description": about},
        "paths": paths,
        "security": [{name: []} for name in SCHEMES] + [{}],
        "components": {
            "schemas": {**_bodies(), **SCHEMAS},
            "responses": responses,
            "securitySchemes": SCHEMES | OWN_SCHEMES,
        },
    }


def _operation(route: Route) -> Schema:
    done = _response("Done.", route.answer, route.headers)
    for media in route.also:
        done.setdefault("content", {})[media] = {"schema": STRING}
    answer = {str(route.status): done}
    refused = {*route.refusals, 414, *(() if route.path in OPEN else (401, 403))}
    operation: Schema = {
        "summary": route.summary,
        "operationId": route.summary.lower().replace(" ", "_"),
        "parameters": _parameters(route),
        "responses": answer | {str(status): _ref(status, "responses") for status in sorted(refused)},
    }
    if route.path in OPEN:
        operation["security"] = OPEN[route.path]
    if route.path == "/health":
        operation["responses"]["503"] = _response(REFUSALS[503], _ref("Failing"))
    if route.body:
        content = {"application/json": {"schema": _ref(route.body.__name__)}}
        operation["requestBody"] = {"required": not route.bodiless, "content": content}
    return operation


def _refusal(status: int) -> Schema:
    return _response(REFUSALS[status], _ref("Error"), TAGGED if status == 412 else ())


def _response(description: str, answer: Schema | None, headers: tuple[str, ...] = ()) -> Schema:
    response: Schema = {"description": description}
    if answer:
        response["content"] = {"application/json": {"schema": answer}}
    for name in headers:
        header = {"description": HEADERS[name], "schema": STRING, "required": name != "Link"}
        response.setdefault("headers", {})[name] = header
    return response


def _parameters(route: Route) -> list[Schema]:
    in_path = {name: PATH[name] for name in re.findall(r"{(\w+)}", route.path)}
    header = IF_MATCH if 412 in route.refusals else {}
    return [
        {"name": name, "in": place, "required": required, "description": about, "schema": schema}
        for place, required, parameters in (
            ("path", True, in_path),
            ("query", False, route.query or {}),
            ("header", 428 in route.refusals, header),
            ("header", False, REASON if route.method != "GET" else {}),
        )
        for name, (schema, about) in parameters.items()
    ]


def _bodies() -> dict[str, Schema]:
    """Return what Pydantic says about the bodies, and what its validators and the connectors' fields add to it."""
    models: list[Any] = [(route.body, "validation") for route in ROUTES if route.body]
    schemas: dict[str, Schema] = models_json_schema(models, ref_template="#/components/schemas/{model}")[1]["$defs"]
    log, new, patch = (schemas[model.__name__] for model in (LogBody, NewConnector, ConnectorPatch))
    log["anyOf"] = [_needs(event_type, names) for event_type, names in REQUIRED.items()]
    keys = {**ANY_TEXT, "minLength": 1, "maxLength": MAX_TEXT}
    changes = {**_table(_ref("Sides")), "propertyNames": keys, "maxProperties": MAX_ITEMS}
    log["properties"]["changes"] = _any(changes, {"type": "null"})
    name = {**NOT_BLANK, "maxLength": NAME.max_length}
    new["properties"] |= {"name": name, "tags": _ref("Tags")}
    new["anyOf"] = [_of_type(connector_type) for connector_type in connectors.ADDABLE.values()]
    about = schemas[NewConnectorCheck.__name__]["description"]
    kinds = [{**one, "type": "object", "additionalProperties": False} for one in new["anyOf"]]
    schemas[NewConnectorCheck.__name__] = {"description": about, "anyOf": kinds}
    config = _any(*(_config(connector_type) for connector_type in connectors.TYPES.values()))
    patch["properties"] |= {"name": name, "tags": _any(_ref("Tags"), {"type": "null"}), "config": config}
    rules = (schemas[model.__name__]["properties"] for model in (NewNotifyRule, NotifyRulePatch))
    for properties in rules:
        properties["name"] = {**NOT_BLANK, "maxLength": NAME.max_length, "examples": ["On call"]}
        properties["url"] |= {**ANY_TEXT, "examples": ["json://127.0.0.1:9/"]}
    schemas[ConnectorCheck.__name__]["properties"]["config"] = config
    for person in (schemas[NewPerson.__name__]["properties"], schemas[PersonPatch.__name__]["properties"]):
        person["name"] = {**NOT_BLANK, "maxLength": LONGEST_NAME, "examples": ["carol"]}
        person["email"] |= {"maxLength": 254, "examples": [""]}
    schemas[NewToken.__name__]["properties"]["name"] = {**NOT_BLANK, "maxLength": LONGEST_NAME, "examples": ["ci"]}
    for team in (schemas[NewTeam.__name__], schemas[TeamPatch.__name__]):
        team["properties"] |= {"name": name, "tags": _ref("TeamTags")}
    return schemas


def _needs(event_type: str, names: tuple[str, ...]) -> Schema:
    connector_type = TYPE if event_type.startswith("connector_") else STRING
    changes = {"type": "object", "minProperties": 1}
    present = {"connector_type": connector_type, "changes": changes, "visible": BOOLEAN}
    needed = {name: present.get(name, STRING) for name in names}
    return {"properties": {"event_type": {"const": event_type}, **needed}, "required": ["event_type", *names]}


def _of_type(connector_type: ConnectorType) -> Schema:
    needed = [field.key for field in connector_type.fields if field.required and field.kind is Kind.SECRET]
    config = {**_config(connector_type), "required": needed}
    required = ["type", "config"] if needed else ["type"]
    return {"properties": {"type": {"const": connector_type.key}, "config": config}, "required": required}


def _config(connector_type: ConnectorType) -> Schema:
    return {**_record(**{field.key: _value(field) for field in connector_type.fields}), "required": []}


def _value(field: Field) -> Schema:
    """Return what a configuration field takes."""
    text = {"type": "string", "maxLength": field.max_length}
    item = {**text, "pattern": rf"^({field.item})?$", "allOf": [PRINTABLE]}
    lines = {"type": "string", "pattern": rf"^({field.item})?([,\n]({field.item})?)*$", "allOf": [PRINTABLE]}
    taken: dict[Kind, Schema] = {
        Kind.NUMBER: {"type": "integer", "minimum": field.minimum, "maximum": field.maximum},
        Kind.CHECKBOX: BOOLEAN,
        Kind.LIST: _any(_list(item), lines),
        Kind.URL: {**text, "pattern": ADDRESS},
        Kind.CERTIFICATE: {**text, "pattern": PEM},
    }
    value = taken.get(field.kind, {**text, **NOT_BLANK})
    return value if field.required else _any(value, EMPTY)
