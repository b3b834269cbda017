"""The forge, its server, and a connector with a webhook."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from painchain import connectors
from tests.counterparts import FakeServer, run_fake_server
from tests.ingestion.pending_events.forge import Forge, Hook
from tests.support.webhook_source import WEBHOOK_SOURCE


@pytest.fixture(autouse=True)
def webhook_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more connector type, which takes webhooks."""
    for registry in (connectors.TYPES, connectors.ADDABLE):
        monkeypatch.setitem(registry, "forge", WEBHOOK_SOURCE)


@pytest.fixture
def forge() -> Forge:
    return Forge()


@pytest.fixture
def fake_server(forge: Forge) -> Iterator[FakeServer]:
    with run_fake_server(forge) as fake_server:
        yield fake_server


@pytest.fixture
def hook(client: FlaskClient, fake_server: FakeServer) -> Hook:
    return Hook(client, fake_server.url)
