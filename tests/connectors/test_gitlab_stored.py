"""What GitLab tells is on the timeline once, whichever way it came."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from painchain import findings, inventory, ledger, polling, timeline
from painchain.audit import SYSTEM, Trail
from painchain.connectors.gitlab import TYPE
from painchain.connectors.poll import Delivery
from painchain.db import db
from painchain.models import Connector
from painchain.timeline import Filter
from tests.far import far_side
from tests.far.gitlab import GitLab

NOW = datetime(2013, 12, 3, 18, tzinfo=UTC)
LATER = datetime(2013, 12, 3, 19, tzinfo=UTC)
WEBHOOK = Path(__file__).parents[1] / "recorded" / "gitlab" / "webhooks" / "merge_request.json"


def test_what_a_poll_and_a_webhook_both_tell_is_one_event(app):
    body = json.loads(WEBHOOK.read_bytes())
    item = {**body["object_attributes"], "author": body["user"], "updated_at": "2013-12-03T17:23:34Z"}
    gitlab = GitLab()
    gitlab.add_project(1, "gitlabhq/gitlab-test", "master", merge_requests=[item])
    with app.app_context(), far_side(gitlab) as far:
        values = {"name": "Lab", "base_url": far.url, "token": "glpat-far", "tags": ["web"]}
        with ledger.writing() as book:
            number = inventory.create(TYPE, values, True, Trail(book, SYSTEM, "r", NOW)).id
        for now in (NOW, LATER):
            turn = polling.take(now)
            assert turn
            assert polling.poll(turn, lambda now=now: now) == (now == NOW)
        found = TYPE.hook.read(Delivery({}, WEBHOOK.read_bytes()), {}, LATER)
        with ledger.writing() as book:
            assert findings.add_found(book, db.session.get_one(Connector, number), found, LATER) == 0
        [event] = timeline.page(Filter(source=("gitlab",))).events
        assert event.event_id == "mr-gitlabhq/gitlab-test-1-opened"
        assert (event.title, event.author) == ("[MR] MS-Viewport", "user1")
        assert event.metadata["branches"] == {"head": "ms-viewport", "base": "master"}
        db.session.rollback()
        health = polling.health([db.session.get_one(Connector, number)], LATER)[number]
        assert (health.state, health.note) == ("fine", "")
