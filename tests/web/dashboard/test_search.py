"""The search box: the same search language on the page, in the API and on the terminal, with suggestions and help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from flask.testing import FlaskClient
from hypothesis import strategies as st

from painchain.eventlog import writer
from painchain.indexes import search_query
from tests.support.accounts import report_as
from tests.support.html import fill, form_of, soup, texts
from tests.support.sample_events import new
from tests.support.search_strategies import SEARCHES
from tests.support.thorough import examples
from tests.web.parts import count_of, part_of

HTMX = {"HX-Request": "true"}


@pytest.fixture
def various(client: FlaskClient, make_connector: Callable[..., int]) -> None:
    """Changes of two connectors by two people."""
    make_connector("github", "Work GitHub", tags="team-a")
    make_connector("kubernetes", "Cluster")
    changed = {"event_type": "config_changed", "connector_type": "github", "connector_name": "Work GitHub"}
    for author, before, after in (("alice", 300, 600), ("Doe, J", "nothing", "zeppelin")):
        report_as(client.application, author, **changed, field="poll_interval", old_value=before, new_value=after)


def search(client: FlaskClient, form: dict[str, Any], q: str) -> list[str]:
    """Search on the dashboard with its form, and return the lines of the feed."""
    response = client.get("/", query_string=fill(form, q=q))
    assert part_of(response, "q").input["value"] == q
    feed = part_of(response, "feed")
    assert count_of(response) == len(feed.select("article"))
    kinds, authors = texts(feed, ".event-type"), texts(feed, ".author")
    return [f"{kind} by {author}" for kind, author in zip(kinds, authors, strict=True)]


SEARCH_CASES = [
    ("zeppelin", ["Config Changed by Doe, J"]),
    ("zep -author:alice", ["Config Changed by Doe, J"]),
    ('author:"Doe, J",alice type:config_changed', ["Config Changed by Doe, J", "Config Changed by alice"]),
    ("action:create connector:cluster", ["Connector Created by system"]),
    ("field:poll_interval 600", ["Config Changed by alice"]),
    ("tag:audit -author:system before:2000-01-01", []),
    ("zeppelin after:yesterday", ["Config Changed by Doe, J"]),
    ("zeppelin 2000-01-01..", ["Config Changed by Doe, J"]),
    ("***", []),
]


@pytest.mark.both_databases
@pytest.mark.usefixtures("various")
def test_a_search_finds_matching_events_on_the_page_and_in_the_api(client):
    form = form_of(client.get("/"), "#filter")
    for q, lines in SEARCH_CASES:
        assert search(client, form, q) == lines, q
        events = client.get("/api/changes", query_string={"q": q}).get_json()
        assert [event["author"] for event in events] == [line.split(" by ")[1] for line in lines], q
        for address in ("/api/stats", "/api/timeline"):
            assert client.get(address, query_string={"q": q}).get_json()["total"] == len(lines), (address, q)


def test_an_invalid_qualifier_lists_the_allowed_ones_and_stays_in_the_search_box(client):
    for headers in ({}, HTMX):
        response = client.get("/?q=sauce:github&range=7d", headers=headers)
        page = soup(response)
        assert response.status_code == 422
        [alert] = texts(page, "[role=alert]")
        assert "Unknown qualifier “sauce:”" in alert
        assert all(f"{name}:" in alert for name in search_query.QUALIFIERS)
        assert page.select_one("#q")["value"] == "sauce:github"
        assert page.select_one("#q")["aria-invalid"] == "true"


def test_the_api_reports_q_as_the_invalid_parameter(client):
    for address in ("/api/changes", "/api/timeline", "/api/stats"):
        response = client.get(f"{address}?q=source:svn")
        assert response.status_code == 422
        [error] = response.get_json()["errors"]
        assert error["field"] == "q"
        assert "Use one of painchain, github" in error["message"]


@pytest.mark.usefixtures("various")
def test_a_time_in_the_search_overrides_the_range_and_choosing_a_range_replaces_it(client):
    page = soup(client.get("/?range=1h&q=zeppelin+after:2000-01-01"))
    assert len(page.select("#feed article")) == 1
    assert page.select(".ranges > [aria-current]") == []
    week = next(link for link in page.select(".ranges > a") if link.get_text() == "7d")
    assert week["href"] == "/?q=zeppelin&range=7d"


def test_without_javascript_the_page_explains_the_search(client):
    link = part_of(client.get("/"), "menu-how").select_one("#menu-how .panel a")
    page = part_of(client.get(str(link["href"])), "main")
    assert all(f"{name}:" in page.select_one("main #search_help").get_text() for name in search_query.QUALIFIERS)


def test_the_panel_beside_the_search_box_is_filled_when_it_is_opened(client):
    panel = part_of(client.get("/"), "menu-how").select_one("#menu-how .panel")
    fragment = soup(client.get(str(panel["hx-get"]), headers=HTMX))
    assert [element["id"] for element in fragment.find_all(recursive=False)] == ["search_help"]
    assert all(f"{name}:" in fragment.get_text() for name in search_query.QUALIFIERS)


PAGES = [
    "/report",
    "/as-of",
    "/help/README.md",
    "/settings/integrations",
    "/settings/audit-log",
    "/events/1",
    "/no-such-page",
]


@pytest.mark.usefixtures("various")
def test_a_search_on_any_page_leads_to_the_timeline(client):
    forms = []
    for path in PAGES:
        response = client.get(path)
        form = part_of(response, "search-form").form
        assert (form["action"], form["method"]) == ("/", "get"), path
        forms.append(form_of(response, "#search-form"))
    assert all(form == forms[0] for form in forms)
    found = soup(client.get("/", query_string=fill(forms[0], q="zeppelin")))
    assert texts(found, "#feed .author") == ["Doe, J"]
    assert found.select_one("header #q")["value"] == "zeppelin"


def test_the_search_box_follows_the_filter_that_htmx_loads(client):
    fragment = soup(client.get("/?q=zeppelin", headers=HTMX))
    assert fragment.select_one("#searching[hx-swap-oob] #q")["value"] == "zeppelin"
    assert fragment.select_one("#dashboard #q") is None


def suggestions(client: FlaskClient, q: str) -> list[str]:
    """Return the suggestions of the search box for the text before the caret."""
    response = client.get("/search/suggestions", query_string={"q": q}, headers=HTMX)
    assert response.status_code == 200
    fragment = part_of(response, "suggestions")
    root = fragment.select_one("#suggestions[role=listbox]")
    options = [str(option["data-text"]) for option in root.select("[role=option]")]
    assert root.has_attr("hidden") == (not options)
    assert q.endswith(str(root["data-typed"])) or "“" in q
    return options


SUGGESTIONS = [
    ("", [f"{name}:" for name in search_query.QUALIFIERS]),
    ("zeppelin ", [f"{name}:" for name in search_query.QUALIFIERS]),
    ("a", ["action:", "author:", "after:", "around:"]),
    ("-ta", ["-tag:"]),
    ("zeppelin", []),
    ('"so', []),
    ("source:g", ["source:github ", "source:gitlab "]),
    ("x -source:kub", ["-source:kubernetes "]),
    ("type:config", ["type:ConfigChanged ", "type:Configuration ", "type:K8sConfigMap "]),
    ("action:dis", ["action:disable "]),
    ("connector:work", ['connector:"Work GitHub" ']),
    ('a connector:"Work G', ['connector:"Work GitHub" ']),
    ("author:d", ['author:"Doe, J" ']),
    ("AUTHOR:AL", ["author:alice "]),
    ("tag:team", ["tag:team-a "]),
    ("field:poll", ["field:poll_interval "]),
    ("status:chan", ["status:changed "]),
    ("before:to", ["before:today "]),
    ("sauce:x", []),
]


@pytest.mark.usefixtures("various")
def test_suggestions_are_qualifiers_and_after_the_colon_values_that_exist(client):
    for q, offered in SUGGESTIONS:
        assert suggestions(client, q) == offered, q


@pytest.mark.both_databases
def test_suggested_repositories_are_those_of_recent_events(app, client):
    names = ("acme/web", "Acme/api", "group/my app", "acme/web", "no slash", ["acme/list"], None)
    with app.app_context(), writer.writing() as event_log:
        event_log.append(*(new(n, metadata={"repository": name} if name else {}) for n, name in enumerate(names)))
    assert suggestions(client, "re") == ["repo:", "reason:"]
    assert suggestions(client, "repo:") == ["repo:acme/web ", "repo:Acme/api ", 'repo:"group/my app" ']
    assert suggestions(client, "x -REPO:API") == ["-repo:Acme/api "]
    events = client.get("/api/changes", query_string={"q": "repo:ACME/web,acme/api"}).get_json()
    assert [event["metadata"]["repository"] for event in events] == ["acme/web", "Acme/api", "acme/web"]
    assert suggestions(client, "repo:my") == ['repo:"group/my app" ']


FREQUENT = [
    ("status:", ["status:success ", "status:unsafe "]),
    ("status:F", ["status:failed ", "status:unsafe "]),
    ("author:", ["author:zoe ", "author:system ", "author:amy "]),
    ("tag:", ["tag:late ", "tag:early "]),
    ("connector:", ["connector:West ", "connector:East ", 'connector:"PainChain System" ']),
    ("type:pu", ["type:Push ", "type:PullRequest "]),
]


@pytest.mark.both_databases
def test_frequent_values_are_suggested_first_but_after_those_that_begin_with_the_text(app, client, make_connector):
    make_connector("github", "East", tags="unused")
    common = {"author": "zoe", "status": "success", "tags": ["late"], "connector_name": "West", "event_type": "Push"}
    less = {"author": "system", "status": "unsafe", "tags": ["early", "late"], "connector_name": "East"}
    rare = {"author": "amy", "status": "failed", "event_type": "Strange"}
    with app.app_context(), writer.writing() as event_log:
        event_log.append(*(new(n, **values) for n, values in enumerate([common] * 8 + [less] * 4 + [rare])))
    for q, offered in FREQUENT:
        assert suggestions(client, q)[: len(offered)] == offered, q


@pytest.mark.usefixtures("various")
def test_every_suggestion_is_valid(client):
    for name in search_query.QUALIFIERS:
        for text in suggestions(client, f"{name}:"):
            assert client.get("/api/changes", query_string={"q": text}).status_code == 200, text


def test_suggested_names_are_escaped(client, make_connector):
    make_connector("github", '<b>"Odd" & co</b>')
    make_connector("github", "<i>Odd</i>")
    response = client.get("/search/suggestions?q=connector:odd")
    assert soup(response).select("b, i") == []
    assert [option["data-text"] for option in part_of(response, "suggestions").select("[role=option]")] == [
        "connector:<i>Odd</i> "
    ]


ANY = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=210) | SEARCHES


@hypothesis.settings(
    deadline=None, max_examples=examples(60), suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(ANY)
def test_every_search_text_gets_a_response(client: Any, q: str) -> None:
    for address in ("/", "/feed?after=0", "/timeline", "/api/changes", "/api/stats", "/search/suggestions"):
        path, _, query = address.partition("?")
        response = client.get(path, query_string={"q": q, **dict([query.split("=")] if query else [])})
        assert response.status_code in (200, 204, 422), (address, q)
        if response.status_code == 422 and address.startswith("/api"):
            assert response.get_json()["errors"][0]["field"] == "q"
            assert len(response.get_json()["message"]) > 20
