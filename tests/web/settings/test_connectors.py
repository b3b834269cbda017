"""Settings → Integrations: people read and fill in the pages, with and without JavaScript."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from painchain.connectors import ADDABLE, TYPES, configurable_types
from tests.support.html import fill, form_of, soup, texts, unfold, words

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
SYSTEM = 1
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBfDCCASGgAwIBAgIUDX++1z0JbwBrhonNDeNvtU/dqvwwCgYIKoZIzj0EAwIw
EjEQMA4GA1UEAwwHY2x1c3RlcjAgFw0yNjExMjMwMTM1MDFaGA8yMTI2MTAzMDAx
MzUwMVowEjEQMA4GA1UEAwwHY2x1c3RlcjBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABKTP832TXiPHBASWXKlkSmSnDDPtrhTeV7SoJx9lSQ7uvveCjMUe0pF9f3uL
zhFaosVhaGPIgtXOuES+Sw6chXOjUzBRMB0GA1UdDgQWBBQiq2cc5oq615sC9Cj4
vEQMR2FmxzAfBgNVHSMEGDAWgBQiq2cc5oq615sC9Cj4vEQMR2FmxzAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCPSkl6nl0fKnMcOtyngmx8Z9Qx
4uqzJl6bXDpN037WHAIhALEqpepI/LYctFMT3RZPATJCKCY5c07cCmFvc0IsEZbm
-----END CERTIFICATE-----"""


def page_of(number: int) -> str:
    return f"{LIST}/{number}"


def opened(client: FlaskClient, number: int) -> dict[str, Any]:
    """Open a connector's page and return its form."""
    return form_of(client.get(page_of(number)), "#connector-form")


def save(client: FlaskClient, number: int, form: dict[str, Any], htmx: bool = False) -> TestResponse:
    return client.post(page_of(number), data=form, headers=HTMX if htmx else {})


def edit(client: FlaskClient, number: int, *, htmx: bool = False, **values: Any) -> TestResponse:
    """Open a connector's page, fill in some inputs and press Save."""
    return save(client, number, fill(opened(client, number), **values), htmx)


def press(client: FlaskClient, number: int, what: str, *, htmx: bool = False, **values: Any) -> TestResponse:
    """Press a button that has its own form, such as Enable."""
    form = {"csrf_token": opened(client, number)["csrf_token"], **values}
    return client.post(f"{page_of(number)}/{what}", data=form, headers=HTMX if htmx else {})


def toggle(client: FlaskClient, number: int, event_type: str, field: str, visible: bool, **values: Any) -> TestResponse:
    """Change the visibility of one field, as htmx does."""
    opened_form = opened(client, number)
    form = {"csrf_token": opened_form["csrf_token"], "version": opened_form["version"], **values}
    if visible:
        form[f"visible.{event_type}.{field}"] = "1"
    query = {"event_type": event_type, "field": field}
    return client.post(f"{page_of(number)}/visibility", query_string=query, data=form, headers=HTMX)


def toasts(page: BeautifulSoup) -> list[str]:
    return texts(page, "#toast .toast span")


def out_of_band(page: BeautifulSoup) -> list[str]:
    return [str(part["id"]) for part in page.select("[hx-swap-oob=true]")]


def kinds(events: list[dict[str, Any]]) -> list[str]:
    return [event["event_type"] for event in events]


def value_of(page: BeautifulSoup, name: str) -> str:
    """Return the value of an input or text area."""
    element = page.select_one(f"[name='{name}']")
    assert element is not None
    return element.get_text().strip() if element.name == "textarea" else str(element.get("value", ""))


def invalid_fields(page: BeautifulSoup) -> list[str]:
    """Return the fields marked as invalid, after asserting that each refers to its error message."""
    marked = page.select("[aria-invalid=true]")
    for element in marked:
        assert words(page.find(id=f"error-{element['name']}"))
        assert f"error-{element['name']}" in element["aria-describedby"]
    return [str(element["name"]) for element in marked]


def refusal(response: TestResponse, status: int) -> str:
    """Return the message of a refusal: from the error page, or from the toast for htmx."""
    assert response.status_code == status, soup(response).get_text(" ", strip=True)
    page = soup(response)
    if page.find("html"):
        return words(page.select_one("main [role=alert], main h1"))
    assert (response.headers["HX-Retarget"], response.headers["HX-Reswap"]) == ("#toast", "outerHTML")
    assert page.select_one("#toast .toast.bad")
    return toasts(page)[0]


# Navigation


def test_the_dashboard_links_to_settings_which_open_connectors(client):
    buttons = soup(client.get("/")).select("header a.button")
    assert [(words(button), button["href"]) for button in buttons] == [
        ("Report", "/report"),
        ("Settings", LIST),
        ("Help", "/help"),
    ]
    assert client.get("/settings").location == LIST
    sidebar = soup(client.get(LIST)).select_one("nav.sidebar a")
    assert (words(sidebar), sidebar["href"], sidebar["aria-current"]) == ("Connectors", LIST, "page")


def test_a_card_shows_name_type_status_tags_and_last_change(client, make_connector):
    make_connector("gitlab", "Mirror", tags="b, a", enabled=True)
    system, mirror = soup(client.get(LIST)).select("article.card")
    assert texts(system, "h2, .type, .pill, .tag") == ["PainChain System", "PainChain", "system", "audit", "Enabled"]
    assert texts(mirror, "h2, .type, .pill, .tag") == ["Mirror", "GitLab", "b", "a", "Enabled"]
    assert "changed just now by system" in words(mirror)
    assert mirror.select_one("time")["title"].endswith(" UTC")
    assert mirror.select_one(".pill.on")


