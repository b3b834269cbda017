"""The reason of a change: every form has a field for it, the API accepts it, it is shown and can be searched."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

from painchain.core.reasons import MAX_LENGTH
from tests.support.html import fill, form_of, soup, texts, unfold, words

TEMPLATES = Path(__file__).parents[3] / "templates"
LIST = "/settings/integrations"
WHY = "Größe of the incident 4711"

# Forms without a reason field, with why.
WITHOUT = {
    "layout.html": "signing out is no save",
    "pages/account/sign_in.html": "signing in is no save",
    "pages/account/link.html": "setting the own password needs no reason",
    "pages/account/account.html": "the own password and sessions need no reason",
    "pages/settings/audit_log.html": "comparing checkpoints saves nothing; creating a checkpoint asks for it",
    "pages/dashboard/export.html": "it saves nothing",
    "pages/dashboard/report.html": "it saves nothing",
    "pages/settings/views.html": "choosing a start page needs no reason",
    "partials/dashboard/add_note.html": "a note is its own reason",
    "partials/settings/integrity_status.html": "it saves nothing",
    "partials/settings/notify_state.html": "it saves nothing of the rule",
    "partials/settings/sync.html": "it saves nothing",
    "partials/settings/switch.html": "a switch; it sends the reason of the connector's form",
}


def edit(client, connector_id, **values):
    address = f"{LIST}/{connector_id}"
    return client.post(address, data=fill(form_of(client.get(address), "#connector-form"), **values))


def test_every_event_of_a_save_has_the_reason_which_is_shown_once(client, make_connector, events):
    connector_id = make_connector()
    assert edit(client, connector_id, poll_interval="600", name="Play", reason=f" {WHY}\n").status_code == 303
    new_events = events()[-3:]
    assert [event["description"].get("reason") for event in new_events] == [WHY] * 3
    assert len({event["request_id"] for event in new_events}) == 1
    page = unfold(client, soup(client.get("/")))
    assert texts(page, "#feed summary .reason") == [f"“{WHY}”"]
    assert texts(page, "#feed [data-field=reason] dd") == [WHY] * 3
    assert WHY in words(soup(client.get(f"/events/{new_events[0]['id']}")).select_one(".meta"))
    assert form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form")["reason"] == ""


# Searches, and the number of events that each finds.
SEARCHES = {
    "grosse 4711": 2,
    'reason:"incident 4711"': 2,
    "reason:incident type:config_changed": 1,
    "-reason:incident": 2,
    "reason:4711,else": 2,
    'reason:"4711 incident"': 0,
    "reason:play": 0,
    "reason:***": 0,
}


def test_a_reason_can_be_searched(client, make_connector, events):
    connector_id = make_connector(name="Play")
    edit(client, connector_id, poll_interval="600", reason=WHY)
    assert {q: len(events(q=q)) for q in SEARCHES} == SEARCHES


def test_a_refused_form_keeps_its_reason(client, make_connector, events):
    connector_id = make_connector()
    before = events()
    page = edit(client, connector_id, poll_interval="none", reason=WHY)
    assert (page.status_code, form_of(page, "#connector-form")["reason"]) == (422, WHY)
    headers = {"HX-Request": "true"}
    data = {**form_of(page, "#connector-form"), "poll_interval": "600"}
    response = client.post(f"{LIST}/{connector_id}", data=data, headers=headers)
    assert (response.status_code, form_of(response, "#connector-form")["reason"]) == (200, "")
    assert len(events()) > len(before)
    assert edit(client, connector_id, poll_interval="700", reason="x" * (MAX_LENGTH + 1)).status_code == 422
    assert events()[-1]["description"]["reason"] == WHY


def test_the_api_accepts_the_reason_as_a_header(client, events):
    body = {"name": "Cluster", "type": "kubernetes"}
    assert client.post("/api/connectors", json=body, headers={"X-Reason": quote(WHY)}).status_code == 201
    assert events()[-1]["description"]["reason"] == WHY
    refused = client.post("/api/connectors", json={**body, "name": "B"}, headers={"X-Reason": "y" * (MAX_LENGTH + 1)})
    assert (refused.status_code, events()[-1]["description"]["reason"]) == (422, WHY)
    odd = {"X-Reason": "%ff%00%E2%80%AE https://me:planted@host.example/"}
    assert client.post("/api/teams", json={"name": "A", "tags": ["a"]}, headers=odd).status_code == 201
    recorded_reason = events()[-1]["description"]["reason"]
    assert "planted" not in recorded_reason
    assert recorded_reason.isprintable()


def test_every_form_that_saves_has_a_reason_field():
    has_reason_by_template = {}
    for path in TEMPLATES.rglob("*.html"):
        if forms := re.findall(r'<form[^>]* method="post"(?:.(?!</form>))*.', path.read_text(), re.DOTALL):
            has_reason_by_template[str(path.relative_to(TEMPLATES))] = all(
                "partials/shared/reason.html" in form for form in forms
            )
    del has_reason_by_template[
        "pages/settings/notification.html"
    ]  # also has a form without a reason, for a test message
    assert {name for name, has_reason in has_reason_by_template.items() if not has_reason} == set(WITHOUT)


def test_a_switch_outside_the_form_uses_the_reason_of_the_form(client, make_connector):
    page = soup(client.get(f"{LIST}/{make_connector()}"))
    assert page.select_one("form.switch")["hx-include"] == "#reason"
    assert page.select_one("#reason")["name"] == "reason"
    toggles = page.select("#visibility [hx-params]")
    assert toggles
    assert all("reason" in toggle["hx-params"].split(",") for toggle in toggles)


def test_automatic_changes_have_a_reason(client, events):
    [first] = events()
    assert (first["author"], first["description"]["cause"]) == ("system", "first start")
    assert client.post("/api/teams", json={"name": "A", "tags": ["a"]}).status_code == 201
    assert (events()[-1]["author"], events()[-1]["description"]["cause"]) == ("system", "no accounts yet")
    page = unfold(client, soup(client.get("/?range=all")))
    assert texts(page, "#feed [data-field=cause] dd") == ["no accounts yet", "first start"]
