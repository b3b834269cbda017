"""A connection that is lost at the COMMIT: people are told what was saved, or that it is not known."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from painchain.database import deadlines
from painchain.startup import create_app
from tests.conftest import WITH_POSTGRES, add_connector, close, settings_for
from tests.support.command_line import Run
from tests.support.database_proxy import DatabaseProxy, proxy_to
from tests.support.html import fill, form_of, soup, texts, words

pytestmark = [WITH_POSTGRES, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]

REPORT = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "poll_interval", "new_value": 60}
UNKNOWN = "It is not known whether this was saved; see the timeline."


@pytest.fixture
def proxy(url: str) -> Iterator[DatabaseProxy]:
    """A proxy to the test's database."""
    with proxy_to(url) as proxy:
        yield proxy


@pytest.fixture
def client(instance: Path, proxy: DatabaseProxy) -> Iterator[FlaskClient]:
    """A browser whose server reaches the database through the proxy."""
    app = create_app(settings_for(instance, proxy.url))
    yield app.test_client()
    close(app)


class Doors:
    """The ways to save something. Each returns the status and the words of the response."""

    def __init__(self, client: FlaskClient):
        self.client = client
        self.connector = add_connector(client)
        self.interval = 300

    def form(self, headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Save the form of a connector, as a plain browser."""
        address = f"/settings/integrations/{self.connector}"
        form = fill(form_of(self.client.get(address)), poll_interval=str(self._next_interval()))
        response = self.client.post(address, data=form, headers=headers or {}, follow_redirects=True)
        return response.status_code, words(soup(response))

    def htmx(self) -> tuple[int, str]:
        """Save the form of a connector with htmx."""
        return self.form({"HX-Request": "true"})

    def api(self) -> tuple[int, str]:
        """Change the connector in the API."""
        address = f"/api/connectors/{self.connector}"
        etag = self.client.get(address).headers["ETag"]
        body = {"config": {"poll_interval": self._next_interval()}}
        response = self.client.patch(address, json=body, headers={"If-Match": etag})
        return response.status_code, f"{response.json.get('message')} outcome={response.json.get('outcome')}"

    def log(self) -> tuple[int, str]:
        """Report an event, which is stored in a group commit."""
        response = self.client.post("/api/painchain/log", json={**REPORT, "new_value": self._next_interval()})
        return response.status_code, f"{response.json.get('message')} outcome={response.json.get('outcome')}"

    def stored(self) -> int:
        """Return how many events contain the newest value."""
        events = self.client.get("/api/changes", query_string={"limit": 500}).get_json()
        return sum(event["description"].get("new_value") == self.interval for event in events)

    def _next_interval(self) -> int:
        self.interval += 1
        return self.interval


def test_people_are_told_what_was_saved_when_the_answer_to_a_commit_is_lost(
    client: FlaskClient, proxy: DatabaseProxy
) -> None:
    doors = Doors(client)
    for door in (doors.form, doors.htmx, doors.api, doors.log):
        proxy.next_commit = "answer"  # the database answers again: it is asked, and the response is the usual one
        status, text = door()
        assert (status in (200, 201), "not known" in text, doors.stored()) == (True, False, 1), (door, text)

        proxy.next_commit = "request"
        status, text = door()
        assert (status, "Not saved: " in text, doors.stored()) == (503, True, 0), (door, text)
        assert "outcome=unknown" not in text

        proxy.next_commit, proxy.refuses_after_commit = "answer", True
        status, text = door()
        proxy.refuses_after_commit = False
        proxy.cut(False)
        assert (status, UNKNOWN in text, "Nothing" in text, doors.stored()) == (503, True, False, 1), (door, text)
        assert door in (doors.form, doors.htmx) or "outcome=unknown" in text
    assert client.get("/health").status_code == 200


def test_a_commit_whose_answer_vanishes_is_looked_up(
    client: FlaskClient, proxy: DatabaseProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    doors = Doors(client)
    monkeypatch.setattr(deadlines, "REQUEST_SECONDS", 1.0)
    for door in (doors.form, doors.log):
        proxy.next_commit = "silent"
        status, text = door()
        assert (status in (200, 201), "not known" in text, doors.stored()) == (True, False, 1), (door, text)


def test_a_secret_of_a_save_with_an_unknown_outcome_is_not_lost_without_a_word(
    client: FlaskClient,
    proxy: DatabaseProxy,
    instance: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address = f"/settings/integrations/{add_connector(client)}"
    form = form_of(client.get(address), "form[action$='/webhook']")
    people = form_of(client.get("/settings/people/new"))
    pages = ((f"{address}/webhook", form, "the webhook's secret"), ("/settings/people/new", people, "the reset link"))
    for path, form, secret in pages:
        proxy.next_commit, proxy.refuses_after_commit = "answer", True
        response = client.post(path, data={**form, "name": "smith", "role": "admin"})
        proxy.cut(False)
        [text] = texts(soup(response), "main [role=alert] p, main p")[:1]
        assert (response.status_code, UNKNOWN in text) == (503, True)
        assert f"If it was saved, {secret} is lost, because it is shown only once: replace it with a new one." in text

    monkeypatch.setenv("PAINCHAIN_INSTANCE", str(instance))
    monkeypatch.setenv("PAINCHAIN_DATABASE_URL", proxy.url)
    proxy.next_commit = "answer"
    failed = run("user", "reset", "smith")
    proxy.cut(False)
    assert failed.exit_code == 1
    assert UNKNOWN.removesuffix(".") in failed.stderr
    assert "the link is lost: create a new one with painchain user reset NAME." in failed.stderr
    proxy.refuses_after_commit, proxy.next_commit = False, "answer"
    assert "/link/" in run("user", "reset", "smith").stdout
