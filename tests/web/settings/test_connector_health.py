"""The health of connectors on the pages, and the buttons Sync now and Test connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain import connectors
from painchain.connectors.base import ConnectorType, EventType, Field, Kind, fields
from painchain.connectors.contract import ConnectionTestResult, PollResult
from painchain.database.models import PollState
from painchain.database.session import db
from tests.support.html import action_of, fill, form_of, soup, texts, words
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
NOW = datetime.now(UTC)
SYSTEM = 1


class FakeSource:
    """A source of a sample type: it records the settings of each connection test, and returns `answer`."""

    def __init__(self) -> None:
        self.tested_settings: list[dict[str, Any]] = []
        self.answer = ConnectionTestResult(True, "smith", ("anvil 1", "anvil 2"), ("Give the token read:ore.",))

    def check(self, settings: Any, now: datetime) -> ConnectionTestResult:
        """Record the settings, and return the result."""
        self.tested_settings.append(dict(settings))
        return self.answer


@pytest.fixture
def fake_source(monkeypatch: pytest.MonkeyPatch) -> FakeSource:
    """A sample connector type that can be polled and tested, added to the registry."""
    source = FakeSource()
    connector_type = ConnectorType(
        key="forge",
        label="Forge",
        summary="Casts of a forge.",
        icon="circle",
        colour="grey",
        fields=(
            Field("address", "Address", Kind.URL, "https://forge.example", True),
            Field("passphrase", "Passphrase", Kind.SECRET, required=True),
            Field("heat", "Heat", Kind.NUMBER, 900, True, "degrees", minimum=100, maximum=2000),
        ),
        event_types=(EventType("Cast", "Cast", fields(metal="Metal")),),
        poll=lambda context: PollResult((), {}),
        test_connection=source.check,
    )
    monkeypatch.setitem(connectors.TYPES, "forge", connector_type)
    monkeypatch.setitem(connectors.ADDABLE, "forge", connector_type)
    return source


@pytest.fixture
def connector_id(fake_source: FakeSource, client: FlaskClient) -> int:
    """The number of an enabled connector of the sample type."""
    config = {"passphrase": "stored-passphrase"}
    response = client.post(
        "/api/connectors", json={"name": "Anvil", "type": "forge", "config": config, "enabled": True}
    )
    return int(response.json["id"])


@pytest.fixture
def set_poll_state(client: FlaskClient, connector_id: int) -> Callable[..., None]:
    """Return a function that sets the poll state of the connector."""

    def store(**values: Any) -> None:
        with client.application.app_context():
            state = db.session.get(PollState, connector_id) or PollState(connector_id=connector_id)
            plain = {"due": NOW, "taken_until": NOW - timedelta(hours=1), "cursor": {}, "failures": 0, "note": ""}
            since_import = datetime.now(UTC) - NOW  # NOW is the time of the import, before other tests ran
            for name, value in {**plain, **values}.items():
                passed = isinstance(value, datetime) and name != "rate_resets"
                setattr(state, name, value + since_import if passed else value)
            db.session.add(state)
            db.session.commit()

    return store


FAILING = {
    "last_poll": NOW,
    "last_success": NOW - timedelta(minutes=10),
    "failures": 3,
    "failing_since": NOW - timedelta(minutes=5),
    "trouble": "sign_in",
    "error": "forge.example rejected the token (401). Enter a valid token.",
    "due": NOW + timedelta(minutes=20, seconds=30),
}
FINE = {
    "last_poll": NOW,
    "last_success": NOW,
    "due": NOW + timedelta(minutes=4, seconds=30),
    "requests": 12,
    "rate_limit": 5000,
    "rate_remaining": 4980,
    "rate_resets": NOW.replace(hour=15, minute=0) + timedelta(days=1),
    "note": "There is more: it follows at once.",
}


def health_text(client: FlaskClient, page: str, connector_id: int) -> str:
    """Return the text about the health of the connector on a page."""
    return words(part_of(client.get(page), "main").select_one(f"#health-{connector_id}"))


# Health


@pytest.mark.both_databases
def test_card_and_page_show_state_last_success_requests_next_poll_and_remaining_requests(
    client, connector_id, set_poll_state
):
    assert "Waiting for first poll" in health_text(client, LIST, connector_id)
    set_poll_state(**FINE)
    for page in (LIST, f"{LIST}/{connector_id}"):
        text = health_text(client, page, connector_id)
        assert text.startswith(
            "OK last success just now 12 requests next poll in 4 min rate limit: 4,980 of 5,000 left, resets "
        )
        assert text.endswith("15:00 There is more: it follows at once.")


def test_a_failing_connector_shows_reason_start_and_next_poll(client, connector_id, set_poll_state):
    set_poll_state(**FAILING)
    text = health_text(client, LIST, connector_id)
    assert text.startswith("Failing 3 failures in a row since ")
    assert "last success 10 min ago next poll in 20 min" in text
    assert text.endswith("rejected the token (401). Enter a valid token.")
    client.post(f"/api/connectors/{connector_id}/disable")
    assert health_text(client, LIST, connector_id).startswith("Not polled")
    assert not soup(client.get(LIST)).select(f"#card-{connector_id} .sync")


def test_the_builtin_connector_has_neither_health_nor_a_sync_button(client):
    page = soup(client.get(f"{LIST}/{SYSTEM}"))
    assert not page.select(".health, .sync, #test, #watching[hx-get]")


def test_an_open_page_gets_only_changed_health(client, connector_id, set_poll_state):
    body = {
        "name": "Aaron",
        "type": "forge",
        "config": {"passphrase": "x"},
    }  # sorted before the other by name, after it by id
    assert client.post("/api/connectors", json=body).status_code == 201

    def poll_watch() -> str:
        return client.get(str(part_of(client.get(LIST), "watching").select_one("#watching")["hx-get"])).text

    assert "" in (poll_watch(), poll_watch())  # not both, even if a minute has just ended
    page = part_of(client.get(f"{LIST}/{connector_id}"), "watching")
    set_poll_state(**FAILING)
    update = soup(client.get(str(page.select_one("#watching")["hx-get"]), headers=HTMX))
    assert [element["id"] for element in update.select("[hx-swap-oob=true]")] == [f"health-{connector_id}", "watching"]
    assert texts(update, ".state") == ["Failing"]
    again = [client.get(str(update.select_one("#watching")["hx-get"])).text for _ in range(2)]
    assert "" in again


def test_the_dashboard_lists_failing_connectors_with_links(client, connector_id, set_poll_state):
    assert texts(part_of(client.get("/"), "connector_problems"), "#connector_problems p") == []
    set_poll_state(**FAILING)
    client.post("/api/painchain/log", json={**REPORT, "connector_name": "Elsewhere"})  # clears the cached page
    [line] = part_of(client.get("/"), "connector_problems").select("#connector_problems p")
    assert words(line).startswith("Forge “Anvil”: no data since ")
    assert words(line).endswith(". forge.example rejected the token (401). Enter a valid token.")
    assert line.a["href"] == f"{LIST}/{connector_id}"
    assert texts(part_of(client.get("/news?after=0", headers=HTMX), "connector_problems"), "#connector_problems p") == [
        words(line)
    ]


REPORT = {"event_type": "connector_deleted", "connector_type": "github"}


def test_the_api_returns_the_same_health(client, connector_id, set_poll_state):
    set_poll_state(**FAILING)
    health = client.get(f"/api/connectors/{connector_id}").json["health"]
    assert health == client.get("/api/connectors").json[1]["health"]
    assert (health["state"], health["failures"], health["rate_limit"]) == ("failing", 3, None)
    assert health["error"] == FAILING["error"]
    last, following = (datetime.fromisoformat(health[name]) for name in ("last_poll", "next_poll"))
    assert following - last == FAILING["due"] - FAILING["last_poll"]
    assert client.get(f"/api/connectors/{SYSTEM}").json["health"] is None
    set_poll_state(**FINE)
    health = client.get(f"/api/connectors/{connector_id}").json["health"]
    rate = health["rate_limit"]
    assert health["requests"] == 12
    assert (rate["limit"], rate["remaining"]) == (5000, 4980)


# Sync now


def due(client: FlaskClient, number: int) -> datetime:
    with client.application.app_context():
        state = db.session.get(PollState, number)
        assert state is not None
        return state.due


@pytest.mark.parametrize("route", ["plain", "htmx", "api"])
def test_sync_now_makes_a_connector_due_and_changes_nothing_else(client, connector_id, set_poll_state, events, route):
    set_poll_state(**FINE)
    before = len(events()), client.get(f"/api/connectors/{connector_id}").headers["ETag"]
    if route == "api":
        assert client.post(f"/api/connectors/{connector_id}/sync").status_code == 202
    else:
        page = client.get(LIST)
        action = action_of(page, f"#card-{connector_id} .sync")
        form = form_of(page, f"#card-{connector_id} .sync")
        response = client.post(action, data=form, headers=HTMX if route == "htmx" else {})
        assert response.status_code == (200 if route == "htmx" else 303)
        answer = response if route == "htmx" else client.get(response.location)
        assert texts(part_of(answer, "toast"), "#toast .toast span") == ["Syncing “Anvil” now."]
        assert "next poll now" in words(soup(answer).select_one(f"#health-{connector_id}"))
    assert due(client, connector_id) <= datetime.now(UTC)
    assert (len(events()), client.get(f"/api/connectors/{connector_id}").headers["ETag"]) == before


def test_a_disabled_connector_and_the_builtin_one_are_not_synced(client, connector_id):
    client.post(f"/api/connectors/{connector_id}/disable")
    for number, why in ((connector_id, "Enable it"), (SYSTEM, "is not polled")):
        refused = client.post(f"/api/connectors/{number}/sync")
        assert refused.status_code == 409
        assert why in refused.json["message"]
    token = form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form")["csrf_token"]
    assert client.post(f"{LIST}/{connector_id}/sync", data={"csrf_token": token}).status_code == 409
    assert client.post(f"{LIST}/{connector_id}/sync").status_code == 400


# Test connection


def press_test(client: FlaskClient, page: str, selector: str, headers: Any = None, **values: Any) -> TestResponse:
    """Open a page, fill in its form and press Test connection."""
    opened = client.get(page)
    address = str(part_of(opened, "test").select_one("#test")["formaction"])
    return client.post(address, data=fill(form_of(opened, selector), **values), headers=headers)


@pytest.mark.parametrize("headers", [{}, HTMX], ids=["plain", "htmx"])
def test_the_connection_test_uses_typed_values_and_saves_nothing(client, fake_source, connector_id, events, headers):
    before = len(events())
    tested = press_test(client, f"{LIST}/{connector_id}", "#connector-form", headers, name="Renamed", heat="1200")
    page = soup(tested)
    assert fake_source.tested_settings == [
        {
            "name": "Anvil",
            "tags": [],
            "address": "https://forge.example",
            "passphrase": "stored-passphrase",
            "heat": 1200,
        }
    ]
    assert words(page.select_one("#test_result .verdict")) == "Connection successful, but permissions are missing"
    assert "Authenticated as smith" in words(page.select_one("#test_result"))
    assert texts(page, "#test_result .sees li") == ["anvil 1", "anvil 2"]
    assert texts(page, "#test_result .lacks li") == ["Give the token read:ore."]
    assert "stored-passphrase" not in tested.text
    if headers:
        assert not page.select("form")
    else:
        assert [page.select_one(f"#{key}")["value"] for key in ("name", "heat")] == ["Renamed", "1200"]
    assert len(events()) == before
    assert client.get(f"/api/connectors/{connector_id}").json["name"] == "Anvil"


def test_a_stored_secret_is_not_sent_to_a_typed_address(client, fake_source, connector_id):
    elsewhere = "https://elsewhere.example"
    tested = press_test(client, f"{LIST}/{connector_id}", "#connector-form", HTMX, address=elsewhere)
    assert tested.status_code == 422
    assert "Enter the passphrase again" in words(part_of(tested, "test_result").select_one("#test_result"))
    by_script = client.post(f"/api/connectors/{connector_id}/test", json={"config": {"address": elsewhere}})
    assert by_script.status_code == 422
    assert [error["field"] for error in by_script.json["errors"]] == ["config.passphrase"]
    assert fake_source.tested_settings == []
    own = press_test(client, f"{LIST}/{connector_id}", "#connector-form", HTMX, address=elsewhere, passphrase="own")
    assert own.status_code == 200
    assert [(request["address"], request["passphrase"]) for request in fake_source.tested_settings] == [
        (elsewhere, "own")
    ]


def test_a_new_connector_can_be_tested_before_it_is_saved(client, fake_source):
    page = f"{LIST}/new/forge"
    fake_source.answer = ConnectionTestResult(False, missing=("forge.example cannot be reached.",))
    missing = part_of(press_test(client, page, "#new"), "main")
    assert texts(missing, "#test_result li") == ["Passphrase: Passphrase is required."]
    assert missing.select_one("#passphrase[aria-invalid]")
    tested = part_of(press_test(client, page, "#new", passphrase="typed", heat="1000"), "main")
    assert words(tested.select_one("#test_result .verdict")) == "Connection failed"
    assert texts(tested, "#test_result .lacks li") == ["forge.example cannot be reached."]
    assert (tested.select_one("#heat")["value"], len(fake_source.tested_settings)) == ("1000", 1)
    assert len(client.get("/api/connectors").json) == 1


def test_the_api_tests_saved_and_unsaved_values(client, fake_source, connector_id):
    answer = {"ok": True, "identity": "smith", "sees": ["anvil 1", "anvil 2"], "missing": ["Give the token read:ore."]}
    assert client.post(f"/api/connectors/{connector_id}/test").json == answer
    body = {"type": "forge", "config": {"passphrase": "typed", "heat": 1000}}
    assert client.post("/api/connectors/test", json=body).json == answer
    assert [(request["passphrase"], request["heat"]) for request in fake_source.tested_settings] == [
        ("stored-passphrase", 900),
        ("typed", 1000),
    ]
    for config in ({"heat": 1}, {"nonsense": 1}):
        assert client.post(f"/api/connectors/{connector_id}/test", json={"config": config}).status_code == 422
    assert client.post(f"/api/connectors/{SYSTEM}/test").status_code == 409


def test_a_type_without_connection_test_has_no_button(client, fake_source, monkeypatch, connector_id):
    monkeypatch.setitem(connectors.TYPES, "forge", replace(connectors.TYPES["forge"], test_connection=None))
    assert not soup(client.get(f"{LIST}/{connector_id}")).select("#test, #test_result")