@pytest.mark.both_databases
def test_search_and_type_narrow_the_cards(client, make_connector):
    make_connector("github", "Work", tags="ui-team")
    make_connector("gitlab", "Mirror")

    def names(**query: str) -> list[str]:
        return texts(soup(client.get(LIST, query_string=query)), "article.card h2")

    assert names() == ["PainChain System", "Work", "Mirror"]
    assert names(q="UI-TEAM") == ["Work"]
    assert names(q="gitlab mirr") == ["Mirror"]
    assert names(type="github") == ["Work"]
    assert names(q="mirror", type="github") == []
    assert names(type="no such type") == []


def test_a_search_keeps_its_text_and_reports_no_matches(client):
    page = soup(client.get(LIST, query_string={"q": "nowhere", "type": "gitlab"}))
    assert form_of(client.get(LIST, query_string={"q": "nowhere", "type": "gitlab"}), ".find") == {
        "q": "nowhere",
        "type": "gitlab",
    }
    assert "No matching connectors" in words(page.select_one("#cards"))
    assert page.select_one("#cards a")["href"] == LIST


def test_htmx_gets_only_the_cards(client):
    page = soup(client.get(LIST, query_string={"q": "system"}, headers={**HTMX, "HX-Target": "cards"}))
    assert [element["id"] for element in page.find_all(recursive=False)] == ["cards"]
    assert texts(page, "article.card h2") == ["PainChain System"]


def test_without_connectors_the_page_suggests_the_next_step(client, make_connector):
    offered = soup(client.get(LIST)).select("#cards .nothing a")
    assert {link["href"] for link in offered} == {f"{LIST}/new/{key}" for key in ADDABLE}
    make_connector()
    assert not soup(client.get(LIST)).select("#cards .nothing")


# Adding


def test_every_type_except_the_built_in_one_can_be_added(client):
    links = soup(client.get(f"{LIST}/new")).select("article.card h2 a")
    assert [link["href"] for link in links] == [f"{LIST}/new/{key}" for key in ("github", "gitlab", "kubernetes")]


@pytest.mark.parametrize("type_key", ADDABLE)
def test_a_new_connector_starts_disabled(client, events, make_connector, type_key):
    before = len(events())
    page = soup(client.get(page_of(make_connector(type_key, "Fresh"))))
    assert texts(page, "#connector_header h1, #connector_header .pill") == ["Fresh", "Disabled"]
    assert toasts(page) == ["Added “Fresh”. The connector is disabled. Enable it when you are ready."]
    [created] = events()[before:]
    assert (created["title"], created["status"]) == ("[Connector Created] Fresh", "created")
    assert created["description"]["configuration"]["enabled"] is False


def test_enabling_a_new_connector_is_an_explicit_choice_and_a_separate_event(client, events, make_connector):
    before = len(events())
    number = make_connector("kubernetes", "Cluster", enabled=True)
    assert texts(soup(client.get(page_of(number))), "#connector_header .pill") == ["Enabled"]
    created, enabled = events()[before:]
    assert [created["title"], enabled["title"]] == ["[Connector Created] Cluster", "[Connector Enabled] Cluster"]
    assert created["request_id"] == enabled["request_id"]


def test_htmx_is_redirected_to_the_page_of_a_new_connector(client):
    address = f"{LIST}/new/kubernetes"
    form = fill(form_of(client.get(address)), name="Cluster")
    response = client.post(address, data=form, headers=HTMX)
    assert (response.status_code, response.data) == (204, b"")
    page = soup(client.get(response.headers["HX-Redirect"]))
    assert texts(page, "#connector_header h1") == ["Cluster"]
    assert toasts(page)[0].startswith("Added ")


def test_the_form_shows_the_saved_values(client, make_connector):
    inputs = {"repos": "a/b\r\nc/d", "branches": "main", "poll_interval": "61", "tags": "x, y"}
    number = make_connector("github", "Work", base_url="https://git.example/api/v3/", **inputs)
    page = soup(client.get(page_of(number)))
    assert [value_of(page, name) for name in ("name", "tags", "base_url", "poll_interval", "repos", "branches")] == [
        "Work",
        "x, y",
        "https://git.example/api/v3",
        "61",
        "a/b\nc/d",
        "main",
    ]


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_invalid_input_for_a_new_connector_stays_and_its_fields_are_marked(client, events, htmx):
    before = events()
    address = f"{LIST}/new/github"
    inputs = {
        "name": "",
        "poll_interval": "7",
        "repos": "nonsense",
        "tags": "typed",
        "token": "made-up",
        "enabled": True,
    }
    form = fill(form_of(client.get(address)), **inputs)
    response = client.post(address, data=form, headers=HTMX if htmx else {})
    page = soup(response)
    assert response.status_code == 422
    assert bool(page.find("html")) is not htmx
    assert invalid_fields(page) == ["name", "poll_interval", "repos"]
    assert texts(page, ".error") == [
        "Connection Name is required.",
        "Poll interval must be an integer between 60 and 3600.",
        "“nonsense” is not of the form owner/name.",
    ]
    assert [value_of(page, name) for name in ("poll_interval", "repos", "tags")] == ["7", "nonsense", "typed"]
    assert page.select_one("[name=enabled][checked]")
    assert texts(page, "#problems a") == ["Connection Name", "Poll interval", "Repositories"]
    assert "made-up" not in response.text
    assert events() == before
    assert len(soup(client.get(LIST)).select("article.card")) == 1


