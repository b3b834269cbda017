"""The chosen filters as removable chips, long menus that are loaded when they are opened, and the axis of the chart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from bs4 import BeautifulSoup

from painchain.timeline.histogram import Bin, Histogram
from painchain.web.dashboard.axis import ticks
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
BERLIN = ZoneInfo("Europe/Berlin")


def chips(page: BeautifulSoup) -> dict[str, dict[str, list[str]]]:
    """Return the text of each chip, and the parameters that remain when it is removed."""
    return {
        words(link).removeprefix("Remove ").removesuffix(" ×"): parse_qs(urlsplit(str(link["href"])).query)
        for link in page.select("#chips .chosen-filter")
    }


def test_each_chosen_value_and_search_term_is_a_chip_that_removes_it(client, make_connector):
    number = make_connector("github", "Work GitHub")
    query = {"source": ["github", "gitlab"], "connector": str(number), "status": "failed", "q": 'a "b c" -tag:x'}
    page = part_of(client.get("/", query_string={"range": "7d", **query}), "chips")
    everything = {"range": ["7d"], **{name: v if isinstance(v, list) else [v] for name, v in query.items()}}
    assert chips(page) == {
        "Source: GitHub": {**everything, "source": ["gitlab"]},
        "Source: GitLab": {**everything, "source": ["github"]},
        "Connector: Work GitHub": {name: value for name, value in everything.items() if name != "connector"},
        "Status: failed": {name: value for name, value in everything.items() if name != "status"},
        "a": {**everything, "q": ['"b c" -tag:x']},
        '"b c"': {**everything, "q": ["a -tag:x"]},
        "-tag:x": {**everything, "q": ['a "b c"']},
    }
    assert all(link["href"] == link["hx-get"] for link in page.select("#chips a"))


def test_a_value_between_commas_can_be_removed_and_a_comma_in_a_name_is_no_separator(client):
    page = part_of(client.get("/?tag=ci,night&author=Doe,+Jane"), "chips")
    assert chips(page) == {
        "Tag: ci": {"tag": ["night"], "author": ["Doe, Jane"]},
        "Tag: night": {"tag": ["ci"], "author": ["Doe, Jane"]},
        "Author: Doe, Jane": {"tag": ["ci,night"]},
    }


def test_without_a_filter_there_is_no_chip(client):
    for path in ("/", "/?range=30d", "/?start_date=2020-01-01&end_date=2020-01-02"):
        page = soup(client.get(path))
        assert chips(page) == {}
        assert page.select("#timeline .clear") == []


def test_chips_survive_the_refresh_of_the_chart(client):
    page = part_of(client.get("/?tag=ci"), "timeline")
    refreshed = part_of(client.get(str(page.select_one("#timeline")["hx-get"]), headers=HTMX), "chips")
    assert chips(refreshed) == chips(page) != {}


def test_a_long_menu_is_loaded_when_it_is_opened_and_keeps_its_choice_until_then(client):
    response = client.get("/?event_type=ConfigChanged&range=7d")
    page = soup(response)
    assert page.select("#filter [type=checkbox][name=event_type]") == []
    assert words(page.select_one("#menu-event_type summary")) == "Type: Config Changed"
    assert form_of(response, "#filter")["event_type"] == "ConfigChanged"
    panel = page.select_one("#menu-event_type .panel")
    fragment = soup(client.get(str(panel["hx-get"]), headers=HTMX))
    assert len(fragment.select("[name=event_type]")) > 10
    assert [box["value"] for box in fragment.select("[checked]")] == ["ConfigChanged"]
    assert fragment.select_one("form, html") is None


def test_without_javascript_a_long_menu_is_a_page_that_keeps_the_rest_of_the_filter(client):
    link = part_of(client.get("/?range=7d&author=system&q=painchain"), "menu-event_type").select_one(
        "#menu-event_type .panel a"
    )
    form = form_of(client.get(str(link["href"])), "#choices")
    assert form == {"range": "7d", "author": "system", "q": "painchain"}
    page = part_of(client.get("/", query_string=fill(form, event_type="ConnectorCreated")), "dashboard")
    assert texts(page, "#feed .event-type") == ["Connector Created"]
    assert set(chips(page)) == {"Author: system", "Type: Connector Created", "painchain"}


def test_a_menu_and_a_table_that_are_open_are_part_of_the_swapped_dashboard(client):
    closed = soup(client.get("/", headers=HTMX))
    assert closed.select("#chart-table table, [name=event_type]") == []
    opened = part_of(client.get("/", headers={**HTMX, "Painchain-Open": "menu-event_type chart-text"}), "dashboard")
    assert len(opened.select("#chart-table tbody tr")) == 1
    assert len(opened.select("[type=checkbox][name=event_type]")) > 10
    assert part_of(client.get("/", headers=HTMX), "chart-table").select("#chart-table table") == []


@pytest.mark.parametrize("path", ["/filter/event_type?range=1y", "/timeline/table?q=sauce:x"])
def test_an_invalid_filter_is_refused(client, path):
    assert client.get(path).status_code == 422
    assert client.get(path, headers=HTMX).status_code == 422


def test_an_unknown_list_is_not_found(client):
    assert client.get("/filter/nonsense").status_code == 404


# The axis


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


def axis(start: datetime, end: datetime, zone: ZoneInfo = BERLIN, count: int = 48) -> list[tuple[float, str]]:
    """Return the position and label of each tick of a chart between two times in UTC."""
    width = (end - start) / count
    bins = [Bin(start + number * width, start + (number + 1) * width, {}) for number in range(count)]
    return [(tick.position, tick.label) for tick in ticks(Histogram(start, end, width, bins), zone)]


def test_ticks_are_at_round_local_times():
    assert axis(utc(2026, 11, 27, 22), utc(2026, 11, 28, 22)) == [
        (4.17, "00:00"),
        (16.67, "03:00"),
        (29.17, "06:00"),
        (41.67, "09:00"),
        (54.17, "12:00"),
        (66.67, "15:00"),
        (79.17, "18:00"),
        (91.67, "21:00"),
    ]
    assert [label for _, label in axis(utc(2026, 11, 1, 9, 7), utc(2026, 11, 1, 10, 7))] == [
        "10:15",
        "10:30",
        "10:45",
        "11:00",
    ]
    assert [label for _, label in axis(utc(2026, 10, 1), utc(2026, 10, 31))] == [
        "5 Oct",
        "12 Oct",
        "19 Oct",
        "26 Oct",
    ]
    assert [label for _, label in axis(utc(2024, 8, 1), utc(2026, 10, 31))] == [
        "Jan 2025",
        "Jul 2025",
        "Jan 2026",
        "Jul 2026",
    ]


def test_ticks_are_at_their_real_positions_when_clocks_change():
    spring = axis(utc(2026, 3, 28, 17), utc(2026, 3, 29, 5))  # 02:00 becomes 03:00
    assert {label: position for position, label in spring}["04:00"] == pytest.approx(9 / 12 * 100, abs=0.01)
    assert "02:00" not in {label for _, label in spring}
    autumn = axis(utc(2026, 10, 25, 0, 0), utc(2026, 10, 25, 4))  # 03:00 becomes 02:00
    assert autumn == [(0, "02:00"), (25, "02:00"), (50, "03:00"), (75, "04:00"), (100, "05:00")]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe"])
def test_every_range_has_a_few_ticks_in_order(zone):
    start = utc(1970, 1, 2, 3, 4, 5)
    for days in (1 / 86400, 1 / 1440, 1 / 24, 0.3, 1, 3, 7, 14, 30, 90, 366, 4000, 20_000, 2_900_000):
        positions = [position for position, _ in axis(start, start + timedelta(days=days), ZoneInfo(zone))]
        assert 1 <= len(positions) <= 8, days
        assert positions == sorted(set(positions)), days
        assert 0 <= positions[0] <= positions[-1] <= 100, days


def test_the_page_draws_the_ticks(client):
    page = part_of(client.get("/?start_date=2026-01-15T00:00:00Z&end_date=2026-01-16T00:00:00Z"), "timeline")
    assert texts(page, "#timeline .axis text") == ["00:00", "06:00", "12:00", "18:00", "00:00"]
