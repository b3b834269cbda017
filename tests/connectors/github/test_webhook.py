"""GitHub's webhooks become events: GitHub's own examples, hostile deliveries and incomplete ones."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from painchain.connectors.code_hosts import event_id, parse_time
from painchain.connectors.contract import (
    Delivery,
    InvalidSignature,
    NothingToRecord,
    SourceEvent,
    UnreadableDelivery,
    WebhookContext,
)
from painchain.connectors.github import TYPE
from tests.counterparts.node import webhook_examples
from tests.counterparts.webhook_schemas import smallest_deliveries

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
REPO = {"id": 4711, "full_name": "acme/api", "default_branch": "main", "pushed_at": 1772625000}
PUSHED_AT = "2026-03-04T11:50:00Z"


def gid(kind: str, *occurrence: str | int, repository: int | str = 4711) -> str:
    """Return the id of an event."""
    parts = [parse_time(part) or part if isinstance(part, str) and len(part) == 20 else part for part in occurrence]
    return event_id("github", 1, repository, kind, *parts)


def read(event: str, body: Any, cursor: dict[str, Any] | None = None, **settings: Any) -> list[SourceEvent]:
    """Read a delivery; [] if it makes no event."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert TYPE.webhook
    context = WebhookContext(1, {**TYPE.defaults(), **settings}, NOW, lambda: cursor or {})
    try:
        return list(TYPE.webhook.read(Delivery({"x-github-event": event, "x-github-delivery": "d1"}, raw), context))
    except NothingToRecord:
        return []


def test_all_examples_of_github_are_read_and_the_known_ones_become_events() -> None:
    found: Counter[tuple[str, str, str]] = Counter()
    for topic, body in webhook_examples():
        for event in read(topic, body):
            found[topic, event.event_type, str(event.status)] += 1
            known = TYPE.event_type(event.event_type)
            assert known
            assert set(event.facts) <= {field.key for field in known.fields}
            assert event.facts["repository"] == body["repository"]["full_name"]
            assert "unknown" not in event.event_id
            assert event.timestamp < NOW or body["action"] in ("deleted", "released")
            assert json.dumps([dict(event.facts), event.details])
    assert len(webhook_examples()) == 726
    assert set(found) == {
        ("deployment", "Deployment", "pending"),
        ("deployment_status", "Deployment", "in_progress"),
        ("deployment_status", "Deployment", "success"),
        ("package", "Image", "published"),
        ("pull_request", "PullRequest", "closed"),
        ("pull_request", "PullRequest", "open"),
        ("push", "Commit", "committed"),
        ("push", "Push", "created"),
        ("release", "Release", "deleted"),
        ("release", "Release", "prerelease"),
        ("release", "Release", "published"),
        ("workflow_run", "WorkflowRun", "action_required"),
        ("workflow_run", "WorkflowRun", "success"),
    }


def test_every_described_delivery_is_read_without_its_optional_members() -> None:
    found: dict[str, list[tuple[str, str | None]]] = {}
    for operation, topic, body in smallest_deliveries():
        if topic == "push":
            body["ref"] = "refs/heads/main"
        for event in read(topic, body):
            known = TYPE.event_type(event.event_type)
            assert known
            assert set(event.facts) <= {field.key for field in known.fields}
            assert "unknown" not in event.event_id, operation
            assert event.title.startswith("[")
            assert json.dumps([dict(event.facts), event.details])
            found.setdefault(operation, []).append((event.event_type, event.status))
    assert found == {
        "deployment/created": [("Deployment", "pending")],
        "deployment-status/created": [("Deployment", "x")],
        "pull-request/closed": [("PullRequest", "closed")],
        "pull-request/opened": [("PullRequest", "open")],
        "pull-request/reopened": [("PullRequest", "open")],
        "push": [("Push", "pushed")],
        "release/deleted": [("Release", "deleted")],
        "release/prereleased": [("Release", "prerelease")],
        "release/published": [("Release", "published")],
        "release/released": [("Release", "published")],
        "workflow-run/completed": [("WorkflowRun", "action_required")],
        "workflow-run/in-progress": [("WorkflowRun", "action_required")],
        "workflow-run/requested": [("WorkflowRun", "success")],
    }


