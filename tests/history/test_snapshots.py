"""The snapshot at a time equals the configuration at that time."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from painchain.audit.diff import REPLACED
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.database.types import microseconds
from painchain.eventlog import writer
from painchain.history import snapshots as history_snapshots
from painchain.history.projection import Gap, Snapshot
from painchain.timeline import queries, visibility
from painchain.timeline.filter import Filter
from tests.history.connectors import SYSTEM, audited_transaction, create
from tests.support.thorough import further

State = dict[int, tuple[str, dict[str, Any], bool, frozenset[Any]]]


def state(app: Flask) -> State:
    """Return the current configuration."""
    with app.app_context():
        states: State = {}
        for connector in connector_store.list_all():
            values = connector_store.configuration(connector)
            states[connector.id] = (connector.type, values, values.pop("enabled"), visibility.hidden(connector.id))
        return states


def of(snapshot: Snapshot) -> State:
    """Return a snapshot in the form of ``state``."""
    return {
        connector.id: (connector.type, dict(connector.values), bool(connector.enabled), connector.hidden)
        for connector in snapshot.connectors
    }


def snapshots_of(app: Flask, *moments: datetime) -> list[State]:
    with app.app_context():
        return [of(snapshot) for snapshot in history_snapshots.snapshots_at(moments)]


def newest(app: Flask) -> datetime:
    with app.app_context():
        return queries.page(Filter(), limit=1).events[0].timestamp


@dataclass
class Person:
    """A user who makes random changes through the API."""

    client: FlaskClient
    chance: random.Random

    def act(self) -> None:
        ids = [
            connector["id"]
            for connector in self.client.get("/api/connectors").get_json()
            if connector["type"] != "painchain"
        ]
        actions = [self.add, self.report]
        actions += [self.change, self.change, self.rename, self.switch, self.toggle, self.delete] if ids else []
        self.chance.choice(actions)(self.chance.choice([1, *ids, *ids]))

    def add(self, number: int) -> None:
        type = self.chance.choice(["github", "gitlab", "kubernetes"])
        config = {} if type == "kubernetes" else {"token": "made-up"}
        name = f"Made {self.chance.randrange(10**9)}"
        body = {"type": type, "name": name, "config": config, "enabled": self.chance.random() < 0.5}
        assert self.client.post("/api/connectors", json=body).status_code == 201

    def change(self, number: int) -> None:
        config = {"poll_interval": self.chance.randrange(60, 3600), "token": f"made-up-{self.chance.random()}"}
        config = {key: value for key, value in config.items() if self.chance.random() < 0.7}
        tags = self.chance.sample(["a", "b", "c"], self.chance.randrange(4))
        body = {"config": config, "tags": tags, "enabled": self.chance.random() < 0.5 or number == 1}
        self.client.patch(f"/api/connectors/{number}", json=body, headers={"If-Match": "*"})

    def rename(self, number: int) -> None:
        name = f"Named {self.chance.randrange(10**9)}"
        assert (
            self.client.patch(f"/api/connectors/{number}", json={"name": name}, headers={"If-Match": "*"}).status_code
            == 200
        )

    def switch(self, number: int) -> None:
        if number != 1:
            self.client.post(f"/api/connectors/{number}/{self.chance.choice(['enable', 'disable'])}")

    def toggle(self, number: int) -> None:
        toggles = self.client.get(f"/api/connectors/{number}").get_json()["visibility"]
        event_type = self.chance.choice(list(toggles))
        field = self.chance.choice(list(toggles[event_type]))
        visible = {"visible": self.chance.random() < 0.5}
        assert (
            self.client.put(f"/api/connectors/{number}/visibility/{event_type}/{field}", json=visible).status_code
            == 200
        )

    def delete(self, number: int) -> None:
        self.client.delete(f"/api/connectors/{number}")

    def report(self, number: int) -> None:
        common = self.client.get(f"/api/connectors/{number}").get_json()
        common = {"connector_name": common["name"], "connector_type": common["type"]}
        body = self.chance.choice(
            [
                {"event_type": "connector_deleted"},
                {"event_type": "connector_disabled"},
                {"event_type": "connector_created"},
                {"event_type": "config_changed", "field": "poll_interval", "old_value": 1, "new_value": 2},
                {"event_type": "connector_updated", "changes": {"tags": {"old": [], "new": ["x"]}}},
                {"event_type": "field_visibility_changed", "field_key": "branches", "visible": False},
            ]
        )
        assert self.client.post("/api/painchain/log", json={**common, **body}).status_code == 201


@pytest.mark.parametrize("seed", [0, 1, *further(2, 3)])
def test_snapshot_equals_the_configuration_at_that_moment(app, client, seed):
    person = Person(client, random.Random(seed))
    snapshots = {newest(app): state(app)}
    for _ in range(30):
        person.act()
        snapshots[newest(app)] = state(app)
    shuffled = random.Random(seed).sample(list(snapshots), len(snapshots))
    assert snapshots_of(app, *shuffled) == [snapshots[moment] for moment in shuffled]
    assert snapshots_of(app, datetime.now(UTC) + timedelta(hours=1)) == [state(app)]
    assert len(snapshots) > 10


def comparable(snapshot: State, existing: Collection[int]) -> State:
    """Return a snapshot without the hidden fields of later deleted connectors, which no later event contains."""
    return {
        number: (kind, values, enabled, hidden if number in existing else frozenset())
        for number, (kind, values, enabled, hidden) in snapshot.items()
    }


@pytest.mark.parametrize("seed", [0, *further(1, 2)])
def test_pruned_values_are_filled_in_from_later_events(app, client, seed):
    person = Person(client, random.Random(seed))
    snapshots = {newest(app): state(app)}
    for _ in range(30):
        person.act()
        snapshots[newest(app)] = state(app)
    remaining = sorted(snapshots)[len(snapshots) // 2 :]
    with app.app_context(), writer.writing() as event_log:
        event_log.connection.execute(
            text("DELETE FROM change_events WHERE timestamp < :first"), {"first": microseconds(remaining[0])}
        )
    existing = state(app).keys()
    expected = [comparable(snapshots[moment], existing) for moment in remaining]
    assert [comparable(snapshot, existing) for snapshot in snapshots_of(app, *remaining)] == expected
    assert snapshots_of(app, remaining[0] - timedelta(minutes=1)) == [{}]
    with app.app_context():
        assert not history_snapshots.snapshot_at(remaining[-1]).is_complete


def test_snapshot_before_the_first_event_is_empty(app):
    first = newest(app)
    assert snapshots_of(app, first - timedelta(microseconds=1), first) == [{}, state(app)]
    with app.app_context():
        assert history_snapshots.oldest() == first


@pytest.mark.both_databases
def test_snapshot_contains_all_events_of_an_action(app):
    number = create(app, name="Work")
    with audited_transaction(app, now=datetime(2100, 1, 2, tzinfo=UTC)) as trail:
        connector_store.update(
            connector_store.get(number),
            ConnectorEdit({"poll_interval": 60, "branches": ["main"], "tags": ["a"]}),
            trail,
        )
    with app.app_context():
        stamps = [event.timestamp for event in queries.written_after(Filter(), 2)]
    assert len(set(stamps)) == 4
    assert snapshots_of(app, *stamps) == [state(app)] * 4


def test_commit_order_counts_if_the_clock_was_set_back(app):
    number = create(app)  # in 2100
    after_creation = state(app)
    with audited_transaction(app, now=datetime(2050, 1, 1, tzinfo=UTC)) as trail:
        connector_store.update(connector_store.get(number), ConnectorEdit({"poll_interval": 60}), trail)
    after_change = state(app)
    assert after_change != after_creation
    assert snapshots_of(app, datetime(2060, 1, 1, tzinfo=UTC)) == [after_change], "not the change without the creation"
    assert snapshots_of(app, datetime(2100, 1, 1, 1, tzinfo=UTC)) == [after_change]


def test_snapshot_lists_periods_without_auditing(app):
    number = create(app)
    moments = [datetime(2100, 1, day, tzinfo=UTC) for day in (2, 3, 4)]
    for moment, act in zip(
        moments,
        (
            lambda trail: connector_store.set_enabled(connector_store.get(SYSTEM), False, trail),
            lambda trail: connector_store.update(
                connector_store.get(number), ConnectorEdit({"poll_interval": 60}), trail
            ),
            lambda trail: connector_store.set_enabled(connector_store.get(SYSTEM), True, trail),
        ),
        strict=True,
    ):
        with audited_transaction(app, now=moment) as trail:
            act(trail)
    gap = Gap(moments[0], moments[2])
    with app.app_context():
        during, after = history_snapshots.snapshots_at(moments[1:])
        assert (during.gaps, after.gaps) == ((Gap(moments[0]),), (gap,))
        assert history_snapshots.gaps(moments[1], moments[2]) == [gap]
        assert history_snapshots.gaps(moments[2], moments[2] + timedelta(days=1)) == []
        assert history_snapshots.gaps(moments[0] - timedelta(days=1), moments[0]) == []


def test_snapshot_has_the_time_of_a_replaced_token_but_not_the_token(app):
    number = create(app)
    with audited_transaction(app, now=datetime(2100, 1, 2, tzinfo=UTC)) as trail:
        connector_store.update(connector_store.get(number), ConnectorEdit({"token": "planted-f00dcafe"}), trail)
    with app.app_context():
        snapshot = history_snapshots.snapshot_at(datetime(2100, 1, 3, tzinfo=UTC))
    [connector] = [connector for connector in snapshot.connectors if connector.id == number]
    assert connector.entered == {"token": datetime(2100, 1, 2, tzinfo=UTC)}
    assert "f00dcafe" not in repr(snapshot)
    assert REPLACED not in repr(connector.values)


def test_log_is_read_in_batches(app, monkeypatch):
    monkeypatch.setattr(history_snapshots, "CHUNK", 2)
    for number in range(5):
        create(app, name=f"Work {number}")
    assert snapshots_of(app, datetime(2101, 1, 1, tzinfo=UTC)) == [state(app)]
