"""Any typed, reported, delivered or polled text is only text on every page: no markup, no script, no script link."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.exceptions import HTTPException
from werkzeug.test import TestResponse

from painchain import connectors
from painchain.configuration import connector_store
from painchain.connectors.contract import SourceEvent
from painchain.eventlog import writer
from painchain.ingestion import source_events
from painchain.workers.completion import CompletionWorker
from tests.support.accounts import PASSWORD, add_person, audited_transaction, make_link
from tests.support.elements import Element, tree
from tests.support.html import action_of, fill, form_of
from tests.support.script_corpus import CORPUS, KINDS, assert_inert
from tests.web.common.page_examples import ERRORS, PAGES
from tests.web.common.route_addresses import LIST, PEOPLE, RULES, TEAMS, TOKENS, VIEWS

pytestmark = [pytest.mark.usefixtures("fake_sources"), pytest.mark.parametrize("database", ["sqlite"])]

HTMX = {"HX-Request": "true"}
MAX_VISITS = 3  # the number of linked addresses of one route that are visited
EVENTS_OF_A_TYPE = 3  # the number of events of each source and type whose page is visited
GITLAB = Path(__file__).parents[2] / "recorded" / "gitlab" / "webhooks"
# Members that decide whether a webhook becomes an event; their values stay.
FIXED_MEMBERS = {
    "object_kind",
    "action",
    "state",
    "status",
    "ref",
    "id",
    "sha",
    "before",
    "after",
    "checkout_sha",
    "tag",
}


@pytest.fixture
def texts(thorough: bool) -> list[str]:
    """The texts to try: one of each kind, or all."""
    return CORPUS if thorough else KINDS


class Forms:
    """The forms that take a text. Each page is fetched once."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self.pages: dict[str, TestResponse] = {}

    def read(self, page: str, selector: str) -> tuple[dict[str, Any], str]:
        """Return the values of a form and the address that it is sent to."""
        if page not in self.pages:
            self.pages[page] = self.client.get(page)
        return form_of(self.pages[page], selector), action_of(self.pages[page], selector)


KIND = "connector_failing"
TEXT_FORMS: tuple[tuple[str, str, Callable[[str], dict[str, Any]]], ...] = (
    (f"{TEAMS}/new", "#team-form", lambda text: {"name": text, "tags": text[:49]}),
    (f"{VIEWS}/new", "#view-form", lambda text: {"name": text, "filter": urlencode({"q": f'"{text[:40]}"'})}),
    (f"{VIEWS}/new", "#view-form", lambda text: {"name": text, "filter": text}),
    (
        f"{RULES}/new",
        "#rule",
        lambda text: {"name": text, "url": "json://127.0.0.1:9/", "kinds": ["connector_failing"]},
    ),
    (f"{RULES}/new", "#rule", lambda text: {"name": text, "url": text, "kinds": [text]}),
    ("/events/1", "#add-note", lambda text: {"text": text}),
    (LIST, "#bulk", lambda text: {"chosen": "2:1", "tags": text + "x" * 51, "action": "add_tag"}),
    (LIST, "#bulk", lambda text: {"chosen": text, "tags": text, "action": "remove_tag"}),
    ("/events/1", "#add-note", lambda text: {"text": text * 2001}),
    (f"{PEOPLE}/new", "#person", lambda text: {"name": text, "email": text}),
    (f"{PEOPLE}/new", "#person", lambda text: {"name": text[:100]}),
    (f"{TOKENS}/new", "#token", lambda text: {"name": text}),
    ("/settings/audit-log", "#compare", lambda text: {"checkpoints": f"{text}\n{{}}"}),
    ("/account", "#own-password", lambda text: {"old": text, "password": text, "again": ""}),
)


def type_into_forms(client: FlaskClient, texts: Sequence[str]) -> Iterator[TestResponse]:
    """Type each text into every form that takes one. A refused form shows its text again."""
    forms = Forms(client)
    filled = [(forms.read(page, selector), values) for page, selector, values in TEXT_FORMS]
    connector_forms = {key: forms.read(f"{LIST}/new/{key}", "#new")[0] for key in connectors.ADDABLE}
    sign_in = forms.read(f"{TEAMS}/new", "#team-form")[0]
    for text in texts:
        for key, form in connector_forms.items():
            page = f"{LIST}/new/{key}"
            names = [name for name in form if name not in ("csrf_token", "enabled", "poll_interval", "reason")]
            yield client.post(page, data=fill(form, **dict.fromkeys(names, text), reason=text))
            token = {"token": "made-up"} if "token" in form else {}
            free = {name: text[:49] for name in ("tags", "cluster_name") if name in form}
            yield client.post(page, data=fill(form, name=f"{key} {text}", **token, **free, reason=text))
        for (form, action), values in filled:
            yield client.post(action, data=fill(form, **values(text)))
        yield client.post("/sign-in", data={**sign_in, "name": text})


