"""A change in GitLab is on the timeline once, whether a poll, a webhook or both reported it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import Delivery, WebhookContext
from painchain.connectors.gitlab import TYPE
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import health as connector_polls
from painchain.ingestion import polling, source_events
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.counterparts import run_fake_server
from tests.counterparts.gitlab import GitLab

NOW = datetime(2013, 12, 3, 18, tzinfo=UTC)
LATER = datetime(2013, 12, 3, 19, tzinfo=UTC)
WEBHOOK = Path(__file__).parents[2] / "recorded" / "gitlab" / "webhooks" / "merge_request.json"


def test_a_poll_and_a_webhook_of_the_same_change_are_one_event(app):
    body = json.loads(WEBHOOK.read_bytes())
    item = {**body["object_attributes"], "author": body["user"], "updated_at": "2013-12-03T17:23:34Z"}
    gitlab = GitLab()
    gitlab.add_project(1, "gitlabhq/gitlab-test", "master", merge_requests=[item])
    with app.app_context(), run_fake_server(gitlab) as fake_server:
        values = {"name": "Lab", "base_url": fake_server.url, "token": "glpat-far", "tags": ["web"]}
        with writer.writing() as event_log:
            number = connector_store.create(TYPE, values, True, Trail(event_log, SYSTEM, "r", NOW)).id
        for now in (NOW, LATER):
            turn = polling.acquire(now)
            assert turn
            assert polling.poll(turn, lambda now=now: now) == (now == NOW)
        found = TYPE.webhook.read(Delivery({}, WEBHOOK.read_bytes()), WebhookContext(1, {}, LATER))
        with writer.writing() as event_log:
            assert source_events.add_new(event_log, db.session.get_one(Connector, number), found, LATER) == 0
        [event] = queries.page(Filter(source=("gitlab",))).events
        assert event.event_id == "mr-gitlabhq/gitlab-test-1-opened"
        assert (event.title, event.author) == ("[MR] MS-Viewport", "user1")
        assert event.metadata["branches"] == {"head": "ms-viewport", "base": "master"}
        db.session.rollback()
        health = connector_polls.read([db.session.get_one(Connector, number)], LATER)[number]
        assert (health.state, health.note) == ("fine", "")
