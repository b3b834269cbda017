"""The monthly report counts changes and lists their net effect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask import Flask

from painchain.audit import external_events
from painchain.audit.external_events import LogBody
from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.history import monthly_report
from painchain.history.monthly_report import Month, Report, monthly, rows
from painchain.history.projection import Gap
from painchain.timeline.filter import BadFilter
from tests.history.connectors import SYSTEM, audited_transaction, create

UTC_ZONE, BERLIN = ZoneInfo("UTC"), ZoneInfo("Europe/Berlin")
MARCH = Month(2101, 3)


def march(day: int, hour: int = 12) -> datetime:
    return datetime(2101, 3, day, hour, tzinfo=UTC)


def do(app: Flask, moment: datetime, act: Callable[[Trail], Any], author: str = "operator") -> None:
    with audited_transaction(app, moment) as trail:
        trail.author = author
        act(trail)


def save(number: int, **values: Any) -> Callable[[Trail], Any]:
    return lambda trail: connector_store.update(connector_store.get(number), ConnectorEdit(values), trail)


def reported(**body: Any) -> Callable[[Trail], Any]:
    return lambda trail: external_events.record(LogBody(**body), trail)


def report_of(app: Flask, month: Month = MARCH, zone: ZoneInfo = UTC_ZONE) -> Report:
    with app.app_context():
        return monthly(month, zone)


def counts(line: monthly_report.Line) -> dict[str, int]:
    return {column: number for column, number in line.counts.items() if number}


def drifted(app: Flask) -> dict[str, tuple[Any, Any, int]]:
    return {drift.change.key: (drift.change.old, drift.change.new, drift.times) for drift in report_of(app).drift}


@pytest.mark.parametrize("text", ["", "2026", "2026-13", "2026-00", "1970-12", "9000-01", "2026-1", "26-01", "٢٠٢٦-٠١"])
def test_invalid_month_is_refused(text):
    with pytest.raises(BadFilter, match="month"):
        Month.parse(text)


def test_month_arithmetic_crosses_years():
    december = Month.parse("2026-12")
    assert (str(december.moved(1)), str(december.moved(-12)), december.name) == ("2027-01", "2025-12", "December 2026")
    assert len(Month(2028, 2).days()) == 29
    assert Month.of(datetime(2026, 1, 31, 23, 30, tzinfo=UTC), BERLIN) == Month(2026, 2)


def test_month_starts_and_ends_in_the_viewers_zone(app):
    number = create(app)
    do(app, datetime(2101, 2, 28, 23, 30, tzinfo=UTC), save(number, poll_interval=60))
    assert report_of(app).events == 0
    of_march = report_of(app, zone=BERLIN)
    assert (of_march.counts["settings"], counts(of_march.days[0])) == (1, {"settings": 1})
    assert of_march.start == datetime(2101, 2, 28, 23, tzinfo=UTC)


@pytest.mark.both_databases
def test_report_counts_by_connector_author_kind_and_day(app):
    number = create(app)
    do(app, march(2), save(number, poll_interval=60, branches=["main"]), "ann")
    do(app, march(3), lambda trail: connector_store.set_enabled(connector_store.get(number), True, trail), "ben")
    toggle = {("PullRequest", "comments"): False}
    do(
        app,
        march(3),
        lambda trail: connector_store.set_visible(connector_store.get(number), ConnectorEdit(visibility=toggle), trail),
        "ben",
    )
    do(app, march(4), lambda trail: connector_store.delete(connector_store.get(number), trail), "ben")
    report = report_of(app)
    assert report.counts == {"added": 0, "removed": 1, "settings": 2, "visibility": 1, "switched": 1}
    assert [(line.name, line.number, counts(line)) for line in report.connectors] == [
        ("Work", number, {"settings": 2, "switched": 1, "visibility": 1, "removed": 1})
    ]
    assert [(line.name, line.total) for line in report.authors] == [("ben", 3), ("ann", 2)]
    assert report.kinds["ConnectorUpdated"] == 1
    assert [(line.name, line.total) for line in report.days if line.total] == [
        ("2101-03-02", 2),
        ("2101-03-03", 2),
        ("2101-03-04", 1),
    ]
    assert report.fates == {(number, ""): "removed"}


def test_drift_has_the_first_old_and_last_new_value_of_each_field(app):
    number = create(app)
    do(app, march(2), save(number, poll_interval=60))
    do(app, march(3), save(number, poll_interval=90, name="Home"))
    assert drifted(app) == {"poll_interval": (300, 90, 2), "name": ("Work", "Home", 1)}
    assert report_of(app).names[number, ""] == "Home"


def test_fields_that_changed_back_are_listed_separately(app):
    number = create(app)
    do(app, march(2), save(number, poll_interval=60, tags=["a", "b"]))
    do(app, march(3), save(number, poll_interval=300))
    do(app, march(4), lambda trail: connector_store.set_enabled(connector_store.get(number), True, trail))
    do(app, march(5), lambda trail: connector_store.set_enabled(connector_store.get(number), False, trail))
    assert drifted(app) == {"tags": ([], ["a", "b"], 1)}
    assert [(drift.change.key, drift.times) for drift in report_of(app).back] == [("poll_interval", 2), ("enabled", 2)]


def test_replaced_secret_never_changes_back_and_is_not_shown(app):
    number = create(app)
    do(app, march(2), save(number, token="planted-one"))
    do(app, march(3), save(number, token="planted-two"))
    assert drifted(app) == {"token": ("set", "replaced", 2)}
    assert "planted" not in repr(report_of(app))
    cleared = {"event_type": "config_changed", "connector_name": "Far", "field": "password"}
    do(app, march(4), reported(**cleared, old_value=None, new_value="planted-three"))
    do(app, march(5), reported(**cleared, old_value="planted-three", new_value=None))
    assert [drift.change.key for drift in report_of(app).back] == ["password"]


def test_reported_events_are_counted_and_marked(app):
    number = create(app)
    do(app, march(2), reported(event_type="connector_deleted", connector_name="Work", connector_type="github"))
    changes = {"replicas": {"old": 2, "new": 3}, "image": {"old": "a", "new": "b"}}
    common = {"connector_name": "Deploy", "connector_type": "github", "author": "ci"}
    do(app, march(3), reported(event_type="connector_updated", changes=changes, **common))
    do(app, march(4), save(number, poll_interval=60))
    report = report_of(app)
    assert (report.reported, report.counts["removed"], report.counts["settings"]) == (2, 1, 3)
    assert report.fates == {}, "it is still there"
    assert [(drift.change.key, drift.reported) for drift in report.drift] == [
        ("replicas", True),
        ("image", True),
        ("poll_interval", False),
    ]


@pytest.mark.parametrize("value", [[{"a": 1}], {"a": 1}, 5, "a,b", [None], True])
def test_reported_value_can_have_any_type(app, value):
    common = {"event_type": "config_changed", "connector_name": "Far", "connector_type": "github"}
    do(app, march(2), reported(**common, field="tags", old_value=value, new_value=[{"b": 2}]))
    do(app, march(3), reported(**common, field="poll_interval", old_value=value, new_value=value))
    report = report_of(app)
    assert ([drift.change.new for drift in report.drift], len(report.back)) == ([[{"b": 2}]], 1)
    assert len(list(rows(report, UTC_ZONE))) > 10


def test_true_and_one_are_different_values(app):
    common = {"event_type": "config_changed", "connector_name": "Far", "field": "limit"}
    do(app, march(2), reported(**common, old_value=1, new_value=True))
    assert len(report_of(app).drift) == 1


def test_reported_changes_and_own_changes_are_separate(app):
    number = create(app)
    do(app, march(2), save(number, poll_interval=60))
    common = {"event_type": "config_changed", "connector_name": "Work", "connector_type": "github"}
    do(app, march(3), reported(**common, field="poll_interval", old_value=1, new_value=2))
    assert sorted((drift.reported, drift.change.old, drift.change.new) for drift in report_of(app).drift) == [
        (False, 300, 60),
        (True, 1, 2),
    ]


def test_report_lists_periods_without_auditing(app):
    create(app)
    off, on = datetime(2101, 2, 10, tzinfo=UTC), march(5)
    do(app, off, lambda trail: connector_store.set_enabled(connector_store.get(SYSTEM), False, trail))
    do(app, on, lambda trail: connector_store.set_enabled(connector_store.get(SYSTEM), True, trail))
    assert report_of(app).gaps == [Gap(off, on)]
    assert report_of(app, Month(2101, 4)).gaps == []


def test_month_without_events_is_all_zero(app):
    report = report_of(app, Month(2222, 2))
    assert (report.events, set(report.counts.values()), report.drift, report.authors) == (0, {0}, [], [])


def test_exported_rows_have_the_same_numbers(app):
    number = create(app)
    do(app, march(2), save(number, poll_interval=60, name="=Work"), "ann")
    toggle = {("PullRequest", "comments"): False}
    do(
        app,
        march(3),
        lambda trail: connector_store.set_visible(connector_store.get(number), ConnectorEdit(visibility=toggle), trail),
        "ann",
    )
    do(app, march(4), lambda trail: connector_store.set_enabled(connector_store.get(SYSTEM), False, trail), "ann")
    table = list(rows(report_of(app), UTC_ZONE))
    assert {len(row) for row in table} == {6}
    for row in (
        ("total", "Configuration changes", "", "", "", 2),
        ("connector", "=Work", "Configuration changes", "", "", 2),
        ("author", "ann", "Switched on or off", "", "", 1),
        ("day", "2101-03-03", "Visibility changes", "", "", 1),
        ("kind", "Config Changed", "", "", "", 2),
        ("drift", "=Work", "Poll interval", 300, 60, 1),
        ("drift", "=Work", "Comments of PullRequest", "shown", "hidden", 1),
        ("drift", "PainChain System", "Enabled", True, False, 1),
        ("not recorded", "", "", "2101-03-04T12:00:00+00:00", "", ""),
    ):
        assert row in table


def test_busy_month_is_read_in_batches(app, monkeypatch):
    monkeypatch.setattr("painchain.history.snapshots.CHUNK", 3)
    number = create(app)
    for day in range(1, 20):
        do(app, march(day), save(number, poll_interval=60 + day))
    assert report_of(app).counts["settings"] == 19
    assert report_of(app).end - report_of(app).start == timedelta(days=31)