def test_an_image_of_the_year_1_is_published_now() -> None:
    package = {"name": "api", "package_type": "CONTAINER", "owner": {"login": "acme"}, "updated_at": None}
    version = {"id": 77, "created_at": "0001-01-01T00:00:00Z"}
    body = {"registry_package": {**package, "package_version": version}, "repository": REPO}
    assert [event.timestamp for event in read("registry_package", body)] == [NOW]


def test_an_absurd_time_in_a_delivery_is_not_used() -> None:
    for time in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", -62135596800):
        [pushed] = read("push", push("refs/heads/fix", repository={**REPO, "pushed_at": time}))
        assert (pushed.event_id, pushed.timestamp) == (gid("push", "fix", "5ha", "d1"), NOW)
        pull = {"number": 7, "state": "closed", "closed_at": time, "base": {"ref": "main"}}
        [closed] = read("pull_request", {"action": "closed", "pull_request": pull, "repository": REPO})
        assert (closed.event_id, closed.timestamp) == (gid("pr", 7, "closed", "d1"), NOW)


def test_a_merged_pull_request_has_the_id_that_polling_gives_it() -> None:
    pull = {
        **{"number": 7, "title": "Fix", "merged": True, "state": "closed", "merged_at": "2026-03-04T11:00:00Z"},
        **{"merged_by": {"login": "bob"}, "base": {"ref": "main"}, "head": {"ref": "fix"}, "additions": 4},
    }
    [merged] = read("pull_request", {"action": "closed", "pull_request": pull, "repository": REPO})
    assert (merged.event_id, merged.author, merged.status) == (gid("pr", 7, "merged"), "bob", "merged")
    assert merged.timestamp == datetime(2026, 3, 4, 11, tzinfo=UTC)
    assert merged.facts["changes"] == {"additions": 4}


def push(ref: str, **more: Any) -> dict[str, Any]:
    """Return a push of one commit."""
    commit = {
        **{"id": "5ha", "message": "Work\n\nmore", "timestamp": "2026-03-04T13:00:00+02:00"},
        **{"author": {"username": "ann"}, "added": ["a.py"], "modified": ["b.py"], "distinct": False},
    }
    sender = {"login": "bob"}
    return {
        "ref": ref,
        "before": "0ld",
        "after": "5ha",
        "commits": [commit],
        "repository": REPO,
        "sender": sender,
        **more,
    }


def test_the_newest_twenty_commits_of_a_push_are_completed() -> None:
    body = push("refs/heads/main")
    [commit] = body["commits"]
    events = read("push", {**body, "commits": [{**commit, "id": f"5ha{number}"} for number in range(2_048)]})
    commits = [event for event in events if event.event_type == "Commit"]
    assert [event.event_id for event in commits] == [gid("commit", f"5ha{number}") for number in range(2_048)]
    assert [event.details is not None for event in commits] == [False] * 2_028 + [True] * 20
    assert events[0].details is not None


