"""PgBouncer in front of PostgreSQL: statements of one connection reach different sessions of the server."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text
from werkzeug.test import TestResponse

from painchain.database.session import write_transaction
from painchain.integrity import verification
from painchain.startup import create_app
from tests.conftest import WITH_POSTGRES, add_connector, close, settings_for
from tests.support.pgbouncer import pooled
from tests.support.postgresql import on_server, postgres_url

pytestmark = [WITH_POSTGRES, pytest.mark.parametrize("database", ["postgresql"], indirect=True)]
REPORT = {"event_type": "config_changed", "connector_name": "Work GitHub", "field": "poll_interval", "new_value": 60}


@pytest.fixture
def url(database: str, postgres_template: str) -> Iterator[str]:
    """The URL of a database after its first start."""
    name = f"painchain_pooled_{uuid.uuid4().hex[:8]}"
    on_server(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield postgres_url(name)
    on_server(f"DROP DATABASE {name} WITH (FORCE)")


def report(app: Flask, number: int) -> TestResponse:
    """Report an event, as a script does."""
    return app.test_client().post("/api/painchain/log", json={**REPORT, "new_value": number})


def test_painchain_works_through_a_pooler_that_gives_each_transaction_another_session(
    url: str, tmp_path: Path, started_instance: Path
) -> None:
    transactions = ("pool_mode = transaction", "default_pool_size = 3")
    poolers = (
        (*transactions, "server_round_robin = 1"),  # refuses the settings of the session
        (*transactions, "server_round_robin = 1", "ignore_startup_parameters = options"),
        ("pool_mode = session", "ignore_startup_parameters = options"),
    )
    for number, settings in enumerate(poolers):
        with pooled(url, tmp_path, *settings) as address:
            app = create_app(settings_for(started_instance, address))
            client = app.test_client()
            add_connector(client, name=f"GitHub {number}")
            with ThreadPoolExecutor(8) as scripts:
                answers = list(scripts.map(partial(report, app), range(40)))
            answers += [report(app, number) for number in range(20)]
            assert {answer.status_code for answer in answers} == {201}, settings
            for page in ("/", "/api/changes", "/api/stats", "/api/timeline?q=work", "/health"):
                assert client.get(page).status_code == 200, (page, settings)
            export = client.post("/api/export", json={"format": "ndjson"})
            assert (export.status_code, export.text.count("\n") > 60) == (200, True)
            with app.app_context():
                with write_transaction() as connection:
                    assert connection.scalar(text("SHOW lock_timeout")) == "7s"
                assert verification.verify_chain().broken is None
            close(app)