REFUSED = [
    ("github", "name", "x" * 101, "at most"),
    ("github", "name", "a\x07b", "unprintable"),
    ("github", "name", "\u200b", "that can be seen"),
    ("github", "name", "\u2800\u115f", "that can be seen"),
    ("github", "tags", "x" * 51, "at most"),
    ("github", "base_url", "", "required"),
    ("github", "base_url", "git.example", "must be a URL"),
    ("github", "base_url", "ftp://git.example", "must be a URL"),
    ("github", "base_url", "https://", "must be a URL"),
    ("github", "base_url", "https://git.example/?page=2", "must not contain a query"),
    ("github", "token", "", "required"),
    ("github", "token", "x" * 100_001, "at most"),
    ("github", "poll_interval", "59", "between 60 and 3600"),
    ("github", "poll_interval", "3601", "between 60 and 3600"),
    ("github", "poll_interval", "", "required"),
    ("github", "poll_interval", "1e3", "between 60 and 3600"),
    ("github", "repos", "owner/name\nowner", "“owner” is not"),
    ("github", "branches", "two words", "“two words” is not"),
    ("gitlab", "projects", "group", "“group” is not"),
    ("kubernetes", "api_server", "cluster", "must be a URL"),
    ("kubernetes", "ca_certificate", "nonsense", "PEM"),
    ("kubernetes", "ca_certificate", "-----BEGIN PRIVATE KEY-----", "private key"),
    ("kubernetes", "cluster_name", "", "required"),
    ("kubernetes", "poll_interval", "9", "between 10 and 3600"),
    ("kubernetes", "namespaces", "Upper", "“Upper” is not"),
]


def test_each_field_describes_its_values(client):
    for type_key, key, value, message in REFUSED:
        address = f"{LIST}/new/{type_key}"
        form = fill(form_of(client.get(address)), **{"name": "New", "token": "made-up", key: value})
        response = client.post(address, data=form)
        assert response.status_code == 422, (key, value)
        assert invalid_fields(soup(response)) == [key]
        assert message in texts(soup(response), ".error")[0]


def test_connector_names_are_unique(client, make_connector):
    make_connector(name="Work GitHub")
    address = f"{LIST}/new/kubernetes"
    for name in ("Work GitHub", "work github", " WORK GitHub ", "painchain system"):
        response = client.post(address, data=fill(form_of(client.get(address)), name=name))
        assert response.status_code == 422
        assert "already" in texts(soup(response), "#error-name")[0]


# Editing


@pytest.mark.both_databases
def test_a_save_puts_both_events_on_the_timeline(client, events, make_connector):
    number = make_connector()
    before = len(events())
    page = soup(edit(client, number, htmx=True, poll_interval="600"))
    assert texts(page, "#feed .event-type")[:2] == ["Connector Updated", "Config Changed"]
    assert texts(page, "#feed .change") == ["Poll interval: 300 → 600"]
    changed, updated = events()[before:]
    assert changed["title"] == "[Config Changed] Work GitHub - poll_interval"
    assert (changed["description"]["old_value"], changed["description"]["new_value"]) == (300, 600)
    assert updated["metadata"]["changes"] == {"poll_interval": {"old": 300, "new": 600}}
    assert changed["request_id"] == updated["request_id"]


def test_htmx_gets_the_connector_and_out_of_band_message_chart_and_recent_changes(client, make_connector):
    response = edit(client, make_connector(), htmx=True, poll_interval="600")
    page = soup(response)
    assert response.status_code == 200
    assert not page.find("html")
    assert [element.get("id") for element in page.find_all(recursive=False)] == [
        "connector",
        "toast",
        "timeline",
        "feed",
    ]
    assert out_of_band(page) == ["toast", "timeline", "feed"]
    assert toasts(page) == ["Saved “Work GitHub”. Changed: Poll interval."]
    assert value_of(page, "poll_interval") == "600"
    assert page.select("#timeline svg a")


def test_without_htmx_a_save_redirects_to_the_page_with_one_message(client, make_connector):
    number = make_connector()
    client.get(page_of(number))
    response = edit(client, number, poll_interval="600")
    assert (response.status_code, response.location) == (303, page_of(number))
    page = soup(client.get(response.location))
    assert toasts(page) == ["Saved “Work GitHub”. Changed: Poll interval."]
    assert texts(page, "#feed .change") == ["Poll interval: 300 → 600"]
    assert toasts(soup(client.get(response.location))) == []


def test_changing_two_fields_logs_two_config_changed_and_one_connector_updated(client, events, make_connector):
    number = make_connector(tags="old, both")
    before = len(events())
    page = soup(edit(client, number, htmx=True, tags="both, new", repos="a/b"))
    assert kinds(events()[before:]) == ["ConfigChanged", "ConfigChanged", "ConnectorUpdated"]
    assert texts(page, "#feed .change") == ["Repositories: +a/b", "Tags: −old +new"]
    [save] = page.select("#feed article[data-event-type=ConnectorUpdated] > details > summary")
    assert texts(save, ".note, .saved") == ["2 settings:", "Tags: −old +new", "Repositories: +a/b"]
    assert set(events()[-1]["metadata"]["changes"]) == {"tags", "repos"}
    assert len({event["request_id"] for event in events()[before:]}) == 1


def test_a_rename_records_both_names_and_its_title_the_new_one(client, events, make_connector):
    page = soup(edit(client, make_connector(), htmx=True, name="Team GitHub"))
    assert texts(page, "#connector_header h1") == ["Team GitHub"]
    assert texts(page, "#feed .change") == ["Connection Name: Work GitHub → Team GitHub"]
    changed, updated = events()[-2:]
    assert changed["title"] == "[Config Changed] Team GitHub - name"
    assert updated["title"] == "[Connector Updated] Team GitHub"


