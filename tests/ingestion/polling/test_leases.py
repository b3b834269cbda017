"""One process at a time polls a connector, and a change during a poll is not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from flask import Flask

from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.errors import ChangeRefused
from painchain.connectors.contract import PollResult
from painchain.core.config import Settings
from painchain.database.models import Connector, PollState
from painchain.database.session import db
from painchain.database.types import EPOCH
from painchain.ingestion import poll_results, polling
from painchain.scheduling import poll_leases
from painchain.startup import create_app
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.conftest import close
from tests.counterparts import FakeServer
from tests.support.clock_source import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    ClockSource,
    add,
    change,
    found,
    health,
    poll,
    state,
    strikes,
    switch,
    titles,
)


@pytest.mark.both_databases
def test_only_one_of_many_that_try_at_once_has_the_turn(
    inside: Flask, fake_server: FakeServer, settings: Settings
) -> None:
    numbers = {add(fake_server, f"Tower {number}") for number in range(3)}
    other = create_app(settings)  # a second process, as far as the database knows
    taken: list[poll_leases.PollLease | None] = []
    barrier = threading.Barrier(6)

    def try_to(app: Flask) -> None:
        with app.app_context():
            barrier.wait(10)
            taken.extend(poll_leases.acquire(NOW) for _ in range(3))

    threads = [threading.Thread(target=try_to, args=(app,)) for app in (inside, other) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    close(other)
    assert len(taken) == 18
    assert sorted(turn.connector_id for turn in taken if turn) == sorted(numbers)


def test_a_process_that_dies_loses_its_turn_with_time_and_nothing_else(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    clock_source.strikes = strikes(1)
    number = add(fake_server)
    lost = poll_leases.acquire(NOW)
    assert lost
    assert health(number, NOW).state == "polling"
    assert poll_leases.acquire(NOW + poll_leases.LEASE - SECOND) is None
    assert poll(NOW + poll_leases.LEASE) == 1
    # The process was only slow: what it found is not stored over what is newer.
    late = NOW + poll_leases.LEASE + SECOND
    with pytest.raises(poll_results.LeaseLost):
        poll_results.store(number, PollResult([found("late")], {"last": 0}), late, lost)
    assert (titles(), state(number).cursor) == (["[Strike] 1"], {"last": 1})


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda one, trail: connector_store.set_enabled(one, False, trail),
        lambda one, trail: (
            connector_store.set_enabled(one, False, trail) and connector_store.set_enabled(one, True, trail)
        ),
        connector_store.delete,
    ],
    ids=["disabled", "disabled and enabled", "deleted"],
)
def test_a_poll_stores_nothing_of_a_connector_that_was_switched_off_meanwhile(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource, meanwhile: Callable[[Connector, Trail], object]
) -> None:
    number = add(fake_server)
    clock_source.strikes = strikes(1)

    def act() -> None:
        with inside.app_context():
            change(number, NOW + SECOND, meanwhile)

    clock_source.before = act
    assert poll(NOW) == 0
    assert titles() == []
    db.session.rollback()
    left = db.session.get(PollState, number)
    assert left is None or (left.cursor == {} and left.taken_until == EPOCH)


def test_saving_and_enabling_make_a_connector_due_at_once_and_move_no_cursor(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    clock_source.strikes = strikes(1)
    number = add(fake_server, enabled=False)
    assert poll(NOW) is None
    switch(number, True, NOW)
    assert poll(NOW) == 1
    assert poll(NOW) is None
    change(number, NOW, lambda one, trail: connector_store.update(one, ConnectorEdit({"poll_interval": 600}), trail))
    assert state(number).cursor == {"last": 1}
    assert poll(NOW + SECOND) == 0
    assert state(number).due == NOW + 601 * SECOND
    change(number, NOW + MINUTE, lambda one, trail: polling.sync_now(one, trail))
    assert poll(NOW + MINUTE) == 0
    assert fake_server.paths == ["/strikes?after=0", "/strikes?after=1", "/strikes?after=1"]


def test_a_connector_that_is_renamed_during_its_poll_gives_its_events_the_new_name(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server, tags="old")
    clock_source.strikes = strikes(1)

    def rename() -> None:
        with inside.app_context():
            edit = ConnectorEdit({"name": "Belfry", "tags": ["new"]})
            change(number, NOW + SECOND, lambda connector, trail: connector_store.update(connector, edit, trail))

    clock_source.before = rename
    assert poll(NOW) == 1
    event = queries.page(Filter(source=("clock",))).events[0]
    assert (event.connector_name, event.tags) == ("Belfry", ["new"])
    assert state(number).due == NOW + SECOND


def test_sync_now_during_a_poll_has_it_polled_once_more(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server)

    def ask() -> None:
        with inside.app_context():
            change(number, NOW + SECOND, polling.sync_now)

    clock_source.before = ask
    assert poll(NOW) == 0
    assert state(number).due == NOW + SECOND


def test_a_disabled_connector_cannot_be_synced(inside: Flask, fake_server: FakeServer) -> None:
    number = add(fake_server, enabled=False)
    with pytest.raises(ChangeRefused, match="Enable it"):
        change(number, NOW, polling.sync_now)


def test_a_poll_makes_no_open_form_stale_and_wakes_no_open_page(
    inside: Flask, fake_server: FakeServer, clock_source: ClockSource
) -> None:
    number = add(fake_server)
    poll(NOW)
    before = (db.session.get_one(Connector, number).version, queries.head().revision)
    poll(NOW + HOUR)
    db.session.rollback()
    assert (db.session.get_one(Connector, number).version, queries.head().revision) == before
