"""The routes of the API: what each takes, answers and refuses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from painchain.audit.external_events import LogBody
from painchain.core.validation import Body
from painchain.exports.export import FORMATS
from painchain.web.api.openapi.parameters import AS_OF, EXPORT, FILTER, PAGE, Parameters
from painchain.web.api.resources.base import Health
from painchain.web.api.resources.connectors import Checked, Connector, ConnectorType, NewWebhook, Past, Webhook
from painchain.web.api.resources.events import Event, Logged, OcsfEvent, Stats, Timeline
from painchain.web.api.resources.integrity import Checkpoint, Integrity
from painchain.web.api.resources.settings import (
    NewPersonAdded,
    NewTokenMade,
    NotifyRule,
    PasswordLink,
    Person,
    Sent,
    Team,
    Token,
)
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


@dataclass(frozen=True)
class Route:
    """One method of one path: what it takes, answers and refuses."""

    summary: str
    method: str
    path: str
    answer: Any  # a resource, a list of one, a dict of anything, or None for no JSON
    refusals: tuple[int, ...]
    body: type[Body] | None = None
    status: int = 200
    headers: tuple[str, ...] = ()
    query: Parameters | None = None
    also: tuple[str, ...] = ()  # other media types of the answer
    optional_body: bool = False


# What each kind of route refuses.
READ = (400, 422, 503)
WRITE = (400, 403, 415, 422, 503)
CHANGE = (*WRITE, 404, 412)
ONE_CONNECTOR = "/api/connectors/{id}"
ONE_EVENT = "/api/changes/{event}"
ONE_TEAM = "/api/teams/{team}"
TOGGLE = f"{ONE_CONNECTOR}/visibility/{{event_type}}/{{field}}"
DO = (*WRITE, 409)
ONE_RULE = "/api/notify-rules/{rule}"
ONE_PERSON = "/api/people/{person}"
TOKENS = "/api/tokens"
ETAG, LOCATION = ("ETag",), ("Location",)
NEW_ETAG = ETAG + LOCATION
REVERT = (*WRITE, 404, 409, 413)
ROUTES = (
    Route("Log an event", "POST", "/api/painchain/log", Logged, (*WRITE, 409, 413), LogBody, 201),
    Route("List events", "GET", "/api/changes", list[Event], READ, headers=("Link",), query=FILTER | PAGE),
    Route(
        "Export events",
        "POST",
        "/api/export",
        list[OcsfEvent],
        (400, 403, 409, 415, 422, 503),
        headers=("Content-Disposition",),
        query=FILTER | EXPORT,
        also=tuple(format.mimetype for format in FORMATS.values() if format.mimetype != "application/json"),
    ),
    Route("Read an event", "GET", ONE_EVENT, Event, (*READ, 404)),
    Route("Put settings back", "POST", f"{ONE_EVENT}/restore", Connector, REVERT, RestoreBody, headers=ETAG),
    Route("Count events over time", "GET", "/api/timeline", Timeline, READ, query=FILTER),
    Route("Count events by kind", "GET", "/api/stats", Stats, READ, query=FILTER),
    Route("Read the configuration as of a moment", "GET", "/api/as-of", Past, READ, query=AS_OF),
    Route("List connector types", "GET", "/api/connector-types", list[ConnectorType], (400, 422)),
    Route("List connectors", "GET", "/api/connectors", list[Connector], READ),
    Route("Add a connector", "POST", "/api/connectors", Connector, (*WRITE, 413), NewConnector, 201, NEW_ETAG),
    Route("Read a connector", "GET", ONE_CONNECTOR, Connector, (*READ, 404), headers=ETAG),
    Route("Change a connector", "PATCH", ONE_CONNECTOR, Connector, (*CHANGE, 413, 428), ConnectorPatch, headers=ETAG),
    Route("Delete a connector", "DELETE", ONE_CONNECTOR, None, (*CHANGE, 409), status=204),
    Route("Enable a connector", "POST", f"{ONE_CONNECTOR}/enable", Connector, CHANGE, headers=ETAG),
    Route("Disable a connector", "POST", f"{ONE_CONNECTOR}/disable", Connector, CHANGE, headers=ETAG),
    Route(
        "Poll a connector at once",
        "POST",
        f"{ONE_CONNECTOR}/sync",
        Connector,
        (*DO, 404),
        status=202,
        headers=ETAG,
    ),
    Route(
        "Test a connection",
        "POST",
        f"{ONE_CONNECTOR}/test",
        Checked,
        (*DO, 404, 413),
        ConnectorCheck,
        optional_body=True,
    ),
    Route("Test a new connection", "POST", "/api/connectors/test", Checked, (*WRITE, 413), NewConnectorCheck),
    Route("Show or hide a field", "PUT", TOGGLE, Connector, (*CHANGE, 413), Visibility, headers=ETAG),
    Route("List teams", "GET", "/api/teams", list[Team], READ),
    Route("Add a team", "POST", "/api/teams", Team, (*WRITE, 413), NewTeam, 201, NEW_ETAG),
    Route("Read a team", "GET", ONE_TEAM, Team, (*READ, 404), headers=ETAG),
    Route("Change a team", "PATCH", ONE_TEAM, Team, (*CHANGE, 413, 428), TeamPatch, headers=ETAG),
    Route("Delete a team", "DELETE", ONE_TEAM, None, CHANGE, status=204),
    Route("Read a webhook", "GET", f"{ONE_CONNECTOR}/webhook", Webhook, (*READ, 404)),
    Route("Make a webhook secret", "POST", f"{ONE_CONNECTOR}/webhook", NewWebhook, (*WRITE, 404, 409), status=201),
    Route("Remove a webhook", "DELETE", f"{ONE_CONNECTOR}/webhook", None, (*WRITE, 404), status=204),
    Route("List notify rules", "GET", "/api/notify-rules", list[NotifyRule], READ),
    Route("Add a notify rule", "POST", "/api/notify-rules", NotifyRule, (*WRITE, 413), NewNotifyRule, 201, NEW_ETAG),
    Route("Read a notify rule", "GET", ONE_RULE, NotifyRule, (*READ, 404), headers=ETAG),
    Route("Change a notify rule", "PATCH", ONE_RULE, NotifyRule, (*CHANGE, 413, 428), NotifyRulePatch, headers=ETAG),
    Route("Delete a notify rule", "DELETE", ONE_RULE, None, CHANGE, status=204),
    Route("Send a test", "POST", f"{ONE_RULE}/test", Sent, (*WRITE, 404)),
    Route("List people", "GET", "/api/people", list[Person], READ),
    Route("Add a person", "POST", "/api/people", NewPersonAdded, (*WRITE, 413), NewPerson, 201, NEW_ETAG),
    Route("Read a person", "GET", ONE_PERSON, Person, (*READ, 404), headers=ETAG),
    Route("Change a person", "PATCH", ONE_PERSON, Person, (*CHANGE, 409, 413, 428), PersonPatch, headers=ETAG),
    Route("Remove a person", "DELETE", ONE_PERSON, None, (*CHANGE, 409), status=204),
    Route("Disable a person", "POST", f"{ONE_PERSON}/disable", Person, (*CHANGE, 409), headers=ETAG),
    Route("Enable a person", "POST", f"{ONE_PERSON}/enable", Person, CHANGE, headers=ETAG),
    Route("Make a password link", "POST", f"{ONE_PERSON}/link", PasswordLink, (*WRITE, 404, 409), status=201),
    Route("List tokens", "GET", TOKENS, list[Token], READ),
    Route("Make a token", "POST", TOKENS, NewTokenMade, (*DO, 413), NewToken, 201, LOCATION),
    Route("Read a token", "GET", f"{TOKENS}/{{token}}", Token, (*READ, 404)),
    Route("Revoke a token", "DELETE", f"{TOKENS}/{{token}}", None, (*WRITE, 404), status=204),
    Route("Read the state of the log", "GET", "/api/integrity", Integrity, READ),
    Route("Make a checkpoint", "POST", "/api/checkpoints", Checkpoint, DO, status=201),
    Route("Check the database", "GET", "/health", Health, (400, 503)),
    Route("Read the metrics", "GET", "/metrics", None, (400, 401, 404), also=("text/plain",)),
    Route("Describe the API", "GET", "/openapi.json", dict, (400,)),
)
