"""Every writing route has a recipe here and is audited; every page has an example and is well-formed and safe."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from painchain import connectors
from painchain.database.models import NotifyRule
from painchain.database.session import db
from painchain.startup import create_app
from tests.conftest import add_connector, close, settings_for, use_fake_sources
from tests.support.accounts import PASSWORD, add_person, link_identity, make_link, sign_in, sign_out
from tests.support.html import fill, form_of, run_together, soup, words
from tests.support.webhook_source import HOOK, deliver

pytestmark = pytest.mark.usefixtures("fake_sources")

HTMX = {"HX-Request": "true"}
MUTATING = {"POST", "PUT", "PATCH", "DELETE"}
LIST = "/settings/integrations"
CONNECTOR = f"{LIST}/<int:connector_id>"
API_CONNECTOR = "/api/connectors/<int:connector_id>"
RETENTION, TOKENS, LOG = "/settings/retention", "/settings/tokens", "/settings/audit-log"
TEAMS = "/settings/teams"
TEAM, API_TEAM = f"{TEAMS}/<int:team_id>", "/api/teams/<int:team_id>"
VIEWS = "/settings/views"
VIEW, API_VIEW = f"{VIEWS}/<int:view_id>", "/api/views/<int:view_id>"
WEBHOOK = f"{CONNECTOR}/webhook"
RULES = "/settings/notifications"
RULE = f"{RULES}/<int:rule_id>"
API_RULE = "/api/notify-rules/<int:rule_id>"
PEOPLE = "/settings/people"
PERSON, API_PERSON = f"{PEOPLE}/<int:person_id>", "/api/people/<int:person_id>"
SYSTEM = 1

Route = tuple[str, str]
Recipe = Callable[[FlaskClient, int], TestResponse]


def submit(client: FlaskClient, page: str, selector: str, **values: Any) -> TestResponse:
    """Fetch a form, fill it in and send it to its action."""
    response = client.get(page)
    form = fill(form_of(response, selector), **values)
    return client.post(str(soup(response).select_one(selector)["action"]), data=form)


def hide_all(client: FlaskClient, number: int) -> TestResponse:
    """Press "Hide all" for the first event type."""
    response = client.get(f"{LIST}/{number}")
    button = soup(response).select_one("#visibility button[name=hide]")
    form = form_of(response, "#connector-form")
    return client.post(str(button["formaction"]), data={**form, "hide": button["value"]})


def patch(client: FlaskClient, number: int, **config: Any) -> TestResponse:
    etag = client.get(f"/api/connectors/{number}").headers["ETag"]
    config = config or {"poll_interval": 600}
    return client.patch(f"/api/connectors/{number}", json={"config": config}, headers={"If-Match": etag})


def enable(client: FlaskClient, number: int) -> None:
    """Enable a connector directly in the database, without an event."""
    with client.application.app_context():
        db.session.execute(db.text("UPDATE connectors SET enabled = true WHERE id = :number"), {"number": number})
        db.session.commit()


def sync(client: FlaskClient, number: int) -> TestResponse:
    """Press "Sync now" of an enabled connector."""
    enable(client, number)
    form = form_of(client.get(f"{LIST}/{number}"), "#connector-form")
    return client.post(f"{LIST}/{number}/sync", data={"csrf_token": form["csrf_token"]})


def sync_by_api(client: FlaskClient, number: int) -> TestResponse:
    enable(client, number)
    return client.post(f"/api/connectors/{number}/sync")


def newest(client: FlaskClient, event_type: str) -> int:
    """Return the number of the newest event of a type."""
    [event] = client.get("/api/changes", query_string={"event_type": event_type, "limit": 1}).get_json()
    return int(event["id"])


def revert(client: FlaskClient, number: int) -> TestResponse:
    """Revert the newest change of a setting."""
    return submit(client, f"/events/{newest(client, 'ConfigChanged')}/restore", "#restore")


def revert_by_api(client: FlaskClient, number: int) -> TestResponse:
    return client.post(f"/api/changes/{newest(client, 'ConnectorUpdated')}/restore", json={})


def prune(client: FlaskClient, number: int) -> TestResponse:
    """Set a retention of one day, make some events older, and confirm their removal."""
    aged = "UPDATE change_events SET timestamp = timestamp - 172800000000 WHERE connector_type = 'kubernetes'"
    with client.application.app_context():
        db.session.execute(db.text(aged))
        db.session.execute(db.text("INSERT INTO retention (source, days) VALUES ('painchain', 1)"))
        db.session.commit()
    return submit(client, f"{RETENTION}/prune", "#prune")


def confirm_key_copy(client: FlaskClient, number: int) -> TestResponse:
    """Confirm that a copy of the root key is stored elsewhere."""
    key_id = soup(client.get(LOG)).select_one("#confirm-key-copy input[type=checkbox]")["value"]
    return submit(client, LOG, "#confirm-key-copy", key=str(key_id))


def first_account(client: FlaskClient, number: int) -> TestResponse:
    """Create the first account with the setup link."""
    return submit(client, make_link(client.application), "#link", name="alice", password=PASSWORD, again=PASSWORD)


def recorded(app: Flask, after: int = 0) -> list[dict[str, Any]]:
    """Return the events after a number, read directly from the database."""
    query = "SELECT id, event_type, request_id, author, description FROM change_events WHERE id > :after ORDER BY id"
    with app.app_context():
        return [dict(row) for row in db.session.execute(db.text(query), {"after": after}).mappings()]


def patch_team(client: FlaskClient, number: int) -> TestResponse:
    etag = client.get("/api/teams/1").headers["ETag"]
    return client.patch("/api/teams/1", json={"name": "Checkout"}, headers={"If-Match": etag})


def make_webhook(client: FlaskClient, number: int) -> None:
    """Enable the connector, set up its webhook, and store the secret in ``SECRETS``."""
    assert client.post(f"/api/connectors/{number}/enable").status_code == 200
    SECRETS[number] = client.post(f"/api/connectors/{number}/webhook").get_json()["secret"]


SECRETS: dict[int, str] = {}


def mark_seen(client: FlaskClient, number: int) -> TestResponse:
    """Mark the dropped message of a notification rule as seen."""
    with client.application.app_context():
        db.session.execute(update(NotifyRule).values(error="No response", failed_at=datetime.now(UTC), lost=1))
        db.session.commit()
    return submit(client, f"{RULES}/1", ".seen")


def make_rule(client: FlaskClient, number: int) -> None:
    """Add the first notify rule, for a service that does not exist."""
    new = {"name": "On call", "url": "json://127.0.0.1:9/", "kinds": ["connector_deleted"]}
    assert client.post("/api/notify-rules", json=new).status_code == 201


def make_checkpoint(client: FlaskClient, number: int) -> None:
    """Create the first checkpoint, and store it in ``CHECKPOINTS``."""
    CHECKPOINTS[number] = client.post("/api/checkpoints").text


CHECKPOINTS: dict[int, str] = {}


def compare_checkpoint(client: FlaskClient, number: int) -> TestResponse:
    line = json.dumps(json.loads(CHECKPOINTS[number]))
    return submit(client, LOG, "#compare", checkpoints=line)


def tag_several(client: FlaskClient, number: int) -> TestResponse:
    """Add a tag to the selected connector."""
    chosen = str(soup(client.get(LIST)).select_one(f"#card-{number} [name=chosen]")["value"])
    return submit(client, LIST, "#bulk", chosen=chosen, tags="several", action="add_tag")


REPORT = {"event_type": "connector_deleted", "connector_name": "Elsewhere", "connector_type": "github"}

# A successful request to each writing route, and the types of the events that it writes. The connector is a disabled
# Kubernetes connector that was changed before; there are also a team and a view.
RECIPES: dict[Route, tuple[list[str], Recipe]] = {
    ("POST", f"{LIST}/new/<key>"): (
        ["ConnectorCreated", "ConnectorEnabled"],
        lambda client, number: submit(client, f"{LIST}/new/gitlab", "#new", name="New", token="made-up", enabled=True),
    ),
    ("POST", CONNECTOR): (
        ["ConfigChanged", "ConnectorUpdated"],
        lambda client, number: submit(client, f"{LIST}/{number}", "#connector-form", poll_interval="600"),
    ),
    ("POST", f"{CONNECTOR}/visibility"): (["FieldVisibilityChanged"] * 9, hide_all),
    ("POST", f"{CONNECTOR}/enable"): (
        ["ConnectorEnabled"],
        lambda client, number: submit(client, f"{LIST}/{number}", "#connector_header form"),
    ),
    ("POST", f"{CONNECTOR}/disable"): (
        ["ConnectorDisabled"],
        lambda client, number: submit(client, f"{LIST}/{SYSTEM}/disable", "main form"),
    ),
    ("POST", f"{LIST}/bulk"): (["ConfigChanged", "ConnectorUpdated"], tag_several),
    ("POST", f"{CONNECTOR}/delete"): (
        ["ConnectorDeleted"],
        lambda client, number: submit(client, f"{LIST}/{number}/delete", "main form"),
    ),
    ("POST", "/events/<int:number>/restore"): (["ConfigChanged", "ConnectorUpdated"], revert),
    ("POST", "/api/changes/<path:number>/restore"): (["ConfigChanged", "ConnectorUpdated"], revert_by_api),
    ("POST", "/events/<int:number>/notes"): (
        ["NoteAdded"],
        lambda client, number: submit(client, "/events/1", "#add-note", text="Rolled back"),
    ),
    ("POST", "/api/changes/<path:number>/notes"): (
        ["NoteAdded"],
        lambda client, number: client.post("/api/changes/1/notes", json={"text": "Rolled back"}),
    ),
    ("POST", "/api/painchain/log"): (
        ["ConnectorDeleted"],
        lambda client, number: client.post("/api/painchain/log", json=REPORT),
    ),
    ("POST", "/api/events"): (
        ["Deployment"],
        lambda client, number: client.post("/api/events", json={"title": "Deployed shop 1.4.2", "kind": "deployment"}),
    ),
    ("POST", "/api/connectors"): (
        ["ConnectorCreated"],
        lambda client, number: client.post("/api/connectors", json={"name": "New", "type": "kubernetes"}),
    ),
    ("PATCH", API_CONNECTOR): (["ConfigChanged", "ConnectorUpdated"], patch),
    ("DELETE", API_CONNECTOR): (
        ["ConnectorDeleted"],
        lambda client, number: client.delete(f"/api/connectors/{number}"),
    ),
    ("POST", f"{API_CONNECTOR}/enable"): (
        ["ConnectorEnabled"],
        lambda client, number: client.post(f"/api/connectors/{number}/enable"),
    ),
    ("POST", f"{API_CONNECTOR}/disable"): (
        ["ConnectorDisabled"],
        lambda client, number: client.post(f"/api/connectors/{SYSTEM}/disable"),
    ),
    ("PUT", f"{API_CONNECTOR}/visibility/<event_type>/<field>"): (
        ["FieldVisibilityChanged"],
        lambda client, number: client.put(
            f"/api/connectors/{number}/visibility/K8sPod/reason", json={"visible": False}
        ),
    ),
    ("POST", WEBHOOK): (
        ["WebhookChanged"],
        lambda client, number: submit(client, f"{LIST}/{number}", "#webhook form"),
    ),
    ("POST", f"{WEBHOOK}/remove"): (
        ["WebhookChanged"],
        lambda client, number: submit(client, f"{LIST}/{number}/webhook/remove", "main form"),
    ),
    ("POST", f"{API_CONNECTOR}/webhook"): (
        ["WebhookChanged"],
        lambda client, number: client.post(f"/api/connectors/{number}/webhook"),
    ),
    ("DELETE", f"{API_CONNECTOR}/webhook"): (
        ["WebhookChanged"],
        lambda client, number: client.delete(f"/api/connectors/{number}/webhook"),
    ),
    ("POST", "/hooks/<key>/<int:connector_id>"): (
        ["Cast"],
        lambda client, number: deliver(client, f"/hooks/kubernetes/{number}", SECRETS[number], ["bell"]),
    ),
    ("POST", f"{RULES}/new"): (
        ["NotifyRuleCreated"],
        lambda client, number: submit(
            client, f"{RULES}/new", "#rule", name="Chat", url="json://127.0.0.1:9/", kinds=["connector_failing"]
        ),
    ),
    ("POST", RULE): (
        ["NotifyRuleChanged"],
        lambda client, number: submit(client, f"{RULES}/1", "#rule", enabled=False),
    ),
    ("POST", f"{RULE}/test"): ([], lambda client, number: submit(client, f"{RULES}/1", "#test")),
    ("POST", f"{RULE}/seen"): ([], mark_seen),
    ("POST", f"{RULE}/delete"): (
        ["NotifyRuleDeleted"],
        lambda client, number: submit(client, f"{RULES}/1/delete", "main form"),
    ),
    ("POST", "/api/notify-rules"): (
        ["NotifyRuleCreated"],
        lambda client, number: client.post(
            "/api/notify-rules", json={"name": "Chat", "url": "json://127.0.0.1:9/", "kinds": ["connector_failing"]}
        ),
    ),
    ("PATCH", API_RULE): (
        ["NotifyRuleChanged"],
        lambda client, number: client.patch(
            "/api/notify-rules/1", json={"name": "Chat"}, headers={"If-Match": '"1-1"'}
        ),
    ),
    ("DELETE", API_RULE): (["NotifyRuleDeleted"], lambda client, number: client.delete("/api/notify-rules/1")),
    ("POST", f"{API_RULE}/test"): ([], lambda client, number: client.post("/api/notify-rules/1/test")),
    ("POST", "/export"): (
        ["EventsExported"],
        lambda client, number: submit(client, "/export", "#export", format="csv"),
    ),
    ("POST", "/report.csv"): (["EventsExported"], lambda client, number: submit(client, "/report", "#csv")),
    ("POST", "/api/export"): (["EventsExported"], lambda client, number: client.post("/api/export")),
    ("POST", RETENTION): (
        ["RetentionChanged"] * 2,
        lambda client, number: submit(client, RETENTION, "#retention", **{"days.gitlab": "30", "days.github": "7"}),
    ),
    ("POST", f"{RETENTION}/prune"): ([], prune),
    ("POST", f"{LOG}/check"): ([], lambda client, number: submit(client, LOG, "#check-now")),
    ("POST", f"{LOG}/checkpoint"): (["CheckpointMade"], lambda client, number: submit(client, LOG, "#make-checkpoint")),
    ("POST", f"{LOG}/compare"): ([], compare_checkpoint),
    ("POST", "/api/checkpoints"): (["CheckpointMade"], lambda client, number: client.post("/api/checkpoints")),
    ("POST", f"{CONNECTOR}/sync"): ([], sync),
    ("POST", f"{API_CONNECTOR}/sync"): ([], sync_by_api),
    ("POST", f"{CONNECTOR}/test"): (
        [],
        lambda client, number: client.post(
            f"{LIST}/{number}/test", data=form_of(client.get(f"{LIST}/{number}"), "#connector-form")
        ),
    ),
    ("POST", f"{LIST}/new/<key>/test"): (
        [],
        lambda client, number: client.post(
            f"{LIST}/new/kubernetes/test", data=form_of(client.get(f"{LIST}/new/kubernetes"), "#new")
        ),
    ),
    ("POST", f"{API_CONNECTOR}/test"): ([], lambda client, number: client.post(f"/api/connectors/{number}/test")),
    ("POST", "/api/connectors/test"): (
        [],
        lambda client, number: client.post("/api/connectors/test", json={"type": "kubernetes"}),
    ),
    ("POST", f"{TEAMS}/new"): (
        ["TeamCreated"],
        lambda client, number: submit(client, f"{TEAMS}/new", "#team-form", name="Search", tags="search"),
    ),
    ("POST", TEAM): (["TeamUpdated"], lambda client, number: submit(client, f"{TEAMS}/1", "#team-form", tags="c")),
    ("POST", f"{TEAM}/delete"): (
        ["TeamDeleted"],
        lambda client, number: submit(client, f"{TEAMS}/1/delete", "main form"),
    ),
    ("POST", "/api/teams"): (
        ["TeamCreated"],
        lambda client, number: client.post("/api/teams", json={"name": "Search", "tags": ["search"]}),
    ),
    ("PATCH", API_TEAM): (["TeamUpdated"], patch_team),
    ("POST", f"{VIEWS}/new"): (
        ["ViewSaved"],
        lambda client, number: submit(client, f"{VIEWS}/new?q=a", "#view-form", name="New"),
    ),
    ("POST", VIEW): (["ViewChanged"], lambda client, number: submit(client, f"{VIEWS}/1", "#view-form", name="Old")),
    ("POST", f"{VIEW}/start"): (["ViewChanged"], lambda client, number: submit(client, VIEWS, "#view-1 form")),
    ("POST", f"{VIEW}/delete"): (
        ["ViewDeleted"],
        lambda client, number: submit(client, f"{VIEWS}/1/delete", "main form"),
    ),
    ("POST", "/api/views"): (
        ["ViewSaved", "ViewChanged"],
        lambda client, number: client.post("/api/views", json={"name": "New", "filter": "q=a", "start": True}),
    ),
    ("PATCH", API_VIEW): (
        ["ViewChanged"],
        lambda client, number: client.patch("/api/views/1", json={"filter": "q=b"}, headers={"If-Match": "*"}),
    ),
    ("DELETE", API_VIEW): (["ViewDeleted"], lambda client, number: client.delete("/api/views/1")),
    ("DELETE", API_TEAM): (["TeamDeleted"], lambda client, number: client.delete("/api/teams/1")),
    ("POST", f"{TOKENS}/new"): (
        ["TokenCreated"],
        lambda client, number: submit(client, f"{TOKENS}/new", "#token", name="ci"),
    ),
    ("POST", f"{TOKENS}/<int:token_id>/revoke"): (
        ["TokenRevoked"],
        lambda client, number: submit(client, f"{TOKENS}/1/revoke", "main form"),
    ),
    ("POST", "/api/tokens"): (
        ["TokenCreated"],
        lambda client, number: client.post("/api/tokens", json={"name": "ci", "role": "viewer"}),
    ),
    ("DELETE", "/api/tokens/<int:token_id>"): (
        ["TokenRevoked"],
        lambda client, number: client.delete("/api/tokens/1"),
    ),
    ("POST", "/setup/hide"): (
        ["SetupListHidden"],
        lambda client, number: submit(client, "/setup/hide", "main form"),
    ),
    ("POST", "/setup/key-copy"): (["KeyCopyConfirmed"], confirm_key_copy),
    ("POST", "/sign-in"): (["SignedIn"], lambda client, number: sign_in(client)),
    ("POST", "/sign-out"): (["SignedOut"], lambda client, number: sign_out(client)),
    ("POST", "/link/<secret>"): (["PersonAdded", "SignedIn"], first_account),
    ("POST", f"{PEOPLE}/new"): (
        ["PersonAdded", "PasswordLinkMade"],
        lambda client, number: submit(client, f"{PEOPLE}/new", "#person", name="carol"),
    ),
    ("POST", PERSON): (
        ["PersonChanged"],
        lambda client, number: submit(client, f"{PEOPLE}/2", "#person", role="editor", email="bob@example.org"),
    ),
    ("POST", f"{PERSON}/link"): (
        ["PasswordLinkMade"],
        lambda client, number: submit(client, f"{PEOPLE}/2", "#make-link"),
    ),
    ("POST", f"{PERSON}/disable"): (
        ["PersonDisabled"],
        lambda client, number: submit(client, f"{PEOPLE}/2", "#switch"),
    ),
    ("POST", f"{PERSON}/enable"): (["PersonEnabled"], lambda client, number: submit(client, f"{PEOPLE}/3", "#switch")),
    ("POST", f"{PERSON}/remove"): (
        ["PersonRemoved"],
        lambda client, number: submit(client, f"{PEOPLE}/2/remove", "main form"),
    ),
    ("POST", f"{PERSON}/unlink"): (
        ["PersonChanged"],
        lambda client, number: submit(client, f"{PEOPLE}/{link_identity(client.application, 2)}/unlink", "main form"),
    ),
    ("POST", "/account/unlink"): (
        ["PersonChanged"],
        lambda client, number: link_identity(client.application, 1) and submit(client, "/account/unlink", "main form"),
    ),
    ("POST", "/api/people"): (
        ["PersonAdded", "PasswordLinkMade"],
        lambda client, number: client.post("/api/people", json={"name": "carol", "role": "viewer"}),
    ),
    ("PATCH", API_PERSON): (
        ["PersonChanged"],
        lambda client, number: client.patch("/api/people/2", json={"role": "editor"}, headers={"If-Match": "*"}),
    ),
    ("DELETE", API_PERSON): (["PersonRemoved"], lambda client, number: client.delete("/api/people/2")),
    ("POST", f"{API_PERSON}/link"): (["PasswordLinkMade"], lambda client, number: client.post("/api/people/2/link")),
    ("POST", f"{API_PERSON}/disable"): (
        ["PersonDisabled"],
        lambda client, number: client.post("/api/people/2/disable"),
    ),
    ("POST", f"{API_PERSON}/enable"): (["PersonEnabled"], lambda client, number: client.post("/api/people/3/enable")),
    ("POST", f"{API_PERSON}/unlink"): (
        ["PersonChanged"],
        lambda client, number: client.post(f"/api/people/{link_identity(client.application, 2)}/unlink"),
    ),
    ("POST", "/account/password"): (
        ["PasswordSet"],
        lambda client, number: submit(
            client, "/account", "#own-password", old=PASSWORD, password=f"{PASSWORD} 2", again=f"{PASSWORD} 2"
        ),
    ),
    ("POST", "/account/sign-ins/<number>/end"): (
        ["SignedOut"],
        lambda client, number: submit(client, "/account", "#sign-ins form"),
    ),
    ("POST", "/account/sign-ins/end"): (
        ["SignedOut"],
        lambda client, number: submit(client, "/account", "#everywhere"),
    ),
}


def make_people(client: FlaskClient, number: int) -> None:
    """Add an admin, a viewer and a disabled person, and sign in as the admin."""
    add_person(client.application)
    add_person(client.application, "bob", "viewer")
    absent = add_person(client.application, "zoe", "viewer")
    sign_in(client)
    assert client.post(f"/api/people/{absent}/disable").status_code == 200


def add_admin(client: FlaskClient, number: int) -> None:
    """Add an admin and sign in."""
    add_person(client.application)
    sign_in(client)


def make_token(client: FlaskClient, number: int) -> None:
    """Create the first API token."""
    add_admin(client, number)
    submit(client, f"{TOKENS}/new", "#token", name="ci")


# The preparations of routes that need more.
PREPARATIONS: dict[Route, Callable[[FlaskClient, int], object]] = {
    ("POST", f"{WEBHOOK}/remove"): make_webhook,
    ("DELETE", f"{API_CONNECTOR}/webhook"): make_webhook,
    ("POST", f"{LOG}/compare"): make_checkpoint,
    ("POST", "/hooks/<key>/<int:connector_id>"): make_webhook,
    **dict.fromkeys(
        [
            *(
                ("POST", address)
                for address in (RULE, f"{RULE}/test", f"{RULE}/seen", f"{RULE}/delete", f"{API_RULE}/test")
            ),
            *((method, API_RULE) for method in ("PATCH", "DELETE")),
        ],
        make_rule,
    ),
    **dict.fromkeys(
        [route for route in RECIPES if route[1].startswith((PEOPLE, "/api/people", "/account"))], make_people
    ),
    **dict.fromkeys([("POST", f"{TOKENS}/new"), ("POST", "/api/tokens")], add_admin),
    **dict.fromkeys(
        [("POST", f"{TOKENS}/<int:token_id>/revoke"), ("DELETE", "/api/tokens/<int:token_id>")], make_token
    ),
    ("POST", "/sign-in"): lambda client, number: add_person(client.application),
    ("POST", "/sign-out"): lambda client, number: add_person(client.application) and sign_in(client),
}

# Writing routes that record no event, each with the reason.
WITHOUT_EVENT: dict[Route, str] = {
    ("POST", f"{RETENTION}/prune"): "it schedules a removal, which records its own event (test_pruning)",
    ("POST", f"{LOG}/check"): "it starts a check of the log, and changes nothing",
    ("POST", f"{LOG}/compare"): "the same",
    ("POST", f"{CONNECTOR}/sync"): "it polls a source earlier, and changes no configuration",
    ("POST", f"{API_CONNECTOR}/sync"): "the same",
    ("POST", f"{CONNECTOR}/test"): "it tests a connection, and saves nothing",
    ("POST", f"{LIST}/new/<key>/test"): "the same",
    ("POST", f"{API_CONNECTOR}/test"): "the same",
    ("POST", "/api/connectors/test"): "the same",
    **dict.fromkeys([("POST", f"{RULE}/test"), ("POST", f"{API_RULE}/test")], "it sends a message and changes nothing"),
    ("POST", f"{RULE}/seen"): "it hides a failure, and changes no configuration",
}


def add_webhook_support(patch: pytest.MonkeyPatch) -> None:
    """Let Kubernetes connectors accept the webhooks of the sample source."""
    patch.setitem(connectors.TYPES, "kubernetes", replace(connectors.TYPES["kubernetes"], webhook=HOOK))


@pytest.fixture(autouse=True)
def webhook_support(monkeypatch: pytest.MonkeyPatch, fake_sources: None) -> None:
    """Let Kubernetes connectors accept webhooks in every test here."""
    add_webhook_support(monkeypatch)


def writing_routes(app: Flask) -> set[Route]:
    """Return every route with a method that writes."""
    return {(method, rule.rule) for rule in app.url_map.iter_rules() for method in rule.methods & MUTATING}


def test_every_writing_route_has_a_recipe(app):
    assert writing_routes(app) == set(RECIPES)
    assert set(WITHOUT_EVENT) <= set(RECIPES)


def test_a_new_route_without_a_recipe_is_detected(app):
    app.add_url_rule("/api/tea", methods=["POST"], view_func=lambda: "brewed")
    assert writing_routes(app) - set(RECIPES) == {("POST", "/api/tea")}


@pytest.mark.parametrize("route", RECIPES, ids=" ".join)
def test_every_change_is_audited(app, client, make_connector, route):
    number = make_connector("kubernetes", "Cluster")
    assert patch(client, number, cluster_name="blue").status_code == 200
    assert client.post("/api/teams", json={"name": "Payments", "tags": ["a"]}).status_code == 201
    assert client.post("/api/views", json={"name": "Ours", "filter": "tag=a&range=7d"}).status_code == 201
    kinds, recipe = RECIPES[route]
    PREPARATIONS.get(route, lambda client, number: None)(client, number)
    before = recorded(app)[-1]["id"]
    response = recipe(client, number)
    assert response.status_code < 400, response.text
    assert response.request.method == route[0]
    written = recorded(app, before)
    assert written or route in WITHOUT_EVENT, "a change without an event"
    assert [event["event_type"] for event in written] == kinds
    assert len({event["request_id"] for event in written}) == min(1, len(kinds))
    assert all(event["author"] for event in written)
    assert all("cause" in str(event["description"]) for event in written if event["author"] == "system")


# Reading

# The example addresses of each page, by route. The placeholders are those of `create_examples`.
PAGES: dict[str, list[str]] = {
    "/": [
        "/",
        "/?range=7d&source=painchain&tag=audit&author=system&q=a",
        "/?start_date=2001-01-01&end_date=2001-01-02",
        "/?team=Payments",
    ],
    "/feed": ["/feed?cursor={cursor}"],
    "/news": ["/news?after=0", "/news?after=0&keep=yes", "/news?after=999999"],
    "/timeline": ["/timeline", "/timeline?range=90d"],
    "/search/help": ["/search/help"],
    "/timeline/table": ["/timeline/table", "/timeline/table?start_date=2001-01-01&end_date=2001-01-02"],
    "/feed/other-views": [
        "/feed/other-views?author=nobody&range=1h",
        "/feed/other-views?q=nothing&start_date=2001-01-01",
    ],
    "/filter/<name>": ["/filter/event_type", "/filter/author?source=painchain&range=7d"],
    "/search/suggestions": ["/search/suggestions", "/search/suggestions?q=type:", "/search/suggestions?q=nothing%20so"],
    "/events/<int:number>": ["/events/{event}"],
    "/events/<path:event_id>": ["/events/{event_id}"],
    "/events/<int:number>/around": [
        "/events/{event}/around",
        "/events/{event}/around?within=24h&earlier={cursor}",
        "/events/{event}/around?later={cursor}",
    ],
    "/events/<int:number>/details": ["/events/{event}/details"],
    "/events/<int:number>/restore": ["/events/{event}/restore"],
    "/report": ["/report", "/report?month=2001-01", "/report?month=2101-01"],
    "/as-of": ["/as-of", "/as-of?at=2001-01-01", "/as-of?compare=2001-01-01T00:00", "/as-of?at=2101-01-01"],
    "/help": ["/help"],
    "/help/<path:document>": ["/help/README.md", "/help/admin/configuration.md"],
    "/settings": ["/settings"],
    LIST: [LIST, f"{LIST}?q=cluster&type=kubernetes", f"{LIST}?q=nowhere"],
    f"{LIST}/new": [f"{LIST}/new"],
    f"{LIST}/new/<key>": [f"{LIST}/new/{key}" for key in ("github", "gitlab", "kubernetes")],
    CONNECTOR: [f"{LIST}/{{connector}}", f"{LIST}/{SYSTEM}"],
    f"{LIST}/<int:number>/history": [
        f"{LIST}/{{connector}}/history",
        f"{LIST}/{{connector}}/history?cursor={{cursor}}",
    ],
    f"{CONNECTOR}/disable": [f"{LIST}/{{connector}}/disable", f"{LIST}/{SYSTEM}/disable"],
    f"{CONNECTOR}/duplicate": [f"{LIST}/{{connector}}/duplicate"],
    f"{CONNECTOR}/delete": [f"{LIST}/{{connector}}/delete"],
    f"{WEBHOOK}/<any(replace, remove):what>": [
        f"{LIST}/{{connector}}/webhook/{what}" for what in ("replace", "remove")
    ],
    RULES: [RULES],
    f"{RULES}/new": [f"{RULES}/new"],
    RULE: [f"{RULES}/1"],
    f"{RULE}/delete": [f"{RULES}/1/delete"],
    "/export": ["/export", "/export?range=90d&connector={connector}&q=a"],
    RETENTION: [RETENTION],
    LOG: [LOG],
    f"{LOG}/progress": [f"{LOG}/progress"],
    f"{LOG}/checkpoints.ndjson": [],  # a file, not a page
    f"{LIST}/health": [f"{LIST}/health", f"{LIST}/health?ids=1,{{connector}},nonsense&seen=nonsense"],
    f"{RETENTION}/prune": [f"{RETENTION}/prune"],
    f"{RETENTION}/progress": [f"{RETENTION}/progress"],
    TOKENS: [TOKENS],
    f"{TOKENS}/new": [f"{TOKENS}/new"],
    f"{TOKENS}/<int:token_id>/revoke": [f"{TOKENS}/1/revoke"],
    "/sign-in": ["/sign-in?next=/report"],
    "/link/<secret>": ["{link}"],
    "/sign-in/oidc": [],  # needs a provider: see tests/web/account/oidc
    "/sign-in/oidc/back": [],
    TEAMS: [TEAMS],
    f"{TEAMS}/new": [f"{TEAMS}/new"],
    PEOPLE: [PEOPLE],
    f"{PEOPLE}/new": [f"{PEOPLE}/new"],
    PERSON: [f"{PEOPLE}/{{person}}"],
    f"{PERSON}/remove": [f"{PEOPLE}/{{person}}/remove"],
    f"{PERSON}/unlink": [f"{PEOPLE}/{{person}}/unlink"],
    "/account/unlink": ["/account/unlink"],
    "/people/<path:name>": ["/people/system", "/people/system?cursor={cursor}", "/people/alice"],
    "/account": ["/account"],
    TEAM: [f"{TEAMS}/1"],
    f"{TEAM}/delete": [f"{TEAMS}/1/delete"],
    "/setup/hide": ["/setup/hide"],
    "/palette": ["/palette", "/palette?q=cluster", "/palette?q=nothing%20so"],
    VIEWS: [VIEWS],
    f"{VIEWS}/new": [f"{VIEWS}/new", f"{VIEWS}/new?q=a&start_date=2026-01-01&tag=b"],
    VIEW: [f"{VIEWS}/1", f"{VIEWS}/1?q=a"],
    f"{VIEW}/delete": [f"{VIEWS}/1/delete"],
}
ERRORS = {
    "/nowhere": 404,
    "/?range=nonsense": 422,
    "/?q=nonsense:1": 422,
    "/?team=nonsense": 422,
    f"{TEAMS}/999999": 404,
    f"{VIEWS}/999999": 404,
    f"{PEOPLE}/999999": 404,
    "/people/nobody": 404,
    "/people/system?cursor=nonsense": 422,
    "/feed?after=0&q=source:nonsense": 422,
    "/export?range=nonsense": 422,
    "/feed": 422,
    "/news": 422,
    "/timeline?range=nonsense": 422,
    "/events/999999": 404,
    "/events/999999/around": 404,
    "/events/999999/details": 404,
    "/events/1/around?within=nonsense": 422,
    "/events/1/restore": 404,
    f"{LIST}/999999/history": 404,
    "/report?month=nonsense": 422,
    "/as-of?at=nonsense": 422,
    f"{LIST}/999999": 404,
    f"{LIST}/new/nonsense": 404,
    f"{LIST}/{SYSTEM}/delete": 409,
    f"{LIST}/{SYSTEM}/enable": 405,
    f"{LIST}/{SYSTEM}/webhook/replace": 404,
    f"{RULES}/999999": 404,
    **dict.fromkeys(("/sign-in/oidc", "/sign-in/oidc/back"), 404),
    f"{TOKENS}/9/revoke": 404,
}


def create_examples(client: FlaskClient) -> dict[str, int]:
    """Create objects and events of every kind, and return the expected status of every example address."""
    number = add_connector(client, "kubernetes", "Cluster", tags="a, b", verify_ssl=False)
    assert client.post("/api/teams", json={"name": "Payments", "tags": ["a"]}).status_code == 201
    assert client.post("/api/views", json={"name": "Ours", "filter": "tag=a&range=7d"}).status_code == 201
    make_webhook(client, number)
    make_rule(client, number)
    for kinds, recipe in (RECIPES["POST", CONNECTOR], RECIPES["POST", f"{CONNECTOR}/visibility"]):
        assert recipe(client, number).status_code == 303, kinds
    newest = client.get("/api/changes?limit=1")
    link = newest.headers["Link"]
    make_people(client, number)
    for person in (1, 2):
        link_identity(client.application, person)
    submit(client, f"{TOKENS}/new", "#token", name="ci")
    placeholders = {
        "person": 2,
        "connector": number,
        "event": newest.get_json()[0]["id"],
        "event_id": newest.get_json()[0]["event_id"],
        "cursor": link.partition("cursor=")[2].partition(">")[0],
        "link": make_link(client.application, 2),
    }
    examples = {address.format(**placeholders) for addresses in PAGES.values() for address in addresses}
    return {**dict.fromkeys(sorted(examples), 200), **ERRORS}


def test_every_page_has_an_example_address_in_this_test(app):
    looking = {rule.rule for rule in app.url_map.iter_rules() if "GET" in rule.methods}
    html = {
        rule for rule in looking if not rule.startswith(("/api/", "/static/", "/health", "/metrics", "/openapi.json"))
    }
    assert html == set(PAGES)


def get_all(client: FlaskClient, addresses: dict[str, int]) -> list[tuple[str, TestResponse]]:
    """Return the response of every address to a plain browser and to htmx."""
    return [(address, client.get(address, headers=headers)) for address in addresses for headers in ({}, HTMX)]


@dataclass(frozen=True)
class Site:
    """The responses of one server, shared by all tests of the pages, because they do not depend on the database."""

    client: FlaskClient
    addresses: dict[str, int]
    answers: list[tuple[str, TestResponse]]
    pages: list[tuple[str, BeautifulSoup]]

    def whole_pages(self) -> list[tuple[str, BeautifulSoup]]:
        """Return the pages for plain browsers, without fragments and redirects."""
        plain = zip(self.answers[::2], self.pages[::2], strict=True)
        return [page for (_, answer), page in plain if answer.status_code not in (302, 303) and "<html" in answer.text]


@pytest.fixture(scope="module")
def site(started_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The responses of a server with objects and events of every kind."""
    instance = tmp_path_factory.mktemp("site") / "instance"
    shutil.copytree(started_instance, instance)
    with pytest.MonkeyPatch.context() as patch:
        use_fake_sources(patch)
        add_webhook_support(patch)
        app = create_app(settings_for(instance))
        client = app.test_client()
        addresses = create_examples(client)
        responses = get_all(client, addresses)
        yield Site(client, addresses, responses, [(address, soup(response)) for address, response in responses])
        close(app)


