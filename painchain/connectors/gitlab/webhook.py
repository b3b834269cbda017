"""Read GitLab's webhooks as the same events that polling finds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from painchain.connectors import code_hosts
from painchain.connectors.code_hosts import dig, integer, objects, strings, text
from painchain.connectors.contract import (
    Delivery,
    NothingToRecord,
    SourceEvent,
    UnreadableDelivery,
    WebhookContext,
    WebhookHandler,
)
from painchain.connectors.gitlab import events, followed, payloads, push_events
from painchain.connectors.gitlab.completion import complete, stored_project, stored_push
from painchain.connectors.gitlab.cursor import read_names
from painchain.connectors.gitlab.payloads import Item, Project, first_time, person_name
from painchain.connectors.gitlab.signature import verify

STATES = {"open": "opened", "merge": "merged", "close": "closed", "reopen": "reopened"}


def topic(delivery: Delivery) -> str:
    """Return GitLab's name of the event, such as "Push Hook"."""
    return code_hosts.topic(delivery.headers.get("x-gitlab-event", ""))


def delivery_id(delivery: Delivery) -> str:
    """Return the id of the delivery. A repeated delivery has the same id.

    Since GitLab 17.4 that is Idempotency-Key. A signed delivery repeats it in webhook-id, which is part of what is
    signed. The older X-Gitlab-Event-UUID is shared by all deliveries of one request, so it is combined with a hash of
    the body. X-Gitlab-Webhook-UUID identifies the webhook, not the delivery.
    """
    if key := delivery.headers.get("webhook-id") or delivery.headers.get("idempotency-key"):
        return key
    if uuid := delivery.headers.get("x-gitlab-event-uuid", ""):
        return f"{uuid}:{hashlib.sha256(delivery.body).hexdigest()}"
    return ""


def read(delivery: Delivery, context: WebhookContext) -> Sequence[SourceEvent]:
    """Return the events of a delivery.

    :raises NothingToRecord: if there are none, or they are not for this connector.
    :raises UnreadableDelivery: if the body is not what GitLab sends.
    """
    body = _body(delivery.body)
    kind = text(body, "object_kind")
    reader = _READERS.get(kind)
    if reader is None:
        raise NothingToRecord(f"PainChain does not record deliveries of the kind “{kind or 'unknown'}”.")
    project = _project(body)
    if project is None:
        raise UnreadableDelivery("The body does not name its project (project.path_with_namespace).")
    if not _is_listed(project, context):
        raise NothingToRecord(f"The connector does not list the project {project.path}.")
    key = code_hosts.connector_key(context.connector_id, context.settings, context.read_cursor())
    project = replace(project, connector_id=key)
    source_events = reader(Reading(project, body, context, delivery_id(delivery)))
    return [code_hosts.with_plain_ids(event, context.connector_id) for event in source_events]


@dataclass(frozen=True)
class Reading:
    """One delivery for a project of the connector."""

    project: Project
    body: Item
    context: WebhookContext
    delivery_id: str

    @property
    def now(self) -> datetime:
        """The time of the delivery."""
        return self.context.now

    def check_branch(self, branch: Any) -> None:
        """Raise NothingToRecord if the connector lists branches, but not this one."""
        branches = self.context.settings.get("branches") or ()
        if branches and branch not in branches:
            raise NothingToRecord(f"The connector does not list the branch {text(branch) or '(none)'}.")

    def attributes(self) -> Item:
        """Return the object_attributes of the body.

        :raises UnreadableDelivery: if it has none.
        """
        attributes = self.body.get("object_attributes")
        if not isinstance(attributes, dict):
            raise UnreadableDelivery("The body has no object_attributes.")
        return attributes

    def with_details(self, event: SourceEvent, kind: str, **references: Any) -> SourceEvent:
        """Return an event that refers to what `completion` adds."""
        return replace(event, details={"kind": kind, "project": stored_project(self.project), **references})


def _body(raw: bytes) -> Item:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise UnreadableDelivery("The body is invalid or incomplete JSON.") from None
    if not isinstance(body, dict):
        raise UnreadableDelivery("The body is not a JSON object.")
    return body


def _project(body: Item) -> Project | None:
    """Return the project of a delivery. Older webhooks of groups have its id elsewhere."""
    item = body.get("project")
    if not isinstance(item, dict):
        return None
    number = item.get("id") or body.get("project_id") or dig(body, "object_attributes", "target_project_id")
    return payloads.project({**item, "id": number})


