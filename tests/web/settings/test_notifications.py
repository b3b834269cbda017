"""Settings → Notifications: rules, the messages that they send, and retries of undelivered messages."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.audit import event_kinds
from painchain.audit.records import Subject
from painchain.audit.trail import Trail
from painchain.eventlog import outbox, writer
from painchain.workers.notifications import NotificationWorker
from tests.support.api import everything_stored, refuse
from tests.support.html import fill, form_of, soup, texts, words

Events = Callable[..., list[dict[str, Any]]]
Make = Callable[..., int]
PAGE = "/settings/notifications"
SECRET = "p4ssw0rd-and-path"
KEYS = [
    "auditing_off",
    "connector_deleted",
    "connector_disabled",
    "connector_failing",
    "sign_in_failed",
    "chain_broken",
]


class FakeReceiver:
    """A fake HTTP receiver of notifications on this machine."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()
        fake_receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message_body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fake_receiver.hold.wait(20)
                if fake_receiver.status == 200:
                    fake_receiver.messages.append(message_body)
                self.send_response(fake_receiver.status)
                self.end_headers()

            def log_message(self, *about: Any) -> None:
                """Keep the output of the tests clean."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.url = f"json://me:{SECRET}@{self.address}/{SECRET}"

    @property
    def titles(self) -> list[str]:
        return [message_body["title"] for message_body in self.messages]


@pytest.fixture
def fake_receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeReceiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    receiver = FakeReceiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def run_worker_in(app: Flask) -> Callable[..., None]:
    """Return a function that runs the notification worker some time from now."""

    def run(**after: int) -> None:
        now = datetime.now(UTC) + timedelta(**after)
        NotificationWorker(app, lambda: now).run_once()

    return run


def send(client: FlaskClient, address: str, kinds: list[str] | None = None, **values: Any) -> TestResponse:
    """Fill in the form of a rule and send it."""
    page = client.get(address)
    form = fill(form_of(page, "#rule"), **values)
    ticked = [str(field["value"]) for field in soup(page).select("[name=kinds][checked]")]
    return client.post(address, data={**form, "kinds": ticked if kinds is None else kinds})


def add(client: FlaskClient, url: str, name: str = "On call", **values: Any) -> int:
    response = send(client, f"{PAGE}/new", name=name, url=url, **values)
    assert response.status_code == 303, texts(soup(response), ".error")
    return int(response.location.rsplit("/", 1)[1])


def press(client: FlaskClient, page: str, selector: str = "main form[method=post]") -> TestResponse:
    response = client.get(page)
    address = str(soup(response).select_one(selector)["action"])
    return client.post(address, data=form_of(response, selector))


def toast(client: FlaskClient, response: TestResponse) -> str:
    [message] = texts(soup(client.get(response.location)), ".toast > span")
    return message


# Rules


def test_only_possible_event_kinds_are_offered(client: FlaskClient) -> None:
    page = soup(client.get(f"{PAGE}/new"))
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
    line = soup(client.get("/?event_type=NotifyRuleChanged"))
    [row] = [row for row in line.select("#feed article") if "settings:" in words(row)]
    assert texts(row, "summary :is(.note, .saved .label)") == ["3 settings:", "Name:", "Told of:", "and Enabled"]


def test_only_scheme_and_host_of_an_address_are_shown(client: FlaskClient, fake_receiver: FakeReceiver) -> None:
    number = add(client, fake_receiver.url)
    add(client, "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "Chat")
    assert texts(soup(client.get(PAGE)), ".card .meta code") == ["slack://…", f"json://{fake_receiver.address}"]
    for address in (PAGE, f"{PAGE}/{number}", f"{PAGE}/{number}/delete", f"/api/notify-rules/{number}"):
        text = client.get(address).text
        assert fake_receiver.address in text
        assert SECRET not in text
    assert form_of(client.get(f"{PAGE}/{number}"), "#rule")["url"] == ""


# Notations of a parameter that only Apprise reads as `template`.
HIDDEN = ("?a=b;template", "#?template", "?template%20", "?%20Template")


@pytest.mark.parametrize(
    ("url", "why"),
    [
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
    ],
)
@pytest.mark.parametrize("database", ["sqlite"])
def test_an_invalid_address_is_refused_with_a_message_that_does_not_repeat_it(
    client: FlaskClient, events: Events, url: str, why: str
) -> None:
    response = send(client, f"{PAGE}/new", name="On call", url=url)
    assert response.status_code == 422
    [error] = texts(soup(response), "#error-url")
    assert why in error
    assert not url or url not in response.text
    assert len(events()) == 1


def test_invalid_values_are_marked_and_the_input_stays(client: FlaskClient, fake_receiver: FakeReceiver) -> None:
    add(client, fake_receiver.url)
    response = send(client, f"{PAGE}/new", name="on CALL", url=fake_receiver.url, kinds=[])
    assert response.status_code == 422
    page = soup(response)
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
    message = words(soup(response).select_one("#conflict"))
    assert "changed by system in the meantime. Your changes were not saved." in message
    assert "notifies when: Auditing is switched off." in message
    assert client.post(f"{address}/delete", data=old_delete).status_code == 409
    again = client.post(address, data={**form_of(response, "#rule"), "kinds": KEYS})
    assert again.status_code == 303, "having seen it"
    assert words(soup(client.get(address)).h1) == "Mine"


def test_a_deleted_rule_has_a_message(client: FlaskClient) -> None:
    for address in (f"{PAGE}/9", f"{PAGE}/9/delete", f"{PAGE}/{2**70}", "/api/notify-rules/9"):
        assert client.get(address).status_code == 404
    assert client.post(f"{PAGE}/9/test").status_code == 400, "without a token"


# Messages


@pytest.mark.both_databases
def test_an_event_of_a_rule_sends_one_message(
    client: FlaskClient, make_connector: Make, fake_receiver: FakeReceiver, run_worker_in: Callable[..., None]
) -> None:
    add(client, fake_receiver.url)
    add(client, fake_receiver.url, "Only auditing", kinds=["auditing_off"])
    connector_id = make_connector(name="Prod")
    for action in ("enable", "disable"):
        client.post(f"/api/connectors/{connector_id}/{action}")
    client.delete(f"/api/connectors/{connector_id}")
    client.post("/api/connectors/1/disable")
    assert fake_receiver.messages == [], "saving does not wait for the delivery"
    run_worker_in()
    run_worker_in()
    assert sorted(fake_receiver.titles) == ["PainChain: 3 events", "PainChain: Connector Disabled: PainChain System"]
    [text] = [message["message"] for message in fake_receiver.messages if message["title"] == "PainChain: 3 events"]
    assert [line for line in text.splitlines() if line][::2] == [
        "Disabled “Prod”",
        "Deleted the GitHub connector “Prod”",
        "Disabled “PainChain System”",
    ]
    assert "by system, 20" in text
    assert "Last sent just now." in words(soup(client.get(PAGE)).select_one(".rules"))


def test_a_connector_that_fails_or_recovers_is_notified(
    app: Flask, client: FlaskClient, fake_receiver: FakeReceiver, run_worker_in: Callable[..., None]
) -> None:
    add(client, fake_receiver.url, kinds=["connector_failing"])
    now, about = datetime.now(UTC), Subject("Prod", "github")
    with app.app_context(), writer.writing() as event_log:
        trail = Trail(event_log, "system", writer.new_request_id(now), now)
        trail.log(event_kinds.connector_failing(about, "The source rejected the token."))
        trail.log(event_kinds.connector_recovered(about, 3, now))
    run_worker_in(seconds=1)
    assert fake_receiver.titles == ["PainChain: 2 events"]
    assert "“Prod” is failing: The source rejected the token." in fake_receiver.messages[0]["message"]


def test_reported_events_and_disabled_rules_send_no_message(
    client: FlaskClient, make_connector: Make, fake_receiver: FakeReceiver, run_worker_in: Callable[..., None]
) -> None:
    number, connector_id = add(client, fake_receiver.url), make_connector()
    body = {"event_type": "connector_deleted", "connector_name": "Elsewhere", "connector_type": "github"}
    assert client.post("/api/painchain/log", json=body).status_code == 201
    run_worker_in()
    client.delete(f"/api/connectors/{connector_id}")
    send(client, f"{PAGE}/{number}", enabled=False)
    run_worker_in()
    client.delete(f"/api/connectors/{make_connector(name='Other')}")
    run_worker_in()
    assert fake_receiver.messages == []


def test_an_undelivered_message_is_retried_and_its_failure_is_shown(
    app: Flask,
    client: FlaskClient,
    make_connector: Make,
    fake_receiver: FakeReceiver,
    run_worker_in: Callable[..., None],
    caplog: Any,
) -> None:
    address = f"{PAGE}/{add(client, fake_receiver.url)}"
    fake_receiver.status = 500
    client.delete(f"/api/connectors/{make_connector()}")
    run_worker_in()
    message = words(soup(client.get(address)).select_one(".problem"))
    assert message.startswith("Last attempt failed just now: The service rejected the message (status 500).")
    assert "1 message queued; next attempt" in words(soup(client.get(PAGE)).select_one(".rules"))
    fake_receiver.status = 200
    run_worker_in(seconds=20)
    assert fake_receiver.messages == [], "not before it is due"
    run_worker_in(seconds=40)
    assert fake_receiver.titles == ["PainChain: Connector Deleted: Work GitHub"]
    page = soup(client.get(address))
    assert page.select(".problem") == []
    assert "waiting" not in words(page.select_one("main"))
    assert SECRET not in caplog.text


def test_a_message_is_finally_given_up_and_this_is_shown(
    client: FlaskClient, make_connector: Make, fake_receiver: FakeReceiver, run_worker_in: Callable[..., None]
) -> None:
    address = f"{PAGE}/{add(client, fake_receiver.url)}"
    fake_receiver.status = 503
    client.delete(f"/api/connectors/{make_connector()}")
    for day in range(outbox.MAX_TRIES + 2):
        run_worker_in(days=day)
    page = words(soup(client.get(address)).select_one("main"))
    assert "1 message was dropped." in page
    assert "waiting" not in page


def test_an_event_that_is_not_written_sends_no_message(
    app: Flask,
    client: FlaskClient,
    make_connector: Make,
    fake_receiver: FakeReceiver,
    run_worker_in: Callable[..., None],
) -> None:
    add(client, fake_receiver.url)
    connector_id = make_connector()
    refuse(app, "INSERT", "notices")
    assert client.delete(f"/api/connectors/{connector_id}").status_code == 503
    assert client.get(f"/api/connectors/{connector_id}").status_code == 200, (
        "event and message are written together or not at all"
    )
    run_worker_in()
    assert fake_receiver.messages == []


def test_two_servers_send_a_message_once(
    app: Flask, client: FlaskClient, make_connector: Make, fake_receiver: FakeReceiver
) -> None:
    add(client, fake_receiver.url)
    client.delete(f"/api/connectors/{make_connector()}")
    fake_receiver.hold.clear()
    threads = [threading.Thread(target=NotificationWorker(app).run_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    fake_receiver.hold.set()
    for thread in threads:
        thread.join(20)
    assert len(fake_receiver.messages) == 1


# The test button


def test_a_test_reports_whether_the_message_was_delivered(
    client: FlaskClient, events: Events, fake_receiver: FakeReceiver
) -> None:
    address = f"{PAGE}/{add(client, fake_receiver.url)}"
    before = events()
    assert toast(client, press(client, address, "#test")) == "Sent a test message through “On call”."
    assert fake_receiver.titles == ["PainChain: test"]
    fake_receiver.status = 401
    message = toast(client, press(client, address, "#test"))
    assert message.startswith("Test message failed. The service rejected the message (status 401).")
    fake_receiver.server.server_close()
    assert "could not be reached" in toast(client, press(client, address, "#test"))
    assert "Last attempt failed" in words(soup(client.get(address)).select_one(".problem"))
    assert events() == before, "a test message changes nothing"


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