def test_an_unticked_box_is_off_and_its_effect_is_shown(client, make_connector):
    number = make_connector("kubernetes", "Cluster")
    page = soup(edit(client, number, htmx=True, verify_ssl=False))
    assert texts(page, "#feed .change") == ["Verify TLS certificate: on → off"]
    for where in (page, soup(client.get(LIST))):
        assert "TLS certificate is not verified" in texts(where, ".warning")[0]


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_saving_without_a_change_writes_nothing_and_reports_it(client, events, make_connector, htmx):
    numbers = [make_connector(key, f"Some {key}", tags="a, b") for key in ADDABLE]
    before = events()
    for number in (SYSTEM, *numbers):
        version = opened(client, number)["version"]
        response = edit(client, number, htmx=htmx)
        page = soup(response) if htmx else soup(client.get(response.location))
        assert toasts(page) == ["No changes to save."]
        assert opened(client, number)["version"] == version
    assert events() == before


UNCHANGED = [
    ("github", {"tags": "b,a"}),
    ("github", {"tags": " a ,, b , a "}),
    ("github", {"name": "  Some github  "}),
    ("github", {"poll_interval": " 300 "}),
    ("github", {"poll_interval": "0300"}),
    ("github", {"base_url": "https://api.github.com/"}),
    ("github", {"repos": "a/b\r\nc/d\r\n"}),
    ("github", {"repos": "\n a/b \n\n c/d"}),
    ("github", {"token": "made-up-token"}),
    ("kubernetes", {"ca_certificate": CERTIFICATE.replace("\n", "\r\n") + "\r\n"}),
    ("kubernetes", {"ca_certificate": CERTIFICATE}),
]


def test_the_same_value_in_another_notation_is_not_a_change(client, events, make_connector):
    unchanged = {"github": {"repos": "a/b\nc/d"}, "kubernetes": {"ca_certificate": CERTIFICATE}}
    numbers = {key: make_connector(key, f"Some {key}", tags="a, b", **values) for key, values in unchanged.items()}
    before = events()
    for type_key, values in UNCHANGED:
        page = soup(edit(client, numbers[type_key], htmx=True, **values))
        assert toasts(page) == ["No changes to save."], values
    assert events() == before


def test_the_order_of_repositories_is_a_change(client, make_connector):
    number = make_connector(repos="a/b\nc/d")
    assert toasts(soup(edit(client, number, htmx=True, repos="c/d\na/b"))) == [
        "Saved “Work GitHub”. Changed: Repositories."
    ]


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_invalid_input_stays_and_its_field_is_marked(client, events, make_connector, htmx):
    number = make_connector()
    before = events()
    inputs = {"poll_interval": "7", "tags": "not yet", "visible.Commit.sha": False}
    response = edit(client, number, htmx=htmx, **inputs)
    page = soup(response)
    assert response.status_code == 422
    assert bool(page.find("html")) is not htmx
    assert invalid_fields(page) == ["poll_interval"]
    assert (value_of(page, "poll_interval"), value_of(page, "tags")) == ("7", "not yet")
    assert not page.select_one("[name='visible.Commit.sha'][checked]")
    assert page.select_one("[name='visible.Commit.branch'][checked]")
    assert texts(page, "#connector_header .tag") == []
    assert events() == before
    assert opened(client, number)["poll_interval"] == "300"


def test_a_refused_form_can_be_corrected_and_sent_again(client, make_connector):
    number = make_connector()
    refused = edit(client, number, poll_interval="7", tags="x")
    response = save(client, number, fill(form_of(refused, "#connector-form"), poll_interval="70"), htmx=True)
    assert toasts(soup(response)) == ["Saved “Work GitHub”. Changed: Tags, Poll interval."]


def test_a_refused_form_asks_to_enter_the_token_again(client, make_connector):
    number = make_connector()
    page = soup(edit(client, number, htmx=True, poll_interval="7", token="a-better-one"))
    assert value_of(page, "token") == ""
    assert "again" in str(page.select_one("[data-field=token]"))


# Secrets


def placeholder(page: BeautifulSoup) -> str:
    return str(page.select_one("[name=token]")["placeholder"])


def test_the_placeholder_shows_whether_a_token_is_set(client, make_connector):
    assert placeholder(soup(client.get(f"{LIST}/new/github"))) == "Not set"
    with_token, without = make_connector(), make_connector("kubernetes", "Cluster")
    assert placeholder(soup(client.get(page_of(with_token)))) == "A token is set. Leave blank to keep it."
    assert placeholder(soup(client.get(page_of(without)))) == "Not set"


@pytest.mark.both_databases
def test_setting_replacing_keeping_and_clearing_a_token_records_only_that(client, events, make_connector):
    number = make_connector("kubernetes", "Cluster")
    for inputs in ({"token": "first"}, {"token": ""}, {"token": "second"}, {"token_clear": True}):
        response = edit(client, number, htmx=True, **inputs)
    assert texts(soup(response), "#feed .change") == [
        "Service account token: cleared",
        "Service account token: replaced",
        "Service account token: set",
    ]
    assert placeholder(soup(response)) == "Not set"
    recorded = [event["description"] for event in events(event_type="ConfigChanged")]
    assert [(event["old_value"], event["new_value"]) for event in recorded] == [
        (None, "set"),
        ("set", "replaced"),
        ("set", "cleared"),
    ]


