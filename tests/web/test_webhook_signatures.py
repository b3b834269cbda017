"""Webhooks signed by GitHub's and GitLab's own methods are accepted, as are all of GitHub's examples."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from painchain.ingestion import pending_events
from painchain.workers.completion import CompletionWorker
from tests.counterparts import Reply, run_fake_server
from tests.counterparts.node import webhook_examples
from tests.support.html import words
from tests.support.signed_webhooks import add_webhook, deliver
from tests.web.parts import part_of

# GitHub's events that become events of PainChain.
KNOWN = {
    *("pull_request", "workflow_run", "release", "push", "deployment", "deployment_status"),
    *("package", "registry_package"),
}


@pytest.mark.parametrize("database", ["sqlite"])
def test_all_of_githubs_own_examples_are_accepted_and_the_known_ones_become_their_event(
    app: Flask, client: FlaskClient, events: Any, thorough: bool
) -> None:
    """Of an event that PainChain does not know, one example is enough in `make test`."""
    new_events: Counter[str] = Counter()
    with run_fake_server(lambda request: Reply(403)) as fake_server:  # an API that returns no details
        path, secret = add_webhook(client, "github", base_url=fake_server.url)
        for number, (event, body) in enumerate(webhook_examples()):
            if event in new_events and event not in KNOWN and not thorough:
                continue
            response = deliver(client, path, secret, event, body, f"example-{number}")
            assert response.status_code == 202, (event, response.text)
            new_events[event] += response.get_json()["events"]
        CompletionWorker(app, lambda: datetime.now(UTC) + pending_events.MAX_AGE).run_once()
    stored = Counter(event["event_type"] for event in events(source="github"))
    assert sum(new_events.values()) == sum(stored.values()) > 0
    assert set(stored) == {"Push", "PullRequest", "WorkflowRun", "Release", "Commit", "Deployment", "Image"}
    assert {event for event, count in new_events.items() if count} <= KNOWN


def signed_as_gitlab_does(secret: str, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery that is signed with a signing token."""
    key, seconds = base64.b64decode(secret.removeprefix("whsec_")), str(int(time.time()))
    digest = hmac.new(key, b".".join([b"msg_1", seconds.encode(), body]), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": "msg_1", "webhook-timestamp": seconds, "webhook-signature": signature}


def test_gitlab_is_known_by_its_secret_token_or_signing_token(client: FlaskClient) -> None:
    path, secret = add_webhook(client, "gitlab")
    headers = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret}
    for wrong in ({}, {**headers, "X-Gitlab-Token": secret[:-1]}, {**headers, "X-Gitlab-Token": "\u00e9"}):
        assert client.post(path, json={"object_kind": "push"}, headers=wrong).status_code == 401
    assert client.post(path, json={"object_kind": "note"}, headers=headers).get_json()["events"] == 0
    page = part_of(client.get(f"/settings/integrations/{path.rsplit('/', 1)[1]}"), "webhook")
    assert words(page.select_one("#webhook .delivery")).startswith("Last delivery just now: Push Hook: nothing")
    assert client.post(path, data=b"{}", headers=signed_as_gitlab_does(secret, b"{}")).status_code == 202
    assert client.post(path, data=b"{ }", headers=signed_as_gitlab_does(secret, b"{}")).status_code == 401
