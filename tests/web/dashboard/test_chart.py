"""The chart counts the events of the feed by source, in bins that are links."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from bs4 import BeautifulSoup
from flask.testing import FlaskClient

from painchain.connectors import ADDABLE, TYPES
from painchain.core import runtime
from painchain.core.sized_cache import SizedCache
from painchain.timeline.filter import RANGES
from tests.support.html import soup, texts, words
from tests.web.dashboard.pages import HTMX, follow, numbers, read
from tests.web.parts import part_of


def bins(page: BeautifulSoup) -> dict[str, int]:
    """Return the number of events of each bin of the chart, by the address that it links to."""
    counts = {}
    for link in page.select("#timeline svg a"):
        match = re.fullmatch(r".+: ([0-9]+) events?( \(.+\))?", words(link.title))
        assert match, link
        counts[str(link["href"])] = int(match[1])
    return counts


def table(client: FlaskClient, page: BeautifulSoup) -> Counter[str]:
    """Return the number of events of each source in the text alternative of the chart."""
    counted: Counter[str] = Counter()
    for cell in texts(follow(client, page, "#timeline .as-text a"), "#chart-table tbody td:last-child"):
        for part in cell.split(", "):
            label, _, count = part.rpartition(" ")
            counted[label] += int(count)
    return counted


def test_each_bin_links_to_the_events_that_it_counts(client, write):
    write(*({"timestamp": datetime.now(UTC) - hours * timedelta(hours=1)} for hours in (1, 1, 5, 23, 30, 100)))
    for query in ({"source": "github"}, {"source": "github", "range": "7d"}):
        page = read(client, **query)
        counted = bins(page)
        assert sum(counted.values()) == len(numbers(page))
        assert 20 <= len(counted) <= 61
        for address, count in counted.items():
            if count:
                zoomed = part_of(client.get(address), "dashboard")
                assert len(numbers(zoomed)) == sum(bins(zoomed).values()) == count
                assert set(numbers(zoomed)) <= set(numbers(page))


def test_bins_are_contiguous(client):
    spans = [parse_qs(urlsplit(address).query) for address in bins(read(client, tag="ci"))]
    assert all(span["tag"] == ["ci"] for span in spans)
    for span, following in itertools.pairwise(spans):
        assert span["end_date"] == following["start_date"]


def test_the_chart_matches_its_text_and_the_feed(client, write):
    write({"source": "gitlab"}, {"source": "gitlab"}, {}, {"source": "kitchen"})
    page = read(client)
    labels = {key: connector_type.label for key, connector_type in TYPES.items()}
    in_feed = Counter(labels.get(str(article["data-source"]), "kitchen") for article in page.select("#feed article"))
    assert table(client, page) == in_feed == {"GitLab": 2, "GitHub": 1, "kitchen": 1, "PainChain": 1}
    assert texts(page, "#timeline .legend .source") == ["GitLab 2", "GitHub 1", "kitchen 1", "PainChain 1"]
    assert words(page.select_one("#timeline .count")) == "5 events"


def test_the_bars_of_a_bin_are_stacked_by_source(client, write):
    moment = datetime.now(UTC) - timedelta(hours=3)
    write(*({"source": source, "timestamp": moment} for source in (*ADDABLE, "gitlab")))
    page = read(client, only="timeline")
    link = next(link for link in page.select("#timeline svg a") if f"{len(ADDABLE) + 1} events" in words(link.title))
    bars = link.select("rect:not(.hit)")
    assert {bar["class"][0] for bar in bars} == {ADDABLE[key].colour for key in ADDABLE}
    edges = [(float(bar["y"]), float(bar["y"]) + float(bar["height"])) for bar in bars]
    for (top, _), (_, bottom) in itertools.pairwise(edges):
        assert abs(top - bottom) < 0.02
    assert edges[0][1] == 100
    assert edges[-1][0] >= 0


def test_an_empty_chart_has_a_message(client):
    page = read(client, start_date="2001-01-01", end_date="2001-01-02")
    assert words(page.select_one("#timeline .count")) == "0 events"
    assert words(follow(client, page, "#timeline .as-text a").select_one("#chart-table p")).startswith(
        "No events between 1 Jan 2001, 00:00:00"
    )


def test_keyboard_and_screen_readers_skip_empty_bins(client):
    for link in read(client, only="timeline").select("#timeline svg a"):
        if "0 events" in words(link.title):
            assert (link["tabindex"], link["aria-hidden"]) == ("-1", "true")
        else:
            assert link["aria-label"] == words(link.title)


def test_the_chart_can_be_refreshed_separately(client, write):
    address = str(read(client, only="timeline", source="github").select_one("#timeline")["hx-get"])
    write({})
    page = soup(client.get(address, headers=HTMX))
    assert [element["id"] for element in page.find_all(recursive=False)] == ["timeline"]
    assert words(page.select_one(".count")) == "1 event"


def test_a_bin_shows_its_time_and_the_count_of_each_source(client, write):
    moment = datetime(2026, 1, 15, 14, 5, tzinfo=UTC)
    write(*({"source": source, "timestamp": moment} for source in ("github", "gitlab", "gitlab")))
    page = read(client, only="timeline", start_date="2026-01-15", end_date="2026-01-16")
    [link] = page.select("#timeline svg a[aria-label]")
    assert link["aria-label"] == "Thu 15 Jan, 14:00–14:30: 3 events (GitHub 1, GitLab 2)"
    [link] = read(client, only="timeline", start_date="2026-01-01", end_date="2026-02-15").select(
        "#timeline svg a[aria-label]"
    )
    assert link["aria-label"] == "Thu 15 Jan: 3 events (GitHub 1, GitLab 2)"
    [link] = read(client, only="timeline", start_date="2025-03-01", end_date="2026-02-15").select(
        "#timeline svg a[aria-label]"
    )
    assert re.fullmatch(r"\w+ \d+ Jan – \w+ \d+ Jan: 3 events \(GitHub 1, GitLab 2\)", str(link["aria-label"]))


def test_now_is_marked_at_its_position(client):
    for span in RANGES:
        page = read(client, range=span)
        assert words(page.select_one(".now")) == "now"
        assert 95 < float(str(page.select_one(".now line")["x1"]).rstrip("%")) <= 100
        assert str(page.select_one("#timeline svg.chart")["aria-label"]).endswith("and now")


def legend(page: BeautifulSoup) -> dict[str, bool]:
    """Return the label of each source in the legend, and whether the source is shown."""
    return {words(link): link["aria-pressed"] == "true" for link in page.select("#timeline .legend a")}


def press(client: FlaskClient, page: BeautifulSoup, label: str) -> BeautifulSoup:
    """Follow the link of a source in the legend, as a browser without JavaScript does."""
    [link] = [link for link in page.select("#timeline .legend a") if words(link).startswith(label)]
    assert link["href"] == link["hx-get"]
    return part_of(client.get(str(link["href"])), "dashboard")


def test_the_legend_hides_and_shows_a_source_in_chart_and_feed(client, write):
    write({}, {}, {"source": "gitlab"}, {"source": "kitchen sink"})
    page = read(client, range="7d")
    hidden = press(client, page, "GitHub")
    assert legend(hidden) == {"GitHub 2": False, "GitLab 1": True, "PainChain 1": True, "kitchen sink 1": True}
    assert {str(article["data-source"]) for article in hidden.select("#feed article")} == {
        "gitlab",
        "painchain",
        "kitchen sink",
    }
    assert words(hidden.select_one("#timeline .count")) == "3 events"
    assert table(client, hidden) == {"GitLab": 1, "PainChain": 1, "kitchen sink": 1}
    assert hidden.select_one("#filter .ranges a[aria-current]").text == "7d"

    both_hidden = press(client, hidden, "PainChain")
    assert {str(article["data-source"]) for article in both_hidden.select("#feed article")} == {
        "gitlab",
        "kitchen sink",
    }
    restored = press(client, press(client, both_hidden, "GitHub"), "PainChain")
    assert all(legend(restored).values())
    assert str(restored.select_one("#timeline")["hx-get"]) == "/timeline?range=7d"


def test_hiding_the_last_source_shows_all_sources(client, write):
    write({}, {"source": "gitlab"})
    page = press(client, read(client, source="gitlab"), "GitLab")
    assert legend(page) == {"GitHub 1": True, "GitLab 1": True, "PainChain 1": True}


def test_on_a_connector_page_the_legend_has_no_links(client, make_connector):
    page = part_of(client.get(f"/settings/integrations/{make_connector()}"), "timeline")
    assert texts(page, "#timeline .legend .source") == ["PainChain 1"]
    assert not page.select("#timeline .legend a")


def test_bars_are_drawn_to_the_present_tallest_one(app, client, write):
    def bars() -> list[str]:
        page = part_of(client.get("/timeline"), "timeline")
        return [str(link) for link in page.select("#timeline svg.chart a")]

    now = datetime.now(UTC)
    for hours in (3, 5, 5, 3, 3, 3):
        write({"timestamp": now - hours * timedelta(hours=1)})
        drawn = bars()
        runtime.of(app).cache = SizedCache()
        assert drawn == bars()
