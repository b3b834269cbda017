"""Every event has a page with all recorded data."""

from __future__ import annotations

from tests.support.html import fill, form_of, soup, texts, unfold, words
from tests.web.dashboard.pages import HTMX, follow, log, numbers, read
from tests.web.parts import part_of


def test_every_event_has_a_page_with_all_recorded_data(client, events):
    log(client, connector_type="github", field="poll_interval", old_value=300, new_value=3600, author="operator")
    event = events()[-1]
    page = follow(client, unfold(client, read(client)), "#feed article .links a")
    assert words(page.h1) == event["title"] == "[Config Changed] Prod - poll_interval"
    assert words(page.select_one(".lead")) == "Poll interval changed from 300 to 3600 in “Prod”"
    assert page.select_one("article details").has_attr("open")
    recorded = words(page.select_one(".recorded pre"))
    for part in (event["event_id"], event["request_id"], '"old_value": 300', '"action": "config_change"'):
        assert part in recorded
    assert words(page.title).startswith("[Config Changed] Prod")


def test_the_page_of_an_event_shows_the_rest_of_the_same_action(client, events, make_connector):
    make_connector("kubernetes", "Cluster", enabled=True)
    created, enabled = events()[-2:]
    page = part_of(client.get(f"/events/{enabled['id']}"), "main")
    assert texts(page, "main h2") == ["Add a note", "Saved together", *texts(page, "h2.day")]
    assert numbers(page) == [enabled["id"], created["id"]]


def test_an_event_id_redirects_to_the_page_of_the_event(client, events, write):
    event = events()[0]
    response = client.get(f"/events/{event['event_id']}")
    assert (response.status_code, response.location) == (302, f"/events/{event['id']}")
    [number] = write({"event_id": "github/Größe?&#42 x"})
    address = "/events/" + "github/Gr%C3%B6%C3%9Fe%3F&%2342%20x"
    assert client.get(address).location == f"/events/{number}"


def test_an_unknown_event_is_not_found(client):
    for name in ("4711", "0", "9" * 40, "-1", "painchain-config_changed-1.000000", "%FF", "a%00b"):
        for headers in ({}, HTMX):
            response = client.get(f"/events/{name}", headers=headers)
            assert response.status_code == 404, name
            assert "No event with this" in words(soup(response).select_one("main, .toast.bad"))


def test_events_of_a_deleted_connector_remain_readable(client, events, make_connector):
    number = make_connector()
    address = f"/settings/integrations/{number}"
    client.post(address, data=fill(form_of(client.get(address), "#connector-form"), poll_interval="600"))
    client.post(f"{address}/delete", data=form_of(client.get(f"{address}/delete")))
    page = read(client, only="feed", connector=str(number))
    assert texts(page, "#feed .event-type") == [
        "Connector Deleted",
        "Connector Updated",
        "Config Changed",
        "Connector Created",
    ]
    assert texts(page, "#feed .change") == ["Poll interval: 300 → 600"]
    changed = events(event_type="ConfigChanged")[-1]
    page = soup(client.get(f"/events/{changed['id']}"))
    assert "the connector was deleted" in words(page.main)
    assert not page.select(f"a[href='{address}']")


def test_events_of_removed_sources_types_and_fields_are_shown(client, write):
    write(
        {"source": "jenkins", "event_type": "Build", "title": "Build 7", "metadata": {"stage_name": "deploy"}},
        {"source": "github", "event_type": "Starred", "title": "Starred", "metadata": {"stars": [1, None]}},
        {
            "source": "painchain",
            "event_type": "ConfigChanged",
            "connector_name": "Work",
            "metadata": {"action": "config_change", "field": "frequency"},
            "description": {"field": "frequency", "label": "How often", "old_value": 1, "new_value": 2},
        },
        {"source": "painchain", "event_type": "Reticulated", "description": {}, "metadata": {}},
    )
    page = read(client)
    articles = [
        (words(article.select_one(".source")), article["data-event-type"]) for article in page.select("#feed article")
    ]
    assert [article for article in articles if article[1] != "ConnectorCreated"] == [
        ("jenkins", "Build"),
        ("GitHub", "Starred"),
        ("PainChain", "ConfigChanged"),
        ("PainChain", "Reticulated"),
    ]
    assert texts(unfold(client, page), "[data-field=stage_name] dd, [data-field=stars] dd") == ["deploy", "1, empty"]
    assert texts(page, ".change") == ["How often: 1 → 2"]
    for number in numbers(page):
        assert client.get(f"/events/{number}").status_code == 200


def test_an_event_of_unexpected_shape_does_not_break_the_page(client, write):
    [number] = write({"metadata": {"changes": {"x": {"old": 1, "new": 2}}}, "description": {"changes": ["x"]}})
    assert number in numbers(read(client, only="feed"))
    assert client.get(f"/events/{number}").status_code == 200


def test_a_source_address_is_a_link_only_if_it_is_a_web_address(client, write):
    good, bad = write({"url": "https://git.example/commit/1"}, {"url": "javascript:alert(1)"})
    page = unfold(client, read(client))
    assert page.select_one(f"#event-{good} a[rel~=noopener]")["href"] == "https://git.example/commit/1"
    assert not page.select(f"#event-{bad} a[href^=javascript]")
