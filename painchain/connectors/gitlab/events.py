"""Turn GitLab's payloads into events, with the same ids for polls and webhooks. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from painchain.connectors import code_hosts
from painchain.connectors.code_hosts import dig, first_line, integer, non_empty, objects, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.http_client import link

PIPELINE_STATUSES = ("running", "success", "failed", "canceled", "skipped", "manual")
DEPLOYMENT_STATUSES = ("running", "success", "failed", "canceled")
UNKNOWN = "unknown"
Item = Mapping[str, Any]


@dataclass(frozen=True)
class Project:
    """One project. `path` is its path_with_namespace, which is part of every event id."""

    id: str
    path: str
    url: str | None = None
    branch: str = ""


def project(item: Any) -> Project | None:
    """Return the project in a response or webhook, or None."""
    path = text(item, "path_with_namespace")
    if not path:
        return None
    return Project(text(item, "id"), path, link(dig(item, "web_url")), text(item, "default_branch"))


def states(item: Item) -> Iterator[tuple[str, datetime | None, str]]:
    """Yield each state that a merge request has been in: state, time, author."""
    yield "opened", moment(item.get("created_at")), name(item.get("author"))
    if item.get("state") == "closed" or item.get("closed_at"):
        yield "closed", moment(item.get("closed_at")), name(item.get("closed_by"))
    if item.get("state") == "merged" or item.get("merged_at"):
        yield "merged", moment(item.get("merged_at")), name(item.get("merge_user") or item.get("merged_by"))


def merge_request_id(project: Project, item: Item, state: str) -> str:
    """Return the id of the event that a merge request reached this state."""
    return f"mr-{project.path}-{text(item.get('iid'))}-{state}"


def merge_request(project: Project, item: Item, state: str, when: datetime, author: str, further: Item) -> SourceEvent:
    """Return the event of an opened, merged, closed or reopened merge request.

    `item` is the merge request from the API, or ``object_attributes`` from the webhook: both have the same keys.
    """
    up, down = item.get("upvotes"), item.get("downvotes")
    facts = {
        "branches": non_empty(head=text(item, "source_branch"), base=text(item, "target_branch")),
        "comments": integer(item, "user_notes_count"),
        "votes": f"{up} up, {down} down" if integer(up) is not None and integer(down) is not None else None,
        "merged": state == "merged",
        **further,
    }
    title = text(item, "title") or f"!{text(item.get('iid'))}"
    return SourceEvent(
        event_id=merge_request_id(project, item, state),
        event_type="MergeRequest",
        title=f"[MR] {title}",
        timestamp=when,
        author=author,
        status="opened" if state == "reopened" else state,
        url=link(item.get("web_url") or item.get("url")),
        text=text(item, "description"),
        facts=non_empty(**facts),
    )


def approvals(answer: Any) -> dict[str, Any]:
    """Return the facts of the response of ``/approvals``."""
    if not isinstance(answer, Mapping):
        return {}
    by = [name(dig(approval, "user")) for approval in objects(answer, "approved_by")]
    required = integer(answer, "approvals_required")
    return {"approved_by": by, "approvals": f"{len(by)} of {required}" if required else len(by)}


def files(answer: Any) -> list[str]:
    """Return the paths in a diff."""
    paths = (text(entry, "new_path") or text(entry, "old_path") for entry in objects(answer))
    return list(dict.fromkeys(path for path in paths if path))


def pipeline_id(project: Project, item: Item) -> str | None:
    """Return the id of the event for a pipeline's status; None if the status is not reported, or it has no id."""
    if item.get("status") not in PIPELINE_STATUSES or integer(item, "id") is None:
        return None
    return f"pipeline-{project.path}-{item['id']}-{item['status']}"


def pipeline(
    project: Project, item: Item, user: Any, failed: Sequence[str] | None, now: datetime
) -> SourceEvent | None:
    """Return the event of a pipeline that runs or has ended; None while it waits."""
    event_id = pipeline_id(project, item)
    if event_id is None:
        return None
    duration = item.get("duration")
    order = ("started_at", "updated_at") if item["status"] == "running" else ("finished_at", "updated_at")
    url = link(item.get("web_url") or item.get("url") or (project.url and f"{project.url}/-/pipelines/{item['id']}"))
    facts = {
        "status": item["status"],
        "duration": duration if isinstance(duration, int | float) else None,
        "ref": text(item, "ref"),
        "commit": text(item, "sha"),
        "source": text(item, "source"),
        "pipeline_id": item["id"],
        "failed_jobs": None if failed is None else list(failed),
        "logs_url": url,
    }
    return SourceEvent(
        event_id=event_id,
        event_type="Pipeline",
        title=f"[Pipeline] {text(item.get('ref')) or item['id']}",
        timestamp=first(item, *order, "created_at") or now,
        author=name(user),
        status=item["status"],
        url=url,
        facts=non_empty(**facts),
    )


