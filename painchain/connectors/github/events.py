"""Turn GitHub's payloads into events, with the same ids for polls and webhooks. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from painchain.connectors.code_hosts import dig, first_line, integer, non_empty, objects, parse_time, strings, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.http_client import link

PULL_STATUS = {"opened": "open", "merged": "merged", "closed": "closed", "reopened": "open"}
NOT_BEGUN = ("", "queued", "requested", "pending")  # of a run that has not started
RAN = ("success", "failure", "timed_out", "cancelled", "neutral")  # of a run that has started before it ended
BROKEN = ("failure", "timed_out")
IMAGE_KINDS = ("container", "docker")


def pull_request_changes(pull: Any) -> list[tuple[str, datetime | None, str]]:
    """Return the state changes in a pull request's own payload: state, time, author."""
    changes = [("opened", parse_time(pull, "created_at"), text(pull, "user", "login"))]
    if parse_time(pull, "merged_at") or dig(pull, "merged") is True:
        changes.append(("merged", parse_time(pull, "merged_at"), text(pull, "merged_by", "login")))
    elif text(pull, "state") == "closed":
        changes.append(("closed", parse_time(pull, "closed_at"), ""))
    return changes


def pull_request(
    repo: str, pull: Any, state: str, when: datetime, author: str = "", more: Mapping[str, Any] | None = None
) -> SourceEvent:
    """Return the event of an opened, merged, closed or reopened pull request; `more` are facts of other requests."""
    branches = non_empty(head=text(pull, "head", "ref"), base=text(pull, "base", "ref"))
    lines = non_empty(
        additions=integer(pull, "additions"), deletions=integer(pull, "deletions"), files=integer(pull, "changed_files")
    )
    asked = [text(one, "login") for one in objects(pull, "requested_reviewers")]
    teams = [text(one, "name") for one in objects(pull, "requested_teams")]
    comments = [some for key in ("comments", "review_comments") if (some := integer(pull, key)) is not None]
    facts = non_empty(
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
    """Return the reviewers and the number of approvals and change requests. The last review of each person counts."""
    last: dict[str, str] = {}
    for review in reviews:
        name, state = text(review, "user", "login") or "unknown", text(review, "state").upper()
        if state in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED") or name not in last:
            last[name] = state
    asked = [text(one, "login") for one in objects(pull, "requested_reviewers")]
    teams = [text(one, "name") for one in objects(pull, "requested_teams")]
    said = list(last.values())
    return non_empty(
        reviewers=[name for name in dict.fromkeys((*asked, *teams, *last)) if name],
        approvals=said.count("APPROVED"),
        changes_requested=said.count("CHANGES_REQUESTED"),
    )


def run_status(run: Any) -> str:
    """Return the conclusion of a workflow run, or its status while it has none."""
    return text(run, "conclusion") or text(run, "status")


def workflow_run(repo: str, run: Any, status: str, now: datetime, failed_jobs: Iterable[str] = ()) -> SourceEvent:
    """Return the event that a workflow run reached `status`."""
    began = parse_time(run, "run_started_at") or parse_time(run, "created_at")
    ended = parse_time(run, "updated_at") if text(run, "conclusion") and status == run_status(run) else None
    attempt = integer(run, "run_attempt") or 1
    address = link(dig(run, "html_url"))
    name = text(run, "name") or text(run, "path").rpartition("/")[2] or text(run, "display_title")
    branch = text(run, "head_branch")
    return SourceEvent(
        event_id=f"workflow-{repo}-{_number(run, 'id')}-{attempt}-{status}",
        event_type="WorkflowRun",
        title=f"[Workflow] {' - '.join(part for part in (name, branch) if part)}".strip(),
        timestamp=ended or began or parse_time(run, "updated_at") or now,
        author=text(run, "triggering_actor", "login") or text(run, "actor", "login") or "unknown",
        status=status,
        url=address,
        text=text(run, "display_title"),
        facts=non_empty(
            status=status,
            duration=max(0, int((ended - began).total_seconds())) if ended and began else None,
            branch=branch,
            commit=text(run, "head_sha"),
            trigger=text(run, "event"),
            run_number=integer(run, "run_number"),
            failed_jobs=list(failed_jobs),
            logs_url=address and f"{address}/attempts/{attempt}",
        ),
    )


def run_changes(repo: str, run: Any, now: datetime, failed_jobs: Iterable[str] = ()) -> list[SourceEvent]:
    """Return the events of a workflow run so far: its start and its end."""
    status = run_status(run)
    if status in NOT_BEGUN:
        return []
    states = ("in_progress", status) if status in RAN else (status,)
    return [workflow_run(repo, run, one, now, failed_jobs if one != "in_progress" else ()) for one in states]


def failed_jobs(jobs: Any) -> list[str]:
    """Return the names of the jobs that failed."""
    return [text(job, "name") or "unnamed" for job in jobs if text(job, "conclusion") in BROKEN]


def release(repo: str, item: Any, now: datetime) -> list[SourceEvent]:
    """Return the event of a published release; [] for a draft."""
    if dig(item, "draft") is True:
        return []
    name = text(item, "name") or text(item, "tag_name")
    return [
        SourceEvent(
            event_id=f"release-{repo}-{_number(item, 'id')}",
            event_type="Release",
            title=f"[Release] {name}".strip(),
            timestamp=parse_time(item, "published_at") or parse_time(item, "created_at") or now,
            author=text(item, "author", "login") or "unknown",
            status="prerelease" if dig(item, "prerelease") is True else "published",
            url=link(dig(item, "html_url")),
            text=text(item, "body"),
            facts=non_empty(
                tag=text(item, "tag_name"),
                prerelease=dig(item, "prerelease") is True,
                draft=False,
                assets=[name for asset in objects(item, "assets") if (name := text(asset, "name"))],
            ),
        )
    ]


def commit(repo: str, item: Any, branch: str, now: datetime) -> SourceEvent:
    """Return the event of a commit from the API. Only the response for a single commit has lines and files."""
    files = [name for file in objects(item, "files") if (name := text(file, "filename"))]
    lines = non_empty(additions=integer(item, "stats", "additions"), deletions=integer(item, "stats", "deletions"))
    if isinstance(dig(item, "files"), list):
        lines["files"] = len(dig(item, "files"))
    when = parse_time(item, "commit", "committer", "date") or parse_time(item, "commit", "author", "date") or now
    author = text(item, "author", "login") or text(item, "commit", "author", "name")
    message = text(item, "commit", "message")
    return _commit(repo, text(item, "sha"), branch, when, author, message, dig(item, "html_url"), lines, files)


def pushed_commits(repo: str, push: Any, branch: str, now: datetime) -> list[SourceEvent]:
    """Return the events of the commits of a push."""
    return [_pushed(repo, one, branch, now) for one in objects(push, "commits")]


def deployment(repo: str, item: Any, now: datetime) -> SourceEvent:
    """Return the event that a deployment was requested. Its state is pending."""
    author = text(item, "creator", "login")
    return _deployment(
        repo, item, "pending", parse_time(item, "created_at") or now, author, None, text(item, "description")
    )


def deployment_status(repo: str, item: Any, status: Any, now: datetime) -> SourceEvent:
    """Return the event that a deployment reached a state."""
    addresses = (link(dig(status, key)) for key in ("log_url", "target_url", "environment_url"))
    when = parse_time(status, "created_at") or parse_time(status, "updated_at") or now
    address = next((address for address in addresses if address), None)
    state, author = text(status, "state") or "unknown", text(status, "creator", "login")
    return _deployment(repo, item, state, when, author, address, text(status, "description"))


def registry(base_url: str) -> str:
    """Return the host of the image registry of an API URL.

    >>> registry("https://api.github.com"), registry("https://git.example/api/v3")
    ('ghcr.io', 'containers.git.example')
    """
    host = urlsplit(base_url).hostname or ""
    return "ghcr.io" if host == "api.github.com" else f"containers.{host.removeprefix('api.')}"


def image(base_url: str, package: Any, version: Any, now: datetime) -> SourceEvent:
    """Return the event of a published image version from the API."""
    tags = strings(version, "metadata", "container", "tags")
    return _image(base_url, package, version, tags, text(version, "name"), None, now)


def is_image(package: Any) -> bool:
    """Say whether the package of a webhook is a container image."""
    kinds = {text(package, "package_type").lower(), text(package, "ecosystem").lower()}
    return bool(kinds & {*IMAGE_KINDS}) or dig(package, "package_version", "container_metadata") is not None


def published_image(base_url: str, package: Any, now: datetime) -> SourceEvent:
    """Return the event of a published image version from a webhook."""
    version = dig(package, "package_version")
    container = dig(version, "container_metadata")
    tags = [tag] if (tag := text(container, "tag", "name")) else []
    hashes = (text(container, "tag", "digest"), text(version, "version"), text(version, "name"))
    digest = next((one for one in hashes if one.startswith("sha256:")), "")
    layers = [integer(layer, "size") or 0 for layer in objects(container, "manifest", "layers")]
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
        timestamp=parse_time(version, "created_at") or parse_time(package, "updated_at") or now,
        author=text(version, "author", "login") or "unknown",
        status="published",
        url=link(dig(version, "html_url")) or link(dig(package, "html_url")),
        facts=non_empty(
            registry=host,
            image=path.lower(),  # registries require lower case
            digest=digest,
            tags=tags,
            size=size,
            package=name,
            repository=text(package, "repository", "full_name"),
        ),
    )


