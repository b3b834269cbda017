"""The routes of the API: the parameters, responses and errors of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from painchain.audit.external_events import LogBody
from painchain.connectors.change_event import ChangeEvent
from painchain.core.validation import Body
from painchain.exports.export import FORMATS
from painchain.ingestion import cloud_events
from painchain.ingestion.cloud_events import CloudEvent
from painchain.web.api.openapi.parameters import ANNOTATIONS, AS_OF, EXPORT, FILTER, PAGE, Parameters
from painchain.web.api.resources.base import Health
from painchain.web.api.resources.connectors import (
    Checked,
    Connector,
    ConnectorType,
    NewWebhook,
    Past,
    SavedConnector,
    Webhook,
)
from painchain.web.api.resources.events import (
    Annotation,
    Event,
    EventNote,
    Logged,
    OcsfEvent,
    RecordedEvent,
    Stats,
    Timeline,
)
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
    View,
)
from painchain.web.api.schemas import (
    ConnectorCheck,
    ConnectorPatch,
    NewConnector,
    NewConnectorCheck,
    NewNote,
    NewNotifyRule,
    NewPerson,
    NewTeam,
    NewToken,
    NewView,
    NotifyRulePatch,
    PersonPatch,
    RestoreBody,
    TeamPatch,
    ViewPatch,
    Visibility,
)


@dataclass(frozen=True)
class Route:
    """One method of one path: its parameters, responses and errors. Clients use the operation ID; never change it."""

    summary: str
    operation_id: str
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
    # The body and the answer are one object or a list of them. The status is 200 if they were recorded before.
    takes_batches: bool = False
    other_bodies: tuple[tuple[str, Any], ...] = ()  # other media types of the body, each with a model or a list of one


# What each kind of route refuses.
READ = (400, 422, 503)
WRITE = (400, 403, 415, 422, 503)
CHANGE = (*WRITE, 404, 412)
CONNECTOR_PATH = "/api/connectors/{id}"
EVENT_PATH = "/api/changes/{event}"
NOTES = f"{EVENT_PATH}/notes"
TEAM_PATH = "/api/teams/{team}"
VIEW_PATH = "/api/views/{view}"
TOGGLE = f"{CONNECTOR_PATH}/visibility/{{event_type}}/{{field}}"
DO = (*WRITE, 409)
RULE_PATH = "/api/notify-rules/{rule}"
PERSON_PATH = "/api/people/{person}"
TOKENS = "/api/tokens"
ETAG, LOCATION = ("ETag",), ("Location",)
NEW_ETAG = ETAG + LOCATION
REVERT = (*WRITE, 404, 409, 413)
ROUTES = (
    Route("Log an event", "log_an_event", "POST", "/api/painchain/log", Logged, (*WRITE, 409, 413), LogBody, 201),
    Route(
        "Record changes",
        "record_changes",
        "POST",
        "/api/events",
        RecordedEvent,
        (*WRITE, 409, 413),
        ChangeEvent,
        201,
        takes_batches=True,
        other_bodies=((cloud_events.STRUCTURED, CloudEvent), (cloud_events.BATCH, list[CloudEvent])),
    ),
    Route(
        "List events", "list_events", "GET", "/api/changes", list[Event], READ, headers=("Link",), query=FILTER | PAGE
    ),
    Route(
        "Export events",
        "export_events",
        "POST",
        "/api/export",
        list[OcsfEvent],
        (400, 403, 409, 415, 422, 429, 503),
        headers=("Content-Disposition",),
        query=FILTER | EXPORT,
        also=tuple(format.mimetype for format in FORMATS.values() if format.mimetype != "application/json"),
    ),
    Route("Get an event", "read_an_event", "GET", EVENT_PATH, Event, (*READ, 404)),
    Route("List the notes on an event", "list_notes", "GET", NOTES, list[EventNote], (*READ, 404)),
    Route(
        "Add a note to an event",
        "add_a_note",
        "POST",
        NOTES,
        EventNote,
        REVERT,
        NewNote,
        201,
    ),
    Route(
        "Revert settings",
        "put_settings_back",
        "POST",
        f"{EVENT_PATH}/restore",
        Connector,
        REVERT,
        RestoreBody,
        headers=ETAG,
    ),
    Route("Count events over time", "count_events_over_time", "GET", "/api/timeline", Timeline, READ, query=FILTER),
    Route(
        "List events as annotations of a graph",
        "list_annotations",
        "GET",
        "/api/annotations",
        list[Annotation],
        READ,
        query=FILTER | ANNOTATIONS,
    ),
    Route("Count events by source and type", "count_events_by_kind", "GET", "/api/stats", Stats, READ, query=FILTER),
    Route(
        "Get the configuration at a point in time",
        "read_the_configuration_as_of_a_moment",
        "GET",
        "/api/as-of",
        Past,
        READ,
        query=AS_OF,
    ),
    Route(
        "List connector types", "list_connector_types", "GET", "/api/connector-types", list[ConnectorType], (400, 422)
    ),
    Route("List connectors", "list_connectors", "GET", "/api/connectors", list[Connector], READ),
    Route(
        "Add a connector",
        "add_a_connector",
        "POST",
        "/api/connectors",
        SavedConnector,
        (*WRITE, 413),
        NewConnector,
        201,
        NEW_ETAG,
    ),
    Route("Get a connector", "read_a_connector", "GET", CONNECTOR_PATH, Connector, (*READ, 404), headers=ETAG),
    Route(
        "Change a connector",
        "change_a_connector",
        "PATCH",
        CONNECTOR_PATH,
        SavedConnector,
        (*CHANGE, 413, 428),
        ConnectorPatch,
        headers=ETAG,
    ),
    Route("Delete a connector", "delete_a_connector", "DELETE", CONNECTOR_PATH, None, (*CHANGE, 409), status=204),
    Route(
        "Enable a connector", "enable_a_connector", "POST", f"{CONNECTOR_PATH}/enable", Connector, CHANGE, headers=ETAG
    ),
    Route(
        "Disable a connector",
        "disable_a_connector",
        "POST",
        f"{CONNECTOR_PATH}/disable",
        Connector,
        CHANGE,
        headers=ETAG,
    ),
    Route(
        "Sync a connector now",
        "poll_a_connector_at_once",
        "POST",
        f"{CONNECTOR_PATH}/sync",
        Connector,
        (*DO, 404),
        status=202,
        headers=ETAG,
    ),
    Route(
        "Test a connection",
        "test_a_connection",
        "POST",
        f"{CONNECTOR_PATH}/test",
        Checked,
        (*DO, 404, 413),
        ConnectorCheck,
        optional_body=True,
    ),
    Route(
        "Test a new connection",
        "test_a_new_connection",
        "POST",
        "/api/connectors/test",
        Checked,
        (*WRITE, 413),
        NewConnectorCheck,
    ),
    Route(
        "Show or hide a field",
        "show_or_hide_a_field",
        "PUT",
        TOGGLE,
        Connector,
        (*CHANGE, 413),
        Visibility,
        headers=ETAG,
    ),
    Route("List teams", "list_teams", "GET", "/api/teams", list[Team], READ),
    Route("Add a team", "add_a_team", "POST", "/api/teams", Team, (*WRITE, 413), NewTeam, 201, NEW_ETAG),
    Route("Get a team", "read_a_team", "GET", TEAM_PATH, Team, (*READ, 404), headers=ETAG),
    Route("Change a team", "change_a_team", "PATCH", TEAM_PATH, Team, (*CHANGE, 413, 428), TeamPatch, headers=ETAG),
    Route("Delete a team", "delete_a_team", "DELETE", TEAM_PATH, None, CHANGE, status=204),
    Route("List saved views", "list_views", "GET", "/api/views", list[View], READ),
    Route("Save a view", "save_a_view", "POST", "/api/views", View, (*WRITE, 413), NewView, 201, NEW_ETAG),
    Route("Get a saved view", "read_a_view", "GET", VIEW_PATH, View, (*READ, 404), headers=ETAG),
    Route(
        "Change a saved view", "change_a_view", "PATCH", VIEW_PATH, View, (*CHANGE, 413, 428), ViewPatch, headers=ETAG
    ),
    Route("Delete a saved view", "delete_a_view", "DELETE", VIEW_PATH, None, CHANGE, status=204),
    Route("Get a webhook", "read_a_webhook", "GET", f"{CONNECTOR_PATH}/webhook", Webhook, (*READ, 404)),
    Route(
        "Create a webhook secret",
        "make_a_webhook_secret",
        "POST",
        f"{CONNECTOR_PATH}/webhook",
        NewWebhook,
        (*WRITE, 404, 409),
        status=201,
    ),
    Route(
        "Remove a webhook", "remove_a_webhook", "DELETE", f"{CONNECTOR_PATH}/webhook", None, (*WRITE, 404), status=204
    ),
    Route("List notification rules", "list_notify_rules", "GET", "/api/notify-rules", list[NotifyRule], READ),
    Route(
        "Add a notification rule",
        "add_a_notify_rule",
        "POST",
        "/api/notify-rules",
        NotifyRule,
        (*WRITE, 413),
        NewNotifyRule,
        201,
        NEW_ETAG,
    ),
    Route("Get a notification rule", "read_a_notify_rule", "GET", RULE_PATH, NotifyRule, (*READ, 404), headers=ETAG),
    Route(
        "Change a notification rule",
        "change_a_notify_rule",
        "PATCH",
        RULE_PATH,
        NotifyRule,
        (*CHANGE, 413, 428),
        NotifyRulePatch,
        headers=ETAG,
    ),
    Route("Delete a notification rule", "delete_a_notify_rule", "DELETE", RULE_PATH, None, CHANGE, status=204),
    Route("Send a test message", "send_a_test", "POST", f"{RULE_PATH}/test", Sent, (*WRITE, 404)),
    Route("List accounts", "list_people", "GET", "/api/people", list[Person], READ),
    Route(
        "Add an account", "add_a_person", "POST", "/api/people", NewPersonAdded, (*WRITE, 413), NewPerson, 201, NEW_ETAG
    ),
    Route("Get an account", "read_a_person", "GET", PERSON_PATH, Person, (*READ, 404), headers=ETAG),
    Route(
        "Change an account",
        "change_a_person",
        "PATCH",
        PERSON_PATH,
        Person,
        (*CHANGE, 409, 413, 428),
        PersonPatch,
        headers=ETAG,
    ),
    Route("Remove an account", "remove_a_person", "DELETE", PERSON_PATH, None, (*CHANGE, 409), status=204),
    Route(
        "Disable an account", "disable_a_person", "POST", f"{PERSON_PATH}/disable", Person, (*CHANGE, 409), headers=ETAG
    ),
    Route("Enable an account", "enable_a_person", "POST", f"{PERSON_PATH}/enable", Person, CHANGE, headers=ETAG),
    Route(
        "Unlink an identity", "unlink_a_person", "POST", f"{PERSON_PATH}/unlink", Person, (*CHANGE, 409), headers=ETAG
    ),
    Route(
        "Create a reset link",
        "make_a_password_link",
        "POST",
        f"{PERSON_PATH}/link",
        PasswordLink,
        (*WRITE, 404, 409),
        status=201,
    ),
    Route("List tokens", "list_tokens", "GET", TOKENS, list[Token], READ),
    Route("Create a token", "make_a_token", "POST", TOKENS, NewTokenMade, (*DO, 413), NewToken, 201, LOCATION),
    Route("Get a token", "read_a_token", "GET", f"{TOKENS}/{{token}}", Token, (*READ, 404)),
    Route("Revoke a token", "revoke_a_token", "DELETE", f"{TOKENS}/{{token}}", None, (*WRITE, 404), status=204),
    Route("Get the audit log status", "read_the_state_of_the_log", "GET", "/api/integrity", Integrity, READ),
    Route("Create a checkpoint", "make_a_checkpoint", "POST", "/api/checkpoints", Checkpoint, DO, status=201),
    Route("Check the database", "check_the_database", "GET", "/health", Health, (400, 503)),
    Route("Get the metrics", "read_the_metrics", "GET", "/metrics", None, (400, 401, 404), also=("text/plain",)),
    Route("Describe the API", "describe_the_api", "GET", "/openapi.json", dict, (400,)),
)
