"""Checkpoints are posted until that succeeds."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from painchain.core import address_policy
from painchain.integrity import latest_checkpoint
from painchain.integrity.check_job import State
from tests.integrity.checks import NOW
from tests.support.collector import Collector


@pytest.mark.parametrize("status", [500, 302])
def test_checkpoint_delivery_is_retried_until_it_succeeds(
    app: Flask,
    run_check: Callable[..., State],
    collector: Collector,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    object.__setattr__(app.extensions["painchain"].settings, "checkpoint_url", collector.url)
    address_policy.allow_networks(())  # does not apply to addresses that the operator configures
    collector.status = status
    run_check()
    run_check(seconds=29)
    with app.app_context():
        [stored] = latest_checkpoint.file().read_text().splitlines()
        delivery = latest_checkpoint.last()
    assert collector.checkpoints == [json.loads(stored)]
    assert (delivery.waiting, delivery.error) == (True, f"127.0.0.1 answered with status {status}.")
    assert "hunter2" not in caplog.text
    collector.status = 204
    run_check(seconds=31)
    run_check(seconds=9999)
    with app.app_context():
        delivery = latest_checkpoint.last()
    assert (len(collector.checkpoints), delivery.waiting, delivery.error) == (2, False, None)
    assert delivery.posted_at == NOW + timedelta(seconds=31)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:9/", "Could not connect to 127.0.0.1. Check the URL and whether the server is running."),
        ("https://no..host/", "Could not resolve no..host. Check the URL and this server's DNS."),
    ],
)
def test_failed_delivery_has_a_readable_error(
    app: Flask, run_check: Callable[..., State], address: str, why: str
) -> None:
    object.__setattr__(app.extensions["painchain"].settings, "checkpoint_url", address)
    run_check()
    with app.app_context():
        assert latest_checkpoint.last().error == why
