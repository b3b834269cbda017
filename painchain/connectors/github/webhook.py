"""Verify and read GitHub's webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from painchain.connectors.code_hosts import dig, parse_time, text
from painchain.connectors.contract import (
    Delivery,
    InvalidSignature,
    SourceEvent,
    UnreadableDelivery,
    WebhookContext,
    WebhookHandler,
)
from painchain.connectors.github import events

PULL_ACTIONS = {"opened": "opened", "reopened": "reopened"}
RELEASED = ("published", "released", "prereleased")
NO_COMMIT = "0" * 40

INSTRUCTIONS = (
    "In the repository or organization: Settings, Webhooks, Add webhook. Content type application/json; choose the "
    "events Pull requests, Workflow runs, Releases, Pushes, Deployments, Deployment statuses and Packages."
)

Settings = Mapping[str, Any]


def verify(delivery: Delivery, secret: str, now: datetime) -> None:
    """Verify that a delivery is signed with the secret.

    The signature is HMAC-SHA256 over the raw body, in ``X-Hub-Signature-256``.

    :raises InvalidSignature: if the signature is missing or wrong.
    """
    given = delivery.headers.get("x-hub-signature-256", "")
    right = "sha256=" + hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(given.encode(), right.encode()):
        raise InvalidSignature("The signature in X-Hub-Signature-256 is missing or wrong.")


def delivery_id(delivery: Delivery) -> str:
    """Return GitHub's id of the delivery. A repeated delivery has the same id."""
    return delivery.headers.get("x-github-delivery", "")


def topic(delivery: Delivery) -> str:
    """Return GitHub's name of the event, such as "push"."""
    return delivery.headers.get("x-github-event", "")


def read(delivery: Delivery, context: WebhookContext) -> Sequence[SourceEvent]:
    """Return the events of a delivery: those that polling would find, with the same ids.

    :raises UnreadableDelivery: if the body is not what GitHub sends.
    """
    payload = _payload(delivery)
    reader = READERS.get(delivery.headers.get("x-github-event", ""))
    if reader is None or not _wanted(payload, context.settings):
        return []
    return reader(payload, context.settings, context.now)


def _payload(delivery: Delivery) -> Any:
    body = delivery.body
    try:
        if delivery.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            body = parse_qs(body.decode(), max_num_fields=10).get("payload", [""])[0].encode()
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableDelivery("The body is not JSON.") from None
    if not isinstance(payload, dict):
        raise UnreadableDelivery("The body is not a JSON object.")
    return payload


def _wanted(payload: Any, settings: Settings) -> bool:
    listed = [name.casefold() for name in settings.get("repos") or []]
    return not listed or text(payload, "repository", "full_name").casefold() in listed


def _object(payload: Any, *keys: str) -> Any:
    for key in keys:
        if isinstance(payload.get(key), dict):
            return payload[key]
    raise UnreadableDelivery(f"The body has no {keys[0]}.")


def _repo(payload: Any) -> str:
    name = text(_object(payload, "repository"), "full_name")
    if not name:
        raise UnreadableDelivery("The body does not name its repository.")
    return name


def _pull_request(payload: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    action, pull = text(payload, "action"), _object(payload, "pull_request")
    state = PULL_ACTIONS.get(action)
    if action == "closed":
        state = "merged" if dig(pull, "merged") is True or parse_time(pull, "merged_at") else "closed"
    if state is None or not is_wanted_branch(text(pull, "base", "ref"), settings):
        return []
    moments = {
        "opened": parse_time(pull, "created_at"),
        "merged": parse_time(pull, "merged_at"),
        "closed": parse_time(pull, "closed_at"),
    }
    when = moments.get(state) or parse_time(pull, "updated_at") or now
    by = text(pull, "user" if state == "opened" else "merged_by", "login") or text(payload, "sender", "login")
    author = text(payload, "sender", "login") if state in ("closed", "reopened") else by
    return [events.pull_request(_repo(payload), pull, state, when, author)]


def _workflow_run(payload: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    run = _object(payload, "workflow_run")
    status = events.run_status(run)
    if status in events.NOT_BEGUN or not is_wanted_branch(text(run, "head_branch"), settings):
        return []
    return [events.workflow_run(_repo(payload), run, status, now)]


def _release(payload: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    published = text(payload, "action") in RELEASED
    return events.release(_repo(payload), _object(payload, "release"), now) if published else []


def _push(payload: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    ref = text(payload, "ref")
    branch = ref.removeprefix("refs/heads/")
    if branch == ref or dig(payload, "deleted") is True or text(payload, "after") == NO_COMMIT:
        return []
    default = text(payload, "repository", "default_branch") or text(payload, "repository", "master_branch")
    if branch not in (settings.get("branches") or [default]):
        return []
    return events.pushed_commits(_repo(payload), payload, branch, now)


def _deployment(payload: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    return [events.deployment(_repo(payload), _object(payload, "deployment"), now)]


def _deployment_status(payload: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    return [
        events.deployment_status(
            _repo(payload), _object(payload, "deployment"), _object(payload, "deployment_status"), now
        )
    ]


def _package(payload: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    package = _object(payload, "registry_package", "package")
    if not events.is_image(package) or not isinstance(dig(package, "package_version"), dict):
        return []
    package = {**package, "repository": payload.get("repository")}
    return [events.published_image(settings["base_url"], package, now)]


def is_wanted_branch(branch: str, settings: Settings) -> bool:
    """Say whether events of a branch are wanted. If the settings list no branches, all are."""
    return not settings.get("branches") or branch in settings["branches"]


READERS: dict[str, Callable[[Any, Settings, datetime], Sequence[SourceEvent]]] = {
    "pull_request": _pull_request,
    "workflow_run": _workflow_run,
    "release": _release,
    "push": _push,
    "deployment": _deployment,
    "deployment_status": _deployment_status,
    "package": _package,
    "registry_package": _package,
}

HANDLER = WebhookHandler(verify, delivery_id, read, INSTRUCTIONS, topic)
