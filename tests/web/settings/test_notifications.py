"""Settings → Notifications: rules and their addresses."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.eventlog import outbox
from tests.support.api import everything_stored
from tests.support.html import form_of, texts, words
from tests.web.parts import part_of
from tests.web.settings.notifications import KEYS, PAGE, SECRET, Events, FakeReceiver, add, press, send, toast


def test_only_possible_event_kinds_are_offered(client: FlaskClient) -> None:
    page = part_of(client.get(f"{PAGE}/new"), "rule")
    assert [field["value"] for field in page.select("[name=kinds]")] == KEYS
    assert {kind.key for kind in outbox.KINDS} == set(KEYS)


@pytest.mark.both_databases
def test_every_change_of_a_rule_is_audited_without_its_address(
    app: Flask, client: FlaskClient, events: Events, fake_receiver: FakeReceiver
) -> None:
    number = add(client, fake_receiver.url)
    page = f"{PAGE}/{number}"
    assert send(client, page, kinds=KEYS[:2], name="On duty", enabled=False).status_code == 303
    assert toast(client, send(client, page)) == "No changes to save."
    assert toast(client, send(client, page, url=f"{fake_receiver.url}/new")) == "Saved “On duty”. Changed: Apprise URL."
    assert press(client, f"{page}/delete").status_code == 303
    assert [(event["event_type"], event["description"]["text"]) for event in events()[1:]] == [
        ("NotifyRuleCreated", "Created the notify rule “On call”"),
        (
            "NotifyRuleChanged",
            "Changed the notify rule “On duty”: Name changed from “On call” to “On duty”; "
            "Told of changed from “auditing_off”, “connector_deleted”, “connector_disabled”, “connector_failing”, "
            "“sign_in_failed”, “chain_broken” to “auditing_off”, “connector_deleted”; Enabled changed from on to off",
        ),
        ("NotifyRuleChanged", "Changed the notify rule “On duty”: Apprise URL replaced"),
        ("NotifyRuleDeleted", "Deleted the notify rule “On duty”"),
    ]
    output = "".join(client.get(address).text for address in (PAGE, "/?range=all", "/api/changes", "/api/notify-rules"))
    assert SECRET not in output + everything_stored(app)
    line = part_of(client.get("/?event_type=NotifyRuleChanged"), "feed")
    [row] = [row for row in line.select("#feed article") if "settings:" in words(row)]
    assert texts(row, "summary .note, summary .saved .label") == ["3 settings:", "Name:", "Told of:", "and Enabled"]


def test_only_scheme_and_host_of_an_address_are_shown(client: FlaskClient, fake_receiver: FakeReceiver) -> None:
    number = add(client, fake_receiver.url)
    add(client, "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "Chat")
    assert texts(part_of(client.get(PAGE), "cards"), ".card .meta code") == [
        "slack://…",
        f"json://{fake_receiver.address}",
    ]
    for address in (PAGE, f"{PAGE}/{number}", f"{PAGE}/{number}/delete", f"/api/notify-rules/{number}"):
        text = client.get(address).text
        assert fake_receiver.address in text
        assert SECRET not in text
    assert form_of(client.get(f"{PAGE}/{number}"), "#rule")["url"] == ""


# Notations of a parameter that only Apprise reads as `template`.
HIDDEN = ("?a=b;template", "#?template", "?template%20", "?%20Template")


INVALID = [
    ("", "required"),
    ("nonsense", "does not support this URL"),
    ("https://example.com/x", "does not support this URL"),
    ("jsons://", "does not support this URL"),
    ("file:///etc/passwd", "PainChain's own machine"),
    *((f"{scheme}://x", "PainChain's own machine") for scheme in ("dbus", "gnome", "windows", "macosx", "syslog")),
    ("discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js?template=/etc/passwd", "files"),
    ("json://host.example/?+attach=file%3A%2F%2F%2Fetc%2Fpasswd", "files"),
    *((f"slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/{behind}=/etc/passwd", "files") for behind in HIDDEN),
    ("json://host.example/?a=file%253A%2F%2F%2Fetc%2Fpasswd", "files"),
    ("json://host.example/" + "x" * 2000, "2000 characters"),
    ("json://host.example/\u202e", "no spaces"),
]


@pytest.mark.parametrize("database", ["sqlite"])
def test_an_invalid_address_is_refused_with_a_message_that_does_not_repeat_it(
    client: FlaskClient, events: Events, subtests: pytest.Subtests
) -> None:
    for url, why in INVALID:
        with subtests.test(url[:60]):
            response = send(client, f"{PAGE}/new", name="On call", url=url)
            assert response.status_code == 422
            [error] = texts(part_of(response, "error-url"), "#error-url")
            assert why in error
            assert not url or url not in response.text
            assert len(events()) == 1


def test_invalid_values_are_marked_and_the_input_stays(client: FlaskClient, fake_receiver: FakeReceiver) -> None:
    add(client, fake_receiver.url)
    response = send(client, f"{PAGE}/new", name="on CALL", url=fake_receiver.url, kinds=[])
    assert response.status_code == 422
    page = part_of(response, "rule")
    assert "already" in words(page.select_one("#error-name"))
    assert words(page.select_one("#error-kinds")) == "Choose at least one kind of event."
    assert form_of(response, "#rule")["name"] == "on CALL"
    assert "Enter the URL again" in words(page.select_one("#rule"))
    assert send(client, f"{PAGE}/new", name="x", url=fake_receiver.url, kinds=["nothing_so"]).status_code == 422


def test_a_stale_form_does_not_overwrite_another_change(client: FlaskClient, fake_receiver: FakeReceiver) -> None:
    address = f"{PAGE}/{add(client, fake_receiver.url)}"
    old, old_delete = form_of(client.get(address), "#rule"), form_of(client.get(f"{address}/delete"))
    assert send(client, address, kinds=["auditing_off"]).status_code == 303
    response = client.post(address, data={**old, "name": "Mine", "kinds": KEYS})
    assert response.status_code == 409
    message = words(part_of(response, "conflict").select_one("#conflict"))
    assert "changed by system in the meantime. Your changes were not saved." in message
    assert "notifies when: Auditing is switched off." in message
    assert client.post(f"{address}/delete", data=old_delete).status_code == 409
    again = client.post(address, data={**form_of(response, "#rule"), "kinds": KEYS})
    assert again.status_code == 303, "having seen it"
    assert words(part_of(client.get(address), "main").h1) == "Mine"


def test_a_deleted_rule_has_a_message(client: FlaskClient) -> None:
    for address in (f"{PAGE}/9", f"{PAGE}/9/delete", f"{PAGE}/{2**70}", "/api/notify-rules/9"):
        assert client.get(address).status_code == 404
    assert client.post(f"{PAGE}/9/test").status_code == 400, "without a token"


# The API


def test_the_api_hides_the_address_and_checks_versions_too(
    client: FlaskClient, events: Events, fake_receiver: FakeReceiver
) -> None:
    body = {"name": "By script", "url": fake_receiver.url, "kinds": ["connector_deleted"]}
    created = client.post("/api/notify-rules", json=body)
    assert created.status_code == 201
    assert created.get_json()["url"] == f"json://{fake_receiver.address}"
    address = created.headers["Location"]
    assert client.patch(address, json={"enabled": False}).status_code == 428
    etag = {"If-Match": created.headers["ETag"]}
    changed = client.patch(address, json={"enabled": False}, headers=etag)
    assert (changed.status_code, changed.get_json()["enabled"]) == (200, False)
    assert client.patch(address, json={"name": "Late"}, headers=etag).status_code == 412
    assert client.delete(address, headers=etag).status_code == 412
    for wrong in ({"kinds": []}, {"kinds": ["x"]}, {"url": "dbus://"}, {"name": " "}, {"colour": "red"}):
        response = client.patch(address, json=wrong, headers={"If-Match": "*"})
        assert response.status_code == 422, wrong
        assert response.get_json()["errors"]
    assert client.post(f"{address}/test").get_json() == {"sent": True, "error": None}
    assert client.delete(address).status_code == 204
    assert [event["event_type"] for event in events()[1:]] == [
        "NotifyRuleCreated",
        "NotifyRuleChanged",
        "NotifyRuleDeleted",
    ]
