"""Secrets of connectors are stored encrypted, and changes of them are recorded without their values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, text

from painchain.configuration import connector_store, secrets
from painchain.configuration.errors import InvalidValues
from painchain.core.crypto import KeyUnusable, new_key, parse_key
from painchain.database.session import db
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.configuration.connectors import TOKEN, attribute, create, save, stored


def secret_events(app: Flask) -> list[tuple[Any, Any]]:
    """Return the recorded old and new value of each change of a token."""
    with app.app_context():
        events = queries.written_after(Filter(event_type=("ConfigChanged",)), 1)
        return [(event.description["old_value"], event.description["new_value"]) for event in events]


def test_setting_replacing_and_clearing_a_secret_records_only_that(app):
    number = create(app, "kubernetes", token=None)
    for token in ("first", "second", None):
        assert save(app, number, token=token)
    assert secret_events(app) == [(None, "set"), ("set", "replaced"), ("set", "cleared")]
    assert attribute(app, number, "secrets") == {}


@pytest.mark.parametrize("address", ["https://other.example", "http://api.github.com", "https://api.github.com:8443"])
def test_a_stored_secret_never_goes_to_another_server(app, new_titles, address):
    number = create(app)
    with pytest.raises(InvalidValues, match="Enter the token again"):
        save(app, number, base_url=address)
    assert stored(app, number)["base_url"] == "https://api.github.com"
    assert save(app, number, base_url="https://api.github.com/api/v3")
    assert save(app, number, base_url=address, token="for-that-server")


def test_a_secret_that_is_not_submitted_is_unchanged(app, new_titles):
    number = create(app)
    sealed = attribute(app, number, "secrets")
    save(app, number, poll_interval=600)
    assert attribute(app, number, "secrets") == sealed
    assert "[Config Changed] Work - token" not in new_titles()


@pytest.mark.parametrize("same", ["made-up", " made-up\r\n"])
def test_the_same_secret_again_is_not_a_change(app, new_titles, same):
    number = create(app)
    sealed = attribute(app, number, "secrets")
    assert not save(app, number, token=same)
    assert attribute(app, number, "secrets") == sealed
    assert len(new_titles()) == 1


def test_clearing_an_unset_secret_is_not_a_change(app, new_titles):
    number = create(app, "kubernetes", token=None)
    assert not save(app, number, token=None)
    assert len(new_titles()) == 1


@pytest.mark.parametrize("type_key", ["github", "gitlab"])
def test_a_required_secret_can_be_replaced_but_not_cleared(app, type_key):
    number = create(app, type_key)
    with pytest.raises(InvalidValues, match="instead of clearing"):
        save(app, number, token=None)
    assert set(attribute(app, number, "secrets")) == {"token"}


def test_a_secret_encrypted_with_a_lost_key_is_detected_and_can_be_replaced(app):
    number = create(app)
    with app.app_context():
        secrets.check_key()
        app.extensions["painchain"].box = parse_key(new_key(), "a new key file").box()
        with pytest.raises(KeyUnusable, match="does not decrypt the stored tokens"):
            secrets.check_key()
    assert save(app, number, token="made-up")
    assert secret_events(app) == [("set", "replaced")]
    with app.app_context():
        secrets.check_key()


def everything_stored(app: Flask, settings: Any) -> str:
    """Return the complete content of the database: every row of every table, and the bytes of its files."""
    with app.app_context(), db.engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        rows = [str(connection.execute(text(f'SELECT * FROM "{table}"')).all()) for table in tables]
    files = [path for path in Path(settings.instance).iterdir() if path.name.startswith("painchain.db")]
    return "\n".join([*rows, *(path.read_bytes().decode("latin-1") for path in files)])


def test_a_planted_token_is_stored_only_encrypted_in_its_column(app, settings, client, events):
    new = {"name": "Work", "type": "github", "config": {"token": TOKEN}}
    created = client.post("/api/connectors", json=new)
    address, etag = f"/api/connectors/{created.json['id']}", {"If-Match": created.headers["ETag"]}
    again = client.patch(address, json={"config": {"token": TOKEN + "-2", "poll_interval": 900}}, headers=etag)
    log = {"event_type": "config_changed", "connector_name": "Work", "connector_type": "github", "field": "token"}
    reported = client.post("/api/painchain/log", json={**log, "old_value": TOKEN, "new_value": TOKEN + "-2"})
    answers = [created, again, reported, *(client.get(path) for path in (address, "/api/connectors", "/api/stats"))]
    assert {response.status_code for response in answers} == {200, 201}
    assert "planted" not in "".join(response.get_data(as_text=True) for response in answers)
    assert again.json["config"]["token"] == {"set": True}
    assert len(events(event_type="ConfigChanged")) == 3
    assert "planted" not in str(events())
    stored_values = everything_stored(app, settings)
    assert "Work" in stored_values
    assert "planted" not in stored_values
    assert decrypted_token(app, created.json["id"]) == TOKEN + "-2"


def test_error_messages_do_not_contain_a_token(client):
    for config in ({"token": TOKEN + "x" * 10_000}, {"token": [TOKEN]}, {"token": TOKEN, "poll_interval": 7}):
        refused = client.post("/api/connectors", json={"name": "Work", "type": "github", "config": config})
        assert refused.status_code == 422
        assert "planted" not in refused.get_data(as_text=True)


def decrypted_token(app: Flask, number: int) -> str:
    """Return the stored token, decrypted."""
    with app.app_context():
        return app.extensions["painchain"].box.decrypt(connector_store.get(number).secrets["token"]).decode()