def test_an_optional_token_can_be_cleared_if_it_is_set(client, make_connector):
    cluster = make_connector("kubernetes", "Cluster")
    box = "[name=token_clear]"
    assert not soup(client.get(page_of(cluster))).select(box)
    edit(client, cluster, token="first")
    assert words(soup(client.get(page_of(cluster))).select_one("label:has([name=token_clear])")).startswith("Remove")
    assert not soup(client.get(page_of(make_connector("github")))).select(box)


def test_a_new_token_takes_precedence_over_the_clear_box(client, make_connector):
    number = make_connector("kubernetes", "Cluster", token="first")
    page = soup(edit(client, number, htmx=True, token="second", token_clear=True))
    assert texts(page, "#feed .change") == ["Service account token: replaced"]


# Switching


def test_a_connector_is_enabled_and_disabled_on_its_page(client, events, make_connector):
    number = make_connector()
    before = len(events())
    for what, pill in (("enable", "Enabled"), ("disable", "Disabled")):
        form = form_of(client.get(page_of(number)), "#connector_header form.switch")
        response = client.post(f"{page_of(number)}/{what}", data=form)
        assert (response.status_code, response.location) == (303, page_of(number))
        page = soup(client.get(response.location))
        assert texts(page, "#connector_header .pill") == [pill]
        assert toasts(page) == [f"“Work GitHub” is {what}d."]
    assert [event["title"] for event in events()[before:]] == [
        "[Connector Enabled] Work GitHub",
        "[Connector Disabled] Work GitHub",
    ]


def test_enabling_on_the_page_returns_out_of_band_fragments_to_htmx(client, make_connector):
    number = make_connector()
    form = form_of(client.get(page_of(number)), "#connector_header form.switch")
    page = soup(client.post(f"{page_of(number)}/enable", data=form, headers=HTMX))
    assert out_of_band(page) == ["connector_header", "version", "toast", "timeline", "feed"]
    assert texts(page, "#connector_header .pill") == ["Enabled"]
    assert value_of(page.select_one("#version").parent, "version") == "2"
    assert texts(page, "#feed .event-type")[0] == "Connector Enabled"


def test_enabling_in_the_list_returns_the_card_to_htmx(client, make_connector):
    number = make_connector()
    form = form_of(client.get(LIST), f"#card-{number} form")
    page = soup(client.post(f"{page_of(number)}/enable", data=form, headers=HTMX))
    assert page.find_all(recursive=False)[0]["id"] == f"card-{number}"
    assert texts(page, f"#card-{number} .pill, #card-{number} .switch button") == ["Enabled", "Disable"]
    assert out_of_band(page) == ["toast", "timeline", "feed"]
    assert "PainChain System" in texts(page, "#feed .where"), "the recent changes are those of all connectors"


def test_without_htmx_enabling_in_the_list_returns_to_the_list(client, make_connector):
    number = make_connector()
    form = form_of(client.get(LIST), f"#card-{number} form")
    response = client.post(f"{page_of(number)}/enable", data=form)
    assert (response.status_code, response.location) == (303, LIST)
    assert toasts(soup(client.get(LIST))) == ["“Work GitHub” is enabled."]


def test_enabling_twice_is_one_event_and_the_second_reports_no_change(client, events, make_connector):
    number = make_connector()
    press(client, number, "enable")
    before = events()
    assert toasts(soup(press(client, number, "enable", htmx=True))) == ["“Work GitHub” is already enabled."]
    assert events() == before


def test_disabling_asks_for_confirmation_and_can_be_cancelled(client, make_connector):
    number = make_connector(enabled=True)
    address = f"{page_of(number)}/disable"
    assert "Disable “Work GitHub”?" in texts(soup(client.get(address)), "h1")
    assert texts(soup(client.get(page_of(number))), "#connector_header .pill") == ["Enabled"]
    client.post(address, data=form_of(client.get(address)))
    assert texts(soup(client.get(page_of(number))), "#connector_header .pill") == ["Disabled"]


# Deleting


def test_the_confirmation_lists_what_is_deleted_and_deletes_nothing(client, events, make_connector):
    number = make_connector(tags="team", repos="a/b\nc/d")
    before = events()
    page = soup(client.get(f"{page_of(number)}/delete"))
    assert texts(page, "h1, main form button") == ["Delete “Work GitHub”?", "Delete “Work GitHub”"]
    assert texts(page, ".goes dd") == [
        "Work GitHub (GitHub), disabled",
        "team",
        "https://api.github.com",
        "the stored token",
        "300",
        "a/b, c/d",
        "empty",
    ]
    assert client.get(page_of(number)).status_code == 200
    assert events() == before


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_deleting_a_connector_records_its_last_settings(client, events, make_connector, htmx):
    number = make_connector(repos="a/b")
    address = f"{page_of(number)}/delete"
    response = client.post(address, data=form_of(client.get(address)), headers=HTMX if htmx else {})
    assert response.status_code == (204 if htmx else 303)
    assert (response.headers.get("HX-Redirect") if htmx else response.location) == LIST
    page = soup(client.get(LIST))
    assert toasts(page) == ["Deleted “Work GitHub”. Its events stay on the timeline."]
    assert texts(page, "article.card h2") == ["PainChain System"]
    assert client.get(page_of(number)).status_code == 404
    event = events()[-1]
    assert (event["title"], event["connector_id"]) == ("[Connector Deleted] Work GitHub", number)
    assert event["description"]["configuration"]["repos"] == ["a/b"]
    assert event["description"]["configuration"]["token"] == "set"