def report_by_api(client: FlaskClient, text: str) -> Iterator[TestResponse]:
    """Report events that have a text in every member."""
    reason = {"X-Reason": text[:400].encode("ascii", "ignore").decode()}
    sides = {"old_value": text, "new_value": [text, {text: text}]}
    about = {"connector_name": text, "connector_type": text, "author": text}
    for event in (
        {"event_type": "config_changed", "field": text, **sides},
        {"event_type": "connector_deleted", "connector_type": "github"},
    ):
        yield client.post("/api/painchain/log", json={**about, **event}, headers=reason)
    changes = {text: {"old": text, "new": [text]}}
    updated = {**about, "event_type": "connector_updated", "connector_type": "github", "changes": changes}
    yield client.post("/api/painchain/log", json=updated, headers=reason)
    toggled = {"event_type": "field_visibility_changed", "connector_type": text, "field_key": text, "visible": True}
    yield client.post("/api/painchain/log", json=toggled, headers=reason)


def with_text(value: Any, text: str, key: str = "") -> Any:
    """Return a webhook's payload with every text replaced, except in ``FIXED_MEMBERS``, times and ids."""
    if isinstance(value, dict):
        return {name.strip(): with_text(member, text, name.strip()) for name, member in value.items()}
    if isinstance(value, list):
        return [with_text(item, text, key) for item in value]
    is_fixed = key in FIXED_MEMBERS or key.endswith(("_at", "_id", "timestamp", "sha"))
    return text if isinstance(value, str) and not is_fixed else value


def deliver_webhooks(client: FlaskClient, number: int, secret: str, texts: Sequence[str]) -> Iterator[TestResponse]:
    """Deliver GitLab's webhooks, each with another text."""
    for index, text in enumerate(texts):
        for name in ("merge_request", "pipeline", "push", "release")[index % 2 :: 2]:
            body = with_text(json.loads((GITLAB / f"{name}.json").read_bytes()), text)
            for ident in ("object_attributes", "release"):
                if ident in body:
                    body[ident]["iid"] = 1000 + index
            headers = {"X-Gitlab-Token": secret, "X-Gitlab-Event": "Any Hook", "X-Gitlab-Event-UUID": f"{index}{name}"}
            yield client.post(f"/hooks/gitlab/{number}", json=body, headers=headers)


def find_by_polling(app: Flask) -> None:
    """Store events of every type of every source, with the texts of the corpus in facts of every shape."""
    now = datetime.now(UTC)
    for number, kind in enumerate(connectors.ADDABLE.values()):
        with audited_transaction(app) as trail:
            connector = connector_store.create(kind, {"name": f"Far {kind.key}", "token": "made-up"}, False, trail).id
        events = [event for turn in range(4) for event in _of_types(kind, 7 * turn + number, now)]
        with app.app_context(), writer.writing() as event_log:
            source_events.add_new(event_log, connector_store.get(connector), events, now)


def _of_types(kind: Any, at: int, now: datetime) -> Iterator[SourceEvent]:
    for event_type in kind.event_types:
        at += 5
        texts = [CORPUS[(at + index) % len(CORPUS)] for index in range(len(event_type.fields) + 5)]
        shapes = (lambda text: text, lambda text: [text, text], lambda text: {"name": text, "url": text, text: text})
        facts = {field.key: shapes[(at + i) % 3](texts[i]) for i, field in enumerate(event_type.fields)}
        title, author, text, status, url = texts[-5:]
        ident = f"{kind.key}-{event_type.name}-{at}"
        yield SourceEvent(ident, event_type.name, title, now, author, status, url, text, facts)


def links(page: Element, address: str) -> Iterator[str]:
    """Yield the addresses of a page's links, and those that htmx requests with GET."""
    for written in dict.fromkeys(page.xpath("//@href | //@hx-get")):
        target = urljoin(f"http://localhost{address}", written)
        if urlsplit(target).netloc == "localhost" and not target.startswith("http://localhost/static/"):
            yield target.removeprefix("http://localhost").partition("#")[0]