@pytest.mark.both_databases
def test_every_page_responds_to_a_plain_browser_and_to_htmx(client):
    addresses = create_examples(client)
    for address, response in get_all(client, addresses):
        if addresses[address] == 200:
            assert response.status_code in (200, 204, 302, 303), address
        else:
            assert response.status_code == addresses[address], address


def test_every_response_has_the_security_headers(site):
    for address, response in site.answers:
        headers = response.headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'", address
        assert policy["object-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'", address
        assert not [words for words in policy.values() if "unsafe" in words or "http" in words], address
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] in ("same-origin", "no-referrer")
        assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert "Access-Control-Allow-Origin" not in headers
        assert "HX-Request" in {name.strip() for name in headers["Vary"].split(",")}
        assert headers["Cache-Control"] == "no-store"


def test_api_responses_and_static_files_have_security_headers(client):
    page = soup(client.get("/"))
    for address in ("/api/changes", "/health", "/openapi.json", "/api/nowhere", page.select_one("script")["src"]):
        headers = client.get(str(address), buffered=True).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_no_page_has_inline_scripts_or_styles(site):
    for address, page in site.pages:
        assert not page.select("script:not([src]), style, [style], iframe, object, embed, base"), address
        for element in page.find_all():
            assert not [name for name in element.attrs if name.startswith(("on", "hx-on"))], (address, element)
            assert not str(element.get("href", "")).startswith("javascript:"), address


