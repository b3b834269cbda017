"""Every route has a required role; a lower role is refused, for pages, fragments and the API."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.accounts import api_tokens, users
from painchain.core.roles import ROLES
from painchain.startup import create_app
from tests.conftest import ON_SQLITE, close
from tests.support.accounts import add_person, audited_transaction, sign_in
from tests.support.elements import Element, tree, words
from tests.support.html import form_of

HTMX = {"HX-Request": "true"}
ANYBODY = "anybody"
Route = tuple[str, str]

LIST, TEAMS, RULES = "/settings/integrations", "/settings/teams", "/settings/notifications"
CONNECTOR, TEAM, RULE = f"{LIST}/<int:connector_id>", f"{TEAMS}/<int:team_id>", f"{RULES}/<int:rule_id>"
API_ONE, API_TEAM = "/api/connectors/<int:connector_id>", "/api/teams/<int:team_id>"
API_RULE = "/api/notify-rules/<int:rule_id>"
VIEWS = "/settings/views"
VIEW, API_VIEW = f"{VIEWS}/<int:view_id>", "/api/views/<int:view_id>"
RETENTION, LOG = "/settings/retention", "/settings/audit-log"
PEOPLE = "/settings/people"
PERSON, API_PERSON = f"{PEOPLE}/<int:person_id>", "/api/people/<int:person_id>"
TOKENS = "/settings/tokens"

# The required role of each route. There is no default: a new route must be added here.
TABLE: dict[str, tuple[str, ...]] = {
    ANYBODY: (
        *("GET /static/<path:filename>", "GET /health", "GET /metrics", "POST /hooks/<key>/<int:connector_id>"),
        *("GET /sign-in", "POST /sign-in", "POST /sign-out", "GET /link/<secret>", "POST /link/<secret>"),
        *("GET /sign-in/oidc", "GET /sign-in/oidc/back"),
    ),
    "viewer": (
        *("GET /", "GET /feed", "GET /news", "GET /timeline", "GET /search/suggestions"),
        *("GET /search/help", "GET /timeline/table", "GET /filter/<name>", "GET /feed/other-views"),
        *("GET /events/<int:number>", "GET /events/<path:event_id>", "GET /events/<int:number>/around"),
        "GET /events/<int:number>/details",
        *("GET /report", "POST /report.csv", "GET /as-of", "GET /export", "POST /export"),
        *("GET /settings", f"GET {LIST}", f"GET {CONNECTOR}", f"GET {LIST}/<int:number>/history", f"GET {LIST}/health"),
        *(f"GET {TEAMS}", f"GET {TEAM}", "GET /people/<path:name>"),
        *(f"GET {LOG}", f"GET {LOG}/progress", f"GET {LOG}/checkpoints.ndjson", f"POST {LOG}/compare"),
        "GET /api/integrity",
        *("GET /account", "POST /account/password", "POST /account/sign-ins/<number>/end"),
        *("POST /account/sign-ins/end", "GET /account/unlink", "POST /account/unlink"),
        *("GET /help", "GET /help/<path:document>", "GET /palette"),
        *("GET /openapi.json", "GET /api/changes", "GET /api/changes/<path:number>", "GET /api/timeline"),
        "GET /api/changes/<path:number>/notes",
        "GET /api/annotations",
        *("GET /api/stats", "GET /api/as-of", "GET /api/connector-types", "GET /api/connectors", f"GET {API_ONE}"),
        *(f"GET {API_ONE}/webhook", "GET /api/teams", f"GET {API_TEAM}", "POST /api/export"),
        # Their own views. A view of everybody needs an editor.
        *(f"GET {VIEWS}", f"GET {VIEWS}/new", f"POST {VIEWS}/new", f"GET {VIEW}", f"POST {VIEW}"),
        *(f"POST {VIEW}/start", f"GET {VIEW}/delete", f"POST {VIEW}/delete"),
        *("GET /api/views", "POST /api/views", f"GET {API_VIEW}", f"PATCH {API_VIEW}", f"DELETE {API_VIEW}"),
    ),
    "editor": (
        *("GET /setup/hide", "POST /setup/hide"),
        *(f"GET {LIST}/new", f"GET {LIST}/new/<key>", f"POST {LIST}/new/<key>", f"POST {LIST}/new/<key>/test"),
        *(f"POST {CONNECTOR}", f"POST {CONNECTOR}/visibility", f"POST {CONNECTOR}/enable", f"GET {CONNECTOR}/disable"),
        f"POST {CONNECTOR}/disable",
        *(f"GET {CONNECTOR}/duplicate", f"POST {LIST}/bulk"),
        *(f"GET {CONNECTOR}/delete", f"POST {CONNECTOR}/delete", f"POST {CONNECTOR}/sync", f"POST {CONNECTOR}/test"),
        *(f"GET {CONNECTOR}/webhook/<any(replace, remove):what>", f"POST {CONNECTOR}/webhook"),
        *(f"POST {CONNECTOR}/webhook/remove", f"POST {LIST}/new/<key>/try", f"POST {CONNECTOR}/try"),
        *(f"GET {API_ONE}/webhook/deliveries", f"POST {API_ONE}/webhook/try"),
        *("GET /events/<int:number>/restore", "POST /events/<int:number>/restore"),
        *("POST /events/<int:number>/notes", "POST /api/changes/<path:number>/notes"),
        *(f"GET {TEAMS}/new", f"POST {TEAMS}/new", f"POST {TEAM}", f"GET {TEAM}/delete", f"POST {TEAM}/delete"),
        *(
            "POST /api/painchain/log",
            "POST /api/events",
            "POST /api/changes/<path:number>/restore",
            "POST /api/connectors",
        ),
        *(f"PATCH {API_ONE}", f"DELETE {API_ONE}", f"POST {API_ONE}/enable", f"POST {API_ONE}/disable"),
        *(f"PUT {API_ONE}/visibility/<event_type>/<field>", f"POST {API_ONE}/sync", f"POST {API_ONE}/test"),
        *(
            "POST /api/connectors/test",
            "POST /api/connectors/try",
            f"POST {API_ONE}/webhook",
            f"DELETE {API_ONE}/webhook",
        ),
        *("POST /api/teams", f"PATCH {API_TEAM}", f"DELETE {API_TEAM}"),
    ),
    "admin": (
        "POST /setup/key-copy",
        *(f"GET {RETENTION}", f"POST {RETENTION}", f"GET {RETENTION}/prune", f"POST {RETENTION}/prune"),
        f"GET {RETENTION}/progress",
        *(f"POST {LOG}/check", f"POST {LOG}/checkpoint", "POST /api/checkpoints"),
        *(f"GET {RULES}", f"GET {RULES}/new", f"POST {RULES}/new", f"GET {RULE}", f"POST {RULE}"),
        *(f"POST {RULE}/test", f"POST {RULE}/seen", f"GET {RULE}/delete", f"POST {RULE}/delete"),
        *("GET /api/notify-rules", "POST /api/notify-rules", f"GET {API_RULE}", f"PATCH {API_RULE}"),
        *(f"DELETE {API_RULE}", f"POST {API_RULE}/test"),
        *(f"GET {PEOPLE}", f"GET {PEOPLE}/new", f"POST {PEOPLE}/new", f"GET {PERSON}", f"POST {PERSON}"),
        *(f"POST {PERSON}/link", f"POST {PERSON}/disable", f"POST {PERSON}/enable"),
        *(f"GET {PERSON}/remove", f"POST {PERSON}/remove", f"GET {PERSON}/unlink", f"POST {PERSON}/unlink"),
        *("GET /api/people", "POST /api/people", f"GET {API_PERSON}", f"PATCH {API_PERSON}", f"DELETE {API_PERSON}"),
        *(f"POST {API_PERSON}/link", f"POST {API_PERSON}/disable", f"POST {API_PERSON}/enable"),
        f"POST {API_PERSON}/unlink",
        *(f"GET {TOKENS}", f"GET {TOKENS}/new", f"POST {TOKENS}/new", f"GET {TOKENS}/<int:token_id>/revoke"),
        *(f"POST {TOKENS}/<int:token_id>/revoke", "GET /api/tokens", "POST /api/tokens"),
        *("GET /api/tokens/<int:token_id>", "DELETE /api/tokens/<int:token_id>"),
    ),
}
REQUIRED_ROLES: dict[Route, str] = {
    (route.partition(" ")[0], route.partition(" ")[2]): role for role, routes in TABLE.items() for route in routes
}


def routes(app: Flask) -> Iterator[Route]:
    """Yield every route except the HEAD and OPTIONS that Flask adds."""
    for rule in app.url_map.iter_rules():
        yield from ((method, rule.rule) for method in rule.methods - {"HEAD", "OPTIONS"})


def address_of(rule: str) -> str:
    """Return an address of a route with an id that does not exist, so that allowed requests change nothing."""
    rule = re.sub(r"<any\((\w+)[^>]*>", r"\1", rule)
    return re.sub(r"<(?:int|path):\w+>|<\w+>", "999999", rule)


def is_api(rule: str) -> bool:
    return rule.startswith(("/api/", "/health", "/openapi.json", "/metrics"))


def send_empty_request(client: FlaskClient, route: Route, **headers: str) -> TestResponse:
    """Send an empty request to a route. Permissions are checked before the missing content."""
    return client.open(address_of(route[1]), method=route[0], headers=headers, buffered=True)


@ON_SQLITE
def test_every_route_has_a_required_role(app):
    assert set(routes(app)) == set(REQUIRED_ROLES)
    assert len(REQUIRED_ROLES) == sum(len(routes) for routes in TABLE.values())


@ON_SQLITE
def test_every_route_allows_exactly_its_roles(app, thorough):
    """Refusals differ for htmx. `make test` tries each route with the required role and the one below it."""
    add_person(app, "admin", "admin")
    for role in ROLES:
        if role != "admin":
            add_person(app, role, role)
        client = app.test_client()
        sign_in(client, role)
        for route, needed in REQUIRED_ROLES.items():
            above = 0 if needed == ANYBODY else ROLES.index(role) - ROLES.index(needed)
            if needed == ANYBODY or (above not in (0, -1) and not thorough):  # anybody may sign out
                continue
            may = above >= 0
            for headers in ({}, HTMX) if thorough or not may else ({},):
                response = send_empty_request(client, route, **headers)
                assert (response.status_code not in (401, 403)) == may, (role, route, headers, response.status_code)
                if not may:
                    assert f"Your role is {role}; this requires the {needed} role" in message_of(response, route), (
                        role,
                        route,
                    )


def message_of(response: TestResponse, route: Route) -> str:
    """Return the message of a refusal: from JSON, from a toast for htmx, or from a page."""
    if is_api(route[1]):
        assert set(response.get_json()) == {"success", "message", "errors"}
        return str(response.get_json()["message"])
    if "HX-Retarget" in response.headers:
        [message, *_] = tree(response).xpath("//*[@id = 'toast']//*[@class = 'toast bad']//span")
        return words(message)
    [message] = tree(response).xpath("//main//*[@role = 'alert']")
    return words(message)


def controls(page: Element) -> Iterator[tuple[str, str]]:
    """Yield method and address of every link, button and form of a page that can be used."""
    for element in page.xpath("//fieldset[@disabled]"):
        element.clear()
    for form in page.xpath("//form[not(@method = 'dialog')]"):
        buttons = form.xpath(".//button | .//input[@type = 'submit'] | //*[@form = $id]", id=form.get("id", "none"))
        if buttons:
            yield form.attrib["method"].upper(), form.attrib["action"]
    for attribute, method in (("href", "GET"), ("hx-get", "GET"), ("hx-post", "POST"), ("formaction", "POST")):
        for element in page.iter("a", "button", "input", "div"):
            if attribute in element.attrib:
                yield method, element.attrib[attribute]


@ON_SQLITE
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.usefixtures("fake_sources")
def test_pages_offer_only_what_the_role_allows(app, client, make_connector, role):
    connector_id = make_connector("kubernetes", "Cluster", tags="a", enabled=True)
    assert (
        client.patch(f"/api/connectors/{connector_id}", json={"tags": ["b"]}, headers={"If-Match": "*"}).status_code
        == 200
    )
    assert client.post("/api/teams", json={"name": "Payments", "tags": ["a"]}).status_code == 201
    assert client.post("/api/views", json={"name": "Ours", "filter": "q=a"}).status_code == 201
    [change] = client.get("/api/changes?event_type=ConfigChanged").get_json()
    add_person(app, "bob", role)
    sign_in(client, "bob")
    url_adapter = app.url_map.bind("localhost")
    roles_seen: set[str] = set()
    pages = (
        *("/", LIST, f"{LIST}/{connector_id}", f"{LIST}/1", f"{LIST}/{connector_id}/history"),
        *("/palette", "/palette?q=a"),
        *(TEAMS, f"{TEAMS}/1", VIEWS, f"{VIEWS}/1", f"{VIEWS}/new", "/export"),
    )
    for address in (*pages, f"/events/{change['id']}", "/report", "/as-of", "/people/bob", "/account", LOG):
        response = client.get(address)
        assert response.status_code == 200, address
        for method, pressed in controls(tree(response)):
            rule, _ = url_adapter.match(urlsplit(urljoin(address, pressed)).path, method, return_rule=True)
            needed = REQUIRED_ROLES[method, rule.rule]
            assert needed == ANYBODY or ROLES.index(needed) <= ROLES.index(role), (address, method, pressed)
            roles_seen.add(needed)
    assert roles_seen == {ANYBODY, *ROLES[: ROLES.index(role) + 1]}, "otherwise the test sees no control of some role"


@ON_SQLITE
def test_without_a_session_only_the_sign_in_pages_are_served(app, client):
    add_person(app)
    for route, needed in REQUIRED_ROLES.items():
        for headers in ({}, HTMX):
            response = send_empty_request(client, route, **headers)
            if needed == ANYBODY:
                assert response.status_code != 403, route
            elif is_api(route[1]):
                assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer"), route
            elif route[0] != "GET":
                assert response.status_code == 401, route
                assert "Nothing was saved" in message_of(response, route)
            elif headers:
                assert (response.status_code, response.headers["HX-Redirect"][:8]) == (401, "/sign-in"), route
            else:
                assert (response.status_code, response.location[:8]) == (303, "/sign-in"), route


@ON_SQLITE
def test_a_token_has_the_lower_role_of_token_and_owner(app, thorough):
    """One guard reads the token before all routes: `make test` sends it to every third route."""
    number = add_person(app)
    with audited_transaction(app) as trail:
        _, secret = api_tokens.create("deploy", "editor", 7, users.get(number), trail)
    client = app.test_client()
    bearer = {"Authorization": f"Bearer {secret}"}

    def refused(role: str) -> set[bool]:
        of_role = [route for route, needed in REQUIRED_ROLES.items() if needed == role]
        answers = [send_empty_request(client, route, **bearer) for route in of_role[:: 1 if thorough else 3]]
        return {
            response.status_code in (401, 403) or response.headers.get("Location", "")[:8] == "/sign-in"
            for response in answers
        }

    assert (refused("viewer"), refused("editor"), refused("admin")) == ({False}, {False}, {True})
    add_person(app, "bob")
    with audited_transaction(app) as trail:
        users.change(users.get(number), trail, None, name="alice", role="viewer")
    assert (refused("viewer"), refused("editor")) == ({False}, {True})
    with audited_transaction(app) as trail:
        users.disable(users.get(number), trail)
    assert refused("viewer") == {True}


@ON_SQLITE
def test_on_loopback_without_accounts_every_request_is_allowed(client, thorough):
    for number, route in enumerate(REQUIRED_ROLES):
        if route[1].startswith(("/hooks/", "/link/")):
            continue
        for headers in ({}, HTMX) if thorough else (({}, HTMX)[number % 2],):
            assert send_empty_request(client, route, **headers).status_code not in (401, 403), route


@ON_SQLITE
def test_beyond_loopback_without_accounts_only_setup_is_served(settings):
    app = create_app(replace(settings, host="0.0.0.0", trusted_hosts=()))
    client = app.test_client()
    try:
        for route, needed in REQUIRED_ROLES.items():
            if needed == ANYBODY:
                continue
            for headers in ({}, HTMX):
                response = send_empty_request(client, route, **headers)
                assert response.status_code == (401 if is_api(route[1]) else 403), route
                assert "no accounts yet" in response.get_data(as_text=True) or is_api(route[1]), route
    finally:
        close(app)


ORIGINS = (
    "https://evil.example",
    "null",
    "",
    "http://localhost:81",
    "http://localhost.evil.example",
    "https://localhost",
)
FOREIGN = [{"Origin": origin} for origin in ORIGINS]
FOREIGN += [{"Sec-Fetch-Site": site} for site in ("cross-site", "same-site")]


@ON_SQLITE
def test_requests_of_other_sites_and_browsers_write_nothing(app, thorough):
    """Forms need the CSRF token of their own session; forms and API refuse foreign origins; webhooks are signed.

    One guard before all routes refuses them, so `make test` tries each route with some of these requests, in turn.
    """
    tokens = []
    for name in ("mallory", "alice"):
        add_person(app, name)
        client = app.test_client()
        sign_in(client, name)
        tokens.append(form_of(client.get(f"{TEAMS}/new"), "#team-form")["csrf_token"])
    writing = [(method, rule) for method, rule in REQUIRED_ROLES if method != "GET" and not rule.startswith("/hooks/")]
    forged = [(token, headers) for token in ("", tokens[0], f"{tokens[1]}x") for headers in ({}, HTMX)]
    turns = {True: itertools.count(), False: itertools.count()}  # of the API and of forms
    for method, rule in writing:
        turn = next(turns[is_api(rule)])
        address = address_of(rule)
        data = {} if is_api(rule) else {"csrf_token": tokens[1]}
        for headers in FOREIGN if thorough else (FOREIGN[turn % len(FOREIGN)],):
            assert client.open(address, method=method, data=data, headers=headers).status_code == 403, (rule, headers)
        if is_api(rule):
            continue
        for token, headers in forged if thorough else (forged[turn % len(forged)],):
            answer = client.open(address, method=method, data={"csrf_token": token}, headers=headers)
            assert answer.status_code == 400, (method, rule)
        assert client.open(f"{address}?csrf_token={tokens[1]}", method=method).status_code == 400, (
            "a token in the address does not count"
        )
    assert client.post(f"{TEAMS}/new", data={"csrf_token": tokens[1]}).status_code == 422, "with its own token"
