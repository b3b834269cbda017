"""A made-up forge whose webhook events the API completes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Flask
from flask.testing import FlaskClient

from painchain.ingestion import pending_events
from painchain.workers.completion import CompletionWorker
from tests.counterparts import ReceivedRequest, Reply, as_json
from tests.support.webhook_source import deliver

Events = Callable[..., list[dict[str, Any]]]
SECOND = timedelta(seconds=1)


class Forge:
    """The forge's API, which answers with the metal of a cast, or with `reply`."""

    def __init__(self) -> None:
        self.reply: Reply | None = None
        self.before: Callable[[], object] = lambda: None

    def __call__(self, received: ReceivedRequest) -> Reply:
        self.before()
        return self.reply or as_json({"metal": "bronze"})


class Hook:
    """A connector of the forge with a webhook, whose API is the fake server."""

    def __init__(self, client: FlaskClient, api: str, name: str = "Anvil") -> None:
        values = {"name": name, "type": "forge", "enabled": True, "tags": ["hot"], "config": {"api": api}}
        self._client = client
        self.id = int(client.post("/api/connectors", json=values).get_json()["id"])
        made = client.post(f"/api/connectors/{self.id}/webhook").get_json()
        self._path, self._secret = urlsplit(made["url"]).path, made["secret"]

    def deliver(self, *casts: str) -> dict[str, Any]:
        response = deliver(self._client, self._path, self._secret, list(casts))
        assert response.status_code in (200, 202)
        return dict(response.get_json())


def work(app: Flask, after: timedelta = timedelta()) -> None:
    """Let a server complete what is due after this time."""
    CompletionWorker(app, lambda: datetime.now(UTC) + after).run_once()


def pending(app: Flask) -> int:
    with app.app_context():
        return pending_events.count()


def metals(events: Events) -> dict[str, Any]:
    return {event["title"].removeprefix("[Cast] "): event["metadata"].get("metal") for event in events(source="forge")}