def test_pages_load_only_static_files_and_pictures_of_documents(site):
    loaded, pictures = set(), set()
    for address, page in site.pages:
        for element in page.select("script[src], link[href], use"):
            loaded.add(urlsplit(str(element.get("src") or element["href"])))
        pictures |= {urljoin(address, str(picture["src"])) for picture in page.select("img[src]")}
    assert all(picture.startswith("/help/") for picture in pictures)
    for picture in pictures:
        with site.client.get(picture) as response:
            assert (response.status_code, response.headers["Cache-Control"]) == (200, "public, max-age=3600")
    assert {address.path.rpartition(".")[2] for address in loaded} == {"js", "css", "svg"}
    for address in loaded:
        assert (address.scheme, address.netloc) == ("", "")
        assert address.path.startswith("/static/")
        response = site.client.get(address._replace(fragment="").geturl(), buffered=True)
        assert response.status_code == 200
        assert response.headers["Cache-Control"].endswith("max-age=31536000")


def test_no_words_of_a_page_are_glued_together(site):
    """Without the style sheet, too, words are apart: this is what a screen reader, a copy and a search get."""
    assert {address: glued for address, page in site.pages if (glued := run_together(page))} == {}


def test_ids_are_unique_on_every_page_and_in_every_fragment(site):
    for address, page in site.pages:
        ids = Counter(str(element["id"]) for element in page.select("[id]"))
        assert [name for name, count in ids.items() if count > 1] == [], address


