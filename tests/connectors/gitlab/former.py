"""A GitLab of which an older version has recorded a day: what it shows, and its webhooks."""

from __future__ import annotations

from typing import Any

from tests.counterparts.gitlab import GitLab

EVE = {"username": "eve"}
PROJECT = {
    **{"id": 7, "path_with_namespace": "acme/api", "default_branch": "main"},
    "web_url": "https://gitlab.example.com/acme/api",
}


def at(clock: str) -> str:
    """Return a time of the day as the API sends it."""
    return f"2026-03-04T{clock}.250Z"


def fill(gitlab: GitLab) -> None:
    """Put a day's changes into a GitLab."""
    merge_request = {
        **{"target_branch": "main", "source_branch": "topic", "author": EVE, "created_at": at("01:00:00")},
        **{"title": "Change", "state": "opened", "closed_at": None, "merged_at": None},
    }
    merge_requests: list[dict[str, Any]] = [
        {**merge_request, "iid": 1, "updated_at": at("01:00:00")},
        {**merge_request, "iid": 2, "state": "closed", "closed_at": at("02:00:00"), "updated_at": at("02:00:00")},
        {**merge_request, "iid": 3, "state": "merged", "merged_at": at("03:00:00"), "updated_at": at("03:00:00")},
        {**merge_request, "iid": 4, "created_at": "2026-01-01T00:00:00.000Z", "updated_at": at("04:00:00")},
    ]
    entries = [
        {
            **{"id": 8000, "target_iid": 4, "target_type": "MergeRequest", "author": EVE},
            **{"action_name": "reopened", "created_at": at("04:00:00")},
        },
    ]
    pipelines = [
        {"id": 31, "status": "failed", "ref": "main", "updated_at": at("05:00:00")},
        {"id": 32, "status": "running", "ref": "main", "updated_at": at("05:10:00")},
    ]
    releases = [{"tag_name": "v1", "created_at": at("06:00:00"), "released_at": at("06:00:00"), "author": EVE}]
    deployment = {"ref": "main", "environment": {"name": "production"}, "user": EVE}
    deployments = [
        {**deployment, "id": 41, "status": "success", "updated_at": at("07:00:00")},
        {**deployment, "id": 42, "status": "running", "updated_at": at("07:10:00")},
    ]
    repositories = [{"id": 2, "path": "acme/api/web", "location": "registry.example/acme/api/web"}]
    lists: dict[str, list[Any]] = {"registry/repositories": repositories, "events": entries}
    lists |= {"merge_requests": merge_requests, "pipelines": pipelines}
    gitlab.add_project(7, "acme/api", **lists, releases=releases, deployments=deployments)
    for iid, item in enumerate(merge_requests, 1):
        gitlab.things[f"projects/7/merge_requests/{iid}"] = item
    gitlab.things["projects/7/pipelines/31"] = {**pipelines[0], "finished_at": at("05:00:00"), "user": EVE}
    gitlab.things["projects/7/pipelines/32"] = {**pipelines[1], "started_at": at("05:10:00"), "user": EVE}
    gitlab.things["projects/7/releases/v1"] = releases[0]
    for item in deployments:
        gitlab.things[f"projects/7/deployments/{item['id']}"] = item
    gitlab.lists["projects/7/registry/repositories/2/tags"] = [{"name": "latest"}]
    tag = {"name": "latest", "digest": "sha256:1", "created_at": at("08:00:00")}
    gitlab.things["projects/7/registry/repositories/2/tags/latest"] = tag
    commits = [{"id": "c2", "committed_date": at("08:50:00")}, {"id": "c1", "committed_date": at("08:40:00")}]
    gitlab.push(7, *commits, {"id": "c0", "committed_date": "2026-01-01T00:00:00.000Z"}, before="c0", at=at("09:00:00"))


def deliveries() -> list[dict[str, Any]]:
    """Return webhooks of the same changes. Their times have no fractions, and some are of the next second."""
    merge_request = {"target_branch": "main", "source_branch": "topic", "title": "Change"}
    times = {"created_at": "2026-03-04 01:00:00 UTC"}
    states = [(1, "open", "01:00:00"), (2, "open", "01:00:00"), (2, "close", "02:00:01"), (3, "merge", "03:00:00")]
    attributes = [
        {**merge_request, **times, "iid": iid, "action": action, "updated_at": f"2026-03-04 {clock} UTC"}
        for iid, action, clock in states
    ]
    pipeline = {"id": 31, "status": "failed", "ref": "main", "finished_at": "2026-03-04 05:00:00 UTC"}
    deployment = {"deployment_id": 41, "status": "success", "ref": "main", "environment": "production"}
    commits = [{"id": sha, "timestamp": "2026-03-04T08:50:00+00:00", "message": sha} for sha in ("c1", "c2")]
    push = {"ref": "refs/heads/main", "before": "c0", "after": "c2", "commits": commits, "total_commits_count": 2}
    bodies: list[dict[str, Any]] = [
        *({"object_kind": "merge_request", "object_attributes": values} for values in attributes),
        {"object_kind": "pipeline", "object_attributes": pipeline},
        {"object_kind": "deployment", **deployment, "status_changed_at": "2026-03-04 07:00:01 +0000"},
        {"object_kind": "push", **push},
    ]
    release = {"tag": "v1", "created_at": "2026-03-04 06:00:00 UTC", "released_at": "2026-03-04 06:00:00 UTC"}
    return [
        {**body, "project": PROJECT, "user": EVE}
        for body in [*bodies, {"object_kind": "release", "action": "create", **release}]
    ]