# PainChain System


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_painchain_system_cannot_be_deleted(client, events, htmx):
    before = events()
    page = client.get(f"{page_of(SYSTEM)}/delete")
    assert "cannot be deleted" in refusal(page, 409)
    assert not soup(page).select("main form")
    answer = refusal(press(client, SYSTEM, "delete", htmx=htmx), 409)
    assert "“PainChain System” records the audit log and cannot be deleted" in answer
    assert client.get(page_of(SYSTEM)).status_code == 200
    assert not soup(client.get(page_of(SYSTEM))).select(f"[href='{page_of(SYSTEM)}/delete']")
    assert events() == before


def test_painchain_system_can_be_renamed_and_its_new_tags_are_in_later_events(client, events, make_connector):
    page = soup(edit(client, SYSTEM, htmx=True, name="Audit", tags="who, what"))
    assert texts(page, "#connector_header h1, #connector_header .tag") == ["Audit", "who", "what"]
    assert [event["title"] for event in events()[-3:]] == [
        "[Config Changed] Audit - name",
        "[Config Changed] Audit - tags",
        "[Connector Updated] Audit",
    ]
    make_connector()
    assert events()[-1]["tags"] == ["who", "what"]


def switch_auditing_off(client: FlaskClient) -> None:
    address = f"{page_of(SYSTEM)}/disable"
    assert "stops recording configuration changes" in words(soup(client.get(address)).select_one(".warning"))
    assert client.post(address, data=form_of(client.get(address))).status_code == 303


def test_while_auditing_is_off_every_page_shows_since_when_and_by_whom(client, events, make_connector):
    number = make_connector()
    event = events()[-1]["id"]
    pages = ["/", f"/events/{event}", "/nowhere", LIST, f"{LIST}/new", f"{LIST}/new/github", page_of(number)]
    pages += [f"{page_of(number)}/delete", f"{page_of(SYSTEM)}/disable"]
    for page in pages:
        assert not soup(client.get(page)).select("#auditing-off")
    switch_auditing_off(client)
    disabled = events()[-1]
    for page in pages:
        bar = soup(client.get(page)).select_one("#auditing-off")
        assert "Auditing is off. Configuration changes have not been recorded since" in words(bar), page
        assert "Disabled by system" in words(bar)
        assert bar.select_one("time")["datetime"][:19] == disabled["timestamp"][:19]
        assert bar.select_one("a")["href"] == f"{LIST}?type=painchain"


def test_while_auditing_is_off_changes_are_saved_but_not_recorded(client, events, make_connector):
    number = make_connector()
    before = len(events())
    switch_auditing_off(client)
    make_connector("kubernetes", "Unseen", enabled=True)
    edit(client, number, poll_interval="600")
    edit(client, SYSTEM, name="Unseen audit")
    toggle(client, number, "Commit", "sha", False)
    press(client, number, "enable")
    press(client, number, "delete")
    assert [event["title"] for event in events()[before:]] == ["[Connector Disabled] PainChain System"]
    press(client, SYSTEM, "enable")
    assert [event["title"] for event in events()[before + 1 :]] == ["[Connector Enabled] Unseen audit"]
    assert not soup(client.get("/")).select("#auditing-off")
    assert texts(soup(client.get(LIST)), "article.card h2") == ["Unseen audit", "Unseen"]


def test_enabling_auditing_with_htmx_loads_a_whole_page_with_its_bar(client):
    for what in ("disable", "enable"):
        response = press(client, SYSTEM, what, htmx=True)
        assert (response.status_code, response.headers["HX-Redirect"]) == (204, page_of(SYSTEM))


# Field visibility


def visible(client: FlaskClient, number: int) -> dict[tuple[str, str], bool]:
    """Return each toggle of a connector's page and whether it is on."""
    page = soup(client.get(page_of(number)))
    hidden_fields = {}
    for fieldset in page.select("#visibility fieldset"):
        for box in fieldset.select("input[type=checkbox]"):
            _, event_type, field = str(box["name"]).split(".")
            assert event_type == fieldset["data-event-type"] == words(fieldset.legend)
            hidden_fields[event_type, field] = box.has_attr("checked")
    return hidden_fields


def test_every_field_of_every_event_type_has_a_toggle_and_is_visible_at_first(client, make_connector):
    numbers = {"painchain": SYSTEM, **{key: make_connector(key, f"Some {key}") for key in ADDABLE}}
    for type_key, number in numbers.items():
        types = configurable_types(TYPES[type_key])
        every = [(event_type.name, field.key) for event_type in types for field in event_type.fields]
        assert visible(client, number) == dict.fromkeys(every, True)


def test_a_toggle_is_one_event_and_updates_the_dashboard_at_once(client, events, make_connector):
    edit(client, make_connector(), poll_interval="600")
    before = len(events())
    toggle(client, SYSTEM, "ConfigChanged", "old_value", False)
    assert texts(soup(client.get("/")), "#feed .change") == ["Poll interval: 600"]
    [event] = events()[before:]
    assert event["title"] == "[Field Visibility Changed] ConfigChanged"
    assert event["description"]["text"] == "Old value of ConfigChanged events hidden"
    toggle(client, SYSTEM, "ConfigChanged", "old_value", True)
    assert texts(soup(client.get("/")), "#feed .change") == ["Poll interval: 300 → 600"]
    assert [event["metadata"]["visible"] for event in events()[before:]] == [False, True]


def test_hidden_fields_are_still_recorded(client, events, make_connector):
    toggle(client, SYSTEM, "ConfigChanged", "old_value", False)
    edit(client, make_connector(), poll_interval="600")
    assert events(event_type="ConfigChanged")[-1]["description"]["old_value"] == 300


