"""GitHub's payloads as events: pure, and the same for what is polled and what webhooks bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from painchain.connectors.code_hosts import count, dig, first_line, known, moment, rows, text, words
from painchain.connectors.contract import SourceEvent
from painchain.connectors.http_client import link

PULL_STATUS = {"opened": "open", "merged": "merged", "closed": "closed", "reopened": "open"}
NOT_BEGUN = ("", "queued", "requested", "pending")  # of a run: nothing has happened yet
RAN = ("success", "failure", "timed_out", "cancelled", "neutral")  # a run that ended so had begun
BROKEN = ("failure", "timed_out")
IMAGE_KINDS = ("container", "docker")


def pull_request_changes(pull: Any) -> list[tuple[str, datetime | None, str]]:
    """Return what has become of a pull request as far as it tells itself: state, when, by whom."""
    changes = [("opened", moment(pull, "created_at"), text(pull, "user", "login"))]
    if moment(pull, "merged_at") or dig(pull, "merged") is True:
        changes.append(("merged", moment(pull, "merged_at"), text(pull, "merged_by", "login")))
    elif text(pull, "state") == "closed":
        changes.append(("closed", moment(pull, "closed_at"), ""))
    return changes


def pull_request(
    repo: str, pull: Any, state: str, when: datetime, author: str = "", more: Mapping[str, Any] | None = None
) -> SourceEvent:
    """Return the event that a pull request was opened, merged, closed or reopened; `more` are facts told elsewhere."""
    branches = known(head=text(pull, "head", "ref"), base=text(pull, "base", "ref"))
    lines = known(
        additions=count(pull, "additions"), deletions=count(pull, "deletions"), files=count(pull, "changed_files")
    )
    asked = [text(one, "login") for one in rows(pull, "requested_reviewers")]
    teams = [text(one, "name") for one in rows(pull, "requested_teams")]
    comments = [some for key in ("comments", "review_comments") if (some := count(pull, key)) is not None]
    facts = known(
        branches=branches,
        changes=lines,
        reviewers=[name for name in (*asked, *teams) if name],
        comments=sum(comments) if comments else None,
        merged=state == "merged",
    )
    return SourceEvent(
        event_id=f"pr-{repo}-{_number(pull, 'number')}-{state}",
        event_type="PullRequest",
        title=f"[PR] {text(pull, 'title')}".strip(),
        timestamp=when,
        author=author or "unknown",
        status=PULL_STATUS[state],
        url=link(dig(pull, "html_url")),
        text=text(pull, "body"),
        facts={**facts, **(more or {})},
    )


def review_facts(pull: Any, reviews: Iterable[Any]) -> dict[str, Any]:
    """Return who reviews a pull request, and how many approve or ask for changes: the last word of each counts."""
    last: dict[str, str] = {}
    for review in reviews:
        name, state = text(review, "user", "login") or "unknown", text(review, "state").upper()
        if state in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED") or name not in last:
            last[name] = state
    asked = [text(one, "login") for one in rows(pull, "requested_reviewers")]
    teams = [text(one, "name") for one in rows(pull, "requested_teams")]
    said = list(last.values())
    return known(
        reviewers=[name for name in dict.fromkeys((*asked, *teams, *last)) if name],
        approvals=said.count("APPROVED"),
        changes_requested=said.count("CHANGES_REQUESTED"),
    )


def run_status(run: Any) -> str:
    """Return how far a workflow run is: its conclusion, once it has one."""
    return text(run, "conclusion") or text(run, "status")


def workflow_run(repo: str, run: Any, status: str, now: datetime, failed_jobs: Iterable[str] = ()) -> SourceEvent:
    """Return the event that a workflow run has come to `status`."""
    began = moment(run, "run_started_at") or moment(run, "created_at")
    ended = moment(run, "updated_at") if text(run, "conclusion") and status == run_status(run) else None
    attempt = count(run, "run_attempt") or 1
    address = link(dig(run, "html_url"))
    name = text(run, "name") or text(run, "path").rpartition("/")[2] or text(run, "display_title")
    branch = text(run, "head_branch")
    return SourceEvent(
        event_id=f"workflow-{repo}-{_number(run, 'id')}-{attempt}-{status}",
        event_type="WorkflowRun",
        title=f"[Workflow] {' - '.join(part for part in (name, branch) if part)}".strip(),
        timestamp=ended or began or moment(run, "updated_at") or now,
        author=text(run, "triggering_actor", "login") or text(run, "actor", "login") or "unknown",
        status=status,
        url=address,
        text=text(run, "display_title"),
        facts=known(
            status=status,
            duration=max(0, int((ended - began).total_seconds())) if ended and began else None,
            branch=branch,
            commit=text(run, "head_sha"),
            trigger=text(run, "event"),
            run_number=count(run, "run_number"),
            failed_jobs=list(failed_jobs),
            logs_url=address and f"{address}/attempts/{attempt}",
        ),
    )


def run_changes(repo: str, run: Any, now: datetime, failed_jobs: Iterable[str] = ()) -> list[SourceEvent]:
    """Return the events of a workflow run so far: that it began, and how it ended."""
    status = run_status(run)
    if status in NOT_BEGUN:
        return []
    states = ("in_progress", status) if status in RAN else (status,)
    return [workflow_run(repo, run, one, now, failed_jobs if one != "in_progress" else ()) for one in states]


def failed_jobs(jobs: Any) -> list[str]:
    """Return the names of the jobs that failed."""
    return [text(job, "name") or "unnamed" for job in jobs if text(job, "conclusion") in BROKEN]


def release(repo: str, told: Any, now: datetime) -> list[SourceEvent]:
    """Return the event that a release was published; a draft is none yet."""
    if dig(told, "draft") is True:
        return []
    name = text(told, "name") or text(told, "tag_name")
    return [
        SourceEvent(
            event_id=f"release-{repo}-{_number(told, 'id')}",
            event_type="Release",
            title=f"[Release] {name}".strip(),
            timestamp=moment(told, "published_at") or moment(told, "created_at") or now,
            author=text(told, "author", "login") or "unknown",
            status="prerelease" if dig(told, "prerelease") is True else "published",
            url=link(dig(told, "html_url")),
            text=text(told, "body"),
            facts=known(
                tag=text(told, "tag_name"),
                prerelease=dig(told, "prerelease") is True,
                draft=False,
                assets=[name for asset in rows(told, "assets") if (name := text(asset, "name"))],
            ),
        )
    ]


def commit(repo: str, told: Any, branch: str, now: datetime) -> SourceEvent:
    """Return the event of a commit as the API tells of it; its lines and files only when it was asked for alone."""
    files = [name for one in rows(told, "files") if (name := text(one, "filename"))]
    lines = known(additions=count(told, "stats", "additions"), deletions=count(told, "stats", "deletions"))
    if isinstance(dig(told, "files"), list):
        lines["files"] = len(dig(told, "files"))
    when = moment(told, "commit", "committer", "date") or moment(told, "commit", "author", "date") or now
    author = text(told, "author", "login") or text(told, "commit", "author", "name")
    message = text(told, "commit", "message")
    return _commit(repo, text(told, "sha"), branch, when, author, message, dig(told, "html_url"), lines, files)


def pushed_commits(repo: str, push: Any, branch: str, now: datetime) -> list[SourceEvent]:
    """Return the events of the commits that a push brought to a branch."""
    return [_pushed(repo, one, branch, now) for one in rows(push, "commits")]


def deployment(repo: str, told: Any, now: datetime) -> SourceEvent:
    """Return the event that a deployment was asked for; until it has a status it is pending."""
    author = text(told, "creator", "login")
    return _deployment(
        repo, told, "pending", moment(told, "created_at") or now, author, None, text(told, "description")
    )


def deployment_status(repo: str, told: Any, status: Any, now: datetime) -> SourceEvent:
    """Return the event that a deployment has come to a state."""
    addresses = (link(dig(status, key)) for key in ("log_url", "target_url", "environment_url"))
    when = moment(status, "created_at") or moment(status, "updated_at") or now
    address = next((address for address in addresses if address), None)
    state, author = text(status, "state") or "unknown", text(status, "creator", "login")
    return _deployment(repo, told, state, when, author, address, text(status, "description"))


def registry(base_url: str) -> str:
    """Return the image registry that belongs to an API address.

    >>> registry("https://api.github.com"), registry("https://git.example/api/v3")
    ('ghcr.io', 'containers.git.example')
    """
    host = urlsplit(base_url).hostname or ""
    return "ghcr.io" if host == "api.github.com" else f"containers.{host.removeprefix('api.')}"


def image(base_url: str, package: Any, version: Any, now: datetime) -> SourceEvent:
    """Return the event that a version of an image was published, as the API tells of it."""
    tags = words(version, "metadata", "container", "tags")
    return _image(base_url, package, version, tags, text(version, "name"), None, now)


def is_image(package: Any) -> bool:
    """Say whether a package of a webhook is an image."""
    kinds = {text(package, "package_type").lower(), text(package, "ecosystem").lower()}
    return bool(kinds & {*IMAGE_KINDS}) or dig(package, "package_version", "container_metadata") is not None


def published_image(base_url: str, package: Any, now: datetime) -> SourceEvent:
    """Return the event that a version of an image was published, as a webhook tells of it."""
    version = dig(package, "package_version")
    container = dig(version, "container_metadata")
    tags = [tag] if (tag := text(container, "tag", "name")) else []
    hashes = (text(container, "tag", "digest"), text(version, "version"), text(version, "name"))
    digest = next((one for one in hashes if one.startswith("sha256:")), "")
    layers = [count(layer, "size") or 0 for layer in rows(container, "manifest", "layers")]
    size = sum(layers) or None
    return _image(base_url, package, version, tags, digest, size, now)


def _image(
    base_url: str, package: Any, version: Any, tags: list[str], digest: str, size: int | None, now: datetime
) -> SourceEvent:
    host, name = registry(base_url), text(package, "name")
    path = f"{host}/{text(package, 'owner', 'login')}/{name}"
    return SourceEvent(
        event_id=f"image-{path}-{_number(version, 'id')}",
        event_type="Image",
        title=f"[Image] {name}:{','.join(tags)}" if tags else f"[Image] {name}",
        timestamp=moment(version, "created_at") or moment(package, "updated_at") or now,
        author=text(version, "author", "login") or "unknown",
        status="published",
        url=link(dig(version, "html_url")) or link(dig(package, "html_url")),
        facts=known(
            registry=host,
            image=path.lower(),  # as a registry wants it
            digest=digest,
            tags=tags,
            size=size,
            package=name,
            repository=text(package, "repository", "full_name"),
        ),
    )


def _pushed(repo: str, told: Any, branch: str, now: datetime) -> SourceEvent:
    files = [name for key in ("added", "removed", "modified") for name in words(told, key)]
    author = text(told, "author", "username") or text(told, "author", "name")
    when, message = moment(told, "timestamp") or now, text(told, "message")
    lines = {"files": len(files)} if files else {}
    return _commit(repo, text(told, "id"), branch, when, author, message, dig(told, "url"), lines, files)


def _commit(
    repo: str,
    sha: str,
    branch: str,
    when: datetime,
    author: str,
    message: str,
    address: Any,
    lines: Mapping[str, Any],
    files: list[str],
) -> SourceEvent:
    return SourceEvent(
        event_id=f"commit-{repo}-{sha}",
        event_type="Commit",
        title=f"[Commit] {first_line(message)}".strip(),
        timestamp=when,
        author=author or "unknown",
        status="committed",
        url=link(address),
        text=message,
        facts=known(branch=branch, sha=sha, changes=dict(lines), files_changed=files),
    )


def _deployment(
    repo: str, told: Any, state: str, when: datetime, author: str, address: str | None, description: str
) -> SourceEvent:
    environment = text(told, "environment")
    return SourceEvent(
        event_id=f"deployment-{repo}-{_number(told, 'id')}-{state}",
        event_type="Deployment",
        title=f"[Deployment] {environment} {state}".replace("  ", " "),
        timestamp=when,
        author=author or "unknown",
        status=state,
        url=address,
        text=description,
        facts=known(
            environment=environment,
            ref=text(told, "ref"),
            sha=text(told, "sha"),
            state=state,
            creator=text(told, "creator", "login"),
        ),
    )


def _number(told: Any, key: str) -> str:
    """Return what identifies a thing. What has no number of its own is told apart by the id of its node, if it can."""
    return text(told, key) or text(told, "node_id") or "unknown"
