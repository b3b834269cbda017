"""GitHub's webhooks become events: GitHub's own examples, hostile deliveries and incomplete ones."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from painchain.connectors.contract import Delivery, InvalidSignature, SourceEvent, UnreadableDelivery, WebhookContext
from painchain.connectors.github import TYPE
from tests.counterparts.node import webhook_examples

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
REPO = {"full_name": "acme/api", "default_branch": "main"}


def read(event: str, body: Any, **settings: Any) -> list[SourceEvent]:
    """Read a delivery."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert TYPE.webhook
    return list(
        TYPE.webhook.read(
            Delivery({"x-github-event": event}, raw), WebhookContext(1, {**TYPE.defaults(), **settings}, NOW)
        )
    )


def test_all_examples_of_github_are_read_and_the_known_ones_become_events() -> None:
    told: Counter[tuple[str, str, str]] = Counter()
    for event, body in webhook_examples():
        for one in read(event, body):
            told[event, one.event_type, str(one.status)] += 1
            known = TYPE.event_type(one.event_type)
            assert known
            assert set(one.facts) <= {field.key for field in known.fields}
            assert "unknown" not in one.event_id
            assert one.timestamp < NOW
            assert json.dumps(dict(one.facts))
    assert len(webhook_examples()) == 726
    assert set(told) == {
        ("deployment", "Deployment", "pending"),
        ("deployment_status", "Deployment", "in_progress"),
        ("deployment_status", "Deployment", "success"),
        ("package", "Image", "published"),
        ("pull_request", "PullRequest", "closed"),
        ("pull_request", "PullRequest", "open"),
        ("push", "Commit", "committed"),
        ("release", "Release", "prerelease"),
        ("release", "Release", "published"),
        ("workflow_run", "WorkflowRun", "action_required"),
        ("workflow_run", "WorkflowRun", "success"),
    }


def test_a_merged_pull_request_has_the_id_that_polling_gives_it() -> None:
    pull = {
        **{"number": 7, "title": "Fix", "merged": True, "state": "closed", "merged_at": "2026-03-04T11:00:00Z"},
        **{"merged_by": {"login": "bob"}, "base": {"ref": "main"}, "head": {"ref": "fix"}, "additions": 4},
    }
    [merged] = read("pull_request", {"action": "closed", "pull_request": pull, "repository": REPO})
    assert (merged.event_id, merged.author, merged.status) == ("pr-acme/api-7-merged", "bob", "merged")
    assert merged.timestamp == datetime(2026, 3, 4, 11, tzinfo=UTC)
    assert merged.facts["changes"] == {"additions": 4}


def push(ref: str, **more: Any) -> dict[str, Any]:
    """Return a push of one commit."""
    commit = {
        **{"id": "5ha", "message": "Work\n\nmore", "timestamp": "2026-03-04T13:00:00+02:00"},
        **{"author": {"username": "ann"}, "added": ["a.py"], "modified": ["b.py"], "distinct": False},
    }
    return {"ref": ref, "after": "5ha", "commits": [commit], "repository": REPO, **more}


@pytest.mark.parametrize(
    ("body", "branches", "found"),
    [
        (push("refs/heads/main"), [], 1),
        (push("refs/heads/main", forced=True), [], 1),
        (push("refs/heads/fix"), [], 0),
        (push("refs/heads/fix"), ["fix"], 1),
        (push("refs/heads/main"), ["fix"], 0),
        (push("refs/tags/main"), [], 0),
        (push("refs/heads/main", deleted=True), [], 0),
        (push("refs/heads/main", after="0" * 40), [], 0),
        (push("refs/heads/main", commits=None), [], 0),
    ],
)
def test_the_commits_of_a_push_to_a_configured_branch_are_recorded(
    body: dict[str, Any], branches: list[str], found: int
) -> None:
    commits = read("push", body, branches=branches)
    assert [one.event_id for one in commits] == ["commit-acme/api-5ha"] * found
    for one in commits:
        assert (one.title, one.author, one.timestamp.hour) == ("[Commit] Work", "ann", 11)
        assert one.facts["files_changed"] == ["a.py", "b.py"]


def test_deliveries_of_repositories_that_are_not_configured_are_not_recorded() -> None:
    body = push("refs/heads/main")
    assert read("push", body, repos=["acme/web"]) == []
    assert len(read("push", body, repos=["Acme/API"])) == 1


def test_an_image_of_the_registry_has_the_id_that_polling_gives_it() -> None:
    package = {
        **{"name": "api", "package_type": "CONTAINER", "owner": {"login": "acme"}},
        "package_version": {"id": 77, "container_metadata": {"tag": {"name": "1.0", "digest": "sha256:abc"}}},
    }
    [image] = read("registry_package", {"action": "published", "registry_package": package, "repository": REPO})
    assert (image.event_id, image.title) == ("image-ghcr.io/acme/api-77", "[Image] api:1.0")
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
    assert TYPE.webhook.read(Delivery(form, raw), WebhookContext(1, TYPE.defaults(), NOW)) == []


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
