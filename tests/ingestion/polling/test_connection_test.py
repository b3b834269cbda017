"""A connection test says whose token it is, or what is wrong."""

from __future__ import annotations

import threading

import pytest

from painchain.ingestion import connection_test
from tests.counterparts import FakeServer, Reply, as_json
from tests.support.clock_source import NOW, TOKEN, ClockSource


def test_a_test_of_a_connection_says_whose_token_it_is_or_what_is_wrong(
    fake_server: FakeServer, clock_source: ClockSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"base_url": fake_server.url, "token": TOKEN}
    clock_source.reply = as_json({"name": "Quasimodo", "sees": ["12 bells", f"a {TOKEN}"]})
    checked = connection_test.run_test("clock", wanted, NOW)
    assert (checked.ok, checked.identity, checked.sees) == (True, "Quasimodo", ["12 bells", "a ***"])
    clock_source.reply = Reply(401)
    assert connection_test.run_test("clock", wanted, NOW).missing == [
        "127.0.0.1 rejected the token (401). Enter a valid token."
    ]
    assert "This is a bug in PainChain" in connection_test.run_test("clock", {}, NOW).missing[0]
    assert "cannot be tested" in connection_test.run_test("painchain", {}, NOW).missing[0]
    monkeypatch.setattr(connection_test, "TEST_SECONDS", 0.05)
    go_on = threading.Event()
    clock_source.before = lambda: go_on.wait(10)
    assert "No response within" in connection_test.run_test("clock", wanted, NOW).missing[0]
    go_on.set()
