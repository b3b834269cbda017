"""Verify and read GitHub's webhooks."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from painchain.connectors import code_hosts
from painchain.connectors.code_hosts import connector_key, dig, parse_time, text, with_plain_ids
from painchain.connectors.contract import (
    Delivery,
    InvalidSignature,
    NothingToRecord,
    SourceEvent,
    UnreadableDelivery,
    WebhookContext,
    WebhookHandler,
)
from painchain.connectors.github import completion
from painchain.connectors.github.cursor import read_names
from painchain.connectors.github.events import deployments, images, pulls, pushes, releases, runs
from painchain.connectors.github.repository import Repository, describe, is_wanted_branch

RELEASED = ("published", "released", "prereleased")
PACKAGES = ("package", "registry_package")  # whose repository can be missing
PROMOTION = timedelta(seconds=30)  # a release that was published longer ago was something else until now

INSTRUCTIONS = (
    "In the repository or organization: Settings, Webhooks, Add webhook. Content type application/json; choose the "
    "events Pull requests, Workflow runs, Releases, Pushes, Deployments, Deployment statuses and Packages."
)


@dataclass(frozen=True)
class Message:
    """One delivery: its JSON body, its id, the repository, and the connector that receives it."""

    payload: Any
    delivery_id: str
    repository: Repository
    context: WebhookContext

    @property
    def now(self) -> datetime:
        """When it was received."""
        return self.context.now

    @property
    def sender(self) -> str:
        """Who did it."""
        return text(self.payload, "sender", "login")

    def part(self, *keys: str) -> Any:
        """Return the object under the first of the keys that has one.

        :raises UnreadableDelivery: if none has.
        """
        return _object(self.payload, *keys)

    def require_branch(self, branch: str) -> None:
        """Make sure that events of a branch are wanted.

        :raises NothingToRecord: if they are not.
        """
        if not is_wanted_branch(branch, self.context.settings):
            raise NothingToRecord(f"The connector does not list the branch {branch}.")


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
    return code_hosts.topic(delivery.headers.get("x-github-event", ""))


def read(delivery: Delivery, context: WebhookContext) -> Sequence[SourceEvent]:
    """Return the events of a delivery: those that polling would find, with the same ids.

    :raises NothingToRecord: if it makes no event.
    :raises UnreadableDelivery: if the body is not what GitHub sends.
    """
    payload = _payload(delivery)
    reader = READERS.get(topic(delivery))
    if reader is None:
        raise NothingToRecord("PainChain records no events for this kind of delivery.")
    _require_listed(payload, context)
    item = _object(payload, "repository") if topic(delivery) not in PACKAGES else dig(payload, "repository")
    repository = describe(connector_key(context.connector_id, context.settings, context.read_cursor()), item)
    if not repository.name and topic(delivery) not in PACKAGES:
        raise UnreadableDelivery("The body does not name its repository.")
    events = reader(Message(payload, delivery_id(delivery), repository, context))
    return [with_plain_ids(event, context.connector_id) for event in events]


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


def _require_listed(payload: Any, context: WebhookContext) -> None:
    """Make sure that the settings list the repository: by its name, or under a name that it had before."""
    listed = [name.casefold() for name in context.settings.get("repos") or []]
    name, number = text(payload, "repository", "full_name"), text(payload, "repository", "id")
    if not listed or name.casefold() in listed:
        return
    numbers = read_names(context.read_cursor())
    if not number or number not in {numbers.get(key) for key in listed}:
        unlisted = f"The connector does not list the repository {name}."
        raise NothingToRecord(unlisted if name else "The delivery names no repository that the connector lists.")


def _object(payload: Any, *keys: str) -> Any:
    for key in keys:
        if isinstance(payload.get(key), dict):
            return payload[key]
    raise UnreadableDelivery(f"The body has no {keys[0]}.")


def _pull_request(message: Message) -> Sequence[SourceEvent]:
    action, pull = text(message.payload, "action"), message.part("pull_request")
    if action not in ("opened", "closed", "reopened"):
        raise NothingToRecord(f"The action {action} of a pull request is not recorded.")
    message.require_branch(text(pull, "base", "ref"))
    state = "merged" if action == "closed" and pulls.is_merged(pull) else action
    times = {"opened": "created_at", "merged": "merged_at", "closed": "closed_at", "reopened": "updated_at"}
    owners = {"opened": text(pull, "user", "login"), "merged": text(pull, "merged_by", "login")}
    change = (state, parse_time(pull, times[state]), owners.get(state) or message.sender)
    details = completion.pull_request(message.repository, text(pull, "number"), state)
    occurrence = message.delivery_id or "unknown"
    return [pulls.pull_request(message.repository, pull, change, message.now, details=details, occurrence=occurrence)]


def _workflow_run(message: Message) -> Sequence[SourceEvent]:
    run = message.part("workflow_run")
    status = runs.run_status(run)
    if status in runs.NOT_STARTED:
        raise NothingToRecord("The workflow run has not started.")
    message.require_branch(text(run, "head_branch"))
    details = completion.workflow_run(message.repository, run) if runs.is_broken(run) else None
    return [runs.workflow_run(message.repository, run, status, message.now, details=details)]


def _release(message: Message) -> Sequence[SourceEvent]:
    action, release = text(message.payload, "action"), message.part("release")
    if releases.is_draft(release):
        raise NothingToRecord("The release is a draft.")
    if action == "deleted":
        return [releases.deleted(message.repository, release, message.sender, message.now)]
    if action not in RELEASED:
        raise NothingToRecord(f"The action {action} of a release is not recorded.")
    return releases.published(message.repository, release, message.now, _changed_at(action, release, message.now))


def _changed_at(action: str, release: Any, now: datetime) -> datetime | None:
    """Return when a pre-release became a release, or the other way round; None if it was published as what it is.

    GitHub uses the same words for both.
    """
    published_at, changed_at = parse_time(release, "published_at"), parse_time(release, "updated_at")
    if action == "released":
        changed_at = changed_at or now
    if action == "published" or published_at is None or changed_at is None:
        return None
    return changed_at if changed_at - published_at > PROMOTION else None


def _push(message: Message) -> Sequence[SourceEvent]:
    payload, repository = message.payload, message.repository
    push = pushes.delivered_push(payload, message.now)
    if push is None:
        raise NothingToRecord("Only pushes to branches are recorded.")
    message.require_branch(push.branch)
    occurrence = "" if repository.pushed_at else message.delivery_id
    comparison = {"html_url": payload.get("compare")}
    commits = pushes.delivered_commits(payload)
    if push.status in ("pushed", "forced") and isinstance(payload.get("commits"), list):
        comparison["total_commits"] = len(commits)
    details = completion.push(repository, push)
    events = [pushes.push_event(repository, push, None, comparison, details, occurrence)]
    if push.after and push.branch in (message.context.settings.get("branches") or [repository.branch]):
        for position, commit in enumerate(commits):
            is_completed = position >= len(commits) - code_hosts.MAX_COMPLETED_COMMITS  # the last one is the newest
            details = completion.commit(repository, push, text(commit, "id")) if is_completed else None
            events.append(pushes.delivered_commit(repository, commit, push, details))
    return events


def _deployment(message: Message) -> Sequence[SourceEvent]:
    return [deployments.requested(message.repository, message.part("deployment"), message.now)]


def _deployment_status(message: Message) -> Sequence[SourceEvent]:
    deployment, status = message.part("deployment"), message.part("deployment_status")
    return [deployments.reached(message.repository, deployment, status, message.now)]


def _package(message: Message) -> Sequence[SourceEvent]:
    package = message.part("registry_package", "package")
    if not images.is_image(package) or not isinstance(dig(package, "package_version"), dict):
        raise NothingToRecord("The package is not a container image.")
    package = {**package, "repository": message.payload.get("repository") or package.get("repository")}
    context = message.context
    return [images.delivered(message.repository.connector_id, context.settings["base_url"], package, message.now)]


READERS: dict[str, Callable[[Message], Sequence[SourceEvent]]] = {
    "pull_request": _pull_request,
    "workflow_run": _workflow_run,
    "release": _release,
    "push": _push,
    "deployment": _deployment,
    "deployment_status": _deployment_status,
    "package": _package,
    "registry_package": _package,
}

HANDLER = WebhookHandler(verify, delivery_id, read, INSTRUCTIONS, topic, completion.complete, code_hosts.first_cursor)