def _is_listed(project: Project, context: WebhookContext) -> bool:
    """Return whether the connector follows a project, also if the settings have a path that it had before."""
    projects: Sequence[str] = context.settings.get("projects") or ()
    # GitLab's paths are not case-sensitive.
    if not projects or project.id in projects or project.path.lower() in (path.lower() for path in projects):
        return True
    names = read_names(followed.of_server(context.settings, context.read_cursor()))
    return project.id in (names[ref]["id"] for ref in projects if ref in names)


def _merge_request(reading: Reading) -> list[SourceEvent]:
    item = reading.attributes()
    action = text(item, "action")
    state = STATES.get(action)
    if state is None:
        raise NothingToRecord(f"The action “{action or 'unknown'}” of a merge request is not recorded.")
    reading.check_branch(item.get("target_branch"))
    if integer(item, "iid") is None:
        raise UnreadableDelivery("The merge request has no iid.")
    order = {"opened": ("created_at",), "merged": ("merged_at", "updated_at"), "closed": ("closed_at", "updated_at")}
    when = first_time(item, *order.get(state, ("updated_at",))) or reading.now
    event = events.merge_request(reading.project, item, state, when, person_name(reading.body.get("user")))
    return [reading.with_details(event, "merge_request", iid=item["iid"], state=state)]


def _pipeline(reading: Reading) -> list[SourceEvent]:
    item = reading.attributes()
    reading.check_branch(item.get("ref"))
    status = item.get("status")
    failed = events.failed_jobs(reading.body.get("builds")) if status == "failed" else None
    event = events.pipeline(reading.project, item, reading.body.get("user"), failed, reading.now)
    if event is None:
        if integer(item, "id") is None:
            raise UnreadableDelivery("The pipeline has no id.")
        raise NothingToRecord(f"The status “{text(status) or 'unknown'}” of a pipeline is not recorded.")
    return [reading.with_details(event, "pipeline", id=item["id"])]


def _release(reading: Reading) -> list[SourceEvent]:
    action = text(reading.body, "action")
    if action not in ("create", "delete"):
        raise NothingToRecord(f"The action “{action or 'unknown'}” of a release is not recorded.")
    to_event = events.release if action == "create" else events.deleted_release
    event = to_event(reading.project, reading.body, reading.now)
    if event is None:
        raise UnreadableDelivery("The release has no tag.")
    if action == "delete":
        return [event]
    return [reading.with_details(event, "release", tag=text(reading.body, "tag"))]


def _push(reading: Reading) -> list[SourceEvent]:
    push, project = push_events.from_webhook(reading.body), reading.project
    if push is None:
        raise NothingToRecord("Only pushes to branches are recorded.")
    if not push.before and not push.after:
        raise UnreadableDelivery("The push has neither a previous nor a new head commit.")
    reading.check_branch(push.branch)
    # GitLab's number of the push is only in its API. Until then the delivery tells pushes apart.
    occurrence = (*push.move, reading.delivery_id or reading.now.isoformat())
    event = replace(push_events.push_event(project, push, None, reading.now, *occurrence), former_ids={})
    source_events = [reading.with_details(event, "push", push=stored_push(push))]
    if push.branch not in (reading.context.settings.get("branches") or (project.branch,)):
        return source_events
    commits = objects(reading.body, "commits") if push.after else []
    for item in reversed(commits) if push.before or push.branch != project.branch else []:
        files = {"files_changed": _changed_files(item)}
        commit = push_events.commit_event(project, item, push, files, reading.now)
        if commit:
            is_completed = len(source_events) <= code_hosts.MAX_COMPLETED_COMMITS
            references = {"push": stored_push(push), "sha": item["id"]}
            source_events.append(reading.with_details(commit, "commit", **references) if is_completed else commit)
    return source_events


def _changed_files(item: Item) -> list[str]:
    """Return the paths that a pushed commit changes."""
    return list(dict.fromkeys(path for key in ("added", "modified", "removed") for path in strings(item, key)))


def _deployment(reading: Reading) -> list[SourceEvent]:
    """Return the event of a deployment. Before GitLab 14 the body has no id; then only polling finds it."""
    body = reading.body
    reading.check_branch(body.get("ref"))
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
    event = events.deployment(reading.project, item, reading.now)
    if event is None:
        raise NothingToRecord("This deployment has no number, or its status is not recorded.")
    return [reading.with_details(event, "deployment", id=body["deployment_id"])]


_READERS: Mapping[str, Callable[[Reading], list[SourceEvent]]] = {
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
    "In GitLab, open the project or group, then Settings → Webhooks → Add new webhook. Enter the URL. Enter the secret "
    "as the signing token, or as the secret token if there is no signing token. Tick push, merge request, pipeline, "
    "release and deployment events.",
    topic,
    complete,
    code_hosts.first_cursor,
)
