"""Events are projected onto the configuration, one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.audit.diff import CLEARED, REPLACED, SET
from painchain.history.projection import Entry, Gap, Projection, Snapshot, differences

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
CONFIGURATION = {"name": "Work", "tags": ["ci"], "poll_interval": 300, "token": "set", "enabled": False}


def entry(number: int, kind: str, /, connector: int | None = 2, type: str = "github", **description: Any) -> Entry:
    """Return event `number`, which happened `number` minutes after noon."""
    at = NOON + timedelta(minutes=number)
    return Entry(number, kind, connector, "Work", type, description, "someone", at, f"request-{number}")


def created(number: int = 1, connector: int = 2, **configuration: Any) -> Entry:
    return entry(number, "ConnectorCreated", connector, configuration={**CONFIGURATION, **configuration})


def changed(number: int, field: str, old: Any, new: Any, kind: str = "number", **more: Any) -> Entry:
    return entry(number, "ConfigChanged", field=field, kind=kind, old_value=old, new_value=new, **more)


def toggled(number: int, visible: bool) -> Entry:
    return entry(number, "FieldVisibilityChanged", event_type="PullRequest", field="comments", visible=visible)


def snapshot_after(*entries: Entry) -> Snapshot:
    projection = Projection()
    for entry in entries:
        projection.apply(entry)
    return projection.snapshot()


def changes(*entries: Entry) -> list[tuple[str, str]]:
    """Return the differences between the snapshot after the first event and after all, as kinds and labels."""
    changed = differences(snapshot_after(entries[0]), snapshot_after(*entries))
    return [
        (difference.kind, ", ".join(f"{change.label} {change.old}→{change.new}" for change in difference.changes))
        for difference in changed
    ]


def test_created_connector_has_its_recorded_configuration():
    [connector] = snapshot_after(created()).connectors
    assert (connector.name, connector.enabled, connector.is_complete) == ("Work", False, True)
    assert connector.values == {"name": "Work", "tags": ["ci"], "poll_interval": 300, "token": "set"}


def test_changes_renames_switches_and_toggles_are_applied():
    [connector] = snapshot_after(
        created(),
        changed(2, "poll_interval", 300, 600),
        changed(3, "name", "Work", "Home", "text"),
        entry(4, "ConnectorEnabled"),
        toggled(5, False),
    ).connectors
    assert (connector.name, connector.enabled, connector.values["poll_interval"]) == ("Home", True, 600)
    assert connector.hidden == {("PullRequest", "comments")}
    assert (connector.since, connector.by) == (NOON + timedelta(minutes=5), "someone")


def test_connector_updated_repeats_the_other_events_of_its_save():
    update = entry(2, "ConnectorUpdated", changes=[{"key": "poll_interval", "old": 300, "new": 1}])
    assert snapshot_after(created(), update).connectors == snapshot_after(created()).connectors


def test_deleted_connector_is_removed():
    assert snapshot_after(created(), entry(2, "ConnectorDeleted")).connectors == []


def test_secret_state_is_whether_it_is_set_and_when():
    replaced = changed(2, "token", SET, REPLACED, "secret")
    [connector] = snapshot_after(created(), replaced).connectors
    assert (connector.values["token"], connector.entered) == ("set", {"token": replaced.timestamp})
    [connector] = snapshot_after(created(), replaced, changed(3, "token", SET, CLEARED, "secret")).connectors
    assert ("token" in connector.values, connector.entered) == (False, {})


def test_reported_events_are_counted_but_not_applied():
    reported = changed(2, "poll_interval", 300, 1, reported=True)
    unknown = entry(3, "ConnectorDisabled", None)
    deletion = entry(4, "ConnectorDeleted", reported=True)
    snapshot = snapshot_after(created(), reported, unknown, deletion)
    assert snapshot.connectors == snapshot_after(created()).connectors
    assert snapshot.reported == 3


def test_events_without_connector_are_not_applied_and_not_reports():
    entries = [entry(2, kind, None) for kind in ("TeamCreated", "TeamUpdated", "TeamDeleted", "EventsExported")]
    snapshot = snapshot_after(created(), *entries)
    assert (snapshot.connectors, snapshot.reported) == (snapshot_after(created()).connectors, 0)


def test_connector_without_creation_event_is_incomplete():
    snapshot = snapshot_after(changed(7, "poll_interval", 300, 600))
    [connector] = snapshot.connectors
    assert (connector.values, connector.enabled, connector.is_complete) == (
        {"name": "Work", "poll_interval": 600},
        None,
        False,
    )
    assert (snapshot.is_complete, snapshot.begins) == (False, NOON + timedelta(minutes=7))


def test_disabled_auditing_is_a_gap():
    system = {"connector": 1, "type": "painchain"}
    first = entry(1, "ConnectorCreated", **system, configuration={"enabled": True})
    off, on = entry(2, "ConnectorDisabled", **system), entry(9, "ConnectorEnabled", **system)
    assert snapshot_after(first).gaps == ()
    assert snapshot_after(first, off).gaps == (Gap(off.timestamp),)
    assert snapshot_after(first, off, created(5), on).gaps == (Gap(off.timestamp, on.timestamp),)
    assert snapshot_after(on).gaps == (Gap(None, on.timestamp),), "since when is no longer in the log"
    assert snapshot_after(first, entry(3, "ConnectorDisabled", **system, reported=True)).gaps == ()


def test_differences_are_additions_changes_and_removals():
    addition = entry(2, "ConnectorCreated", 3, configuration={"name": "Other"})
    assert changes(created(), addition) == [("added", "")]
    assert changes(created(), entry(2, "ConnectorDeleted")) == [("removed", "")]
    assert changes(
        created(), changed(2, "poll_interval", 300, 60), entry(3, "ConnectorEnabled"), toggled(4, False)
    ) == [("changed", "Poll interval 300→60, Enabled False→True, Comments of PullRequest True→False")]


def test_value_that_changed_back_is_not_a_difference():
    back = changed(2, "poll_interval", 300, 60), changed(3, "poll_interval", 60, 300)
    assert changes(created(), *back, toggled(4, False), toggled(5, True)) == []
    assert changes(created(tags=["a", "b"]), changed(2, "tags", ["a", "b"], ["b", "a"], "tags")) == []


def test_replaced_secret_is_a_difference():
    assert changes(created(), changed(2, "token", SET, REPLACED, "secret")) == [("changed", "Token set→replaced")]
    assert changes(created(), changed(2, "token", SET, CLEARED, "secret")) == [("changed", "Token set→cleared")]
    cleared_and_set = changed(2, "token", SET, CLEARED, "secret"), changed(3, "token", None, SET, "secret")
    assert changes(created(), *cleared_and_set) == [("changed", "Token set→replaced")]


def test_value_known_to_one_snapshot_only_is_not_a_difference():
    assert changes(changed(1, "poll_interval", 300, 600), changed(2, "branches", [], ["main"], "list")) == []


def test_invalid_recorded_values_are_applied_and_compared():
    odd = created(poll_interval={"every": "day"}, unheard_of=[1, None])
    assert changes(odd, changed(2, "poll_interval", None, 60), changed(3, "tags", ["ci"], "text", "tags")) == [
        ("changed", "Tags ['ci']→text, Poll interval {'every': 'day'}→60")
    ]
    assert snapshot_after(entry(1, "ConnectorCreated", configuration="nothing")).connectors[0].is_complete is False
    assert snapshot_after(entry(1, "Nonsense"), entry(2, "ConfigChanged")).connectors[0].name == "Work"
