"""The feed has a line for each event, grouped by action and day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from painchain.timeline.queries import PAGE
from tests.support.html import fill, form_of, texts, unfold, words
from tests.web.dashboard.pages import LONG_AGO, MINUTE, follow, log, numbers, read
from tests.web.parts import part_of


def test_each_event_is_an_article_with_type_and_source(client, write, make_connector):
    write({"source": "gitlab", "event_type": "Pipeline", "timestamp": datetime.now(UTC)})
    make_connector()
    page = read(client, only="feed")
    assert [(article["data-source"], article["data-event-type"]) for article in page.select("#feed article")] == [
        ("painchain", "ConnectorCreated"),
        ("gitlab", "Pipeline"),
        ("painchain", "ConnectorCreated"),
    ]


def test_an_event_line_has_field_old_value_new_value_and_author(client):
    log(client, connector_type="github", field="poll_interval", old_value=300, new_value=3600, author="operator")
    line = read(client, only="feed").select_one("#feed article summary")
    assert texts(line, ".event-type, .where, .change, .by") == [
        "Config Changed",
        "Prod",
        "Poll interval: 300 → 3600",
        "by operator",
    ]
    assert (words(line.select_one("del")), words(line.select_one("ins"))) == ("300", "3600")


def test_an_event_line_expands_to_its_fields(client):
    log(client, connector_type="github", field="poll_interval", old_value=300, new_value=3600)
    details = unfold(client, read(client)).select_one("#feed article details")
    assert not details.has_attr("open")
    assert texts(details, ".fields dt") == ["Connector name", "Field", "Old value", "New value", "Action", "Tags"]
    assert texts(details, ".fields dd") == [
        "Prod",
        "Poll interval (poll_interval)",
        "300",
        "3600",
        "config_change",
        "system audit",
    ]


def test_events_are_grouped_by_day_newest_first(client, write):
    now = datetime.now(UTC)
    first, second, third = write(*({"timestamp": now - timedelta(days=days)} for days in (3, 2, 3)))
    feed = read(client, only="feed", range="7d", source="github").select_one("#feed")
    days = [(now - timedelta(days=days)).date() for days in (2, 3)]
    assert [element["data-day"] for element in feed.select(".day")] == [day.isoformat() for day in days]
    assert texts(feed, ".day") == [f"{day:%A, %-d %B %Y}" for day in days]
    assert numbers(feed) == [second, third, first]


def test_times_are_in_the_viewers_zone_with_exact_utc_on_hover(client, write):
    write({"timestamp": LONG_AGO.replace(hour=20)})
    query = {"start_date": "2020-05-01", "end_date": "2020-05-30"}
    assert texts(read(client, **query), ".day, summary time") == ["Monday, 4 May 2020", "20:00"]
    client.set_cookie("zone", "Asia/Kolkata")
    page = read(client, **query)
    assert texts(page, ".day, summary time") == ["Tuesday, 5 May 2020", "01:30"]
    assert page.select_one("summary time")["title"] == "2020-05-04 20:00:00.000000 UTC"
    assert words(page.select_one("header .zone")) == page.html["data-zone"] == "Asia/Kolkata"


def test_the_events_of_one_action_are_grouped(client, make_connector):
    make_connector("kubernetes", "Cluster", enabled=True)
    group = read(client, only="feed").select_one("#feed .request")
    assert "several" in group["class"]
    assert texts(group, ".event-type") == ["Connector Enabled", "Connector Created"]


def test_sixty_changes_of_one_action_are_collapsed(client, events, make_connector):
    number = make_connector("kubernetes", "Cluster")
    address = f"/settings/integrations/{number}"
    form = form_of(client.get(address), "#connector-form")
    form = {name: value for name, value in form.items() if not name.startswith("visible.")}
    client.post(address, data=fill(form, name="Renamed", poll_interval="600"))
    of_save = [event for event in events() if event["request_id"] == events()[-1]["request_id"]]
    assert len(of_save) > 60
    page = read(client)
    [save] = page.select("#feed > article")
    assert texts(save, ":scope > details > summary .event-type") == ["Connector Updated"]
    assert save.select_one("details").get("open") is None
    assert texts(save, ".parts-of .event-type") == texts(page, "#feed .event-type")[1:]
    assert len(save.select(".parts-of > article")) == PAGE - 1
    # The further settings of the save are on the next page, without their save.
    older = follow(client, page, "#older", "hx-get")
    others = older.select_one(".request.several")
    assert len(others.find_all("article", recursive=False)) == 10
    rest = others.select_one("details.rest")
    assert words(rest.summary) == f"{PAGE - 10} more saved together"
    assert len(rest.find_all("article", recursive=False)) == PAGE - 10
    assert not rest.has_attr("open")


def test_the_events_of_one_poll_of_an_older_version_are_not_grouped(client, write, make_connector):
    make_connector("kubernetes", "Cluster", enabled=True)
    now = datetime.now(UTC)
    polled = [{"request_id": "one-poll", "author": f"a{n}", "timestamp": now - n * MINUTE} for n in range(1, 13)]
    found = write(*polled)
    feed = read(client, only="feed").select_one("#feed")
    assert [int(str(row["data-id"])) for row in feed.select(":scope > article[data-source=github]")] == found
    assert [words(group) for group in feed.select(".request.several .event-type")] == [
        "Connector Enabled",
        "Connector Created",
    ]
    assert texts(feed, "[data-source=github] .author") == [event["author"] for event in polled]
    assert texts(part_of(client.get(f"/events/{found[0]}"), "main"), "main h2") == ["Add a note"]


def test_an_empty_feed_suggests_what_to_do(client):
    nothing = read(client, only="feed", start_date="2001-01-01", end_date="2001-01-02").select_one("#feed #nothing")
    assert words(nothing.h2) == "No events in this time range"
    ranges = {"7d", "30d", "90d"}
    assert {parse_qs(urlsplit(str(link["href"])).query).get("range", ["-"])[0] for link in nothing.select("a")} - {
        "-"
    } == ranges
    assert nothing.select_one("a[href='/settings/integrations/new']")


def test_a_filter_without_matches_has_a_message_and_can_be_cleared(client):
    page = read(client, author="nobody", range="7d")
    assert words(page.select_one("#feed #nothing h2")) == "No events match this filter"
    assert page.select_one("#feed #nothing a")["href"] == "/"
    assert page.select_one("#timeline .clear")["href"] == "/?range=7d"


# Theme and time zone


THEMES = [("dark", "dark"), ("light", "light"), ('"><script>', None), ("", None)]


def test_the_chosen_theme_is_in_the_html(client, subtests):
    for cookie, theme in THEMES:
        with subtests.test(cookie):
            client.set_cookie("theme", cookie)
            assert read(client).html.get("data-theme") == theme


UNKNOWN = ["Nowhere/Never", "../../etc/passwd", "Europe", '"><script>', "a" * 3000, "\0", "ü"]


def test_an_unknown_time_zone_is_utc(client, subtests):
    for zone in UNKNOWN:
        with subtests.test(zone[:20]):
            client.set_cookie("zone", zone)
            assert read(client).html["data-zone"] == "UTC"
