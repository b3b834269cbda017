"""The menu of types groups them by source, counts them in the range and folds those without an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from painchain import connectors
from painchain.eventlog import writer
from tests.support.html import soup, texts, words
from tests.support.sample_events import new
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}


@pytest.fixture(autouse=True)
def written(app: Flask, make_connector) -> None:
    """Record commits, a push of each forge, a sign-in and, long ago, an image, with a connector of each forge."""
    make_connector("github", "Work")
    make_connector("gitlab", "Other work")
    now = datetime.now(UTC)
    events = [("github", "Commit")] * 3 + [("github", "Push"), ("gitlab", "Push"), ("gitlab", "Pipeline")]
    events += [("github", "WorkflowRun")] * 2 + [("painchain", "SignedIn")]
    with app.app_context(), writer.writing() as event_log:
        for number, (source, name) in enumerate([*events, ("github", "Image")]):
            timestamp = now - timedelta(days=20 if name == "Image" else 0, minutes=number)
            author = f"author {number:02}"
            event_log.append(new(number, source=source, event_type=name, timestamp=timestamp, author=author))


def menu(client: FlaskClient, address: str) -> BeautifulSoup:
    """Return the choices that a menu loads when it is opened."""
    response = client.get(address, headers=HTMX)
    assert response.status_code == 200
    return soup(response)


def group(fieldset: Tag) -> dict[str, list[str]]:
    return {words(fieldset.legend): [words(choice) for choice in fieldset.select(".choice")]}


def test_types_are_grouped_by_source_the_most_frequent_first_and_absent_ones_are_folded(client):
    choices = menu(client, "/filter/event_type")
    present = [fieldset for fieldset in choices.select("fieldset") if not fieldset.find_parent("details")]
    assert [group(fieldset) for fieldset in present] == [
        {"PainChain": ["Connector Created 3 events", "Signed In 1 event"]},
        {"GitHub": ["Workflow run 2 events"]},
        {"GitHub and GitLab": ["Commit 3 events", "Push 2 events"]},
        {"GitLab": ["Pipeline 1 event"]},
    ]
    shown = {event_type.name for source in ("painchain", "github", "gitlab") for event_type in types_of(source)}
    absent = choices.select("details.absent [name=event_type]")
    assert words(choices.select_one("details.absent summary")) == f"{len(absent)} more types"
    assert "Image" in [box["value"] for box in absent]
    assert sorted(str(box["value"]) for box in choices.select("[name=event_type]")) == sorted(shown)


def types_of(source: str):
    return connectors.TYPES[source].event_types


def test_types_are_counted_in_the_range_and_with_the_rest_of_the_filter(client):
    choices = menu(client, "/filter/event_type?range=30d&source=github&event_type=Push")
    assert texts(choices, ".choice:not(.absent .choice)") == [
        "Workflow run 2 events",
        "Commit 3 events",
        "Push 1 event",
        "Image 1 event",
    ]
    assert [box["value"] for box in choices.select("[checked]")] == ["Push"]


def test_a_chosen_type_without_events_is_not_folded(client):
    choices = menu(client, "/filter/event_type?event_type=Image,Strange")
    assert texts(choices, ".choice:not(.absent .choice):has([checked])") == ["Image 0 events", "Strange 0 events"]


def test_without_any_event_all_types_are_listed(client):
    choices = menu(client, "/filter/event_type?start_date=2001-01-01&end_date=2001-01-02")
    assert choices.select(".absent, .number") == []
    assert len(choices.select("fieldset [name=event_type]")) > 20


def test_sources_and_a_long_list_of_authors_have_counts(client):
    assert texts(part_of(client.get("/"), "menu-source"), "#menu-source .choice") == [
        "PainChain 3 events",
        "GitHub 6 events",
        "GitLab 2 events",
    ]
    authors = texts(menu(client, "/filter/author"), ".choice")
    assert authors[0] == "author 00 1 event"
    assert "system 3 events" in authors


def test_the_ids_of_choices_stay_the_same_when_their_order_changes(client):
    pages = [menu(client, f"/filter/event_type?{query}") for query in ("range=24h", "range=30d&author=author+04")]
    first, second = ({box["value"]: box["id"] for box in page.select("[name=event_type]")} for page in pages)
    assert first == second
    assert len(set(first.values())) == len(first)


def test_a_long_menu_has_a_box_for_the_script_that_is_never_submitted(client):
    for choices in (menu(client, "/filter/event_type"), part_of(client.get("/filter/event_type"), "narrow-event_type")):
        box = choices.select_one("input.narrow")
        assert box.has_attr("hidden")
        assert not box.has_attr("name")
