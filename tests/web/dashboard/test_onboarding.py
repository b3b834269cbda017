"""The setup checklist: what counts as done, who sees it, and what confirming and hiding record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain import connectors
from painchain.connectors.contract import PollResult
from painchain.ingestion import polling
from painchain.startup import create_app
from tests.conftest import close, settings_for
from tests.support.accounts import add_person, sign_in
from tests.support.html import form_of, soup, texts, words
from tests.support.statements import recorded_statements
from tests.web.parts import part_of

LOG = "/settings/audit-log"
RULE = {"name": "Page me", "url": "json://127.0.0.1:9", "kinds": ["connector_failing"]}
STEPS = ["source", "account", "notification", "key"]


def done(client: FlaskClient) -> dict[str, bool] | None:
    """Return whether each step of the checklist is done; None if there is no checklist."""
    page = part_of(client.get("/"), "onboarding")
    if not page.select_one("#onboarding"):
        return None
    return {str(step["data-step"]): "done" in step.get("class", []) for step in page.select("#onboarding li")}


def step_of(client: FlaskClient, key: str) -> str:
    return words(part_of(client.get("/"), "onboarding").select_one(f"#onboarding [data-step={key}]"))


def poll(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll a GitHub connector that finds nothing."""
    idle = replace(connectors.TYPES["github"], poll=lambda context: PollResult([], {}))
    monkeypatch.setitem(connectors.TYPES, "github", idle)
    now = datetime.now(UTC) + timedelta(seconds=1)
    with app.app_context():
        lease = polling.acquire(now)
        assert lease
        polling.poll(lease, lambda: now)


def confirm(client: FlaskClient, **values: str) -> TestResponse:
    """Tick "I have stored a copy of the root key" and press Confirm."""
    page = client.get(LOG)
    box = part_of(page, "confirm-key-copy").select_one("#confirm-key-copy input[type=checkbox]")
    form = {**form_of(page, "#confirm-key-copy"), "key": box["value"], **values}
    return client.post("/setup/key-copy", data=form)


def hide(client: FlaskClient) -> TestResponse:
    return client.post("/setup/hide", data=form_of(client.get("/setup/hide"), "main form"))


def recorded(client: FlaskClient, event_type: str) -> list[dict[str, object]]:
    events: list[dict[str, object]] = client.get("/api/changes", query_string={"event_type": event_type}).get_json()
    return events


def test_a_new_server_asks_for_a_source_a_rule_and_a_copy_of_the_key(client):
    assert done(client) == {"source": False, "account": True, "notification": False, "key": False}
    page = part_of(client.get("/"), "onboarding")
    assert words(page.select_one("#onboarding summary")) == "Setup 1 of 4 done Next: add a source"
    assert page.select_one("#onboarding details").has_attr("open"), "there is nothing else to see yet"
    assert texts(page, "#onboarding a.button") == [
        *("Add a connector", "Add account", "Add notification rule", "Confirm the copy")
    ]
    assert "only this machine can reach this server" in step_of(client, "account")
    for link in page.select("#onboarding a"):
        assert client.get(str(link["href"])).status_code == 200


def test_a_source_is_done_once_an_enabled_connector_was_polled(app, client, make_connector, monkeypatch):
    number = make_connector(name="Work GitHub")
    assert "“Work GitHub” is disabled." in step_of(client, "source")
    assert not part_of(client.get("/"), "onboarding").select_one("#onboarding details").has_attr("open")
    response = client.post(f"/api/connectors/{number}/enable")
    assert response.status_code == 200
    assert "“Work GitHub” has no data yet." in step_of(client, "source")
    assert done(client)["source"] is False
    poll(app, monkeypatch)
    client.post("/api/teams", json={"name": "Payments", "tags": ["a"]})  # so that the cached page is rendered again
    assert done(client)["source"] is True
    client.post(f"/api/connectors/{number}/disable")
    assert done(client)["source"] is False


def test_news_contain_the_checklist_until_it_is_hidden(client, make_connector):
    def sent_with_news() -> dict[str, str]:
        page = soup(client.get("/news?after=1", headers={"HX-Request": "true"}))
        return {str(place["id"]): words(place) for place in page.select(".setup[hx-swap-oob]")}

    client.post("/api/painchain/log", json={"event_type": "config_changed", "connector_name": "Deploy", "field": "a"})
    assert sent_with_news()["setup-start"].startswith("Setup 1 of 4 done Next: add a source")
    make_connector(name="Work GitHub")
    news = sent_with_news()
    assert (news["setup-start"], "“Work GitHub” is disabled." in news["setup-header"]) == ("", True)
    hide(client)
    assert sent_with_news() == {"setup-start": "", "setup-header": ""}


