"""The API never stores a secret in plain text and never returns one."""

from __future__ import annotations

import re

from flask import Flask
from flask.testing import FlaskClient

from tests.support.api import (
    ABOUT,
    CANARY,
    GITHUB,
    KUBERNETES,
    SEVEN,
    Events,
    everything_stored,
    fields_at_fault,
    log,
    patch,
)

WITH_SECRETS = [
    {"field": "token", "old_value": CANARY, "new_value": "x"},
    {"field": "token", "connector_type": "github", "new_value": CANARY},
    {"field": "token", "connector_type": "painchain", "new_value": CANARY},
    {"field": "token", "connector_type": "jenkins", "new_value": CANARY},
    {"field": "db_password", "new_value": CANARY},
    {"field": "passphrase", "new_value": CANARY},
    {"field": "client_secret", "new_value": [CANARY]},
    {"field": "API-Key", "old_value": {"nested": CANARY}},
    {"field": "login", "new_value": {"user": "me", "password": CANARY}},
    {"field": "logins", "new_value": [{"api_key": [CANARY]}]},
    {"field": "mirror", "old_value": f"https://me:{CANARY}@git.example/x"},
    {"field": "mirror", "new_value": {"urls": [f"https://git.example/x?private_token={CANARY}&page=2"]}},
    {"field": "mirror", "new_value": {f"https://{CANARY}@git.example": 1}},
    {"field": f"https://me:{CANARY}@git.example"},
    {"field": f"https://me:{CANARY}@git.example/token"},
    {"field": f"https://me:{CANARY.replace('-', '_')}@git.example"},
    {"field": "x", "connector_name": f"https://me:{CANARY}@git.example"},
    {"field": "x", "connector_type": f"https://me:{CANARY}@git.example"},
    {"field": "x", "author": f"https://me:{CANARY}@git.example"},
]


def test_a_secret_in_a_logged_change_is_neither_stored_nor_returned(app: Flask, client: FlaskClient) -> None:
    for body in WITH_SECRETS:
        response = log(client, **{"event_type": "config_changed", "connector_name": "Prod", **body})
        assert response.status_code == 201, body
        assert not re.search("canary.4711", response.text + everything_stored(app)), body


def test_a_secret_in_a_logged_update_is_neither_stored_nor_returned(
    app: Flask, client: FlaskClient, events: Events
) -> None:
    changes = {
        "token": {"old": None, "new": CANARY},
        "webhook_secret": {"old": "x", "new": CANARY},
        "password": {"old": CANARY, "new": ""},
        "base_url": {"old": f"https://me:{CANARY}@git.example", "new": "https://git.example"},
    }
    assert log(client, event_type="connector_updated", **ABOUT, changes=changes).status_code == 201
    assert CANARY not in everything_stored(app)
    assert events()[-1]["metadata"]["changes"] == {
        "token": {"old": None, "new": "set"},
        "webhook_secret": {"old": "set", "new": "replaced"},
        "password": {"old": "set", "new": "cleared"},
        "base_url": {"old": "https://***@git.example", "new": "https://git.example"},
    }


def test_an_unknown_member_is_refused_without_repeating_its_value(app: Flask, client: FlaskClient) -> None:
    response = log(client, **{**SEVEN[5][0], "password": CANARY})
    assert fields_at_fault(response) == ["password"]
    assert CANARY not in response.text + everything_stored(app)


def test_a_connector_token_is_never_returned_and_stored_only_encrypted(
    app: Flask, client: FlaskClient, github: str
) -> None:
    answers = [client.get(address).text for address in (github, "/api/connectors", "/api/changes")]
    answers.append(patch(client, github, config={"token": f"new {CANARY}"}).text)
    assert CANARY not in "".join(answers) + everything_stored(app)
    assert client.get(github).get_json()["config"]["token"] == {"set": True}


def test_a_token_is_recorded_as_set_replaced_and_cleared(client: FlaskClient, events: Events) -> None:
    address = client.post("/api/connectors", json=KUBERNETES).headers["Location"]
    for token in ("first", "second", "second", ""):
        assert patch(client, address, config={"token": token}).status_code == 200
    recorded = [event["description"] for event in events(event_type="ConfigChanged")]
    assert [(change["old_value"], change["new_value"]) for change in recorded] == [
        (None, "set"),
        ("set", "replaced"),
        ("set", "cleared"),
    ]
    assert client.get(address).get_json()["config"]["token"] == {"set": False}


def test_an_error_message_does_not_repeat_a_refused_token(client: FlaskClient) -> None:
    response = client.post("/api/connectors", json={**GITHUB, "config": {"token": [CANARY]}})
    assert fields_at_fault(response) == ["config.token"]
    assert CANARY not in response.text
