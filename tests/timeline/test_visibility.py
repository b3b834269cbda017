"""Fields are hidden on the dashboard only, per connector and event type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from flask import Flask

from painchain import connectors
from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.connectors import BUILTIN, TYPES
from painchain.eventlog import writer
from painchain.timeline import queries, visibility
from painchain.timeline.filter import Filter
from painchain.timeline.visibility import Hidden

SHA, BRANCH = ("Commit", "sha"), ("Commit", "branch")


@contextmanager
def audited_transaction(app: Flask) -> Iterator[Trail]:
    """Open an audited transaction."""
    with app.app_context(), writer.writing() as event_log:
        yield Trail(event_log, "operator", "one-action", datetime.now(UTC))


@pytest.fixture
def number(app: Flask) -> int:
    """The number of a GitHub connector."""
    with audited_transaction(app) as trail:
        return int(connector_store.create(TYPES["github"], {"name": "Work", "token": "made-up"}, False, trail).id)


def show(app: Flask, number: int, **visible: bool) -> None:
    """Show or hide fields of commits."""
    with audited_transaction(app) as trail:
        toggles = {("Commit", field): is_visible for field, is_visible in visible.items()}
        connector_store.set_visible(connector_store.get(number), ConnectorEdit(visibility=toggles), trail)


def builtin(app: Flask) -> int:
    """Return the number of the built-in connector."""
    with app.app_context():
        return int(connector_store.list_all(connector_type=BUILTIN.key)[0].id)


@pytest.mark.parametrize("connector_type", TYPES.values(), ids=lambda connector_type: connector_type.key)
def test_every_field_of_every_event_type_has_one_toggle_in_the_order_of_the_form(connector_type):
    toggles = visibility.toggles(connector_type)
    names = [event_type.name for event_type in connector_type.event_types]
    if connector_type.builtin:  # there are also the fields of change events, for all of their types together
        names.append("ApiChange")
    if connector_type.key == "webhook":
        names = ["WebhookChange"]  # for all of its types together
    fields = {event_type.name: event_type.fields for event_type in connectors.configurable_types(connector_type)}
    assert len(toggles) == len(set(toggles)) == sum(len(fields[name]) for name in names)
    assert list(dict.fromkeys(event_type for event_type, _ in toggles)) == names


def test_everything_is_visible_by_default(app, number):
    with app.app_context():
        assert visibility.hidden(number) == frozenset()
        assert visibility.all_hidden() == Hidden(frozenset(), {})


def test_hidden_fields_are_stored_and_can_be_shown_again(app, number):
    show(app, number, sha=False, branch=False)
    with app.app_context():
        assert visibility.hidden(number) == {SHA, BRANCH}
    show(app, number, sha=True)
    with app.app_context():
        assert visibility.hidden(number) == {BRANCH}


def test_only_toggles_that_change_something_differ(app, number):
    show(app, number, sha=False)
    with app.app_context():
        hidden = visibility.hidden(number)
        assert visibility.differences(hidden, {SHA: False, BRANCH: True}) == []
        assert visibility.differences(hidden, {SHA: True, BRANCH: False}) == [(SHA, True), (BRANCH, False)]
        assert visibility.differences(hidden, {}) == []


def test_hiding_the_fields_of_one_connector_leaves_those_of_another(app, number):
    with audited_transaction(app) as trail:
        other_connector = int(
            connector_store.create(TYPES["github"], {"name": "Other", "token": "made-up"}, False, trail).id
        )
    show(app, number, sha=False)
    with app.app_context():
        hidden = visibility.all_hidden()
        assert visibility.hidden(other_connector) == frozenset()
    assert hidden.of("github", number) == {SHA}
    assert hidden.of("github", other_connector) == frozenset()
    assert hidden.of("github", None) == frozenset()


def test_the_toggles_of_the_audit_trail_apply_to_its_events_about_any_connector(app, number):
    show(app, number, sha=False)
    with audited_transaction(app) as trail:
        hide_action = {("ConfigChanged", "action"): False}
        connector_store.set_visible(
            connector_store.list_all(connector_type=BUILTIN.key)[0], ConnectorEdit(visibility=hide_action), trail
        )
    with app.app_context():
        hidden = visibility.all_hidden()
    for about in (number, builtin(app), None, 10**6):
        assert hidden.of(BUILTIN.key, about) == {("ConfigChanged", "action")}
    assert hidden.of("github", number) == {SHA}


def test_hidden_fields_are_still_recorded(app, number):
    with audited_transaction(app) as trail:
        every_field = dict.fromkeys(visibility.toggles(BUILTIN), False)
        connector_store.set_visible(
            connector_store.list_all(connector_type=BUILTIN.key)[0], ConnectorEdit(visibility=every_field), trail
        )
    with audited_transaction(app) as trail:
        connector_store.update(connector_store.get(number), ConnectorEdit({"poll_interval": 900}), trail)
    with app.app_context():
        updated, changed = queries.page(Filter(connector=(str(number),))).events[:2]
    assert (changed.description["old_value"], changed.description["new_value"]) == (300, 900)
    assert updated.metadata["changes"] == {"poll_interval": {"old": 300, "new": 900}}
