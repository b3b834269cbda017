"""Add to an event from a webhook what only GitLab's API tells, so that it is the event that polling makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import objects, text
from painchain.connectors.contract import ErrorKind, PollContext, PollError, SourceEvent, WebhookContext
from painchain.connectors.gitlab import activity, details, events, push_events
from painchain.connectors.gitlab.client import GitLabClient, has_next_page, open_client, quote_path
from painchain.connectors.gitlab.payloads import Item, Project, parse_moment
from painchain.connectors.gitlab.push_events import Push
from painchain.connectors.poll_budget import PollBudgetExceeded

SECONDS = 20.0  # of all requests for one event
LATEST_DELIVERY = timedelta(minutes=10)  # how long before its delivery a push is looked for
MAX_PAGES = 10  # of the project's events


def complete(context: WebhookContext, event: SourceEvent) -> SourceEvent:
    """Return the event with what its details refer to.

    A push gets the id that polling gives it: the number of the push is not in the webhook.

    :raises PollError: if GitLab does not answer, or does not have what the event is about.
    """
    references = event.details
    if references is None:
        return event
    project = Project(**references["project"], connector_id=context.connector_id)
    poll_context = PollContext(context.settings, {}, context.now, connector_id=context.connector_id)
    try:
        with open_client(context.settings, context.now) as http:
            api = GitLabClient(http, poll_context, SECONDS)
            completed = _COMPLETERS[references["kind"]](_Completion(context, api, project, event, references))
    except PollBudgetExceeded as error:
        raise PollError(str(error), ErrorKind.UNREACHABLE) from None
    return replace(completed or event, details=None)


def stored_project(project: Project) -> dict[str, str | None]:
    """Return a project as the details of an event store it."""
    return {"id": project.id, "path": project.path, "url": project.url, "branch": project.branch}


def stored_push(push: Push) -> dict[str, Any]:
    """Return the push of a webhook as the details of an event store it."""
    names = ("branch", "before", "after", "author", "commits", "title")
    return {name: getattr(push, name) for name in names}


@dataclass(frozen=True)
class _Completion:
    """An event to complete. `references` are its details."""

    context: WebhookContext
    api: GitLabClient
    project: Project
    event: SourceEvent
    references: Mapping[str, Any]

    def get(self, path: str) -> Item:
        """Return the object at a path of the project."""
        value = self.api.get(f"projects/{self.project.id}/{path}").value
        return value if isinstance(value, Mapping) else {}


def _merge_request(completion: _Completion) -> SourceEvent:
    iid, state, delivered = completion.references["iid"], completion.references["state"], completion.event
    item = completion.get(f"merge_requests/{iid}")
    facts = details.merge_request_facts(completion.api, completion.project, iid)
    when = _closest(delivered.timestamp, *(at for status, at, _ in events.states(item) if status == state))
    event = events.merge_request(completion.project, item, state, when, delivered.author, facts)
    return replace(event, event_id=delivered.event_id, former_ids=delivered.former_ids)


def _closest(delivered: datetime, *times: datetime | None) -> datetime:
    """Return the time from the API if it is that of the same change."""
    return next((when for when in times if when and abs(when - delivered) < timedelta(minutes=1)), delivered)


def _pipeline(completion: _Completion) -> SourceEvent | None:
    delivered, project, number = completion.event, completion.project, completion.references["id"]
    names = delivered.facts.get("failed_jobs")
    if delivered.status == "failed" and not names:
        names = details.failed_jobs(completion.api, project, number)
    item = completion.get(f"pipelines/{number}")
    event = events.pipeline(project, item, item.get("user"), names, completion.api.context.now)
    if event and event.event_id == delivered.event_id:
        return event
    # It has gone on since.
    return replace(delivered, facts={**delivered.facts, "failed_jobs": names}) if names else None


def _release(completion: _Completion) -> SourceEvent | None:
    item = completion.get(f"releases/{quote_path(completion.references['tag'])}")
    event = events.release(completion.project, item, completion.api.context.now)
    return event if event and event.event_id == completion.event.event_id else None


def _push(completion: _Completion) -> SourceEvent:
    """Return the push from the project's list of events: of several equal ones, one that is not recorded yet."""
    delivered, project = completion.event, completion.project
    entries = _listed_pushes(completion, Push(**completion.references["push"]))
    if not entries:
        message = f"GitLab does not list the push “{delivered.title}” among the events of the project."
        raise PollError(message, ErrorKind.NOT_FOUND)
    fresh = (entry for entry in entries if not completion.context.is_recorded(project.event_id("push", entry[0])))
    number, push, when = next(fresh, entries[0])
    forced = details.is_forced(completion.api, project, push)
    event = push_events.push_event(project, push, forced, when, number)
    return replace(event, former_ids={})  # another delivery of a minute ago is another push


def _listed_pushes(completion: _Completion, delivered: Push) -> list[tuple[str, Push, datetime]]:
    """Return the number, push and time of each equal push, the most likely first: the last before the delivery."""
    received, entries = completion.event.timestamp, list[tuple[str, Push, datetime]]()
    path, params = f"projects/{completion.project.id}/events", activity.list_params(received - LATEST_DELIVERY)
    for number in range(1, MAX_PAGES + 1):
        answer = completion.api.get(path, {**params, "action": "pushed", "page": number})
        for item in objects(answer.value):
            push = push_events.from_activity(item)
            if push and push.when and push.move == delivered.move:
                entries.append((text(item, "id"), push, push.when))
        times = [when for item in objects(answer.value) if (when := parse_moment(item.get("created_at")))]
        if not has_next_page(answer) or (times and min(times) < received - LATEST_DELIVERY):
            break
    return sorted(entries, key=lambda entry: (entry[2] > received, abs(entry[2] - received)))


def _commit(completion: _Completion) -> SourceEvent | None:
    push, sha = Push(**completion.references["push"]), completion.references["sha"]
    item = details.commit_with_stats(completion.api, completion.project, sha)
    files = details.commit_files(completion.api, completion.project, sha)
    if item is None:
        return None
    return push_events.commit_event(completion.project, item, push, files, completion.event.timestamp)


_COMPLETERS: Mapping[str, Callable[[_Completion], SourceEvent | None]] = {
    "merge_request": _merge_request,
    "pipeline": _pipeline,
    "release": _release,
    "push": _push,
    "commit": _commit,
}
