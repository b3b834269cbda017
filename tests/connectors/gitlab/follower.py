"""A connector that follows a fake GitLab: what it polls and receives goes to the timeline of the app."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import count
from typing import Any

from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import (
    Cursor,
    Delivery,
    ErrorKind,
    PollContext,
    PollError,
    SourceEvent,
    WebhookContext,
)
from painchain.connectors.gitlab import TYPE
from painchain.connectors.gitlab.poll import poll
from painchain.database.models import ChangeEvent, Connector
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import source_events
from tests.counterparts import FakeServer

NUMBERS = count(1)


class Follower:
    """A connector in the database of the app. `cursor` is what its last poll stored."""

    def __init__(self, fake_server: FakeServer, projects: list[str], now: datetime):
        self.settings = {"base_url": fake_server.url, "token": "glpat-far", "projects": projects, "branches": []}
        self.cursor: Cursor = {}
        with writer.writing() as event_log:
            values = {"name": f"Lab {next(NUMBERS)}", **self.settings}
            self.id = connector_store.create(TYPE, values, True, Trail(event_log, SYSTEM, "r", now)).id

    def poll(self, now: datetime, crash: bool = False) -> None:
        """Poll and store the result. In a crash the events are stored, and the cursor is lost."""
        cursor = json.loads(json.dumps(self.cursor))
        result = poll(PollContext(self.settings, cursor, now, connector_id=self.id))
        assert not result.has_more
        self.store(result.events, now)
        if not crash:
            self.cursor = result.cursor

    def deliver(self, body: Any, key: str, now: datetime, is_completed: bool = True) -> None:
        """Receive one webhook, and complete its events unless GitLab's API does not answer."""
        delivery = Delivery({"idempotency-key": key}, json.dumps(body).encode())
        context = WebhookContext(self.id, self.settings, now, lambda: self.cursor)
        for event in TYPE.webhook.read(delivery, context):
            try:
                completed = TYPE.webhook.complete(context, event) if event.details and is_completed else event
            except PollError as error:
                if error.kind is not ErrorKind.NOT_FOUND:
                    raise
                completed = event  # deleted since: it is recorded as it is
            self.store([completed], now)

    def store(self, events: Sequence[SourceEvent], now: datetime) -> int:
        """Store the events that are new, and return how many those are."""
        with writer.writing() as event_log:
            stored = source_events.add_new(event_log, db.session.get_one(Connector, self.id), events, now)
        db.session.rollback()
        return stored

    def rows(self) -> list[ChangeEvent]:
        """Return the events on the timeline, the oldest first."""
        rows = db.session.query(ChangeEvent).filter_by(connector_id=self.id, source="gitlab")
        return list(rows.order_by(ChangeEvent.timestamp, ChangeEvent.id))
