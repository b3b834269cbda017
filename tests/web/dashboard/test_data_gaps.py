"""The dashboard shows the times without data, and the connectors that became silent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask

from painchain.audit import trail as audit_trail
from painchain.audit.diff import Change
from painchain.database.models import Lapse
from painchain.database.session import db
from painchain.eventlog.writer import new_request_id, writing
from tests.support.html import soup, texts, words
from tests.support.sample_events import new
from tests.web.parts import part_of

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def add_data_gap(
    app: Flask, number: int, kind: str, since: datetime, until: datetime | None = None, name: str = ""
) -> None:
    """Store a time span in which a connector has no data."""
    with app.app_context(), writing():
        about = {"connector_id": number, "connector_name": name or f"Number {number}", "connector_type": "github"}
        db.session.add(Lapse(**about, kind=kind, since=since, until=until, words="No answer." if until is None else ""))
        db.session.flush()


def gap_texts(page: BeautifulSoup) -> list[str]:
    return [text.split(",")[0] for text in texts(page, ".data-gaps li")]


def percent(text: object) -> float:
    return float(str(text).removesuffix("%"))


def test_the_chart_shows_data_gaps(client, app, now):
    add_data_gap(app, 2, "failing", now - 3 * HOUR, now - HOUR)
    add_data_gap(app, 3, "rate_limited", now - 150 * MINUTE)
    add_data_gap(app, 4, "gap", now - 48 * HOUR, now - 30 * HOUR)  # before the range
    page = part_of(client.get("/"), "timeline")
    since, *until = page.select(".data-gaps time")[1:]
    assert [(words(item.a), words(item)) for item in page.select(".data-gaps li")] == [
        ("Number 3", f"Number 3 rate limited since {texts(page, '.data-gaps time')[0]}: No answer."),
        ("Number 2", f"Number 2 failing {words(since)} – {words(until[0])}"),
    ]
    assert [element.title.string for element in page.select(".lanes .band")] == [
        "Number 3: rate limited",
        "Number 2: failing",
    ]
    [running, ended], now_at = page.select(".lanes .band"), percent(page.select_one(".now line")["x1"])
    assert percent(running["x"]) + percent(running["width"]) == pytest.approx(now_at, abs=0.02)
    assert percent(ended["width"]) == pytest.approx(2 / 24 * 100, abs=0.5)


def test_only_filtered_connectors_have_lanes(client, app, now):
    add_data_gap(app, 2, "failing", now - HOUR)
    assert gap_texts(soup(client.get("/?source=gitlab"))) == []
    assert gap_texts(soup(client.get("/?connector=3"))) == []
    assert len(gap_texts(part_of(client.get("/?connector=2&source=github"), "data-gaps"))) == 1


def test_a_connector_disabled_all_the_time_is_listed_without_a_lane(client, app, now):
    add_data_gap(app, 2, "disabled", now - 48 * HOUR)
    add_data_gap(app, 3, "failing", now - 48 * HOUR)
    page = part_of(client.get("/"), "timeline")
    assert {text.split(" since ")[0] for text in texts(page, ".data-gaps li")} == {
        "Number 2 disabled",
        "Number 3 failing",
    }
    assert [element.title.string for element in page.select(".lanes .band")] == ["Number 3: failing"]


def test_many_data_gaps_are_collapsed(client, app, now):
    for number in range(2, 12):
        add_data_gap(app, number, "failing", now - number * HOUR, now - number * HOUR + MINUTE)
    page = part_of(client.get("/"), "timeline")
    assert words(page.select_one("#data-gaps summary")) == "Data gaps: 10 failing"
    assert not page.select_one("#data-gaps").has_attr("open")
    assert len(page.select(".data-gaps li")) == 10
    assert len({band["y"] for band in page.select(".band")}) == 6


def test_each_lane_has_the_name_of_its_connector_and_disabled_connectors_share_one(client, app, now):
    for number in (2, 3, 4):
        add_data_gap(app, number, "disabled", now - number * HOUR, now - number * HOUR + MINUTE)
    add_data_gap(app, 5, "failing", now - 3 * HOUR)
    add_data_gap(app, 6, "gap", now - 2 * HOUR, now - HOUR)
    page = part_of(client.get("/"), "timeline")
    lanes = {int(text["y"]): words(text) for text in page.select(".lanes text")}
    assert list(lanes.values()) == ["Number 5", "Number 6", "Number 4, Number 3, Number 2"]
    bands: dict[int, list[str]] = {}
    for band in page.select(".band"):
        bands.setdefault(int(band["y"]), []).append(band.title.string)
    assert list(bands.values()) == [
        ["Number 5: failing"],
        ["Number 6: no data"],
        ["Number 4: disabled", "Number 3: disabled", "Number 2: disabled"],
    ]
    assert words(page.select_one("#data-gaps summary")) == "Data gaps: 1 failing · 1 without data · 3 disabled"


def test_a_silent_connector_is_listed_with_the_settings_changed_before(client, app, make_connector, now):
    number = make_connector(enabled=True)
    with app.app_context(), writing() as event_log:
        for back in range(3 * 60, 9 * 60, 12):
            when = now - back * MINUTE
            about = {"connector_id": number, "connector_name": "Work GitHub"}
            event_log.append(new(back, timestamp=when, request_id=new_request_id(when), **about))
        before = audit_trail.Trail(event_log, "alice", new_request_id(now), now - 3 * HOUR - 15 * MINUTE)
        change = Change("poll_interval", "Poll interval", "number", 300, 3600)
        before.log_config_changed(audit_trail.Subject("Work GitHub", "github", number), change)
    silence_text = words(part_of(client.get("/?range=7d"), "data-gaps").select_one(".silences li"))
    assert silence_text.startswith("No GitHub events from Work GitHub since ")
    assert (
        "Its events are usually at most 12 min apart. Changed just before: Poll interval changed from 300 to 3600 at "
        in silence_text
    )
    assert silence_text.endswith(" by alice.")
    silence = client.get("/api/timeline").get_json()["silences"][0]
    assert (silence["connector_name"], silence["usual_gap_seconds"]) == ("Work GitHub", 720)
    assert silence["changes"][0]["event_type"] == "ConfigChanged"
    assert client.get("/api/timeline?source=gitlab").get_json()["silences"] == []
    address = "/api/connectors/1/visibility/ConfigChanged/new_value"
    assert client.put(address, json={"visible": False}).status_code == 200
    silence_text = words(soup(client.get("/?range=7d")).select_one(".silences li"))
    assert "Changed just before: Config Changed at " in silence_text


def test_the_api_returns_data_gaps(client, app, now):
    add_data_gap(app, 2, "gap", now - 3 * HOUR, now - HOUR)
    [gap] = client.get("/api/timeline", query_string={"start_date": (now - 4 * HOUR).isoformat()}).get_json()["lapses"]
    assert (gap["kind"], gap["connector_name"], gap["words"]) == ("gap", "Number 2", "")
    assert datetime.fromisoformat(gap["until"]) == now - HOUR