def failed_jobs(jobs: Any) -> list[str]:
    """Return the names of the failed jobs, without those that are allowed to fail."""
    failed = (job for job in objects(jobs) if job.get("status") == "failed" and not job.get("allow_failure"))
    return list(dict.fromkeys(text(job, "name") or text(job, "id") for job in failed))


def release(project: Project, item: Item, now: datetime) -> SourceEvent | None:
    """Return the event of a published release; None if it has no tag."""
    tag = text(item.get("tag_name") or item.get("tag"))
    if not tag:
        return None
    released = first(item, "released_at", "created_at")
    # The release date can be in the future; then the event has the time of the creation.
    when = released if released and released <= now else first(item, "created_at")
    links = [text(asset, "name") or text(asset, "url") for asset in objects(item, "assets", "links")]
    return SourceEvent(
        event_id=f"release-{project.path}-{tag}",
        event_type="Release",
        title=f"[Release] {text(item.get('name')) or tag}",
        timestamp=when or now,
        author=name(item.get("author")),
        status="published",
        url=link(dig(item, "_links", "self") or item.get("url")),
        text=text(item, "description"),
        facts=non_empty(tag=tag, assets=links),
    )


def commit(
    project: Project, item: Item, branch: str, changed: Sequence[str] | None, now: datetime
) -> SourceEvent | None:
    """Return the event of a commit; None if it has no id. `changed` are its files, None if unknown."""
    sha = text(item, "id")
    if not sha:
        return None
    message = text(item.get("message") or item.get("title"))
    stats = {key: integer(item, "stats", key) for key in ("additions", "deletions")}
    stats["files"] = None if changed is None else len(changed)
    facts = {
        "branch": branch,
        "sha": sha,
        "changes": non_empty(**stats),
        "files_changed": None if changed is None else list(changed),
    }
    return SourceEvent(
        event_id=f"commit-{project.path}-{sha}",
        event_type="Commit",
        title=f"[Commit] {first_line(message) or sha}",
        timestamp=first(item, "committed_date", "timestamp", "created_at") or now,
        author=text(item, "author_name") or name(item.get("author")),
        status="committed",
        url=link(item.get("web_url") or item.get("url")),
        text=message,
        facts=non_empty(**facts),
    )


def deployment(project: Project, item: Item, now: datetime) -> SourceEvent | None:
    """Return the event for a deployment's status; None if the status is not reported."""
    status, number = text(item, "status"), text(item, "id")
    if status not in DEPLOYMENT_STATUSES or not number:
        return None
    environment = text(item, "environment", "name")
    order = () if status == "running" else ("finished_at",)
    facts = {
        "environment": environment,
        "ref": text(item, "ref"),
        "sha": text(item, "sha"),
        "state": status,
        "creator": text(item, "user", "username"),
    }
    return SourceEvent(
        event_id=f"deployment-{project.path}-{number}-{status}",
        event_type="Deployment",
        title=f"[Deployment] {environment} {status}",
        timestamp=first(item, *order, "updated_at", "created_at") or now,
        author=name(item.get("user")),
        status=status,
        url=link(dig(item, "deployable", "web_url")),
        text=text(item, "deployable", "commit", "title"),
        facts=non_empty(**facts),
    )


def image(project: Project, repository: Item, tag: Item, when: datetime) -> SourceEvent | None:
    """Return the event that a tag points to an image; None if it has no digest."""
    label, digest = text(tag, "name"), text(tag, "digest")
    path = text(repository, "path") or project.path
    if not label or not digest:
        return None
    location = text(repository, "location")
    number = text(repository, "id")
    facts = {
        "registry": location.removesuffix(path).rstrip("/"),
        "image": location,
        "digest": digest,
        "tags": [label],
        "size": integer(tag, "total_size"),
        "package": text(repository, "name") or path.rpartition("/")[2],
        "repository": project.path,
    }
    return SourceEvent(
        event_id=f"image-{path}-{label}-{digest}",
        event_type="Image",
        title=f"[Image] {path}:{label}",
        timestamp=when,
        status="published",
        url=link(f"{project.url}/container_registry/{number}") if project.url else None,
        facts=non_empty(**facts),
    )


def name(person: Any) -> str:
    """Return the user name of a person, or their name."""
    return text(person, "username") or text(person, "name") or UNKNOWN


def first(item: Any, *keys: str) -> datetime | None:
    """Return the first of these times that the item has."""
    return next((when for key in keys if (when := moment(dig(item, key)))), None)


def moment(value: Any) -> datetime | None:
    """Return a time in the formats of GitLab's responses and webhooks, None for anything else.

    >>> moment("2016-08-12 15:23:28 UTC") == moment("2016-08-12 17:23:28 +0200") == moment("2016-08-12T15:23:28.000Z")
    True
    """
    if not isinstance(value, str):
        return None
    return code_hosts.parse_time(re.sub(r" ([+-]\d\d:?\d\d)$", r"\1", value.strip().replace(" UTC", "Z")))
