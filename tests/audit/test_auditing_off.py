"""While auditing is off nothing is recorded, and each switch is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from painchain.audit.trail import auditing
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from tests.audit.actions import NOW, WORK, add, audited_transaction, run_actions, system, turn_auditing
from tests.audit.seven_events import SEVEN


def test_nothing_is_recorded_while_auditing_is_off(app):
    turn_auditing(app, on=False)
    with audited_transaction(app) as trail:
        assert [act(trail) for act, _ in SEVEN] == [None] * len(SEVEN)
    assert run_actions(app, *(act for act, _ in SEVEN)) == []


def test_switching_auditing_is_recorded_with_author_and_time(app):
    [off] = turn_auditing(app, on=False, author="night shift", now=NOW)
    with app.app_context():
        assert (auditing().on, auditing().by, auditing().since) == (False, "night shift", NOW)
    [on] = turn_auditing(app, on=True, author="day shift", now=NOW + timedelta(hours=8))
    with app.app_context():
        assert (auditing().on, auditing().by, auditing().since) == (True, "day shift", NOW + timedelta(hours=8))
    assert [(event.title, event.author) for event in (off, on)] == [
        ("[Connector Disabled] PainChain System", "night shift"),
        ("[Connector Enabled] PainChain System", "day shift"),
    ]


def test_switching_auditing_applies_within_its_transaction(app):
    events = run_actions(
        app,
        lambda trail: trail.log_connector_enabled(WORK),
        lambda trail: connector_store.set_enabled(system(app), False, trail),
        lambda trail: trail.log_connector_disabled(WORK),
        lambda trail: connector_store.set_enabled(system(app), True, trail),
        lambda trail: trail.log_connector_enabled(WORK),
    )
    assert [event.event_type for event in events] == [
        "ConnectorEnabled",
        "ConnectorDisabled",
        "ConnectorEnabled",
        "ConnectorEnabled",
    ]


def test_changes_while_auditing_is_off_stay_unrecorded(app, client, events):
    number = add(client, "Work GitHub")
    turn_auditing(app, on=False)
    before = len(events())
    with audited_transaction(app) as trail:
        connector_store.update(connector_store.get(number), ConnectorEdit({"poll_interval": 900}), trail)
        connector_store.set_enabled(connector_store.get(number), True, trail)
    assert client.get(f"/api/connectors/{number}").json["config"]["poll_interval"] == 900
    assert len(events()) == before


def test_renaming_the_painchain_connector_is_not_recorded_while_auditing_is_off(app):
    turn_auditing(app, on=False)
    renamed = run_actions(
        app, lambda trail: connector_store.update(system(app), ConnectorEdit({"name": "Trail"}), trail)
    )
    assert renamed == []
    assert [event.title for event in turn_auditing(app, on=True)] == ["[Connector Enabled] Trail"]


@pytest.mark.parametrize("kind", ["connector_enabled", "connector_disabled"])
def test_a_script_cannot_report_a_switch_of_auditing_while_it_is_off(app, client, events, kind):
    turn_auditing(app, on=False)
    before = len(events())
    body = {"event_type": kind, "connector_name": "PainChain System", "connector_type": "painchain"}
    assert client.post("/api/painchain/log", json=body).status_code == 409
    assert len(events()) == before
