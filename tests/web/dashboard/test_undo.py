"""Settings are reverted after a preview, refused if changed since, and audited; by page and by API."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain import connectors
from tests.support.html import fill, form_of, soup, texts, unfold, words

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
SYSTEM = 1


def change(client: FlaskClient, number: int, **values: Any) -> None:
    """Change some values of a connector through the API, like another person."""
    top = {key: values.pop(key) for key in ("name", "tags") if key in values}
    body = {**top, "config": values}
    answer = client.patch(f"/api/connectors/{number}", json=body, headers={"If-Match": "*"})
    assert answer.status_code == 200, answer.text


def stored(client: FlaskClient, number: int) -> dict[str, Any]:
    connector = client.get(f"/api/connectors/{number}").get_json()
    return {**connector, **connector["config"]}


def newest(client: FlaskClient, event_type: str, field: str = "") -> dict[str, Any]:
    """Return the newest event of a type, and of a field if given."""
    matching = client.get("/api/changes", query_string={"event_type": event_type}).get_json()
    return next(event for event in matching if field in ("", event["metadata"].get("field")))


def page_of(event: dict[str, Any]) -> str:
    return f"/events/{event['id']}/restore"


def revert(client: FlaskClient, event: dict[str, Any], *, htmx: bool = False, **values: Any) -> TestResponse:
    """Open the preview, tick the settings in `fields` (default: the preselected ones) and press the button."""
    opened = client.get(page_of(event))
    fields = [str(field["value"]) for field in soup(opened).select("[name=fields][checked]")]
    form = {**form_of(opened, "#restore"), "fields": fields, **values}
    return client.post(page_of(event), data=form, headers=HTMX if htmx else {})


def revert_by_api(client: FlaskClient, event: dict[str, Any], **body: Any) -> TestResponse:
    return client.post(f"/api/changes/{event['id']}/restore", json=body)


def previewed(page: BeautifulSoup) -> dict[str, str]:
    """Return the text of the preview for each setting: the change, or why it cannot be reverted."""
    return {
        str(item["data-field"]): words(item.select_one(".obstacle") or item.select_one(".change"))
        for item in page.select("#restore li")
    }


def refusal_reason(client: FlaskClient, event: dict[str, Any]) -> str:
    """Return why an event cannot be reverted, after asserting that page and API give the same reason."""
    page = soup(client.get(page_of(event)))
    [reason] = texts(page, "#restore .obstacle")
    assert page.select_one("#restore button") is None
    before = client.get("/api/changes?limit=1").get_json()
    [error] = revert_by_api(client, event).get_json()["errors"]
    assert error["message"] == reason
    assert client.get("/api/changes?limit=1").get_json() == before
    return reason


# Reverting


@pytest.mark.both_databases
@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_reverting_a_setting_is_previewed_and_audited(client, make_connector, htmx):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=3600)
    event = newest(client, "ConfigChanged")
    assert previewed(soup(client.get(page_of(event)))) == {"poll_interval": "3600 → 300"}
    answer = revert(client, event, htmx=htmx)
    if htmx:
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"{LIST}/{connector_id}")
    else:
        assert (answer.status_code, answer.location) == (303, f"{LIST}/{connector_id}")
    page = soup(client.get(f"{LIST}/{connector_id}"))
    assert texts(page, "#toast .toast span") == ["Reverted in “Work GitHub”: Poll interval."]
    assert texts(page, "#feed .event-type")[:2] == ["Connector Updated", "Config Changed"]
    assert texts(page, "#feed .change")[0] == "Poll interval: 3600 → 300"
    assert stored(client, connector_id)["poll_interval"] == 300


def test_the_new_events_link_to_the_event_that_they_revert(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=3600)
    event = newest(client, "ConfigChanged")
    assert revert(client, event).status_code == 303
    for event_type in ("ConfigChanged", "ConnectorUpdated"):
        new = newest(client, event_type)
        assert new["metadata"]["reverts"] == new["description"]["reverts"] == event["event_id"]
        for address in ("/", f"/events/{new['id']}"):
            details = unfold(client, soup(client.get(address))).select_one(f"#event-{new['id']} > details")
            assert "reverts an earlier change" in texts(details, ":scope > summary .note")
            links = details.select(":scope > .details .links a")
            [link] = [link for link in links if words(link) == f"Reverts {event['event_id']}"]
            assert client.get(str(link["href"])).location == f"/events/{event['id']}"


def test_an_ordinary_change_is_not_marked_as_a_revert(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=3600)
    event = newest(client, "ConfigChanged")
    assert "reverts" not in event["metadata"]
    assert "reverts" not in event["description"]
    assert "reverts" not in client.get(f"/events/{event['id']}").text.lower()


def test_some_settings_of_a_save_can_be_reverted(client, make_connector):
    connector_id = make_connector(tags="a, b")
    change(client, connector_id, name="Home", tags=["b", "c"], poll_interval=600, repos=["acme/api"])
    event = newest(client, "ConnectorUpdated")
    assert previewed(soup(client.get(page_of(event)))) == {
        "name": "Home → Work GitHub",
        "tags": "−c +a",
        "poll_interval": "600 → 300",
        "repos": "−acme/api",
    }
    assert revert(client, event, fields=["name", "tags"]).status_code == 303
    now = stored(client, connector_id)
    assert (now["name"], set(now["tags"]), now["poll_interval"], now["repos"]) == (
        "Work GitHub",
        {"a", "b"},
        600,
        ["acme/api"],
    )
    assert newest(client, "ConnectorUpdated")["metadata"]["changes"].keys() == {"name", "tags"}


def test_visibility_changes_can_be_reverted(client, make_connector):
    connector_id = make_connector()
    form = fill(form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form"), **{"visible.Commit.sha": False})
    assert client.post(f"{LIST}/{connector_id}", data=form).status_code == 303
    save_event = newest(client, "ConnectorUpdated")
    assert previewed(soup(client.get(page_of(save_event)))) == {"field_visibility.Commit.sha": "hidden → shown"}
    assert revert(client, save_event).status_code == 303
    assert stored(client, connector_id)["visibility"]["Commit"]["sha"] is True
    toggled = newest(client, "FieldVisibilityChanged")
    assert toggled["metadata"]["reverts"] == save_event["event_id"]
    assert revert(client, toggled).status_code == 303
    assert stored(client, connector_id)["visibility"]["Commit"]["sha"] is False
    assert refusal_reason(client, toggled).endswith("of Commit is already hidden.")


def test_the_name_of_the_built_in_connector_can_be_reverted(client):
    change(client, SYSTEM, name="Ours")
    assert revert(client, newest(client, "ConfigChanged")).status_code == 303
    assert stored(client, SYSTEM)["name"] == "PainChain System"


def test_a_revert_can_be_reverted(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    for value in (300, 600):
        assert revert(client, newest(client, "ConfigChanged")).status_code == 303
        assert stored(client, connector_id)["poll_interval"] == value


def test_while_auditing_is_off_a_revert_works_and_is_not_recorded(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    client.post(f"/api/connectors/{SYSTEM}/disable")
    event = newest(client, "ConfigChanged")
    assert revert(client, event).status_code == 303
    assert stored(client, connector_id)["poll_interval"] == 300
    assert newest(client, "ConfigChanged") == event


# Refusals


def test_a_secret_is_never_reverted(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, token="another", poll_interval=600)
    secret, save = newest(client, "ConfigChanged", "token"), newest(client, "ConnectorUpdated")
    assert "secret" in refusal_reason(client, secret)
    assert revert_by_api(client, secret).status_code == revert_by_api(client, save, fields=["token"]).status_code == 422
    assert revert(client, save, fields=["token", "poll_interval"]).status_code == 422
    assert stored(client, connector_id)["poll_interval"] == 600
    assert revert_by_api(client, save).status_code == 200, "without a choice everything but secrets is put back"
    assert stored(client, connector_id)["poll_interval"] == 300


def test_a_setting_changed_since_is_not_reverted_and_its_current_value_is_shown(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    change(client, connector_id, poll_interval=900)
    assert refusal_reason(client, event) == "Poll interval was changed again later. It is now 900."
    change(client, connector_id, poll_interval=300)
    assert refusal_reason(client, event) == "Poll interval is already 300."
    assert revert_by_api(client, event).status_code == 409


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_a_change_between_preview_and_revert_refuses_the_whole_revert(client, make_connector, htmx):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600, name="Home")
    event = newest(client, "ConnectorUpdated")
    form = {**form_of(client.get(page_of(event)), "#restore"), "fields": ["poll_interval", "name"]}
    change(client, connector_id, poll_interval=900)
    before = client.get("/api/changes").get_json()
    answer = client.post(page_of(event), data=form, headers=HTMX if htmx else {})
    assert answer.status_code == 409
    page = soup(answer)
    assert bool(page.find("html")) != htmx
    assert texts(page, "[role=alert]") == ["Nothing was changed: Poll interval was changed again later. It is now 900."]
    assert [field["value"] for field in page.select("[name=fields][checked]")] == ["name"]
    assert stored(client, connector_id)["name"] == "Home"
    assert client.get("/api/changes").get_json() == before
    assert revert(client, event).status_code == 303
    assert (stored(client, connector_id)["name"], stored(client, connector_id)["poll_interval"]) == ("Work GitHub", 900)


def test_another_changed_field_does_not_prevent_the_revert(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    form = {**form_of(client.get(page_of(event)), "#restore"), "fields": ["poll_interval"]}
    change(client, connector_id, name="Home")
    assert client.post(page_of(event), data=form).status_code == 303
    assert stored(client, connector_id)["poll_interval"] == 300


def test_changes_of_a_deleted_connector_cannot_be_reverted(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    form = form_of(client.get(page_of(event)), "#restore")
    assert client.delete(f"/api/connectors/{connector_id}").status_code == 204
    assert refusal_reason(client, event) == "The connector was deleted."
    assert client.post(page_of(event), data={**form, "fields": ["poll_interval"]}).status_code == 409
    assert revert_by_api(client, event).status_code == 409


def test_a_value_that_is_no_longer_valid_is_not_reverted(client, make_connector):
    connector_id = make_connector()
    report = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "poll_interval"}
    client.post("/api/painchain/log", json={**report, "old_value": 5, "new_value": 300})
    event = newest(client, "ConfigChanged")
    assert refusal_reason(client, event).startswith("The old value is no longer valid: Poll interval must be")
    assert revert_by_api(client, event).status_code == 422
    client.post("/api/painchain/log", json={**report, "old_value": {"odd": 1}, "new_value": ["odd"]})
    assert "changed again later" in refusal_reason(client, newest(client, "ConfigChanged"))
    client.post("/api/painchain/log", json={**report, "field": "base_url", "old_value": "https://a:b@host.example"})
    assert stored(client, connector_id)["base_url"] == "https://api.github.com"


def test_a_field_that_no_longer_exists_is_not_reverted(client, make_connector):
    make_connector()
    report = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "colour"}
    client.post("/api/painchain/log", json={**report, "old_value": "red", "new_value": "blue"})
    assert refusal_reason(client, newest(client, "ConfigChanged")) == "A GitHub connector no longer has Colour."


def test_a_name_that_is_taken_by_now_is_not_reverted(client, make_connector):
    connector_id = make_connector(name="Work")
    change(client, connector_id, name="Home")
    event = newest(client, "ConfigChanged")
    make_connector(name="WORK")
    assert refusal_reason(client, event) == "A connector named “Work” already exists."


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_an_empty_or_unknown_choice_is_refused(client, make_connector, htmx):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    none = revert(client, event, htmx=htmx, fields=[])
    assert (none.status_code, texts(soup(none), "[role=alert]")) == (
        422,
        ["Not reverted: select at least one setting."],
    )
    odd = revert(client, event, htmx=htmx, fields=["poll_interval", "name"])
    assert odd.status_code == 422
    assert "Choose only settings that this event changed: poll_interval." in words(soup(odd).select_one("[role=alert]"))
    assert stored(client, connector_id)["poll_interval"] == 600


def test_events_that_changed_no_setting_cannot_be_reverted(client, make_connector):
    connector_id = make_connector()
    created = newest(client, "ConnectorCreated")
    client.post("/api/painchain/log", json={"event_type": "config_changed", "connector_name": "Else", "field": "x"})
    for event in (created, newest(client, "ConfigChanged")):
        assert client.get(page_of(event)).status_code == revert_by_api(client, event).status_code == 404
        token = form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form")["csrf_token"]
        assert client.post(page_of(event), data={"csrf_token": token, "fields": ["x"]}).status_code == 404
        assert "Revert…" not in client.get(f"/events/{event['id']}").text


def test_unknown_events_cannot_be_reverted(client, make_connector):
    token = form_of(client.get(f"{LIST}/{make_connector()}"), "#connector-form")["csrf_token"]
    for number in (999999, 2**70):
        assert client.get(f"/events/{number}/restore").status_code == 404
        assert client.post(f"/events/{number}/restore", data={"csrf_token": token}).status_code == 404
    for number in (999999, 2**70, "painchain-nothing-1.000000", "a/b"):
        assert client.post(f"/api/changes/{number}/restore", json={}).status_code == 404


def test_a_form_without_csrf_token_reverts_nothing(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    assert client.post(page_of(newest(client, "ConfigChanged")), data={"fields": ["poll_interval"]}).status_code == 400
    assert stored(client, connector_id)["poll_interval"] == 600


def test_the_revert_link_is_shown_if_something_can_be_reverted(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600, token="another")
    for event_type, field, offered in (
        ("ConfigChanged", "poll_interval", True),
        ("ConfigChanged", "token", False),
        ("ConnectorUpdated", "", True),
        ("ConnectorCreated", "", False),
    ):
        event = newest(client, event_type, field)
        for address in (f"/events/{event['id']}", "/"):
            page = unfold(client, soup(client.get(address)))
            links = page.select(f"#event-{event['id']} .links a[href='{page_of(event)}']")
            assert bool(links) == offered, (event_type, field, address)


# By script


def test_a_script_reverts_by_number_or_event_id_and_gets_the_connector(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    answer = client.post(f"/api/changes/{event['event_id']}/restore", json={"fields": ["poll_interval"]})
    assert (answer.status_code, answer.get_json()) == (200, client.get(f"/api/connectors/{connector_id}").get_json())
    assert answer.headers["ETag"] == client.get(f"/api/connectors/{connector_id}").headers["ETag"]
    assert stored(client, connector_id)["poll_interval"] == 300
    assert newest(client, "ConfigChanged")["request_id"] == answer.headers["X-Request-Id"]
    assert revert_by_api(client, event).get_json()["errors"] == [
        {"field": "poll_interval", "message": "Poll interval is already 300."}
    ]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"fields": []}, 422), ({"fields": "name"}, 422), ({"fields": [1]}, 422), ({"other": 1}, 422), ([], 422)],
)
def test_an_invalid_body_is_refused(client, make_connector, body, status):
    change(client, make_connector(), poll_interval=600)
    event = newest(client, "ConfigChanged")
    assert client.post(f"/api/changes/{event['id']}/restore", json=body).status_code == status


def test_another_site_cannot_revert_anything(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    address = f"/api/changes/{newest(client, 'ConfigChanged')['id']}/restore"
    assert client.post(address, json={}, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert client.post(address, data="{}", content_type="text/plain").status_code == 415
    assert client.post(f"{address}?fields=name", json={}).status_code == 422
    assert stored(client, connector_id)["poll_interval"] == 600


def test_an_address_is_not_reverted_if_the_token_is_of_another_server(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, base_url="https://git.example", token="for-git-example")
    address = f"/api/changes/{newest(client, 'ConnectorUpdated')['id']}/restore"
    answer = client.post(address, json={"fields": ["base_url"]})
    assert (answer.status_code, stored(client, connector_id)["config"]["base_url"]) == (422, "https://git.example")
    assert "points to another server" in answer.get_json()["message"] + str(answer.get_json()["errors"])


@pytest.mark.parametrize("key", connectors.ADDABLE)
def test_every_setting_except_secrets_can_be_reverted(client, make_connector, key):
    connector_id = make_connector(key, "One")
    item = "shop" if key == "kubernetes" else "acme/api"
    samples = {"number": 77, "checkbox": False, "list": [item], "text": "other", "url": "https://other.example"}
    has_token = key != "kubernetes"
    fields = [field for field in connectors.TYPES[key].fields if field.kind in samples]
    fields = [field for field in fields if not (has_token and field.kind == "url")]
    before = stored(client, connector_id)
    patterns = {"leave_out": ["Secret/ci/*"]}
    change(client, connector_id, **{field.key: patterns.get(field.key, samples[field.kind]) for field in fields})
    assert stored(client, connector_id) != before
    assert revert(client, newest(client, "ConnectorUpdated")).status_code == 303
    assert stored(client, connector_id)["config"] == before["config"]