def visit(client: FlaskClient, begin: list[str]) -> Iterator[tuple[str, str, TestResponse]]:
    """Visit pages and linked pages, a limited number of each route, and assert that each page is inert."""
    waiting, visited, counts = deque(begin), set(begin), Counter[str]()
    routes = client.application.url_map.bind("localhost")
    while waiting:
        address = waiting.popleft()
        try:
            endpoint = routes.match(urlsplit(address).path)[0]
        except HTTPException:
            endpoint = "nowhere"
        counts[endpoint] += 1
        if counts[endpoint] > MAX_VISITS and address not in begin:
            continue
        for headers in ({}, HTMX) if counts[endpoint] < 3 else ({},):
            response = client.get(address, headers=headers)
            yield endpoint, address, response
            if response.mimetype == "text/html":
                page = tree(response)
                if not address.startswith("/help"):  # documents contain pictures, and no text from outside
                    assert_inert(page)
                new = [link for link in links(page, address) if link not in visited]
                visited.update(new)
                waiting.extend(new)


# Pages that show the texts; their links lead to the others.
SHOWING = ["/", "/?range=all", "/report", "/as-of", "/export?range=all", LIST, "/people/system", "/settings/audit-log"]


def examples(app: Flask, client: FlaskClient, account: int) -> list[str]:
    """Return the addresses to begin with: of each page, of errors, of each source, and of some events of each type."""
    stored: dict[tuple[str, str], list[dict[str, Any]]] = {}
    cursor = ""
    while True:
        response = client.get(f"/api/changes?limit=500{cursor}")
        for event in response.get_json():
            stored.setdefault((event["source"], event["event_type"]), []).append(event)
        if "Link" not in response.headers:
            break
        cursor = "&cursor=" + response.headers["Link"].partition("cursor=")[2].partition(">")[0]
    [newest, *_], *_ = stored.values()
    placeholders = {
        **{"connector": 2, "mapped": 2, "event": 1, "event_id": quote(newest["event_id"]), "cursor": "x"},
        **{"person": account, "link": make_link(app, account)},
    }
    begin = [address.format(**placeholders) for addresses in PAGES.values() for address in addresses] + sorted(ERRORS)
    begin += [f"/nowhere/{text}" for text in CORPUS[:9]] + [f"/?q={text}" for text in CORPUS[:9]]
    begin += [f"/?range=all&source={source}" for source in {source for source, _ in stored}]
    events = [event for events in stored.values() for event in events[:EVENTS_OF_A_TYPE]]
    return [*SHOWING, *begin, *(f"/events/{event['id']}" for event in events)]


def test_text_from_outside_is_escaped_on_every_page(app: Flask, client: FlaskClient, texts: Sequence[str]) -> None:
    """Texts are typed into forms, reported by scripts, delivered by webhooks and found by polling."""
    own = add_person(app, CORPUS[1])
    sign_in_as(client, CORPUS[1])
    statuses: Counter[int] = Counter()
    for response in type_into_forms(client, texts):
        statuses[response.status_code] += 1
        assert response.status_code in (200, 303, 422, 429), (response.request.path, response.text)
        assert_inert(tree(response))
    assert statuses[303] >= 5 * len(texts)
    statuses = Counter(response.status_code for text in texts for response in report_by_api(client, text))
    assert statuses == {201: 4 * len(texts)}
    with audited_transaction(app) as trail:
        gitlab = connectors.ADDABLE["gitlab"]
        number = connector_store.create(gitlab, {"name": "GitLab", "token": "made-up"}, True, trail).id
    secret = client.post(f"/api/connectors/{number}/webhook").get_json()["secret"]
    statuses = Counter(response.status_code for response in deliver_webhooks(client, number, secret, texts))
    assert statuses[202] > len(texts) / 2
    # The worker no longer waits for the API then.
    CompletionWorker(app, lambda: datetime.now(UTC) + timedelta(minutes=1)).run_once()
    find_by_polling(app)

    visited: Counter[str] = Counter()
    for endpoint, address, response in visit(client, examples(app, client, own)):
        assert response.status_code < 500, address
        visited[endpoint] += 1
        assert "x55" not in "".join(response.headers.keys()), address
        if response.mimetype != "text/html":
            assert response.mimetype in ("application/json", "text/csv") or response.status_code in (204, 302, 303, 308)
    assert visited["dashboard.event"] > 80
    expected = {
        rule.endpoint for rule in app.url_map.iter_rules() if PAGES.get(rule.rule) and "GET" in (rule.methods or ())
    }
    assert expected <= set(visited)
    for addresses in (SHOWING, [PEOPLE, TEAMS]):
        html = "".join(client.get(address).text for address in addresses)
        assert "&lt;script x55&gt;x55()&lt;/script&gt;" in html


def sign_in_as(client: FlaskClient, name: str) -> None:
    form = form_of(client.get("/sign-in"), "#sign-in")
    assert client.post("/sign-in", data=fill(form, name=name, password=PASSWORD)).status_code == 303
