"""Fields of events are hidden and shown, one by one or together."""

from __future__ import annotations

import pytest

from painchain.connectors import ADDABLE, TYPES, configurable_types
from tests.support.html import soup, texts, unfold
from tests.web.parts import part_of
from tests.web.settings.connector_pages import (
    SYSTEM,
    edit,
    kinds,
    opened,
    out_of_band,
    page_of,
    press,
    refusal,
    toasts,
    toggle,
    visible,
)


def test_every_field_of_every_event_type_has_a_toggle_and_is_visible_at_first(client, make_connector):
    numbers = {"painchain": SYSTEM, **{key: make_connector(key, f"Some {key}") for key in ADDABLE}}
    for type_key, number in numbers.items():
        types = configurable_types(TYPES[type_key])
        every = [(event_type.name, field.key) for event_type in types for field in event_type.fields]
        assert visible(client, number) == dict.fromkeys(every, True)


def test_a_toggle_is_one_event_and_updates_the_dashboard_at_once(client, events, make_connector):
    edit(client, make_connector(), poll_interval="600")
    before = len(events())
    toggle(client, SYSTEM, "ConfigChanged", "old_value", False)
    assert texts(part_of(client.get("/"), "feed"), "#feed .change") == ["Poll interval: 600"]
    [event] = events()[before:]
    assert event["title"] == "[Field Visibility Changed] ConfigChanged"
    assert event["description"]["text"] == "Old value of ConfigChanged events hidden"
    toggle(client, SYSTEM, "ConfigChanged", "old_value", True)
    assert texts(part_of(client.get("/"), "feed"), "#feed .change") == ["Poll interval: 300 → 600"]
    assert [event["metadata"]["visible"] for event in events()[before:]] == [False, True]


def test_hidden_fields_are_still_recorded(client, events, make_connector):
    toggle(client, SYSTEM, "ConfigChanged", "old_value", False)
    edit(client, make_connector(), poll_interval="600")
    assert events(event_type="ConfigChanged")[-1]["description"]["old_value"] == 300


def test_a_toggle_returns_out_of_band_fragments_to_htmx(client, make_connector):
    number = make_connector()
    page = soup(toggle(client, number, "Commit", "sha", False))
    assert out_of_band(page) == ["connector_header", "version", "toast", "timeline", "feed"]
    assert toasts(page) == ["SHA is now hidden."]
    assert page.select_one("#version")["value"] == opened(client, number)["version"] == "2"
    assert texts(page, "#feed .note")[0] == "SHA of Commit hidden"


def test_an_unchanged_toggle_writes_nothing(client, events, make_connector):
    number = make_connector()
    before = events()
    assert toasts(part_of(toggle(client, number, "Commit", "sha", True), "toast")) == ["No changes."]
    assert events() == before


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_all_fields_of_an_event_type_are_hidden_and_shown_by_one_button(client, events, make_connector, htmx):
    number = make_connector()
    before = len(events())
    every = visible(client, number)
    commit = [name for name in every if name[0] == "Commit"]
    for word, state in (("hide", False), ("show", True)):
        response = press(client, number, "visibility", htmx=htmx, **{**opened(client, number), word: "Commit"})
        messages = [f"{len(commit)} fields are now {'shown' if state else 'hidden'}."]
        if htmx:
            assert toasts(part_of(response, "toast")) == messages
            assert out_of_band(soup(response)) == [
                "connector_header",
                "version",
                "visibility",
                "toast",
                "timeline",
                "feed",
            ]
        else:
            assert (response.status_code, response.location) == (303, f"{page_of(number)}#visibility")
        assert visible(client, number) == {**every, **dict.fromkeys(commit, state)}
    hidden, shown = events()[before : before + len(commit)], events()[before + len(commit) :]
    for toggled, state in ((hidden, False), (shown, True)):
        assert {(event["event_type"], event["metadata"]["visible"]) for event in toggled} == {
            ("FieldVisibilityChanged", state)
        }
        assert sorted(("Commit", event["metadata"]["field"]) for event in toggled) == sorted(commit)
        assert len({event["request_id"] for event in toggled}) == 1


def test_a_save_with_visibility_lists_it_and_logs_each_field(client, events, make_connector):
    number = make_connector()
    before = len(events())
    inputs = {"poll_interval": "600", "visible.Commit.sha": False, "visible.Release.draft": False}
    page = soup(edit(client, number, htmx=True, **inputs))
    assert toasts(page) == ["Saved “Work GitHub”. Changed: Poll interval, Draft, SHA."]
    new_events = events()[before:]
    assert kinds(new_events) == [
        "ConfigChanged",
        "FieldVisibilityChanged",
        "FieldVisibilityChanged",
        "ConnectorUpdated",
    ]
    assert new_events[-1]["metadata"]["changes"] == {
        "poll_interval": {"old": 300, "new": 600},
        "field_visibility.Release.draft": {"old": True, "new": False},
        "field_visibility.Commit.sha": {"old": True, "new": False},
    }
    assert len({event["request_id"] for event in new_events}) == 1
    updated = unfold(client, page).select_one("#feed > article > details > .details")
    assert texts(updated, ".changes li") == [
        "Poll interval 300 → 600",
        "Draft of Release shown → hidden",
        "SHA of Commit shown → hidden",
    ]
    assert [name for name, on in visible(client, number).items() if not on] == [("Release", "draft"), ("Commit", "sha")]


def test_saving_only_visibility_is_a_change(client, events, make_connector):
    number = make_connector()
    before = len(events())
    edit(client, number, **{"visible.Commit.sha": False})
    assert kinds(events()[before:]) == ["FieldVisibilityChanged", "ConnectorUpdated"]


def test_an_unknown_field_cannot_be_toggled(client, events, make_connector):
    number = make_connector()
    before = events()
    for toggled in (("Commit", "nothing"), ("MergeRequest", "branches"), ("", "")):
        assert "Unknown field" in refusal(toggle(client, number, *toggled, visible=False), 422)
    assert "Unknown field" in refusal(press(client, number, "visibility", hide="MergeRequest"), 422)
    assert events() == before
