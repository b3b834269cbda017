"""Several connectors can be enabled, disabled and tagged at once: all or none, recorded as single edits are."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.accounts import add_person, sign_in
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of

LIST = "/settings/integrations"
pytestmark = pytest.mark.usefixtures("fake_sources")


@pytest.fixture
def three(make_connector: Any) -> list[int]:
    """Three disabled connectors with tags."""
    return [make_connector(name=name, tags=tags) for name, tags in (("A", "x"), ("B", "x, y"), ("C", ""))]


def press(client: Any, action: str, numbers: list[int], response: Any = None, **values: Any) -> Any:
    """Tick connectors of the list and press a button of the form."""
    response = response or client.get(LIST)
    boxes = {
        box["aria-label"]: str(box["value"])
        for box in part_of(response, "cards").select("input[form=bulk][name=chosen]")
    }
    chosen = [value for value in boxes.values() if int(value.partition(":")[0]) in numbers]
    form = fill(form_of(response, "#bulk"), **values)
    return client.post(f"{LIST}/bulk", data={**form, "chosen": chosen, "action": action})


def test_tags_are_added_and_removed_in_one_request(client, three, events):
    before = len(events())
    assert press(client, "add_tag", three, tags="y, z", reason="Cleanup").status_code == 303
    recorded = events()[before:]
    assert [(event["connector_name"], event["event_type"]) for event in recorded] == [
        (name, event_type) for name in "ABC" for event_type in ("ConfigChanged", "ConnectorUpdated")
    ]
    assert len({event["request_id"] for event in recorded}) == 1
    assert {event["description"]["reason"] for event in recorded} == {"Cleanup"}
    assert "3 connectors tagged." in texts(part_of(client.get(LIST), "toast"), "#toast .toast span")
    tags = [client.get(f"/api/connectors/{number}").get_json()["tags"] for number in three]
    assert tags == [["x", "y", "z"], ["x", "y", "z"], ["y", "z"]]
    press(client, "remove_tag", three[1:], tags="x")
    assert events()[-1]["connector_name"] == "B"
    toast = "1 connector changed. The other 1 did not change."
    assert toast in texts(part_of(client.get(LIST), "toast"), "#toast .toast span")


def test_disabling_asks_first_and_says_what_stops(client, three, events):
    press(client, "enable", three)
    assert [event["event_type"] for event in events()[-3:]] == ["ConnectorEnabled"] * 3
    before = events()
    page = press(client, "disable", three[:2], reason="Incident")
    assert (page.status_code, events()) == (200, before)
    assert words(part_of(page, "main").select_one("h1")) == "Disable 2 connectors?"
    assert texts(part_of(page, "main"), "main li") == ["A (GitHub)", "B (GitHub)"]
    form = form_of(page, "#bulk")
    assert form["reason"] == "Incident"
    chosen = [str(each["value"]) for each in part_of(page, "bulk").select("#bulk [name=chosen]")]
    done = client.post(f"{LIST}/bulk", data={**form, "chosen": chosen, "action": "disable"})
    assert done.status_code == 303
    recorded = events()[len(before) :]
    assert [(event["event_type"], event["connector_name"]) for event in recorded] == [
        ("ConnectorDisabled", "A"),
        ("ConnectorDisabled", "B"),
    ]
    assert len({event["request_id"] for event in recorded}) == 1


@pytest.mark.parametrize("action", ["enable", "disable", "add_tag", "remove_tag"])
def test_a_changed_or_deleted_connector_stops_everything(client, three, events, action):
    response = client.get(LIST)
    assert (
        client.patch(
            f"/api/connectors/{three[1]}", json={"config": {"poll_interval": 600}}, headers={"If-Match": "*"}
        ).status_code
        == 200
    )
    assert client.delete(f"/api/connectors/{three[2]}").status_code == 204
    before = events()
    for confirmed in ({}, {"confirmed": "1"}):
        refused = press(client, action, three, response, tags="x", **confirmed)
        assert refused.status_code == 409
        assert "“B” was changed by system. “C” was deleted." in words(part_of(refused, "main").select_one("main"))
    assert events() == before
    assert not client.get(f"/api/connectors/{three[0]}").get_json()["enabled"]


def test_the_builtin_connector_cannot_be_chosen(client, three, events):
    before = events()
    assert not part_of(client.get(LIST), "card-1").select("#card-1 [name=chosen]")
    form = form_of(client.get(LIST), "#bulk")
    refused = client.post(f"{LIST}/bulk", data={**form, "chosen": "1:1", "action": "disable", "confirmed": "1"})
    assert (refused.status_code, events()) == (409, before)


INVALID = [
    ("enable", [], "", "Select at least one connector"),
    ("nothing", ["2:1"], "", "Choose what to do"),
    ("add_tag", ["2:1"], " , ", "Enter a tag."),
    ("add_tag", ["2:1"], "x" * 51, "at most 50 characters"),
    ("add_tag", ["2:1"], ",".join(map(str, range(200))), "“A”: Tags can list at most 200 entries"),
    ("add_tag", ["x"], "a", "Reload the list"),
    ("add_tag", ["2"], "a", "Reload the list"),
    ("add_tag", [f"2:{2**80}"], "a", "Reload the list"),
    ("add_tag", ["2:1"] * 501, "a", "at most 500"),
]


def test_an_invalid_choice_changes_nothing(client, three, events, subtests):
    before = events()
    form = form_of(client.get(LIST), "#bulk")
    for action, chosen, tags, problem in INVALID:
        with subtests.test(f"{action} {problem}"):
            refused = client.post(f"{LIST}/bulk", data={**form, "chosen": chosen, "action": action, "tags": tags})
            assert (refused.status_code, events()) == (422, before)
            assert problem in words(part_of(refused, "main").select_one("main"))


def test_enter_presses_a_button_that_needs_a_tag(client, three):
    assert part_of(client.get(LIST), "bulk").select_one("#bulk button")["value"] == "add_tag"


def test_a_viewer_has_no_boxes(app, client, three):
    add_person(app, "bob", "viewer")
    sign_in(client, "bob")
    assert not soup(client.get(LIST)).select("[name=chosen], #bulk")
