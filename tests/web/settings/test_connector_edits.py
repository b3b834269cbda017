"""A connector is edited through its form, and each changed field is recorded."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from painchain.connectors import ADDABLE
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of
from tests.web.settings.connector_pages import (
    CERTIFICATE,
    LIST,
    SYSTEM,
    edit,
    invalid_fields,
    kinds,
    opened,
    out_of_band,
    page_of,
    save,
    toasts,
    value_of,
)


def test_a_save_puts_both_events_on_the_timeline(client, events, make_connector):
    number = make_connector()
    before = len(events())
    page = part_of(edit(client, number, htmx=True, poll_interval="600"), "feed")
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
    assert toasts(part_of(client.get(response.location), "toast")) == []


def test_changing_two_fields_logs_two_config_changed_and_one_connector_updated(client, events, make_connector):
    number = make_connector(tags="old, both")
    before = len(events())
    page = part_of(edit(client, number, htmx=True, tags="both, new", repos="a/b"), "feed")
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
    for where in (page, part_of(client.get(LIST), "cards")):
        assert "TLS certificate is not verified" in texts(where, ".warning")[0]


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_saving_without_a_change_writes_nothing_and_reports_it(client, events, make_connector, htmx):
    numbers = [make_connector(key, f"Some {key}", tags="a, b") for key in ADDABLE]
    before = events()
    for number in (SYSTEM, *numbers):
        form = opened(client, number)
        response = save(client, number, form, htmx)
        assert toasts(part_of(response if htmx else client.get(response.location), "toast")) == ["No changes to save."]
        assert opened(client, number)["version"] == form["version"]
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
        page = part_of(edit(client, numbers[type_key], htmx=True, **values), "toast")
        assert toasts(page) == ["No changes to save."], values
    assert events() == before


def test_the_order_of_repositories_is_a_change(client, make_connector):
    number = make_connector(repos="a/b\nc/d")
    assert toasts(part_of(edit(client, number, htmx=True, repos="c/d\na/b"), "toast")) == [
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
    assert toasts(part_of(response, "toast")) == ["Saved “Work GitHub”. Changed: Tags, Poll interval."]


def test_a_refused_form_asks_to_enter_the_token_again(client, make_connector):
    number = make_connector()
    page = part_of(edit(client, number, htmx=True, poll_interval="7", token="a-better-one"), "connector-form")
    assert value_of(page, "token") == ""
    assert "again" in str(page.select_one("[data-field=token]"))


# Secrets


def placeholder(page: BeautifulSoup) -> str:
    return str(page.select_one("[name=token]")["placeholder"])


def test_the_placeholder_shows_whether_a_token_is_set(client, make_connector):
    assert placeholder(part_of(client.get(f"{LIST}/new/github"), "token")) == "Not set"
    with_token, without = make_connector(), make_connector("kubernetes", "Cluster")
    assert placeholder(part_of(client.get(page_of(with_token)), "token")) == "A token is set. Leave blank to keep it."
    assert placeholder(part_of(client.get(page_of(without)), "token")) == "Not set"


@pytest.mark.both_databases
def test_setting_replacing_keeping_and_clearing_a_token_records_only_that(client, events, make_connector):
    number = make_connector("kubernetes", "Cluster")
    for inputs in ({"token": "first"}, {"token": ""}, {"token": "second"}, {"token_clear": True}):
        response = edit(client, number, htmx=True, **inputs)
    assert texts(part_of(response, "feed"), "#feed .change") == [
        "Service account token: cleared",
        "Service account token: replaced",
        "Service account token: set",
    ]
    assert placeholder(part_of(response, "token")) == "Not set"
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
    assert words(
        part_of(client.get(page_of(cluster)), "connector-form").select_one("label:has([name=token_clear])")
    ).startswith("Remove")
    assert not soup(client.get(page_of(make_connector("github")))).select(box)


def test_a_new_token_takes_precedence_over_the_clear_box(client, make_connector):
    number = make_connector("kubernetes", "Cluster", token="first")
    page = part_of(edit(client, number, htmx=True, token="second", token_clear=True), "feed")
    assert texts(page, "#feed .change") == ["Service account token: replaced"]
