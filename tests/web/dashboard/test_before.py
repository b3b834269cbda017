"""The form “What changed before …?” and the view that answers it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from tests.support.html import fill, form_of, soup, texts, words
from tests.support.sample_events import new
from tests.web.parts import part_of

MINUTE = timedelta(minutes=1)
ZONE = "Asia/Kolkata"
ASKED = "#menu-before form"

Record = Callable[..., datetime]


@pytest.fixture
def record(app: Flask) -> Record:
    """Return a function that records events some minutes before a time of today or yesterday, which it returns."""
    zero = (datetime.now(UTC) - 30 * MINUTE).replace(second=0, microsecond=0)

    def append(*events: dict[str, Any]) -> datetime:
        with app.app_context(), writer.writing() as event_log:
            event_log.remove(db.session.scalars(select(ChangeEvent.id)).all())  # those of the first start
            for number, members in enumerate(events):
                time = zero - members.pop("minutes") * MINUTE
                event_log.append(new(number, timestamp=time, recorded_at=time, **members))
        return zero

    return append


DEPLOYMENT = {
    "event_type": "Deployment",
    "metadata": {"repository": "acme/api", "state": "failure"},
    "title": "acme/api to production",
}


def ask(client: FlaskClient, **values: str) -> BeautifulSoup:
    """Fill the form of the dashboard, and return the answer."""
    response = client.get("/", query_string=fill(form_of(client.get("/"), ASKED), **values), follow_redirects=True)
    assert response.status_code == 200
    return soup(response)


def test_the_answer_has_an_address_in_utc(client):
    client.set_cookie("zone", ZONE)
    form = fill(form_of(client.get("/"), ASKED), before_time="2026-01-15 14:00", where="acme/api")
    assert form["window"] == "30m"
    response = client.get("/", query_string=form)
    assert response.status_code == 302
    assert parse_qs(urlsplit(response.location).query) == {
        "q": ['"acme/api"'],
        "start_date": ["2026-01-15T08:00:00Z"],
        "end_date": ["2026-01-15T08:30:00Z"],
        "t0": ["2026-01-15T08:30:00Z"],
    }
    page = part_of(client.get(response.location), "menu-before")
    assert words(page.select_one("#menu-before summary")) == "What changed before 2026-01-15 14:00"
    assert page.select_one(f"{ASKED} [name=before_time]")["value"] == "2026-01-15 14:00"


def test_a_local_time_zero_in_an_address_becomes_utc(client):
    client.set_cookie("zone", ZONE)
    assert client.get("/?t0=2026-01-15T14:00").location == "/?t0=2026-01-15T08%3A30%3A00Z"


def test_rows_have_their_time_before_zero_and_failures_come_first(client, record):
    zero = record(
        {"minutes": 45, "title": "too early"},
        {"minutes": 12, "status": "failure", **DEPLOYMENT},
        {"minutes": 5, "title": "a commit"},
        {"minutes": -3, "title": "too late"},
    )
    page = ask(client, before_time=f"{zero:%H:%M}")
    rows = [
        (words(row.select_one(".relative")), words(row.select_one(".event-type")))
        for row in page.select("article.event")
    ]
    assert rows == [("−5 min", "Commit"), ("−12 min", "Deployment")]
    [failure] = page.select("#failures-first li")
    assert words(failure.select_one(".relative")) == "−12 min"
    assert "failure" in words(failure)
    assert failure.a["href"] == f"/events/{page.select('article.event')[1]['data-id']}"
    assert page.select_one("#failures-first").find_next(id="feed")
    line = page.select_one("#timeline .t0")
    assert words(line) == f"t = 0, {zero:%H:%M}"
    assert 90 < float(line.line["x1"].rstrip("%")) <= 100


def test_without_failures_there_is_no_block_and_other_views_have_none(client, record):
    zero = record({"minutes": 5})
    assert not ask(client, before_time=f"{zero:%H:%M}").select("#failures-first")
    record({"minutes": 6, "event_id": "failed", "status": "failure", **DEPLOYMENT})
    page = soup(client.get("/"))
    assert not page.select("#failures-first, .relative, .t0")
    answer = ask(client, before_time=f"{zero:%H:%M}")
    assert len(answer.select("#failures-first li")) == 1
    failures = soup(client.get(answer.select_one("#switch-failures")["href"]))
    assert texts(failures, "article.event .relative") == ["−6 min"]
    assert not failures.select("#failures-first")


def test_more_failures_than_the_block_shows_are_a_link(client, record):
    zero = record(*({"minutes": 1 + n, "status": "failure", **DEPLOYMENT} for n in range(12)))
    page = ask(client, before_time=f"{zero:%H:%M}")
    assert len(page.select("#failures-first li")) == 5
    everything = part_of(client.get(page.select_one("#failures-first .title a")["href"]), "feed")
    assert len(everything.select("article.event")) == 12


def test_a_place_is_a_connector_a_repository_or_any_name(client, record, make_connector):
    make_connector("github", "Work GitHub")
    zero = record(
        {"minutes": 1, **DEPLOYMENT},
        {"minutes": 2, "source": "kubernetes", "event_type": "K8sDeployment", "metadata": {"namespace": "payments"}},
        {"minutes": 3, "connector_name": "Work GitHub"},
    )
    suggested = [option["value"] for option in part_of(client.get("/"), "places").select("#places option")]
    assert {"Work GitHub", "acme/api", "payments"} <= {*suggested}
    for place, minutes in (("acme/api", "−1 min"), ("payments", "−2 min"), ("work github", "−3 min")):
        assert texts(ask(client, before_time=f"{zero:%H:%M}", where=place), "article.event .relative") == [minutes], (
            place
        )
    assert texts(ask(client, before_time=f"{zero:%H:%M}", where='"'), "article.event .relative")


def test_windows_and_relative_times(client, record):
    zero = record({"minutes": 1}, {"minutes": 59}, {"minutes": 350}, {"minutes": 1430})
    for window, count in (("30m", 1), ("1h", 2), ("6h", 3), ("24h", 4)):
        page = ask(client, before_time=f"{zero:%Y-%m-%d %H:%M}", window=window)
        assert len(page.select("article.event")) == count
    assert texts(page, "article.event .relative") == ["−1 min", "−59 min", "−5 h 50 min", "−23 h 50 min"]
    assert len(ask(client, before_time="-20m", window="24h").select("article.event")) == 3


INVALID = [
    ({"before_time": "noon"}, "“noon” is not a time. Use a time such as 14:00, yesterday 14:00"),
    ({"before_time": "today"}, "“today” is not a time."),
    ({"before_time": "1950-01-01 14:00"}, "is not a time."),
    ({"before_time": "14:00", "window": "2y"}, "window must be one of 30m, 1h, 6h, 24h."),
    ({"before_time": "14:00", "where": "x" * 300}, "The search can have at most 200 characters."),
    ({"before_time": "14:00\0"}, "is not a time."),
    ({"t0": "soon"}, "t0 must be a date"),
]


def test_a_value_that_cannot_be_understood_has_a_message(client, subtests):
    for values, message in INVALID:
        with subtests.test(str(values)):
            response = client.get("/", query_string=values)
            assert response.status_code == 422
            page = part_of(response, "dashboard")
            assert message in words(page.select_one("#dashboard .problem"))
            menu = page.select_one("#menu-before")
            assert menu.has_attr("open") == ("before_time" in values)
            if "before_time" in values:
                in_browsers = values["before_time"].strip().replace("\0", "\ufffd")
                assert menu.select_one("[name=before_time]")["value"] == in_browsers
            for path in ("/feed", "/timeline", "/news"):
                if "t0" in values:
                    assert client.get(path, query_string={**values, "after": "0"}).status_code == 422


def test_a_range_leaves_the_question_and_the_form_keeps_it(client, record):
    zero = record({"minutes": 5})
    page = ask(client, before_time=f"{zero:%H:%M}")
    [week] = [link["href"] for link in page.select(".ranges > a") if words(link) == "7d"]
    assert week == "/?range=7d"
    assert page.select_one("#filter [name=t0]")["value"] == f"{zero:%Y-%m-%dT%H:%M:%SZ}"
    assert "t0=" in page.select_one(".fixed-link")["href"]