@pytest.mark.parametrize(
    ("body", "branches", "pushed", "commits"),
    [
        (push("refs/heads/main"), [], "pushed", 1),
        (push("refs/heads/main", forced=True), [], "forced", 1),
        (push("refs/heads/fix"), [], "pushed", 0),
        (push("refs/heads/fix"), ["fix"], "pushed", 1),
        (push("refs/heads/fix", created=True), ["fix"], "created", 1),
        (push("refs/heads/main"), ["fix"], None, 0),
        (push("refs/tags/main"), [], None, 0),
        (push("refs/heads/main", deleted=True, after="0" * 40, commits=[]), [], "deleted", 0),
        (push("refs/heads/main", after="0" * 40), [], "deleted", 0),
        (push("refs/heads/main", commits=None), [], "pushed", 0),
    ],
)
def test_a_push_is_recorded_with_the_commits_of_a_followed_branch(
    body: dict[str, Any], branches: list[str], pushed: str | None, commits: int
) -> None:
    events = read("push", body, branches=branches)
    assert [event.status for event in events if event.event_type == "Push"] == ([pushed] if pushed else [])
    branch = body["ref"].removeprefix("refs/heads/")
    for event in events[:1]:
        after = "5ha" if pushed != "deleted" else "0" * 12
        assert (event.event_id, event.author) == (gid("push", branch, after, PUSHED_AT), "bob")
        assert event.timestamp == datetime(2026, 3, 4, 11, 50, tzinfo=UTC)
        assert event.facts["forced"] == (pushed == "forced")
    assert [event.event_id for event in events[1:]] == [gid("commit", "5ha")] * commits
    for event in events[1:]:
        assert (event.title, event.author, event.timestamp) == ("[Commit] Work", "ann", events[0].timestamp)
        assert event.facts["committed_at"] == "2026-03-04T11:00:00Z"
        assert event.facts["files_changed"] == ["a.py", "b.py"]
        assert event.facts["push"] == "5ha"


def test_a_repeated_state_is_another_event_and_a_repeated_delivery_the_same() -> None:
    def closed(time: str) -> list[SourceEvent]:
        pull = {"number": 7, "state": "closed", "closed_at": time, "base": {"ref": "main"}}
        return read("pull_request", {"action": "closed", "pull_request": pull, "repository": REPO})

    first, second = closed("2026-03-04T10:00:00Z"), closed("2026-03-04T11:00:00Z")
    assert first[0].event_id == gid("pr", 7, "closed", "2026-03-04T10:00:00Z")
    assert second[0].event_id != first[0].event_id
    assert closed("2026-03-04T10:00:00Z") == first
    # Another part of GitHub gives a time that differs by a second.
    assert gid("pr", 7, "closed", "2026-03-04T10:00:01Z") in first[0].former_ids
    # A change two seconds later is another one.
    assert not closed("2026-03-04T10:00:02Z")[0].former_ids.keys() & {first[0].event_id}


def test_a_prerelease_that_is_promoted_and_then_deleted_is_three_events() -> None:
    release = {"id": 5, "tag_name": "v1", "prerelease": True, "published_at": "2026-03-01T11:00:00Z"}
    promoted = {**release, "prerelease": False, "updated_at": "2026-03-04T11:00:00Z"}
    events = [
        event
        for action, item in [("published", release), ("prereleased", release), ("released", promoted)]
        for event in read("release", {"action": action, "release": item, "repository": REPO})
    ]
    [deleted] = read("release", {"action": "deleted", "release": promoted, "repository": REPO})
    assert [event.status for event in (*events, deleted)] == ["prerelease", "prerelease", "published", "deleted"]
    assert events[0].event_id == events[1].event_id
    assert len({event.event_id for event in (*events, deleted)}) == 3
    assert [event.timestamp.isoformat() for event in events[1:]] == [
        "2026-03-01T11:00:00+00:00",
        "2026-03-04T11:00:00+00:00",
    ]
    assert read("release", {"action": "deleted", "release": {**release, "draft": True}, "repository": REPO}) == []


def test_a_release_that_is_demoted_and_promoted_again_makes_an_event_each_time() -> None:
    release = {"id": 5, "tag_name": "v1", "published_at": "2026-03-01T11:00:00Z"}
    changes = [("released", False, 1), ("prereleased", True, 2), ("released", False, 3), ("prereleased", True, 4)]
    events = []
    for action, is_prerelease, day in changes:
        changed = {**release, "prerelease": is_prerelease, "updated_at": f"2026-03-0{day}T11:00:10Z"}
        body = {"action": action, "release": changed, "repository": REPO}
        [event] = read("release", body)
        assert [again.event_id for again in read("release", body)] == [event.event_id]
        events.append(event)
    assert [(event.status, event.timestamp.day) for event in events] == [
        ("published", 1),
        ("prerelease", 2),
        ("published", 3),
        ("prerelease", 4),
    ]
    assert len({event.event_id for event in events}) == 4
    assert events[0].event_id == gid("release", 5, "published", "2026-03-01T11:00:00Z")


