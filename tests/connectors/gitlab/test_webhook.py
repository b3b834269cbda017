"""GitLab's webhooks become the same events as polls; other deliveries are ignored or rejected."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from painchain.connectors.contract import Delivery, InvalidSignature, SourceEvent, UnreadableDelivery, WebhookContext
from painchain.connectors.gitlab import TYPE
from painchain.connectors.gitlab.webhook import HANDLER

RECORDED = Path(__file__).parents[2] / "recorded" / "gitlab"
WEBHOOKS = sorted((RECORDED / "webhooks").glob("*.json"))
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def delivered(body: Any, settings: dict[str, Any] | None = None) -> list[SourceEvent]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return list(HANDLER.read(Delivery({"x-gitlab-event": "Any Hook"}, raw), WebhookContext(1, settings or {}, NOW)))


def recorded(name: str) -> dict[str, Any]:
    return json.loads((RECORDED / "webhooks" / f"{name}.json").read_bytes())


# What go-gitlab recorded, and the events that it is.
NEWS = {
    "merge_request": ["mr-gitlabhq/gitlab-test-1-opened"],
    "group_merge_request": ["mr-exm-namespace/example-project-1402-merged"],
    "pipeline": ["pipeline-gitlab-org/gitlab-test-31-success"],
    "push": [
        "commit-mike/diaspora-b6568db1bc1dcd7f8b4d5a946b0b91f9dacd7327",
        "commit-mike/diaspora-da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
    ],
    "release": ["release-exm-namespace/example-project-1.0.0"],
}


@pytest.mark.parametrize("path", WEBHOOKS, ids=lambda path: path.stem)
def test_a_recorded_webhook_is_the_right_event_or_none(path):
    # Some keys of one recording end in a blank, as GitLab's never do.
    body = json.loads(path.read_bytes(), object_pairs_hook=lambda pairs: {key.strip(): value for key, value in pairs})
    found = delivered(body)
    assert [one.event_id for one in found] == NEWS.get(path.stem, [])
    for one in found:
        event_type = TYPE.event_type(one.event_type)
        assert event_type
        assert set(one.facts) <= {field.key for field in event_type.fields}
        assert one.timestamp.tzinfo
        assert one.timestamp < NOW


def test_a_merge_request_event_has_its_facts():
    [found] = delivered(recorded("merge_request"))
    assert (found.title, found.author, found.status) == ("[MR] MS-Viewport", "user1", "opened")
    assert found.url == "http://example.com/diaspora/merge_requests/1"
    assert found.timestamp == datetime(2013, 12, 3, 17, 23, 34, tzinfo=UTC)
    assert found.facts == {"branches": {"head": "ms-viewport", "base": "master"}, "merged": False}


@pytest.mark.parametrize(
    ("action", "state", "status"),
    [("merge", "merged", "merged"), ("close", "closed", "closed"), ("reopen", "reopened", "opened")],
)
def test_each_state_of_a_merge_request_is_an_event_of_its_own(action, state, status):
    body = recorded("merge_request")
    body["object_attributes"] |= {"action": action, "updated_at": "2026-03-04 11:00:00 UTC"}
    [found] = delivered(body)
    assert (found.event_id, found.status) == (f"mr-gitlabhq/gitlab-test-1-{state}", status)
    assert found.timestamp == datetime(2026, 3, 4, 11, tzinfo=UTC)
    assert found.facts["merged"] is (state == "merged")


def test_a_failed_pipeline_names_the_jobs_that_failed():
    body = recorded("pipeline")
    body["object_attributes"]["status"] = "failed"
    body["builds"][1]["status"] = "failed"
    body["builds"][0] |= {"status": "failed", "allow_failure": True}
    [found] = delivered(body)
    logs = "http://192.168.64.1:3005/gitlab-org/gitlab-test/-/pipelines/31"
    assert found.facts == {
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
    [found] = delivered(body)
    assert found.event_id == "deployment-root/test-deployment-webhooks-15-success"
    assert found.title == "[Deployment] staging success"
    assert found.timestamp == datetime(2021, 4, 28, 19, 50, tzinfo=UTC)
    sha = "279484c09fbe69ededfced8c1bb6e6d24616b468"
    expected = {"environment": "staging", "ref": "main", "sha": sha, "state": "success", "creator": "user1"}
    assert found.facts == expected


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
    assert bool(delivered(recorded(name), settings)) is heard


def test_irrelevant_deliveries_are_not_events():
    push, release, merge = recorded("push"), recorded("release"), recorded("merge_request")
    assert delivered({**push, "ref": "refs/heads/topic"}) == []
    assert delivered({**push, "ref": "refs/tags/main"}) == []
    assert delivered({**push, "after": "0" * 40}) == []
    assert delivered({**release, "action": "delete"}) == []
    assert delivered({**merge, "object_attributes": {**merge["object_attributes"], "action": "approved"}}) == []
    assert delivered({"event_name": "user_add_to_group"}) == []


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
    [found] = delivered(body)
    assert (found.title, found.author, found.url, found.timestamp) == ("[MR] !3", "unknown", None, NOW)


def test_the_token_must_be_the_secret():
    HANDLER.verify(Delivery({"x-gitlab-token": "pässword"}, b"{}"), "pässword", NOW)
    for headers in ({}, {"x-gitlab-token": ""}, {"x-gitlab-token": "pässwort"}):
        with pytest.raises(InvalidSignature):
            HANDLER.verify(Delivery(headers, b"{}"), "pässword", NOW)
    with pytest.raises(InvalidSignature):
        HANDLER.verify(Delivery({"x-gitlab-token": ""}, b"{}"), "", NOW)


def test_a_repeated_delivery_has_the_same_id_and_others_differ():
    webhook = {"x-gitlab-webhook-uuid": "one webhook", "x-gitlab-event-uuid": "one request"}
    first = Delivery({**webhook, "idempotency-key": "k1"}, b"{}")
    assert HANDLER.delivery_id(first) == "k1"
    assert HANDLER.delivery_id(Delivery(webhook, b"{}")) == HANDLER.delivery_id(Delivery(webhook, b"{}"))
    assert HANDLER.delivery_id(Delivery(webhook, b"{}")) != HANDLER.delivery_id(Delivery(webhook, b"[]"))
    assert HANDLER.delivery_id(Delivery({}, b"{}")) == ""