REFERENCES = ("for", "form", "aria-describedby", "aria-labelledby", "aria-controls", "hx-target")


def referenced_ids(element: Tag) -> set[str]:
    """Return the ids that an element refers to."""
    names = {name for attribute in REFERENCES for name in str(element.get(attribute, "")).split()}
    names |= {str(element["href"])} if str(element.get("href", "")).startswith("#") else set()
    return {name.removeprefix("#") for name in names}


def test_every_reference_within_a_page_exists(site):
    for address, page in site.whole_pages():
        ids = {str(element["id"]) for element in page.select("[id]")}
        for element in page.find_all():
            assert referenced_ids(element) <= ids, (address, element)


def test_every_page_has_a_title_one_main_heading_and_a_way_to_skip_to_it(site):
    for address, page in site.whole_pages():
        assert words(page.title).endswith("· PainChain"), address
        assert page.html["lang"] == "en"
        assert len(page.select("main h1")) == 1, address
        assert page.select_one("a.skip")["href"] == "#main"


def has_name(element: Tag, page: BeautifulSoup) -> bool:
    """Return whether an input or a button has a name for screen readers."""
    label = page.select_one(f"label[for='{element.get('id')}']") or element.find_parent("label")
    return bool(element.get("aria-label") or words(label or element))


def test_every_input_and_button_has_a_name(site):
    for address, page in site.whole_pages():
        for element in page.select("input:not([type=hidden]), textarea, select, button"):
            assert has_name(element, page), (address, element)


def test_every_form_works_without_javascript_and_has_an_action(site):
    for address, page in site.whole_pages():
        for form in page.select("form:not([method=dialog])"):
            assert str(form["action"]).startswith("/"), address
            assert form["method"] in ("get", "post")
            sent_by_htmx = form.get(f"hx-{form['method']}")
            assert sent_by_htmx in (None, form["action"])
            if form["method"] == "post":
                assert "." not in form.select_one("[name=csrf_token]")["value"], "the token is masked"


def test_no_link_is_broken(site):
    links = {"/"}
    for address, page in site.whole_pages():
        for link in page.select("a[href]"):
            if not link.find_parent("svg"):
                links.add(urljoin(address, str(link["href"])).partition("#")[0])
    assert len(links) > 20
    for link in links - set(site.addresses):
        assert link.startswith("/"), link
        assert site.client.get(link).status_code in (200, 302), link
