"""GitHub's webhooks: whether a delivery is genuine, and the events that it tells of."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from painchain.connectors.code_hosts import dig, moment, text
from painchain.connectors.contract import Delivery, InvalidSignature, SourceEvent, UnreadableDelivery, WebhookHandler
from painchain.connectors.github import events

PULL_ACTIONS = {"opened": "opened", "reopened": "reopened"}
RELEASED = ("published", "released", "prereleased")
NO_COMMIT = "0" * 40

INSTRUCTIONS = (
    "In the repository or organization: Settings, Webhooks, Add webhook. Content type application/json; choose the "
    "events Pull requests, Workflow runs, Releases, Pushes, Deployments, Deployment statuses and Packages."
)

Settings = Mapping[str, Any]


def verify(delivery: Delivery, secret: str) -> None:
    """Accept a delivery that is signed with the secret.

    The signature is HMAC-SHA256 over the raw body, in ``X-Hub-Signature-256``.

    :raises NotGenuine: if there is no signature, or another one.
    """
    given = delivery.headers.get("x-hub-signature-256", "")
    right = "sha256=" + hmac.new(secret.encode(), delivery.body, hashlib.sha256).hexdigest()
    if not secret or not hmac.compare_digest(given.encode(), right.encode()):
        raise InvalidSignature("The signature in X-Hub-Signature-256 is missing or wrong.")


def delivery_id(delivery: Delivery) -> str:
    """Return GitHub's own id of the delivery, which a repeated one has again."""
    return delivery.headers.get("x-github-delivery", "")


def topic(delivery: Delivery) -> str:
    """Return what GitHub calls the delivery, such as "push"."""
    return delivery.headers.get("x-github-event", "")


def read(delivery: Delivery, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    """Return the events that a delivery tells of: those that polling would find, with the same ids.

    :raises Unreadable: if the body is not what GitHub sends.
    """
    told = _payload(delivery)
    reader = READERS.get(delivery.headers.get("x-github-event", ""))
    return reader(told, settings, now) if reader and _wanted(told, settings) else []


def _payload(delivery: Delivery) -> Any:
    body = delivery.body
    try:
        if delivery.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            body = parse_qs(body.decode(), max_num_fields=10).get("payload", [""])[0].encode()
        told = json.loads(body)
    except (ValueError, RecursionError):
        raise UnreadableDelivery("The body is not JSON.") from None
    if not isinstance(told, dict):
        raise UnreadableDelivery("The body is JSON, but no object.")
    return told


def _wanted(told: Any, settings: Settings) -> bool:
    listed = [name.casefold() for name in settings.get("repos") or []]
    return not listed or text(told, "repository", "full_name").casefold() in listed


def _part(told: Any, *keys: str) -> Any:
    for key in keys:
        if isinstance(told.get(key), dict):
            return told[key]
    raise UnreadableDelivery(f"The body has no {keys[0]}.")


def _repo(told: Any) -> str:
    name = text(_part(told, "repository"), "full_name")
    if not name:
        raise UnreadableDelivery("The body does not say of which repository it tells.")
    return name


def _pull_request(told: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    action, pull = text(told, "action"), _part(told, "pull_request")
    state = PULL_ACTIONS.get(action)
    if action == "closed":
        state = "merged" if dig(pull, "merged") is True or moment(pull, "merged_at") else "closed"
    if state is None or not of_branch(text(pull, "base", "ref"), settings):
        return []
    moments = {
        "opened": moment(pull, "created_at"),
        "merged": moment(pull, "merged_at"),
        "closed": moment(pull, "closed_at"),
    }
    when = moments.get(state) or moment(pull, "updated_at") or now
    by = text(pull, "user" if state == "opened" else "merged_by", "login") or text(told, "sender", "login")
    author = text(told, "sender", "login") if state in ("closed", "reopened") else by
    return [events.pull_request(_repo(told), pull, state, when, author)]


def _workflow_run(told: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    run = _part(told, "workflow_run")
    status = events.run_status(run)
    if status in events.NOT_BEGUN or not of_branch(text(run, "head_branch"), settings):
        return []
    return [events.workflow_run(_repo(told), run, status, now)]


def _release(told: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    published = text(told, "action") in RELEASED
    return events.release(_repo(told), _part(told, "release"), now) if published else []


def _push(told: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    ref = text(told, "ref")
    branch = ref.removeprefix("refs/heads/")
    if branch == ref or dig(told, "deleted") is True or text(told, "after") == NO_COMMIT:
        return []
    default = text(told, "repository", "default_branch") or text(told, "repository", "master_branch")
    if branch not in (settings.get("branches") or [default]):
        return []
    return events.pushed_commits(_repo(told), told, branch, now)


def _deployment(told: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    return [events.deployment(_repo(told), _part(told, "deployment"), now)]


def _deployment_status(told: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    return [events.deployment_status(_repo(told), _part(told, "deployment"), _part(told, "deployment_status"), now)]


def _package(told: Any, settings: Settings, now: datetime) -> Sequence[SourceEvent]:
    package = _part(told, "registry_package", "package")
    if not events.is_image(package) or not isinstance(dig(package, "package_version"), dict):
        return []
    package = {**package, "repository": told.get("repository")}
    return [events.published_image(settings["base_url"], package, now)]


def of_branch(branch: str, settings: Settings) -> bool:
    """Say whether what happens on a branch is wanted: on any, if none are listed."""
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

HOOK = WebhookHandler(verify, delivery_id, read, INSTRUCTIONS, topic)
