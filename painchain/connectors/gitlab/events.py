"""Turn GitLab's payloads into events, with the same ids for polls and webhooks. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from painchain.connectors.code_hosts import dig, integer, non_empty, objects, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.gitlab.payloads import Item, Project, first_time, parse_moment, person_name
from painchain.connectors.http_client import link

PIPELINE_STATUSES = ("running", "success", "failed", "canceled", "skipped", "manual")
FINAL_STATUSES = ("success", "failed", "canceled")
DEPLOYMENT_STATUSES = ("running", "success", "failed", "canceled")


def states(item: Item) -> Iterator[tuple[str, datetime | None, str]]:
    """Yield each state that a merge request has been in: state, time, author."""
    yield "opened", parse_moment(item.get("created_at")), person_name(item.get("author"))
    if item.get("closed_at"):
        yield "closed", parse_moment(item.get("closed_at")), person_name(item.get("closed_by"))
    if item.get("state") == "merged" or item.get("merged_at"):
        yield (
            "merged",
            parse_moment(item.get("merged_at")),
            person_name(item.get("merge_user") or item.get("merged_by")),
        )


def merge_request_id(project: Project, iid: int | str, state: str, when: datetime | None) -> str:
    """Return the id of the event that a merge request reached this state.

    It is opened and merged once. It can be closed and reopened several times, so the time is part of the id.
    """
    if state in ("opened", "merged") or when is None:
        return project.event_id("mr", iid, state)
    return project.event_id("mr", iid, state, when)


def merge_request(
    project: Project, item: Item, state: str, when: datetime, author: str, api_facts: Item | None = None
) -> SourceEvent:
    """Return the event of an opened, merged, closed or reopened merge request.

    `item` is the merge request from the API, or ``object_attributes`` from the webhook: both have the same keys.
    `api_facts` are the facts that take further requests.
    """
    iid = text(item, "iid")
    up, down = item.get("upvotes"), item.get("downvotes")
    facts = {
        "branches": non_empty(head=text(item, "source_branch"), base=text(item, "target_branch")),
        "comments": integer(item, "user_notes_count"),
        "votes": f"{up} up, {down} down" if integer(up) is not None and integer(down) is not None else None,
        "merged": state == "merged",
        **(api_facts or {}),
    }
    is_unique = state in ("opened", "merged")
    former_id = f"mr-{project.path}-{iid}-{state}"
    return SourceEvent(
        event_id=merge_request_id(project, iid, state, when),
        event_type="MergeRequest",
        title=f"[MR] {text(item, 'title') or f'!{iid}'}",
        timestamp=when,
        author=author,
        status="opened" if state == "reopened" else state,
        url=link(item.get("web_url") or item.get("url")),
        text=text(item, "description"),
        facts=non_empty(repository=project.path, **facts),
        former_ids={former_id: None}
        if is_unique
        else {former_id: when, **project.neighbour_ids(when, "mr", iid, state)},
    )


def approvals(answer: Item) -> dict[str, object]:
    """Return the facts of the response of ``/approvals``."""
    approvers = [person_name(dig(approval, "user")) for approval in objects(answer, "approved_by")]
    required = integer(answer, "approvals_required")
    return {
        "approved_by": approvers,
        "approvals": f"{len(approvers)} of {required}" if required else len(approvers),
    }


def file_paths(diffs: Sequence[Item]) -> list[str]:
    """Return the paths in a diff."""
    paths = (text(entry, "new_path") or text(entry, "old_path") for entry in diffs)
    return list(dict.fromkeys(path for path in paths if path))


def pipeline_id(project: Project, item: Item, occurrence: int = 1) -> str | None:
    """Return the id of the event for a pipeline's status; None if the status is not reported, or it has no id.

    A pipeline that is retried ends again: ``finished_at`` tells its ends apart. While it runs again, ``finished_at`` is
    still that of its previous end. `occurrence` tells how often it has been in this status since then.
    """
    if item.get("status") not in PIPELINE_STATUSES or integer(item, "id") is None:
        return None
    finished = parse_moment(item.get("finished_at"))
    repeated = [occurrence] if occurrence > 1 else []
    return project.event_id("pipeline", item["id"], item["status"], *([finished] if finished else []), *repeated)


def pipeline(
    project: Project, item: Item, user: object, failed: Sequence[str] | None, now: datetime, occurrence: int = 1
) -> SourceEvent | None:
    """Return the event of a pipeline that runs or has ended; None while it waits."""
    event_id = pipeline_id(project, item, occurrence)
    if event_id is None:
        return None
    status, finished = item["status"], parse_moment(item.get("finished_at"))
    duration = item.get("duration")
    order = ["updated_at", "created_at"]
    if status in FINAL_STATUSES:
        order.insert(0, "finished_at")
    elif status == "running" and not finished and occurrence == 1:
        order.insert(0, "started_at")
    url = link(item.get("web_url") or item.get("url") or (project.url and f"{project.url}/-/pipelines/{item['id']}"))
    when = first_time(item, *order) or now
    facts = {
        "repository": project.path,
        "status": status,
        "duration": duration if isinstance(duration, int | float) else None,
        "ref": text(item, "ref"),
        "commit": text(item, "sha"),
        "source": text(item, "source"),
        "pipeline_id": item["id"],
        "failed_jobs": None if failed is None else list(failed),
        "logs_url": url,
    }
    former_id = f"pipeline-{project.path}-{item['id']}-{status}"
    return SourceEvent(
        event_id=event_id,
        event_type="Pipeline",
        title=f"[Pipeline] {text(item.get('ref')) or item['id']}",
        timestamp=when,
        author=person_name(user),
        status=status,
        url=url,
        facts=non_empty(**facts),
        former_ids={former_id: finished} if occurrence == 1 else {},
    )


def failed_jobs(jobs: object) -> list[str]:
    """Return the names of the failed jobs in the order of their ids, without those that are allowed to fail."""
    failed = [job for job in objects(jobs) if job.get("status") == "failed" and not job.get("allow_failure")]
    failed.sort(key=lambda job: integer(job, "id") or 0)
    return list(dict.fromkeys(text(job, "name") or text(job, "id") for job in failed))


def release(project: Project, item: Item, now: datetime) -> SourceEvent | None:
    """Return the event of a published release; None if it has no tag."""
    tag = text(item.get("tag_name") or item.get("tag"))
    if not tag:
        return None
    created, released = parse_moment(item.get("created_at")), parse_moment(item.get("released_at"))
    # The release date is set by hand. In the future, or before the creation, it is not when the release appeared.
    when = released if released and released <= now and (created is None or released > created) else created
    former_time = released if released and released <= now else created
    links = [text(asset, "name") or text(asset, "url") for asset in objects(item, "assets", "links")]
    return SourceEvent(
        event_id=project.event_id("release", tag, *([created] if created else [])),
        event_type="Release",
        title=f"[Release] {text(item.get('name')) or tag}",
        timestamp=when or now,
        author=person_name(item.get("author")),
        status="published",
        url=link(dig(item, "_links", "self") or item.get("url")),
        text=text(item, "description"),
        facts=non_empty(repository=project.path, tag=tag, assets=links),
        former_ids={f"release-{project.path}-{tag}": former_time},
    )


def deleted_release(project: Project, item: Item, when: datetime) -> SourceEvent | None:
    """Return the event that a release was deleted; None if it has no tag. GitLab does not say when, or who did it."""
    tag, created = text(item, "tag"), parse_moment(item.get("created_at"))
    if not tag:
        return None
    return SourceEvent(
        event_id=project.event_id("release", tag, *([created] if created else []), "deleted"),
        event_type="Release",
        title=f"[Release] {text(item, 'name') or tag}",
        timestamp=when,
        status="deleted",
        facts=non_empty(repository=project.path, tag=tag),
    )


def deployment(project: Project, item: Item, now: datetime) -> SourceEvent | None:
    """Return the event for a deployment's status; None if the status is not reported."""
    status, number = text(item, "status"), text(item, "id")
    if status not in DEPLOYMENT_STATUSES or not number:
        return None
    environment = text(item, "environment", "name")
    changed = first_time(item, "updated_at", "created_at")
    facts = {
        "repository": project.path,
        "environment": environment,
        "ref": text(item, "ref"),
        "sha": text(item, "sha"),
        "state": status,
        "creator": text(item, "user", "username"),
    }
    neighbours = project.neighbour_ids(changed, "deployment", number, status) if changed else {}
    return SourceEvent(
        event_id=project.event_id("deployment", number, status, *([changed] if changed else [])),
        event_type="Deployment",
        title=f"[Deployment] {environment} {status}",
        timestamp=changed or now,
        author=person_name(item.get("user")),
        status=status,
        url=link(dig(item, "deployable", "web_url")),
        text=text(item, "deployable", "commit", "title"),
        facts=non_empty(**facts),
        former_ids={f"deployment-{project.path}-{number}-{status}": changed, **neighbours},
    )


def image(project: Project, repository: Item, tag: Item, moves: int, when: datetime) -> SourceEvent | None:
    """Return the event that a tag points to an image; None if it has no digest.

    `moves` is how many times the tag has moved to another image since it was first read.
    """
    label, digest = text(tag, "name"), text(tag, "digest")
    path = text(repository, "path") or project.path
    if not label or not digest:
        return None
    location = text(repository, "location")
    number = text(repository, "id")
    facts = {
        "repository": project.path,
        "registry": location.removesuffix(path).rstrip("/"),
        "image": location,
        "digest": digest,
        "tags": [label],
        "size": integer(tag, "total_size"),
        "package": text(repository, "name") or path.rpartition("/")[2],
    }
    return SourceEvent(
        event_id=project.event_id("image", number, label, digest, *([moves] if moves else [])),
        event_type="Image",
        title=f"[Image] {path}:{label}",
        timestamp=when,
        status="published",
        url=link(f"{project.url}/container_registry/{number}") if project.url else None,
        facts=non_empty(**facts),
        former_ids={} if moves else {f"image-{path}-{label}-{digest}": None},
    )
