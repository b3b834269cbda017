"""Ask GitLab for the facts that take requests of their own: approvals, files, failed jobs, forced pushes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from painchain.connectors.code_hosts import text
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.client import GitLabClient, quote_path
from painchain.connectors.gitlab.payloads import Item, Project
from painchain.connectors.gitlab.push_events import Push

MAX_FILES = 300  # whose names an event stores


def merge_request_facts(api: GitLabClient, project: Project, iid: int | str) -> dict[str, Any]:
    """Return who approved a merge request, and its changed files. What GitLab does not answer is left out."""
    path = f"projects/{project.id}/merge_requests/{iid}"
    approvals = api.get_optional(f"{path}/approvals")
    facts = events.approvals(approvals) if isinstance(approvals, Mapping) else {}
    return {**facts, **file_facts(api, f"{path}/diffs")}


def file_facts(api: GitLabClient, path: str) -> dict[str, Any]:
    """Return the first paths in a list of diffs, and their number if there are more: 1204, or "1000+"."""
    diffs = api.read_all(path)
    if diffs is None:
        return {}
    paths = events.file_paths(diffs.items)
    facts: dict[str, Any] = {"files_changed": paths[:MAX_FILES]}
    if diffs.is_cut:
        facts["files_total"] = diffs.total or f"{len(paths)}+"
    elif len(paths) > MAX_FILES:
        facts["files_total"] = len(paths)
    return facts


def failed_jobs(api: GitLabClient, project: Project, pipeline: int | str) -> list[str] | None:
    """Return the names of the jobs that failed in a pipeline, also of those that start another pipeline.

    Return None if GitLab does not answer.
    """
    path, failed = f"projects/{project.id}/pipelines/{pipeline}", {"scope[]": "failed"}
    jobs = api.read_all(f"{path}/jobs", failed)
    names = events.failed_jobs(jobs.items) if jobs else []
    if not names:
        bridges = api.read_all(f"{path}/bridges", failed)
        names = events.failed_jobs(bridges.items) if bridges else []
    return names if jobs or names else None


def commit_files(api: GitLabClient, project: Project, sha: str) -> dict[str, Any]:
    """Return the facts about the files of a commit."""
    return file_facts(api, f"projects/{project.id}/repository/commits/{quote_path(sha)}/diff")


def is_forced(api: GitLabClient, project: Project, push: Push) -> bool | None:
    """Return whether a push left out commits that the branch had; None if GitLab cannot tell."""
    if not push.before or not push.after:
        return None
    heads = {"refs[]": [push.before, push.after]}
    base = api.get_optional(f"projects/{project.id}/repository/merge_base", heads)
    sha = text(base, "id")
    return sha != push.before if sha else None


def commit_with_stats(api: GitLabClient, project: Project, sha: str) -> Item | None:
    """Return one commit with the number of its changed lines; None if GitLab does not answer."""
    item = api.get_optional(f"projects/{project.id}/repository/commits/{quote_path(sha)}", {"stats": "true"})
    return item if isinstance(item, Mapping) else None
