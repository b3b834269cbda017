"""People of each role, and a receiver of notifications with the worker that sends to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.workers.notifications import NotificationWorker
from tests.support.accounts import add_person, sign_in
from tests.web.settings.notifications import FakeReceiver


@pytest.fixture
def people(app: Flask) -> Callable[[str], FlaskClient]:
    """Sign in as ann (admin), ed (editor) or vi (viewer)."""
    for name, role in (("ann", "admin"), ("ed", "editor"), ("vi", "viewer")):
        add_person(app, name, role)

    def signed_in(name: str) -> FlaskClient:
        client = app.test_client()
        assert sign_in(client, name).status_code == 303
        return client

    return signed_in


@pytest.fixture
def fake_receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeReceiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    receiver = FakeReceiver()
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def run_worker_in(app: Flask) -> Callable[..., None]:
    """Return a function that runs the notification worker some time from now."""

    def run(**after: int) -> None:
        now = datetime.now(UTC) + timedelta(**after)
        NotificationWorker(app, lambda: now).run_once()

    return run
