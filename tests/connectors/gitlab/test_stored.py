"""A change in GitLab is on the timeline once, whether a poll, a webhook or both reported it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import Delivery, SourceEvent, WebhookContext
from painchain.connectors.gitlab import TYPE
from painchain.database.models import Connector
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import health as connector_polls
from painchain.ingestion import polling, source_events
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.connectors.gitlab import former
from tests.connectors.gitlab.follower import Follower
from tests.counterparts import as_json, run_fake_server
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
            lease = polling.acquire(now)
            assert lease
            assert polling.poll(lease, lambda now=now: now) == (now == NOW)
        events = TYPE.webhook.read(Delivery({}, WEBHOOK.read_bytes()), WebhookContext(number, {}, LATER))
        with writer.writing() as event_log:
            assert source_events.add_new(event_log, db.session.get_one(Connector, number), events, LATER) == 0
        [event] = queries.page(Filter(source=("gitlab",))).events
        assert event.event_id == f"gitlab:{number}:1:mr:1:opened"
        assert (event.title, event.author) == ("[MR] MS-Viewport", "user1")
        assert event.metadata["branches"] == {"head": "ms-viewport", "base": "master"}
        db.session.rollback()
        health = connector_polls.read([db.session.get_one(Connector, number)], LATER)[number]
        assert (health.state, health.note) == ("fine", "")


FORMER = json.loads((Path(__file__).parents[2] / "recorded" / "gitlab" / "former_ids.json").read_bytes())
TODAY = datetime(2026, 3, 4, 12, tzinfo=UTC)


def stored_by_former_version(follower: Follower, way: str) -> int:
    """Store what the version a25888c found on the day of `former.fill`, and return how many events that is."""
    events = [
        SourceEvent(event_id, "MergeRequest", event_id, datetime.fromisoformat(when)) for event_id, when in FORMER[way]
    ]
    return follower.store(events, TODAY)


UNFINISHED = {**FORMER["cursor"], "todo": [{"ref": "acme/api"}]}  # of a poll that had more to read


@pytest.mark.parametrize(
    ("way", "cursor"), [("polled", {}), ("polled", FORMER["cursor"]), ("polled", UNFINISHED), ("delivered", {})]
)
def test_the_first_poll_after_an_upgrade_adds_only_what_is_missing(app, way, cursor):
    gitlab = GitLab()
    former.fill(gitlab)
    with app.app_context(), run_fake_server(gitlab) as fake_server:
        follower = Follower(fake_server, ["acme/api"], TODAY)
        stored = stored_by_former_version(follower, way)
        follower.cursor = cursor
        follower.poll(TODAY)
        fresh = [row.event_id.split(":", 3)[3] for row in follower.rows() if row.event_id.startswith("gitlab:")]
        missing = {
            "polled": ["push:9001"],  # older versions did not record pushes
            "delivered": [
                *("mr:3:opened", "mr:4:reopened:2026-03-04T04:00:00Z", "pipeline:32:running"),
                *("deployment:42:running:2026-03-04T07:10:00Z", "image:2:latest:sha256%3A1", "push:9001"),
            ],
        }
        assert fresh == missing[way]
        for number, body in enumerate(former.deliveries()):
            follower.deliver(body, f"key {number}", TODAY)
        assert len(follower.rows()) == stored + len(fresh)
        follower.poll(TODAY + timedelta(minutes=5))
        assert len(follower.rows()) == stored + len(fresh)


def test_a_push_recorded_without_the_api_is_not_recorded_again_by_a_poll(app):
    gitlab = GitLab()
    gitlab.add_project(7, "acme/api")
    with app.app_context(), run_fake_server(gitlab) as fake_server:
        follower = Follower(fake_server, ["acme/api"], TODAY)
        moves = [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")]
        for number, (before, after) in enumerate(moves):
            push = {"before": before, "after": after, "ref": "refs/heads/production", "user_username": "eve"}
            body = {"object_kind": "push", "project": former.PROJECT, **push}
            follower.deliver(body, f"key {number}", TODAY, is_completed=False)
        assert [(row.status, row.author) for row in follower.rows()] == [("pushed", "eve")] * 4
        for before, after in moves:
            gitlab.add_push(7, "production", before, after, "2026-03-04T11:59:58.000Z")
        follower.poll(TODAY)
        assert len(follower.rows()) == 4


def test_pushes_recorded_without_the_list_of_events_are_not_doubled_by_comparing_heads(app):
    gitlab = GitLab()
    gitlab.add_project(7, "acme/api")
    gitlab.refuse["projects/7/events"] = as_json({"message": "403 Forbidden"}, 403)
    gitlab.push(7, {"id": "a"})
    with app.app_context(), run_fake_server(gitlab) as fake_server:
        follower = Follower(fake_server, ["acme/api"], TODAY)
        follower.poll(TODAY)
        for minute, (before, after) in enumerate([("a", "b"), ("b", "c")], 1):
            push = {"before": before, "after": after, "ref": "refs/heads/main", "user_username": "eve"}
            body = {"object_kind": "push", "project": former.PROJECT, **push}
            follower.deliver(body, f"key {minute}", TODAY + timedelta(minutes=minute), is_completed=False)
        gitlab.push(7, {"id": "c"}, {"id": "b"}, {"id": "a"})
        follower.poll(TODAY + timedelta(minutes=10))
        pushes = [row for row in follower.rows() if row.event_type == "Push"]
        assert [(row.event_metadata["after"], row.author) for row in pushes] == [("b", "eve"), ("c", "eve")]
        for minute, head in enumerate("bc", 11):  # moved back and forth, and nothing is delivered
            gitlab.push(7, {"id": head}, {"id": "a"})
            follower.poll(TODAY + timedelta(minutes=minute))
        pushes = [row for row in follower.rows() if row.event_type == "Push"]
        assert [row.author for row in pushes] == ["eve", "eve", "unknown", "unknown"]
