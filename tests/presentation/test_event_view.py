"""An event is shown as a summary line and its visible fields."""

from __future__ import annotations

from typing import Any

import pytest

from painchain.connectors import TYPES
from painchain.presentation.event_view import EventView, describe
from tests.presentation.events import CHANGED, UPDATED, UTC_ZONE, event, view_of


def rows(view: EventView) -> list[tuple[str, Any]]:
    return [(row.label, row.value) for row in view.rows]


TOGGLED = event(
    "FieldVisibilityChanged",
    description={"event_type": "Commit", "field": "sha", "label": "SHA", "visible": False},
    metadata={"action": "field_visibility_change", "event_type": "Commit", "field": "sha", "visible": False},
)


def test_known_event_type_has_label_icon_and_ordered_fields():
    for source, event_type in ((key, each) for key, kind in TYPES.items() for each in kind.event_types):
        facts = {field.key: f"some {field.key}" for field in reversed(event_type.fields)}
        view = view_of(event(event_type.name, source, metadata=facts))
        assert (view.label, view.icon) == (event_type.label, event_type.icon), event_type
        assert (view.source_label, view.colour) == (TYPES[source].label, TYPES[source].colour), event_type
        assert [row.key for row in view.rows] == [field.key for field in event_type.fields], event_type


def test_config_changed_is_one_change():
    view = view_of(CHANGED)
    assert (view.change.label, view.change.old, view.change.new) == ("Poll interval", 300, 600)
    assert (view.subject, view.sides) == ("Work", ("old", "new"))
    assert rows(view) == [
        ("Connector name", "Work"),
        ("Field", "Poll interval (poll_interval)"),
        ("Old value", 300),
        ("New value", 600),
        ("Action", "config_change"),
    ]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("connector_name", {"subject": None}),
        ("field", {"change": None}),
        ("old_value", {"sides": ("new",)}),
        ("new_value", {"sides": ("old",)}),
    ],
)
def test_hidden_field_is_in_neither_line_nor_list(field, expected):
    view = view_of(CHANGED, field)
    assert {name: getattr(view, name) for name in expected} == expected
    assert field not in [row.key for row in view.rows]
    assert len(view.rows) == 4


def test_save_shows_the_number_of_changes_and_lists_them():
    view = view_of(UPDATED)
    assert view.note == "3 settings: Poll interval, Tags, SHA of Commit"
    changes = next(row.changes for row in view.rows if row.key == "changes")
    assert [(change.label, change.kind, change.old, change.new) for change in changes] == [
        ("Poll interval", "number", 300, 600),
        ("Tags", "tags", [], ["a"]),
        ("SHA of Commit", "visible", True, False),
    ]
    assert view_of(UPDATED, "changes").note == ""


@pytest.mark.parametrize(
    ("hidden", "note"),
    [
        ((), "SHA of Commit hidden"),
        (("field",), "A field of Commit hidden"),
        (("event_type",), "SHA hidden"),
        (("visible",), "SHA of Commit"),
    ],
)
def test_toggle_note_omits_hidden_fields(hidden, note):
    assert view_of(TOGGLED, *hidden).note == note


def test_unknown_event_type_shows_all_its_facts():
    view = view_of(event("TeaBrewed", "kitchen", metadata={"cup_size": 3}, description={"text": "…", "leaf": "assam"}))
    assert (view.label, view.source_label, view.icon, view.colour) == ("TeaBrewed", "kitchen", "circle", "grey")
    assert view.subject == "[Made Up] title"
    assert rows(view) == [("Leaf", "assam"), ("Cup size", 3)]


def test_unknown_type_of_a_known_source_has_its_colour():
    view = view_of(event("Starred", "github", metadata={"stars": 3}))
    assert (view.label, view.source_label, view.colour) == ("Starred", "GitHub", TYPES["github"].colour)
    assert rows(view) == [("Stars", 3)]


def test_removed_field_keeps_its_recorded_label():
    old = event(description={**CHANGED.description, "field": "frequency", "label": "How often"})
    view = view_of(old)
    assert view.change.label == "How often"
    assert ("Field", "How often (frequency)") in rows(view)


def test_change_without_label_shows_its_key():
    view = view_of(event("ConnectorUpdated", metadata={"changes": {"frequency": {"old": 1, "new": 2}}}))
    assert view.note == "1 setting: frequency"


ODD = [
    {"metadata": {"changes": {"additions": 10, "deletions": 2}}},
    {"metadata": {"changes": ["+10", "-2"]}},
    {"metadata": {"changes": "12 lines"}},
    {"metadata": {"changes": None}},
    {"metadata": {"changes": {"x": {"old": 1, "new": 2}}}, "description": {"changes": "x from 1 to 2"}},
    {"metadata": {"changes": {"x": {"old": 1, "new": 2}}}, "description": {"changes": ["x from 1 to 2"]}},
    {"metadata": {"changes": {"x": {"old": 1, "new": 2}}}, "description": {"changes": [{"label": "x"}]}},
    {"metadata": {"changes": {"x": {}}}, "description": {"field_visibility": [{"field": "sha"}]}},
]


@pytest.mark.parametrize("facts", ODD)
def test_facts_of_unexpected_types_are_shown(facts):
    for source, event_type in (("painchain", "ConnectorUpdated"), ("github", "PullRequest"), ("kitchen", "TeaBrewed")):
        view = view_of(event(event_type, source, **facts))
        assert view.rows
        assert all(row.label for row in view.rows)


def test_failing_connector_has_its_error_in_the_line():
    failing = event("ConnectorFailing", description={"error": "GitHub answered 401"}, metadata={"action": "fail"})
    assert view_of(failing).note == "GitHub answered 401"
    assert view_of(failing, "error").note == ""


def test_save_shows_the_sides_that_its_settings_show():
    hidden = frozenset({("ConfigChanged", "old_value")})
    assert describe(UPDATED, hidden, UTC_ZONE).sides == ("new",)
    assert describe(CHANGED, hidden, UTC_ZONE).sides == ("new",)