def test_a_renamed_repository_is_known_by_its_number() -> None:
    body = push("refs/heads/main")
    moved = {**body, "repository": {**REPO, "full_name": "acme/core"}}
    cursor = {"names": {"acme/api": "4711"}}
    assert read("push", moved, repos=["acme/api"]) == []
    events = read("push", moved, cursor, repos=["acme/api"])
    assert [event.event_id for event in events] == [event.event_id for event in read("push", body)]
    assert {event.facts["repository"] for event in events} == {"acme/core"}
    assert (
        read("push", {**moved, "repository": {**REPO, "id": 9, "full_name": "acme/x"}}, cursor, repos=["acme/api"])
        == []
    )


def test_deliveries_of_repositories_that_are_not_configured_are_not_recorded() -> None:
    body = push("refs/heads/main")
    assert read("push", body, repos=["acme/web"]) == []
    assert len(read("push", body, repos=["Acme/API"])) == 2


def test_an_image_of_the_registry_has_the_id_that_polling_gives_it() -> None:
    package = {
        **{"name": "api", "package_type": "CONTAINER", "owner": {"login": "acme"}},
        "package_version": {"id": 77, "container_metadata": {"tag": {"name": "1.0", "digest": "sha256:abc"}}},
    }
    [image] = read("registry_package", {"action": "published", "registry_package": package, "repository": REPO})
    assert (image.event_id, image.title) == (gid("image", 77, repository=""), "[Image] api:1.0")
    assert read("package", {"package": {**package, "package_type": "npm", "package_version": {}}}) == []


@pytest.mark.parametrize("event", ["ping", "issues", "star", "", "no_such_event"])
def test_irrelevant_deliveries_are_not_events(event: str) -> None:
    assert read(event, {"zen": "Keep it logically awesome.", "repository": REPO}) == []


@pytest.mark.parametrize("event", ["pull_request", "workflow_run", "release", "deployment_status", "package"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b"null", b"[" * 200_000, {"action": "published"}])
def test_a_body_that_github_would_not_send_is_unreadable(event: str, body: Any) -> None:
    with pytest.raises(UnreadableDelivery):
        read(event, body)


def test_a_form_is_read_like_json() -> None:
    raw = b"payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D"
    form = {"x-github-event": "push", "content-type": "application/x-www-form-urlencoded"}
    assert TYPE.webhook
    with pytest.raises(UnreadableDelivery, match="no repository"):
        TYPE.webhook.read(Delivery(form, raw), WebhookContext(1, TYPE.defaults(), NOW))


def signed(body: bytes, secret: str) -> str:
    """Return the signature of a body."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_only_deliveries_signed_with_the_secret_are_accepted() -> None:
    hook, body = TYPE.webhook, b"Hello, World!"
    assert hook
    # The example of GitHub's documentation.
    right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secret = "It's a Secret to Everybody"
    hook.verify(Delivery({"x-hub-signature-256": right}, body), secret, NOW)
    for signature, given in [
        ("", secret),
        (right[:-1], secret),
        (right.removeprefix("sha256="), secret),
        ("sha256=ü", secret),
        (signed(b"Hello", secret), secret),
        (signed(body, "other"), secret),
        (signed(body, ""), ""),
    ]:
        with pytest.raises(InvalidSignature):
            hook.verify(Delivery({"x-hub-signature-256": signature}, body), given, NOW)
    assert hook.delivery_id(Delivery({"x-github-delivery": "d1"}, body)) == "d1"