def _pushed(repo: str, item: Any, branch: str, now: datetime) -> SourceEvent:
    files = [name for key in ("added", "removed", "modified") for name in strings(item, key)]
    author = text(item, "author", "username") or text(item, "author", "name")
    when, message = parse_time(item, "timestamp") or now, text(item, "message")
    lines = {"files": len(files)} if files else {}
    return _commit(repo, text(item, "id"), branch, when, author, message, dig(item, "url"), lines, files)


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
        facts=non_empty(branch=branch, sha=sha, changes=dict(lines), files_changed=files),
    )


def _deployment(
    repo: str, item: Any, state: str, when: datetime, author: str, address: str | None, description: str
) -> SourceEvent:
    environment = text(item, "environment")
    return SourceEvent(
        event_id=f"deployment-{repo}-{_number(item, 'id')}-{state}",
        event_type="Deployment",
        title=f"[Deployment] {environment} {state}".replace("  ", " "),
        timestamp=when,
        author=author or "unknown",
        status=state,
        url=address,
        text=description,
        facts=non_empty(
            environment=environment,
            ref=text(item, "ref"),
            sha=text(item, "sha"),
            state=state,
            creator=text(item, "creator", "login"),
        ),
    )


def _number(item: Any, key: str) -> str:
    """Return the id of an item: its number, or else its node id."""
    return text(item, key) or text(item, "node_id") or "unknown"
