"""Steps of the recipes, and what must be there before them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update
from werkzeug.test import TestResponse

from painchain.database.models import NotifyRule
from painchain.database.session import db
from tests.support.accounts import PASSWORD, add_person, make_link, sign_in
from tests.support.html import action_of, fill, find_form, form_of, soup
from tests.web.common.route_addresses import LIST, LOG, RETENTION, RULES, TOKENS


def submit(client: FlaskClient, page: str, selector: str, **values: Any) -> TestResponse:
    """Fetch a form, fill it in and send it to its action."""
    response = client.get(page)
    form = fill(form_of(response, selector), **values)
    return client.post(action_of(response, selector), data=form)


def hide_all(client: FlaskClient, number: int) -> TestResponse:
    """Press "Hide all" for the first event type."""
    response = client.get(f"{LIST}/{number}")
    button = find_form(response.text, "#connector-form").select_one("button[name=hide]")
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
    key_id = find_form(client.get(LOG).text, "#confirm-key-copy").select_one("input[type=checkbox]")["value"]
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


def make_mapped(client: FlaskClient, number: int) -> int:
    """Add the next connector, whose mapping can be tried, with a delivery that made an event and one that did not."""
    body = {"name": "Anything", "type": "webhook", "enabled": True}
    mapped = client.post("/api/connectors", json=body).get_json()["id"]
    secret = client.post(f"/api/connectors/{mapped}/webhook").get_json()["secret"]
    for payload in ({"title": "Deployed"}, {"unknown": "content"}):
        headers = {"Authorization": f"Bearer {secret}", "X-Made-Up-Event": "deployed"}
        assert client.post(f"/hooks/webhook/{mapped}", json=payload, headers=headers).status_code == 202
    return int(mapped)


def try_mapping(client: FlaskClient, number: int) -> TestResponse:
    """Try the mapping of the connector after this one on its deliveries."""
    address = f"{LIST}/{number + 1}"
    return client.post(f"{address}/try", data=form_of(client.get(address), "#connector-form"))


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
