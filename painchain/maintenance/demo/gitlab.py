"""What happens on the demo's GitLab: made-up payloads, read by the code that reads real ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from painchain.connectors.contract import SourceEvent
from painchain.connectors.gitlab import events, push_events
from painchain.connectors.gitlab.payloads import Project
from painchain.connectors.gitlab.push_events import Push
from painchain.maintenance.demo.company import GITLAB, GITLAB_HOST, Change, Company, Service, stamp

Run = dict[str, Any]


class GitLab:
    """The code host of the platform team. It has the methods of the demo's GitHub."""

    connector = GITLAB
    STARTED, SUCCEEDED, FAILED = "running", "success", "failed"
    REQUESTED, DEPLOYED = "running", "success"

    def __init__(self, company: Company, connector_id: int):
        self._company = company
        self._connector_id = connector_id
        self._project = cache(self._new_project)

    def _new_project(self, path: str, number: int) -> Project:
        return Project(str(number), path, f"https://{GITLAB_HOST}/{path}", "main", self._connector_id)

    def _of(self, service: Service) -> Project:
        return self._project(service.repository, service.number)

    def opened(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event that the merge request was opened; it gets its number."""
        change.number = self._company.next(change.service.repository, 60)
        return self._merge_request(change, "opened", at, change.author)

    def merged(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event that the merge request was merged."""
        return self._merge_request(change, "merged", at, change.author)

    def closed(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event that the merge request was closed without a merge."""
        return self._merge_request(change, "closed", at, change.author)

    def _merge_request(self, change: Change, state: str, at: datetime, author: str) -> SourceEvent:
        item = {
            "iid": change.number,
            "title": change.title,
            "description": f"{change.title} in {change.service.name}.",
            "source_branch": change.branch,
            "target_branch": "main",
            "user_notes_count": change.size % 5,
            "upvotes": change.size % 2,
            "downvotes": 0,
            "web_url": f"{change.service.url}/-/merge_requests/{change.number}",
        }
        approved_by = [] if state == "opened" else [{"user": {"username": change.reviewer}}]
        facts = {
            **events.approvals({"approved_by": approved_by, "approvals_required": 1}),
            "files_changed": events.file_paths([{"new_path": name} for name in change.files]),
        }
        return events.merge_request(self._of(change.service), item, state, at, author, facts)

    def pushed(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event of the push to the main branch; the change gets its commits."""
        service = change.service
        change.before, change.shas = service.head, [self._company.sha() for _ in range(change.commits)]
        service.head = change.after
        push = Push("main", change.before, change.after, at, change.author, change.commits, change.title)
        return push_events.push_event(self._of(service), push, False, at, self._company.next("activity", 40_000))

    def commit(self, change: Change, index: int, at: datetime, committed_at: datetime) -> SourceEvent:
        """Return the event of one commit of a push."""
        sha = change.shas[index]
        item = {
            "id": sha,
            "message": change.message(index),
            "author_name": change.author,
            "committed_date": stamp(committed_at),
            "stats": {
                "additions": 2 + change.size // change.commits,
                "deletions": (change.size // 3 + index) // change.commits,
            },
            "web_url": f"{change.service.url}/-/commit/{sha}",
        }
        files = {"files_changed": change.files if index == 0 else change.files[:1]}
        push = Push("main", change.before, change.after, at, change.author)
        event = push_events.commit_event(self._of(change.service), item, push, files, at)
        assert event is not None  # noqa: S101  it has an id
        return event

    def run(self, change: Change, name: str, at: datetime, trigger: str = "push") -> Run:
        """Return the payload of a new pipeline; pipelines have no names."""
        number = self._company.next("pipeline", 700_000)
        return {
            "id": number,
            "ref": "main",
            "source": trigger,
            "started_at": stamp(at),
            "web_url": f"{change.service.url}/-/pipelines/{number}",
            "began": at,
        }

    def ran(self, change: Change, run: Run, status: str, at: datetime, failed_jobs: Sequence[str] = ()) -> SourceEvent:
        """Return the event that a pipeline is in this status."""
        ended = status != self.STARTED
        more = {"finished_at": stamp(at), "duration": int((at - run["began"]).total_seconds())} if ended else {}
        item = {**run, "status": status, "sha": change.after, "updated_at": stamp(at), **more}
        user = {"username": change.author if run["source"] == "push" else "demo-bot"}
        event = events.pipeline(self._of(change.service), item, user, failed_jobs if ended else None, at)
        assert event is not None  # noqa: S101  the status is reported
        return event

    def published(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event that the image of a change was published; the change gets its tag."""
        service = change.service
        service.minor += 1
        change.tag = f"1.{service.minor}.0"
        repository = {"id": service.number + 40, "path": service.repository, "location": service.image}
        tag = {
            "name": change.tag,
            "digest": f"sha256:{self._company.digest()}",
            "total_size": 41_000_000 + 9_700 * change.size,
        }
        event = events.image(self._of(service), repository, tag, 0, at)
        assert event is not None  # noqa: S101  it has a digest
        return event

    def deployment(self, change: Change, environment: str) -> dict[str, Any]:
        """Return the payload of a new deployment."""
        return {
            "id": self._company.next("gitlab deployment", 30_000),
            "environment": {"name": environment},
            "ref": "main",
            "user": {"username": change.author},
            "deployable": {
                "web_url": f"{change.service.url}/-/environments/{environment}",
                "commit": {"title": change.title},
            },
        }

    def deployed(self, change: Change, deployment: dict[str, Any], state: str, at: datetime) -> SourceEvent:
        """Return the event that a deployment is in this state."""
        item = {**deployment, "sha": change.after, "status": state, "updated_at": stamp(at)}
        event = events.deployment(self._of(change.service), item, at)
        assert event is not None  # noqa: S101  the status is reported
        return event

    def released(self, service: Service, author: str, at: datetime) -> SourceEvent:
        """Return the event of a release of a service."""
        tag = f"v1.{service.minor}.{self._company.next('patch')}"
        release = {
            "tag_name": tag,
            "name": tag,
            "created_at": stamp(at),
            "released_at": stamp(at),
            "description": f"Release notes of {service.name} {tag}",
            "author": {"username": author},
            "assets": {"links": [{"name": f"{service.name}-{tag}.tar.gz"}, {"name": "SHA256SUMS"}]},
            "_links": {"self": f"{service.url}/-/releases/{tag}"},
        }
        event = events.release(self._of(service), release, at)
        assert event is not None  # noqa: S101  it has a tag
        return event