def test_a_toggle_returns_out_of_band_fragments_to_htmx(client, make_connector):
    number = make_connector()
    page = soup(toggle(client, number, "Commit", "sha", False))
    assert out_of_band(page) == ["connector_header", "version", "toast", "timeline", "feed"]
    assert toasts(page) == ["SHA is now hidden."]
    assert page.select_one("#version")["value"] == opened(client, number)["version"] == "2"
    assert texts(page, "#feed .note")[0] == "SHA of Commit hidden"


def test_an_unchanged_toggle_writes_nothing(client, events, make_connector):
    number = make_connector()
    before = events()
    assert toasts(soup(toggle(client, number, "Commit", "sha", True))) == ["No changes."]
    assert events() == before


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_all_fields_of_an_event_type_are_hidden_and_shown_by_one_button(client, events, make_connector, htmx):
    number = make_connector()
    before = len(events())
    every = visible(client, number)
    commit = [name for name in every if name[0] == "Commit"]
    for word, state in (("hide", False), ("show", True)):
        response = press(client, number, "visibility", htmx=htmx, **{**opened(client, number), word: "Commit"})
        messages = [f"{len(commit)} fields are now {'shown' if state else 'hidden'}."]
        if htmx:
            assert toasts(soup(response)) == messages
            assert out_of_band(soup(response)) == [
                "connector_header",
                "version",
                "visibility",
                "toast",
                "timeline",
                "feed",
            ]
        else:
            assert (response.status_code, response.location) == (303, f"{page_of(number)}#visibility")
        assert visible(client, number) == {**every, **dict.fromkeys(commit, state)}
    hidden, shown = events()[before : before + len(commit)], events()[before + len(commit) :]
    for toggled, state in ((hidden, False), (shown, True)):
        assert {(event["event_type"], event["metadata"]["visible"]) for event in toggled} == {
            ("FieldVisibilityChanged", state)
        }
        assert sorted(("Commit", event["metadata"]["field"]) for event in toggled) == sorted(commit)
        assert len({event["request_id"] for event in toggled}) == 1


def test_a_save_with_visibility_lists_it_and_logs_each_field(client, events, make_connector):
    number = make_connector()
    before = len(events())
    inputs = {"poll_interval": "600", "visible.Commit.sha": False, "visible.Release.draft": False}
    page = soup(edit(client, number, htmx=True, **inputs))
    assert toasts(page) == ["Saved “Work GitHub”. Changed: Poll interval, Draft, SHA."]
    new_events = events()[before:]
    assert kinds(new_events) == [
        "ConfigChanged",
        "FieldVisibilityChanged",
        "FieldVisibilityChanged",
        "ConnectorUpdated",
    ]
    assert new_events[-1]["metadata"]["changes"] == {
        "poll_interval": {"old": 300, "new": 600},
        "field_visibility.Release.draft": {"old": True, "new": False},
        "field_visibility.Commit.sha": {"old": True, "new": False},
    }
    assert len({event["request_id"] for event in new_events}) == 1
    updated = unfold(client, page).select_one("#feed > article > details > .details")
    assert texts(updated, ".changes li") == [
        "Poll interval 300 → 600",
        "Draft of Release shown → hidden",
        "SHA of Commit shown → hidden",
    ]
    assert [name for name, on in visible(client, number).items() if not on] == [("Release", "draft"), ("Commit", "sha")]


def test_saving_only_visibility_is_a_change(client, events, make_connector):
    number = make_connector()
    before = len(events())
    edit(client, number, **{"visible.Commit.sha": False})
    assert kinds(events()[before:]) == ["FieldVisibilityChanged", "ConnectorUpdated"]


def test_an_unknown_field_cannot_be_toggled(client, events, make_connector):
    number = make_connector()
    before = events()
    for toggled in (("Commit", "nothing"), ("MergeRequest", "branches"), ("", "")):
        assert "Unknown field" in refusal(toggle(client, number, *toggled, visible=False), 422)
    assert "Unknown field" in refusal(press(client, number, "visibility", hide="MergeRequest"), 422)
    assert events() == before


# Two people


def table(page: BeautifulSoup) -> list[list[str]]:
    """Return the rows of the conflict: setting, their change, your change."""
    return [texts(row, "th, td") for row in page.select("#conflict tbody tr")]


@pytest.mark.both_databases
@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_a_stale_save_shows_both_changes_and_overwrites_nothing(client, events, make_connector, htmx):
    number = make_connector(tags="ours")
    old_form = opened(client, number)
    edit(client, number, poll_interval="600", repos="a/b")
    before = events()
    response = save(client, number, fill(old_form, poll_interval="900", branches="main"), htmx)
    page = soup(response)
    assert response.status_code == 409
    assert bool(page.find("html")) is not htmx
    assert "system changed “Work GitHub” just now, after you opened it" in words(page.select_one("#conflict"))
    assert table(page) == [
        ["Poll interval", "300 → 600", "300 → 900"],
        ["Repositories", "+a/b", "unchanged"],
        ["Branches", "unchanged", "+main"],
    ]
    assert [value_of(page, name) for name in ("poll_interval", "repos", "branches", "tags")] == [
        "900",
        "a/b",
        "main",
        "ours",
    ]
    assert events() == before
    assert (opened(client, number)["poll_interval"], opened(client, number)["branches"].strip()) == ("600", "")


