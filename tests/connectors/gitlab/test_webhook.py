"""GitLab's webhooks become the same events as polls; other deliveries are ignored or rejected."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from painchain.connectors.contract import (
    Delivery,
    InvalidSignature,
    NothingToRecord,
    SourceEvent,
    UnreadableDelivery,
    WebhookContext,
)
from painchain.connectors.gitlab import TYPE
from painchain.connectors.gitlab.webhook import HANDLER

RECORDED = Path(__file__).parents[2] / "recorded" / "gitlab"
WEBHOOKS = sorted((RECORDED / "webhooks").glob("*.json"))
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def delivered(body: Any, settings: dict[str, Any] | None = None, cursor: Any = None) -> list[SourceEvent]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    context = WebhookContext(1, settings or {}, NOW, lambda: cursor or {})
    return list(HANDLER.read(Delivery({"x-gitlab-event": "Any Hook", "idempotency-key": "k1"}, raw), context))


def reason(body: Any, settings: dict[str, Any] | None = None) -> str:
    """Return why a delivery makes no event."""
    with pytest.raises(NothingToRecord) as nothing:
        delivered(body, settings)
    return str(nothing.value)


def recorded(name: str) -> dict[str, Any]:
    return json.loads((RECORDED / "webhooks" / f"{name}.json").read_bytes())


# What go-gitlab recorded, and the ids of its events without the host and the connector.
EVENT_IDS = {
    "merge_request": ["1:mr:1:opened"],
    "group_merge_request": ["87:mr:1402:merged"],
    "pipeline": ["1:pipeline:31:success:2016-08-12T15:26:29Z"],
    "push": [
        "15:push:master:95790bf891e76fee5e1747ab589903a6a1f80f22:da1560886d4f094c3e6c9ef40349f7d38b5d27d7:k1",
        "15:commit:da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
        "15:commit:b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327",
    ],
    "release": ["327622:release:1.0.0:2021-02-25T21:23:34Z"],
}


@pytest.mark.parametrize("path", WEBHOOKS, ids=lambda path: path.stem)
def test_a_recorded_webhook_is_the_right_event_or_none(path):
    # Some keys of one recording end in a blank, as GitLab's never do.
    body = json.loads(path.read_bytes(), object_pairs_hook=lambda pairs: {key.strip(): value for key, value in pairs})
    expected = EVENT_IDS.get(path.stem, [])
    if not expected:
        assert reason(body)
        return
    events = delivered(body)
    assert [event.event_id.removeprefix("gitlab:1:") for event in events] == expected
    for event in events:
        event_type = TYPE.event_type(event.event_type)
        assert event_type
        assert set(event.facts) <= {field.key for field in event_type.fields}
        assert next(iter(event.facts)) == "repository"
        assert event.timestamp.tzinfo
        assert event.timestamp <= NOW
        json.dumps(event.details)


def test_a_merge_request_event_has_its_facts():
    [event] = delivered(recorded("merge_request"))
    assert (event.title, event.author, event.status) == ("[MR] MS-Viewport", "user1", "opened")
    assert event.url == "http://example.com/diaspora/merge_requests/1"
    assert event.timestamp == datetime(2013, 12, 3, 17, 23, 34, tzinfo=UTC)
    assert event.facts == {
        "repository": "gitlabhq/gitlab-test",
        "branches": {"head": "ms-viewport", "base": "master"},
        "merged": False,
    }


@pytest.mark.parametrize(
    ("action", "state", "status"),
    [("merge", "merged", "merged"), ("close", "closed", "closed"), ("reopen", "reopened", "opened")],
)
def test_each_state_of_a_merge_request_is_an_event_of_its_own(action, state, status):
    body = recorded("merge_request")
    body["object_attributes"] |= {"action": action, "updated_at": "2026-03-04 11:00:00 UTC"}
    [event] = delivered(body)
    occurrence = "" if state == "merged" else ":2026-03-04T11:00:00Z"
    assert (event.event_id, event.status) == (f"gitlab:1:1:mr:1:{state}{occurrence}", status)
    assert event.timestamp == datetime(2026, 3, 4, 11, tzinfo=UTC)
    assert event.facts["merged"] is (state == "merged")


def test_a_failed_pipeline_names_the_jobs_that_failed():
    body = recorded("pipeline")
    body["object_attributes"]["status"] = "failed"
    body["builds"][1]["status"] = "failed"
    body["builds"][0] |= {"status": "failed", "allow_failure": True}
    [event] = delivered(body)
    logs = "http://192.168.64.1:3005/gitlab-org/gitlab-test/-/pipelines/31"
    assert event.facts == {
        "repository": "gitlab-org/gitlab-test",
        "status": "failed",
        "duration": 63,
        "ref": "master",
        "commit": "bcbb5ec396a2c0f828686f14fac9b80b780504f2",
        "source": "merge_request_event",
        "pipeline_id": 31,
        "failed_jobs": ["test-image"],
        "logs_url": logs,
    }


def test_a_deployment_is_an_event_once_it_has_an_id():
    body = recorded("deployment")
    body |= {"deployment_id": 15, "status_changed_at": "2021-04-28 21:50:00 +0200", "ref": "main"}
    [event] = delivered(body)
    assert event.event_id == "gitlab:1:30:deployment:15:success:2021-04-28T19:50:00Z"
    assert event.title == "[Deployment] staging success"
    assert event.timestamp == datetime(2021, 4, 28, 19, 50, tzinfo=UTC)
    sha = "279484c09fbe69ededfced8c1bb6e6d24616b468"
    expected = {"environment": "staging", "ref": "main", "sha": sha, "state": "success", "creator": "user1"}
    assert event.facts == {"repository": "root/test-deployment-webhooks", **expected}


@pytest.mark.parametrize(
    ("name", "settings", "heard"),
    [
        ("push", {"projects": ["15"]}, True),
        ("push", {"projects": ["Mike/diaspora"]}, True),
        ("push", {"projects": ["16", "mike/other"]}, False),
        ("push", {"branches": ["release"]}, False),
        ("merge_request", {"branches": ["master"]}, True),
        ("merge_request", {"branches": ["main"]}, False),
        ("pipeline", {"branches": ["main"]}, False),
        ("release", {"branches": ["main"]}, True),
    ],
)
def test_only_configured_projects_and_branches_are_recorded(name, settings, heard):
    if heard:
        assert delivered(recorded(name), settings)
    else:
        assert reason(recorded(name), settings).startswith("The connector does not list the")


def test_irrelevant_deliveries_are_not_events_and_the_reason_is_given():
    push, release, merge = recorded("push"), recorded("release"), recorded("merge_request")
    approved = {**merge, "object_attributes": {**merge["object_attributes"], "action": "approved"}}
    assert reason({**push, "ref": "refs/tags/main"}) == "Only pushes to branches are recorded."
    assert reason({**release, "action": "update"}) == "The action “update” of a release is not recorded."
    assert reason(approved) == "The action “approved” of a merge request is not recorded."
    assert reason({"event_name": "user_add_to_group"}) == (
        "PainChain does not record deliveries of the kind “unknown”."
    )


def test_a_deleted_release_has_the_id_that_polling_gives_it():
    release = recorded("release")
    [published] = delivered(release)
    [deleted] = delivered({**release, "action": "delete"})
    assert deleted.event_id == f"{published.event_id}:deleted"
    assert (deleted.title, deleted.status, deleted.author) == (published.title, "deleted", "unknown")
    assert deleted.details is None


def test_the_newest_twenty_commits_of_a_push_are_completed():
    body = recorded("push")
    newest = body["commits"][-1]
    commits = [{**newest, "id": f"{number:040}"} for number in range(100)]
    push, *committed = delivered({**body, "commits": commits})
    assert push.details
    assert [event.event_id.rpartition(":")[2] for event in committed] == [f"{n:040}" for n in reversed(range(100))]
    assert [event.details is not None for event in committed] == [True] * 20 + [False] * 80


def test_a_push_to_another_branch_and_the_end_of_a_branch_are_events_without_commits():
    push = recorded("push")
    [other] = delivered({**push, "ref": "refs/heads/topic"})
    assert (other.title, other.status, other.author) == ("[Push] topic", "pushed", "jsmith")
    assert other.facts == {
        "repository": "mike/diaspora",
        "branch": "topic",
        "before": push["before"],
        "after": push["after"],
        "commits": 4,
        "pusher": "jsmith",
    }
    [deleted] = delivered({**push, "after": "0" * 40, "commits": [], "total_commits_count": 0})
    assert (deleted.status, deleted.facts.keys() & {"before", "after", "commits"}) == ("deleted", {"before"})
    [created] = delivered({**push, "before": "0" * 40, "ref": "refs/heads/topic"})
    assert (created.status, "before" in created.facts) == ("created", False)


def test_a_delivery_of_a_renamed_project_is_matched_by_its_id():
    cursor = {"names": {"mike/old-name": {"id": "15", "path": "mike/diaspora"}}}
    assert delivered(recorded("push"), {"projects": ["mike/old-name"]}, cursor)
    assert reason(recorded("push"), {"projects": ["mike/old-name"]}) == (
        "The connector does not list the project mike/diaspora."
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        {"object_kind": "push"},
        {"object_kind": "push", "project": {"path_with_namespace": {}}},
        {"object_kind": "pipeline", "project": {"path_with_namespace": "a/b"}},
        {"object_kind": "merge_request", "project": {"path_with_namespace": "a/b"}, "object_attributes": []},
        {
            "object_kind": "merge_request",
            "project": {"path_with_namespace": "a/b"},
            "object_attributes": {"action": "open"},
        },
        {"object_kind": "release", "action": "create", "project": {"path_with_namespace": "a/b"}},
    ],
)
def test_a_body_that_gitlab_would_not_send_is_unreadable(body):
    with pytest.raises(UnreadableDelivery):
        delivered(body)


def test_an_incomplete_delivery_is_recorded_with_what_it_has():
    body = {
        "object_kind": "merge_request",
        "project": {"path_with_namespace": "a/b", "web_url": "javascript:alert(1)"},
        "user": None,
        "object_attributes": {"iid": 3, "action": "merge", "title": None, "merged_at": None, "url": "ftp://x"},
    }
    [event] = delivered(body)
    assert (event.title, event.author, event.url, event.timestamp) == ("[MR] !3", "unknown", None, NOW)


def test_the_token_must_be_the_secret():
    HANDLER.verify(Delivery({"x-gitlab-token": "pässword"}, b"{}"), "pässword", NOW)
    for headers in ({}, {"x-gitlab-token": ""}, {"x-gitlab-token": "pässwort"}):
        with pytest.raises(InvalidSignature):
            HANDLER.verify(Delivery(headers, b"{}"), "pässword", NOW)
    with pytest.raises(InvalidSignature):
        HANDLER.verify(Delivery({"x-gitlab-token": ""}, b"{}"), "", NOW)


# The signature of the Standard Webhooks specification's own example.
SIGNED_AT = datetime.fromtimestamp(1614265330, UTC)
SIGNING_TOKEN = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNED_BODY = b'{"test": 2432232314}'
SIGNED_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}


def test_a_delivery_can_be_signed_with_a_signing_token():
    HANDLER.verify(Delivery(SIGNED_HEADERS, SIGNED_BODY), SIGNING_TOKEN, SIGNED_AT)
    several = {**SIGNED_HEADERS, "webhook-signature": f"v1a,other v1,wrong= {SIGNED_HEADERS['webhook-signature']}"}
    for now in (SIGNED_AT - timedelta(minutes=5), SIGNED_AT + timedelta(minutes=5)):
        HANDLER.verify(Delivery(several, SIGNED_BODY), SIGNING_TOKEN, now)
    HANDLER.verify(Delivery({"x-gitlab-token": SIGNING_TOKEN}, SIGNED_BODY), SIGNING_TOKEN, NOW)
    assert (
        HANDLER.delivery_id(Delivery({**SIGNED_HEADERS, "idempotency-key": "not signed"}, b""))
        == (SIGNED_HEADERS["webhook-id"])
    )


def test_a_signature_must_be_right_and_recent():
    changed = [
        *({**SIGNED_HEADERS, name: ""} for name in SIGNED_HEADERS),
        {**SIGNED_HEADERS, "webhook-id": "msg_other"},
        {**SIGNED_HEADERS, "webhook-timestamp": "1614265331"},
        {**SIGNED_HEADERS, "webhook-timestamp": "9" * 5000},
        {**SIGNED_HEADERS, "webhook-timestamp": "soon"},
        {**SIGNED_HEADERS, "webhook-signature": SIGNED_HEADERS["webhook-signature"].removeprefix("v1,")},
        {**SIGNED_HEADERS, "webhook-signature": SIGNED_HEADERS["webhook-signature"].replace("v1,", "v2,")},
        {**SIGNED_HEADERS, "x-gitlab-token": "wrong"},
    ]
    refused = [(headers, SIGNED_BODY, SIGNING_TOKEN, SIGNED_AT) for headers in changed[:-1]]
    refused += [
        (SIGNED_HEADERS, SIGNED_BODY + b" ", SIGNING_TOKEN, SIGNED_AT),
        (SIGNED_HEADERS, SIGNED_BODY, SIGNING_TOKEN, SIGNED_AT + timedelta(minutes=5, seconds=1)),
        (SIGNED_HEADERS, SIGNED_BODY, SIGNING_TOKEN, SIGNED_AT - timedelta(minutes=5, seconds=1)),
        (SIGNED_HEADERS, SIGNED_BODY, "whsec_bm90IHRoZSBrZXk=", SIGNED_AT),
        (SIGNED_HEADERS, SIGNED_BODY, "whsec_", SIGNED_AT),
        (SIGNED_HEADERS, SIGNED_BODY, "whsec_no base64", SIGNED_AT),
        (SIGNED_HEADERS, SIGNED_BODY, SIGNING_TOKEN.removeprefix("whsec_"), SIGNED_AT),
    ]
    for headers, body, secret, now in refused:
        with pytest.raises(InvalidSignature):
            HANDLER.verify(Delivery(headers, body), secret, now)
    HANDLER.verify(Delivery(changed[-1], SIGNED_BODY), SIGNING_TOKEN, SIGNED_AT)  # another secret as the old token


def test_a_repeated_delivery_has_the_same_id_and_others_differ():
    webhook = {"x-gitlab-webhook-uuid": "one webhook", "x-gitlab-event-uuid": "one request"}
    first = Delivery({**webhook, "idempotency-key": "k1"}, b"{}")
    assert HANDLER.delivery_id(first) == "k1"
    assert HANDLER.delivery_id(Delivery(webhook, b"{}")) == HANDLER.delivery_id(Delivery(webhook, b"{}"))
    assert HANDLER.delivery_id(Delivery(webhook, b"{}")) != HANDLER.delivery_id(Delivery(webhook, b"[]"))
    assert HANDLER.delivery_id(Delivery({}, b"{}")) == ""
