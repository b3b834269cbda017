"""Complete events from webhooks with facts from GitHub's API, so that they equal the events from polling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from painchain.connectors.code_hosts import dig, key_of, objects, parse_time, text, with_plain_ids
from painchain.connectors.contract import ErrorKind, PollError, SourceEvent, WebhookContext
from painchain.connectors.github import details
from painchain.connectors.github.client import GitHubClient, open_client
from painchain.connectors.github.events import pulls, pushes
from painchain.connectors.github.events.pushes import Push
from painchain.connectors.github.pagination import cursor_time
from painchain.connectors.github.repository import TOLERANCE, Repository
from painchain.connectors.poll_budget import PollBudgetExceeded

SAME_DAY = timedelta(days=1)  # the most between the times of a delivery and of its push in the list of activities

Details = dict[str, Any]
IsRecorded = Callable[[str], bool]


def pull_request(repository: Repository, number: str, state: str) -> Details | None:
    """Return the reference to what the API adds to the event of a pull request; None if it has no number."""
    return {**_reference(repository, "pull"), "number": number, "state": state} if number else None


def workflow_run(repository: Repository, run: Any) -> Details:
    """Return the reference to the jobs of a run."""
    keys = ("id", "run_attempt", "status", "conclusion")
    return {**_reference(repository, "run"), "run": {key: run.get(key) for key in keys}}


def push(repository: Repository, push: Push) -> Details | None:
    """Return the reference to what the API adds to the event of a push."""
    return {**_reference(repository, "push"), **_push_reference(push)}


def commit(repository: Repository, push: Push, sha: str) -> Details:
    """Return the reference to the lines and files of a commit."""
    return {**_reference(repository, "commit"), **_push_reference(push), "sha": sha}


def complete(context: WebhookContext, event: SourceEvent) -> SourceEvent:
    """Return an event with the facts that the API adds.

    :raises PollError: if the API cannot be asked.
    """
    reference = event.details or {}
    repository = Repository(
        key_of(event), text(reference, "id"), text(reference, "repository"), text(reference, "branch_default")
    )
    completers = {"pull": _pull_request, "run": _workflow_run, "commit": _commit}
    kind = text(reference, "kind")
    if kind != "push" and kind not in completers:
        return replace(event, details=None)
    with open_client(context.settings, context.now) as http:
        try:
            api = GitHubClient(http, context.now, lambda: False, {})
            if kind == "push":
                completed = _push(api, repository, event, reference, context.is_recorded)
            else:
                completed = completers[kind](api, repository, event, reference)
            return with_plain_ids(replace(completed, details=None), context.connector_id)
        except PollBudgetExceeded as exceeded:
            raise PollError(str(exceeded), ErrorKind.RATE_LIMITED) from None


def _pull_request(api: GitHubClient, repository: Repository, event: SourceEvent, reference: Any) -> SourceEvent:
    pull, more = details.pull_request(api, repository, text(reference, "number"))
    if not pull:
        raise _not_found(event)
    facts = pulls.pull_facts(repository.name, pull, text(reference, "state"))
    return replace(event, facts={**event.facts, **facts, **more})


def _workflow_run(api: GitHubClient, repository: Repository, event: SourceEvent, reference: Any) -> SourceEvent:
    names = details.failed_jobs(api, repository, dig(reference, "run"))
    return replace(event, facts={**event.facts, **({"failed_jobs": names} if names else {})})


def _push(
    api: GitHubClient, repository: Repository, event: SourceEvent, reference: Any, is_recorded: IsRecorded
) -> SourceEvent:
    push = _referenced_push(reference)
    path, params = f"{repository.path}/activity", {"ref": f"refs/heads/{push.branch}", **details.MANY}
    listed, others = api.get_optional(path, params), None
    if listed is not None:
        activities = [pushes.activity_push(item) for item in objects(listed)]
        moves = [other for other in activities if other and other.key == push.key]
        push = _listed_push(repository, event, push, moves, is_recorded)
        others = [other.time for other in moves if other.time != push.time]
    completed = pushes.push_event(repository, push, others, details.comparison(api, repository, push))
    listed_id = event.event_id if others is None else completed.event_id
    former_ids = {**completed.former_ids, event.event_id: None, completed.event_id: None}
    for known_id in [listed_id, *(repository.event_id(*pushes.identity(push), time) for time in others or ())]:
        former_ids.pop(known_id, None)  # the ids of other pushes are no former ids of this one
    return replace(completed, event_id=listed_id, url=completed.url or event.url, former_ids=former_ids)


def _listed_push(
    repository: Repository, event: SourceEvent, push: Push, moves: list[Push], is_recorded: IsRecorded
) -> Push:
    """Return a delivered push as the list of activities has it.

    A delivery has the time of the repository's last push, which can be a later one. If no push between the same commits
    has this time, the newest one counts that is not recorded yet; if all are, the newest.

    :raises PollError: if it is not listed. The list can lag behind webhooks.
    """
    same = [other for other in moves if other.before == push.before and abs(other.time - push.time) <= SAME_DAY]
    if not same:
        raise _not_found(event)
    nearest = min(same, key=lambda other: abs(other.time - push.time))
    if abs(nearest.time - push.time) <= timedelta(seconds=TOLERANCE):
        return nearest
    same.sort(key=lambda other: other.time, reverse=True)
    unrecorded = (other for other in same if not is_recorded(repository.event_id(*pushes.identity(other), other.time)))
    return next(unrecorded, same[0])


def _commit(api: GitHubClient, repository: Repository, event: SourceEvent, reference: Any) -> SourceEvent:
    push = _referenced_push(reference)
    completed = details.commit(api, repository, text(reference, "sha"), push, None)
    if completed.event_id != event.event_id:
        raise _not_found(event)
    return completed


def _not_found(event: SourceEvent) -> PollError:
    """Return the error for something that the API does not have: it can lag behind webhooks."""
    return PollError(f"GitHub's API does not have “{event.title}”, or the token cannot read it.", ErrorKind.NOT_FOUND)


def _reference(repository: Repository, kind: str) -> Details:
    return {
        "kind": kind,
        "id": repository.id,
        "repository": repository.name,
        "branch_default": repository.branch,
    }


def _push_reference(push: Push) -> Details:
    return {
        "branch": push.branch,
        "before": push.before,
        "after": push.after,
        "time": cursor_time(push.time),
        "status": push.status,
        "pusher": push.pusher,
    }


def _referenced_push(reference: Any) -> Push:
    time = parse_time(reference, "time")
    assert time is not None  # noqa: S101  written by `_push_reference`
    ends = (text(reference, "branch"), text(reference, "before"), text(reference, "after"))
    return Push(*ends, time, text(reference, "status"), text(reference, "pusher"))
