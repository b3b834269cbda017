"""Reading and counting events through the API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.accounts import report_as
from tests.support.api import GITHUB, Events, fields_at_fault, log, problem, rename, titles

# GET /api/changes


def test_an_event_has_exactly_these_members(client: FlaskClient, github: str) -> None:
    event = client.get("/api/changes").get_json()[0]
    assert list(event) == [
        *("id", "event_id", "source", "event_type", "connector_id", "connector_name", "title", "description"),
        *("author", "timestamp", "recorded_at", "url", "status", "metadata", "tags", "request_id"),
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["timestamp"])
    assert event["event_id"].endswith(f"{event['timestamp'][-7:-1]}")


def test_events_are_listed_newest_first_in_pages_of_a_hundred(client: FlaskClient) -> None:
    for number in range(105):
        log(client, **rename(f"Prod {number}"))
    matching = client.get("/api/changes").get_json()
    assert [event["connector_name"] for event in matching] == [f"Prod {number}" for number in range(104, 4, -1)]


FILTER_CASES = [
    ("source=painchain", 7),
    ("source=github", 0),
    ("source=github&source=painchain", 7),
    ("event_type=ConfigChanged", 2),
    ("event_type=ConfigChanged,ConnectorEnabled", 3),
    ("event_type=configchanged", 0),
    ("connector=Work%20GitHub", 2),
    ("connector=2", 2),
    ("connector=2&connector=Nightly", 3),
    ("connector=2,Nightly", 0),
    ("tag=nightly", 4),
    ("tag=system", 7),
    ("tag=night", 0),
    ("author=ann", 1),
    ("author=ann&author=system", 6),
    ("author=bob,%20the%20builder", 1),
    ("status=created", 3),
    ("status=created&author=system", 2),
    ("q=GITHUB", 3),
    ("q=nightly%20ann", 1),
    ("q=nightly%20bob", 0),
    ("q=50%25%20off_er", 1),
    ("q=o_f_er", 0),
    ("start_date=2020-01-01", 7),
    ("start_date=2020-01-01T00:00:00%2B02:00&end_date=2020-01-02", 0),
    ("end_date=2020-01-01T12:00:00Z", 0),
    ("start_date=&end_date=&q=&source=", 7),
]


@pytest.mark.both_databases
@pytest.mark.usefixtures("various")
def test_events_are_filtered(client: FlaskClient) -> None:
    for query, expected in FILTER_CASES:
        matching = client.get(f"/api/changes?{query}").get_json()
        assert len(matching) == expected, (query, titles(matching))
        assert client.get(f"/api/stats?{query}").get_json()["total"] == expected, query


def test_a_range_includes_its_start_and_excludes_its_end(client: FlaskClient, events: Events) -> None:
    for name in ("first", "second", "third"):
        log(client, **rename(name))
    _, second, third = events(event_type="ConfigChanged")
    in_range = events(start_date=second["timestamp"], end_date=third["timestamp"])
    assert titles(in_range) == ["[Config Changed] second - name"]


NOT_UNDERSTOOD = [
    ("limit=0", "limit"),
    ("limit=501", "limit"),
    ("limit=-1", "limit"),
    ("limit=1.5", "limit"),
    ("limit=ten", "limit"),
    ("limit=", "limit"),
    ("limit=%D9%A1", "limit"),
    ("limit=99999999999999999999", "limit"),
    ("cursor=", "cursor"),
    ("cursor=nonsense", "cursor"),
    ("cursor=MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwLjE", "cursor"),
    ("start_date=yesterday", "start_date"),
    ("start_date=2026-02-30", "start_date"),
    ("end_date=2026-01-01T25:00:00Z", "end_date"),
    ("start_date=1969-12-31", "start_date"),
    ("end_date=9999-12-31", "end_date"),
    ("start_date=2026-01-02&end_date=2026-01-01", "end_date"),
    ("q=" + "x" * 201, "q"),
    ("source=" + "x" * 201, "source"),
    ("author=a%00b", "author"),
    ("q=%FF", ""),
    ("tag=%ED%A0%80", ""),
    ("sauce=github", "sauce"),
    ("Source=github", "Source"),
]


def test_an_invalid_query_parameter_is_refused_by_name(client: FlaskClient) -> None:
    for query, at_fault in NOT_UNDERSTOOD:
        assert fields_at_fault(client.get(f"/api/changes?{query}")) == [at_fault], query


def test_counts_take_the_filters_but_no_pages(client: FlaskClient) -> None:
    for address in ("/api/timeline", "/api/stats"):
        assert fields_at_fault(client.get(f"{address}?limit=5")) == ["limit"]
        assert fields_at_fault(client.get(f"{address}?start_date=yesterday")) == ["start_date"]
        assert fields_at_fault(client.get(f"{address}?q=%FF")) == [""]


def test_an_address_without_parameters_refuses_parameters(client: FlaskClient, events: Events) -> None:
    before = events()
    assert fields_at_fault(client.get("/api/connectors?type=github")) == ["type"]
    assert fields_at_fault(client.post("/api/connectors?dry_run=1", json=GITHUB)) == ["dry_run"]
    assert events() == before


def pages(client: FlaskClient, address: str) -> list[list[dict[str, Any]]]:
    """Follow the Link headers to the end."""
    read: list[list[dict[str, Any]]] = []
    while address:
        assert len(read) < 50, "the pages do not end"
        response = client.get(address)
        read.append(response.get_json())
        log(client, **rename("Late"))
        link = response.headers.get("Link", "")
        match = re.fullmatch(r'<(http://localhost/api/changes\?.*)>; rel="next"', link)
        assert match or not link
        address = match[1] if match else ""
    return read


def test_paging_returns_every_event_once_while_new_ones_arrive(client: FlaskClient, events: Events) -> None:
    for number in range(23):
        log(client, **rename(f"Prod {number}"))
    all_ids = [event["id"] for event in reversed(events())]
    met = [event["id"] for page in pages(client, "/api/changes?limit=4") for event in page]
    assert met == all_ids


def test_the_next_page_keeps_the_filter(client: FlaskClient, events: Events) -> None:
    for number in range(5):
        report_as(client.application, "ann" if number % 2 else "bob", **rename(f"a b&c {number}"))
    listed = pages(client, "/api/changes?limit=1&author=ann&author=eve&q=b%26c")
    assert [event["connector_name"] for page in listed for event in page] == ["a b&c 3", "a b&c 1"]


def test_the_last_page_has_no_next_link(client: FlaskClient, events: Events) -> None:
    everything = len(events())
    assert "Link" not in client.get(f"/api/changes?limit={everything}").headers
    assert "Link" not in client.get("/api/changes?source=nothing").headers


def test_an_event_is_found_by_its_number_and_by_its_id(client: FlaskClient, events: Events) -> None:
    event = events()[0]
    assert client.get(f"/api/changes/{event['id']}").get_json() == event
    assert client.get(f"/api/changes/{event['event_id']}").get_json() == event


UNKNOWN_EVENTS = ["0", "999", "9" * 30, "9" * 4000, "-1", "1.0", "painchain-x-1", "%00", "%FF", "a/b"]


def test_an_unknown_event_is_not_found(client: FlaskClient) -> None:
    for number in UNKNOWN_EVENTS:
        problem(client.get(f"/api/changes/{number}"), 404)
    problem(client.get(f"/api/changes/{'9' * 5000}"), 414)


# GET /api/timeline, /api/stats, /api/connector-types, /health


def test_the_timeline_counts_every_event_in_one_bin(client: FlaskClient, github: str, events: Events) -> None:
    counted = client.get("/api/timeline").get_json()
    assert list(counted) == [
        *("start", "end", "bin_seconds", "total", "failures", "counted_since", "bins", "lapses", "silences")
    ]
    assert counted["total"] == sum(bin["total"] for bin in counted["bins"]) == len(events())
    assert {source for bin in counted["bins"] for source in bin["counts"]} == {"painchain"}
    edges = [bin["start"] for bin in counted["bins"]] + [counted["end"]]
    assert edges == [counted["start"]] + [bin["end"] for bin in counted["bins"]]


def test_the_timeline_is_compact_json_in_ascii(client: FlaskClient, github: str) -> None:
    log(client, **rename("Größe"))
    response = client.get("/api/timeline")
    assert response.text == json.dumps(response.get_json(), separators=(",", ":")) + "\n"
    assert response.content_type == client.get("/api/stats").content_type


@pytest.mark.usefixtures("various")
def test_statistics_count_events_by_facet(client: FlaskClient) -> None:
    counted = client.get("/api/stats").get_json()
    assert counted["total"] == 7
    assert counted["by_source"] == {"painchain": 7}
    assert counted["by_author"] == {"system": 5, "ann": 1, "bob, the builder": 1}
    assert counted["by_connector_name"]["Work GitHub"] == 2
    assert next(iter(counted["by_event_type"].items())) == ("ConnectorCreated", 3)
    assert sum(counted["by_status"].values()) == 7


@pytest.mark.both_databases
def test_the_present_name_of_a_connector_finds_its_events_from_before_a_rename(
    client: FlaskClient, make_connector: Callable[..., int], events: Events
) -> None:
    number, other = make_connector(name="Work"), make_connector(name="Other")
    for name, connector in (("Prod", number), ("Work", other)):  # and the former name goes to another connector
        headers = {"If-Match": client.get(f"/api/connectors/{connector}").headers["ETag"]}
        assert client.patch(f"/api/connectors/{connector}", json={"name": name}, headers=headers).status_code == 200
    of_prod = [event["id"] for event in events(connector=str(number))]
    assert {event["connector_name"] for event in events(connector=str(number))} == {"Work", "Prod"}
    assert len(of_prod) > 2
    for query in ({"connector": "Prod"}, {"q": "connector:Prod"}, {"q": "connector:prod"}):
        assert [event["id"] for event in events(**query)] == of_prod, query
        assert client.get("/api/stats", query_string=query).get_json()["total"] == len(of_prod), query
    assert not {event["id"] for event in events(q="-connector:Prod")} & set(of_prod)
    of_both = [event for event in events() if event["connector_id"] == other or event["connector_name"] == "Work"]
    assert events(q="connector:work") == of_both, "the other connector's events, and those that have its name"
