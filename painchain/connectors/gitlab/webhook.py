"""Read GitLab's webhooks as the same events that polling finds."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from datetime import datetime

from painchain.connectors.code_hosts import integer, objects, text
from painchain.connectors.contract import (
    Delivery,
    InvalidSignature,
    SourceEvent,
    UnreadableDelivery,
    WebhookContext,
    WebhookHandler,
)
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.events import Item, Project, first

STATES = {"open": "opened", "merge": "merged", "close": "closed", "reopen": "reopened"}
NOTHING = "0" * 40  # the head of a deleted branch


def verify(delivery: Delivery, secret: str, now: datetime) -> None:
    """Compare the secret token in constant time.

    :raises InvalidSignature: if it is missing or wrong.
    """
    sent = delivery.headers.get("x-gitlab-token", "")
    if not secret or not hmac.compare_digest(sent.encode(), secret.encode()):
        raise InvalidSignature


def topic(delivery: Delivery) -> str:
    """Return GitLab's name of the event, such as "Push Hook"."""
    return delivery.headers.get("x-gitlab-event", "")


def delivery_id(delivery: Delivery) -> str:
    """Return the id of the delivery. A repeated delivery has the same id.

    Since GitLab 17.4 that is Idempotency-Key. The older X-Gitlab-Event-UUID is shared by all deliveries of one
    request, so it is combined with a hash of the body. X-Gitlab-Webhook-UUID identifies the webhook, not the delivery.
    """
    if key := delivery.headers.get("idempotency-key", ""):
        return key
    if uuid := delivery.headers.get("x-gitlab-event-uuid", ""):
        return f"{uuid}:{hashlib.sha256(delivery.body).hexdigest()}"
    return ""


def read(delivery: Delivery, context: WebhookContext) -> Sequence[SourceEvent]:
    """Return the events of a delivery; [] if there are none, or they are not for this connector.

    :raises UnreadableDelivery: if the body is not what GitLab sends.
    """
    body = _body(delivery.body)
    reader = _READERS.get(text(body, "object_kind"))
    if reader is None:
        return []
    project = events.project(body.get("project"))
    if project is None:
        raise UnreadableDelivery("The body does not name its project (project.path_with_namespace).")
    if not _listed(project, context.settings.get("projects") or ()):
        return []
    return reader(project, body, tuple(context.settings.get("branches") or ()), context.now)


def _body(raw: bytes) -> Item:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise UnreadableDelivery("The body is invalid or incomplete JSON.") from None
    if not isinstance(body, dict):
        raise UnreadableDelivery("The body is not a JSON object.")
    return body


def _listed(project: Project, projects: Sequence[str]) -> bool:
    # GitLab's paths are not case-sensitive.
    return not projects or project.id in projects or project.path.lower() in (name.lower() for name in projects)


def _attributes(body: Item) -> Item:
    attributes = body.get("object_attributes")
    if not isinstance(attributes, dict):
        raise UnreadableDelivery("The body has no object_attributes.")
    return attributes


def _merge_request(project: Project, body: Item, branches: tuple[str, ...], now: datetime) -> list[SourceEvent]:
    item = _attributes(body)
    state = STATES.get(text(item, "action"))
    if state is None or (branches and item.get("target_branch") not in branches):
        return []
    if integer(item, "iid") is None:
        raise UnreadableDelivery("The merge request has no iid.")
    order = {"opened": ("created_at",), "merged": ("merged_at", "updated_at"), "closed": ("closed_at", "updated_at")}
    when = first(item, *order.get(state, ("updated_at",))) or now
    return [events.merge_request(project, item, state, when, events.name(body.get("user")), {})]


def _pipeline(project: Project, body: Item, branches: tuple[str, ...], now: datetime) -> list[SourceEvent]:
    item = _attributes(body)
    if branches and item.get("ref") not in branches:
        return []
    failed = events.failed_jobs(body.get("builds")) if item.get("status") == "failed" else None
    event = events.pipeline(project, item, body.get("user"), failed, now)
    return [event] if event else []


def _release(project: Project, body: Item, branches: tuple[str, ...], now: datetime) -> list[SourceEvent]:
    if body.get("action") != "create":
        return []
    event = events.release(project, body, now)
    if event is None:
        raise UnreadableDelivery("The release has no tag.")
    return [event]


def _push(project: Project, body: Item, branches: tuple[str, ...], now: datetime) -> list[SourceEvent]:
    ref = text(body, "ref")
    branch = ref.removeprefix("refs/heads/")
    if branch == ref or body.get("after") == NOTHING or branch not in (branches or (project.branch,)):
        return []
    event = (events.commit(project, item, branch, _changed(item), now) for item in objects(body, "commits"))
    return [event for event in event if event]


def _changed(item: Item) -> list[str]:
    """Return the paths that a pushed commit changes."""
    lists = [item.get(key) for key in ("added", "modified", "removed")]
    paths = [path for paths_ in lists if isinstance(paths_, list) for path in paths_ if isinstance(path, str)]
    return list(dict.fromkeys(paths))


def _deployment(project: Project, body: Item, branches: tuple[str, ...], now: datetime) -> list[SourceEvent]:
    """Return the event of a deployment. Before GitLab 14 the body has no id; then only polling finds it."""
    if branches and body.get("ref") not in branches:
        return []
    item = {
        "id": body.get("deployment_id"),
        "status": body.get("status"),
        "environment": {"name": body.get("environment")},
        "ref": body.get("ref"),
        "sha": text(body, "commit_url").rpartition("/commit/")[2] or text(body, "short_sha"),
        "user": body.get("user"),
        "updated_at": body.get("status_changed_at"),
        "deployable": {"web_url": body.get("deployable_url"), "commit": {"title": body.get("commit_title")}},
    }
    event = events.deployment(project, item, now)
    return [event] if event else []


_READERS = {
    "merge_request": _merge_request,
    "pipeline": _pipeline,
    "release": _release,
    "push": _push,
    "deployment": _deployment,
}

HANDLER = WebhookHandler(
    verify,
    delivery_id,
    read,
    "In GitLab, open the project or group, then Settings → Webhooks → Add new webhook. Enter the URL and the secret "
    "token, and tick push, merge request, pipeline, release and deployment events.",
    topic,
)