def test_keep_mine_saves_my_changes_and_leaves_theirs(client, events, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    edit(client, number, repos="a/b", tags="theirs")
    conflict = save(client, number, fill(old_form, poll_interval="900"))
    before = len(events())
    page = soup(save(client, number, form_of(conflict, "#connector-form"), htmx=True))
    assert toasts(page) == ["Saved “Work GitHub”. Changed: Poll interval."]
    assert kinds(events()[before:]) == ["ConfigChanged", "ConnectorUpdated"]
    assert [value_of(page, name) for name in ("poll_interval", "repos", "tags")] == ["900", "a/b", "theirs"]


def test_take_theirs_is_a_link_to_the_current_page(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    edit(client, number, poll_interval="600")
    link = soup(save(client, number, fill(old_form, poll_interval="900"))).select_one("#conflict a")
    assert (words(link), link["href"]) == ("Discard my changes", page_of(number))


def test_a_save_after_another_person_enabled_the_connector_is_stale_without_differences(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    press(client, number, "enable")
    response = save(client, number, fill(old_form, tags="mine"))
    assert response.status_code == 409
    assert table(soup(response)) == [
        ["Tags", "unchanged", "+mine"],
        ["They enabled or disabled the connector, or changed its token or field visibility."],
    ]


def test_keep_mine_leaves_toggles_that_only_they_changed(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    toggle(client, number, "Commit", "sha", False)
    inputs = {"tags": "mine", "visible.Commit.branch": False}
    conflict = save(client, number, fill(old_form, **inputs))
    assert conflict.status_code == 409
    save(client, number, form_of(conflict, "#connector-form"))
    off = [name for name, on in visible(client, number).items() if not on]
    assert off == [("Commit", "branch"), ("Commit", "sha")]


def test_a_conflict_asks_to_enter_the_token_again(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    edit(client, number, poll_interval="600")
    page = soup(save(client, number, fill(old_form, token="a-better-one"), htmx=True))
    assert "again" in str(page.select_one("[data-field=token]"))


def test_a_stale_button_is_refused_and_changes_nothing(client, events, make_connector):
    number = make_connector()
    edit(client, number, poll_interval="600")
    before = events()
    for what in ("enable", "disable", "delete", "visibility"):
        for htmx in (False, True):
            answer = refusal(press(client, number, what, htmx=htmx, version="1", hide="Commit"), 409)
            assert answer.startswith("Someone else changed this first")
            if htmx:
                assert "“Work GitHub” was changed by system in the meantime. Nothing was saved. Reload" in answer
    assert events() == before
    assert all(visible(client, number).values())
    assert texts(soup(client.get(page_of(number))), "#connector_header .pill") == ["Disabled"]


def test_a_stale_toggle_is_refused_and_changes_nothing(client, events, make_connector):
    number = make_connector()
    edit(client, number, poll_interval="600")
    before = events()
    assert "Someone else changed this first" in refusal(
        toggle(client, number, "Commit", "sha", False, version="1"), 409
    )
    assert events() == before


def test_a_conflict_works_with_an_unreadable_base_version(client, make_connector):
    number = make_connector()
    old_form = opened(client, number)
    edit(client, number, poll_interval="600")
    for base in ("", "nonsense", "[]", "{", "[" * 100_000, '{"poll_interval": "soon", "tags": 7, "name": {}}'):
        response = save(client, number, fill(old_form, tags="mine", base=base))
        assert response.status_code == 409, base[:50]
        assert ["Tags", "unchanged", "+mine"] in table(soup(response))


# Unknown connectors and foreign requests


def form_addresses(number: int) -> list[str]:
    """Return the address of every form about a connector."""
    page = page_of(number)
    return [page, *(f"{page}/{what}" for what in ("enable", "disable", "delete", "visibility"))]


def test_an_unknown_connector_is_not_found_on_any_route(client, events):
    token = opened(client, SYSTEM)["csrf_token"]
    before = events()
    for address in form_addresses(4711):
        for headers in ({}, HTMX):
            answer = client.post(address, data={"csrf_token": token, "name": "x"}, headers=headers)
            assert refusal(answer, 404).startswith("Not found")
    for address in (page_of(4711), f"{page_of(4711)}/delete", f"{page_of(4711)}/disable"):
        page = soup(client.get(address))
        assert "the timeline shows when and by whom" in words(page.select_one("main"))
        assert client.get(address).status_code == 404
    assert events() == before


def test_only_addable_types_have_a_form(client, events):
    token = opened(client, SYSTEM)["csrf_token"]
    before = events()
    for address in (f"{LIST}/new/painchain", f"{LIST}/new/jenkins", f"{LIST}/new/GitHub"):
        assert "Choose one of github, gitlab, kubernetes." in words(soup(client.get(address)).select_one("main"))
        assert client.get(address).status_code == 404
        for headers in ({}, HTMX):
            refusal(client.post(address, data={"csrf_token": token, "name": "x"}, headers=headers), 404)
    assert events() == before


def test_every_form_requires_its_csrf_token(client, events, make_connector):
    number = make_connector()
    form = fill(opened(client, number), name="Foreign", hide="Commit", csrf_token=False)
    before = client.get("/api/connectors").get_json(), events()
    for address in (f"{LIST}/new/kubernetes", *form_addresses(number)):
        for token in ({}, {"csrf_token": ""}, {"csrf_token": "nonsense"}):
            for headers in ({}, HTMX):
                answer = client.post(address, data={**form, **token}, headers=headers)
                assert refusal(answer, 400).startswith("This form has expired")
    assert (client.get("/api/connectors").get_json(), events()) == before


def test_a_csrf_token_of_another_session_is_refused(app, client, events, make_connector):
    number = make_connector()
    form = fill(opened(client, number), name="Foreign")
    before = events()
    assert "expired" in refusal(save(app.test_client(), number, form), 400)
    assert events() == before