@pytest.mark.both_databases
def test_an_enabled_notification_rule_is_a_step(client):
    created = client.post("/api/notify-rules", json={**RULE, "enabled": False})
    assert created.status_code == 201, created.text
    assert done(client)["notification"] is False
    client.patch(f"/api/notify-rules/{created.get_json()['id']}", json={"enabled": True}, headers={"If-Match": "*"})
    assert done(client)["notification"] is True


def test_an_admin_confirms_a_copy_of_the_key_once(client):
    assert "Nobody has confirmed" in words(part_of(client.get(LOG), "key-copy").select_one("#key-copy"))
    response = confirm(client)
    assert (response.status_code, response.location) == (303, f"{LOG}#key-title")
    page = soup(client.get(LOG))
    assert "system confirmed just now" in words(page.select_one("#key-copy"))
    assert page.select_one("#confirm-key-copy") is None
    [event] = recorded(client, "KeyCopyConfirmed")
    assert event["author"] == "system"
    assert done(client)["key"] is True
    form = {**form_of(client.get("/setup/hide"), "main form"), "key": event["metadata"]["key"]}
    assert client.post("/setup/key-copy", data=form).status_code == 303
    assert len(recorded(client, "KeyCopyConfirmed")) == 1


def test_a_copy_of_another_key_is_refused(client):
    response = confirm(client, key="another")
    assert (response.status_code, "The root key was replaced" in response.text) == (409, True)
    assert confirm(client, key="").status_code == 422
    assert (recorded(client, "KeyCopyConfirmed"), done(client)["key"]) == ([], False)


@pytest.mark.both_databases
def test_hiding_is_stored_for_everybody_and_records_what_was_not_done(app, client):
    add_person(app)
    add_person(app, "bob", "editor")
    sign_in(client)
    confirm(client)
    form = form_of(client.get("/setup/hide"), "main form")
    assert hide(client).status_code == 303
    other = app.test_client()
    sign_in(other, "bob")
    assert (done(client), done(other)) == (None, None)
    [event] = recorded(client, "SetupListHidden")
    assert event["author"] == "alice"
    assert event["description"]["remaining"] == ["Add a source", "Add a notification rule"]
    assert client.post("/setup/hide", data=form).status_code == 303
    assert len(recorded(client, "SetupListHidden")) == 1


def test_an_editor_sees_the_list_and_a_viewer_does_not(app):
    for name, role in (("alice", "admin"), ("bob", "editor"), ("carol", "viewer")):
        add_person(app, name, role)
    editor, viewer = app.test_client(), app.test_client()
    sign_in(editor, "bob")
    sign_in(viewer, "carol")
    assert list(done(editor) or ()) == STEPS
    assert texts(part_of(editor.get("/"), "onboarding"), "#onboarding a.button") == ["Add a connector"]
    assert "An admin can do this." in step_of(editor, "key")
    assert done(viewer) is None
    assert part_of(viewer.get(LOG), "confirm-key-copy").select_one("#confirm-key-copy") is None


def test_the_list_is_gone_when_everything_is_done(app, client, make_connector, monkeypatch):
    make_connector(enabled="y")
    poll(app, monkeypatch)
    client.post("/api/notify-rules", json={**RULE, "enabled": True})
    assert done(client) == {"source": True, "account": True, "notification": True, "key": False}
    confirm(client)
    assert done(client) is None


def test_two_browsers_on_the_same_machine_get_forms_of_their_own(app):
    first, second = app.test_client(), app.test_client()
    forms = [form_of(client.get("/setup/hide"), "main form") for client in (first, second, first, second)]
    assert first.post("/setup/hide", data=forms[2]).status_code == 303
    assert second.post("/setup/hide", data=forms[3]).status_code == 303


def test_the_list_costs_no_statement(app, client, make_connector):
    make_connector(enabled="y")
    add_person(app)
    sign_in(client)
    for is_shown in (True, False):
        with recorded_statements(app) as statements:
            assert (done(client) is not None) is is_shown
        [statement] = [statement for statement in statements if "onboarding" in statement]
        assert "poll_states" in statement, "it is part of the statement that reads the connectors"
        assert not any("notify_rules" in other for other in statements if other != statement)
        if is_shown:
            hide(client)


def test_a_server_beyond_loopback_has_an_account(settings, tmp_path):
    app = create_app(settings_for(tmp_path / "far", host="0.0.0.0"))
    add_person(app)
    client = app.test_client()
    sign_in(client)
    assert step_of(client, "account") == "Create an account (done) Help"
    close(app)
