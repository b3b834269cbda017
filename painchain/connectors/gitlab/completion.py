"""Complete events from webhooks with facts from GitLab's API, so that they equal the events from polling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import key_of, objects, text, with_plain_ids
from painchain.connectors.contract import ErrorKind, PollContext, PollError, SourceEvent, WebhookContext
from painchain.connectors.gitlab import activity, details, events, push_events
from painchain.connectors.gitlab.client import REFUSED, GitLabClient, has_next_page, open_client, quote_path
from painchain.connectors.gitlab.payloads import Item, Project, parse_moment
from painchain.connectors.gitlab.push_events import Push
from painchain.connectors.poll_budget import PollBudgetExceeded

SECONDS = 20.0  # of all requests for one event
LATEST_DELIVERY = timedelta(minutes=10)  # how long before its delivery a push is looked for
SAME_CHANGE = timedelta(minutes=1)  # how much its times in a webhook and in the API can differ
MAX_PAGES = 10  # of the project's events


def complete(context: WebhookContext, event: SourceEvent) -> SourceEvent:
    """Return the event with what its details refer to.

    A push gets the id that polling gives it: the number of the push is not in the webhook. So does another change if
    the time in the webhook is not exactly that in the API.

    :raises PollError: if GitLab does not answer, or does not have what the event is about.
    """
    references = event.details
    if references is None:
        return event
    project = Project(**references["project"], connector_id=key_of(event))
    poll_context = PollContext(context.settings, {}, context.now, connector_id=context.connector_id)
    try:
        with open_client(context.settings, context.now) as http:
            api = GitLabClient(http, poll_context, SECONDS)
            completed = _COMPLETERS[references["kind"]](_Completion(context, api, project, event, references))
    except PollBudgetExceeded as error:
        raise PollError(str(error), ErrorKind.UNREACHABLE) from None
    return with_plain_ids(replace(completed or event, details=None), context.connector_id)


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
    if state in ("closed", "reopened"):
        times = _listed_times(completion, iid, state)
    else:
        times = [when for status, when, _ in events.states(item) if status == state and when]
    when = _closest(delivered.timestamp, times)
    return events.merge_request(completion.project, item, state, when, delivered.author, facts)


def _listed_times(completion: _Completion, iid: int, action: str) -> list[datetime]:
    """Return when a merge request was closed or reopened, according to the project's list of events."""
    params = {**activity.list_params(completion.event.timestamp - SAME_CHANGE), "target_type": "merge_request"}
    answer = completion.api.get(f"projects/{completion.project.id}/events", {**params, "action": action})
    entries = [item for item in objects(answer.value) if item.get("target_iid") == iid]
    return [when for item in entries if (when := parse_moment(item.get("created_at")))]


def _closest(delivered: datetime, times: Sequence[datetime]) -> datetime:
    """Return the time of a change from the API, or that of its delivery if the API does not have it."""
    when = min(times, key=lambda when: abs(when - delivered), default=delivered)
    return when if abs(when - delivered) < SAME_CHANGE else delivered


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


def _deployment(completion: _Completion) -> SourceEvent | None:
    delivered = completion.event
    item = completion.get(f"deployments/{completion.references['id']}")
    event = events.deployment(completion.project, item, completion.api.context.now)
    if event is None or event.status != delivered.status:
        return None  # it has gone on since
    return event if abs(event.timestamp - delivered.timestamp) < SAME_CHANGE else None


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
    return push_events.commit_event(completion.project, item, push, files, _time_of_push(completion, push))


def _time_of_push(completion: _Completion, push: Push) -> datetime:
    """Return when GitLab lists a push, which its commits share; the time of the delivery if GitLab does not list it."""
    try:
        entries = _listed_pushes(completion, push)
    except PollError as error:
        if error.kind not in REFUSED:
            raise
        entries = []
    return entries[0][2] if entries else completion.event.timestamp


_COMPLETERS: Mapping[str, Callable[[_Completion], SourceEvent | None]] = {
    "merge_request": _merge_request,
    "pipeline": _pipeline,
    "release": _release,
    "deployment": _deployment,
    "push": _push,
    "commit": _commit,
}
