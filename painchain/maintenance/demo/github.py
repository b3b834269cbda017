"""What happens on the demo's GitHub: made-up payloads, read by the code that reads real ones."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from painchain.connectors.contract import SourceEvent
from painchain.connectors.github.events import deployments, images, pulls, pushes, releases, runs
from painchain.connectors.github.events.pushes import Push
from painchain.connectors.github.repository import Repository
from painchain.maintenance.demo.company import GITHUB, GITHUB_HOST, Change, Company, Service, stamp

BASE_URL = f"https://{GITHUB_HOST}"
Run = dict[str, Any]


class GitHub:
    """The code host of most services."""

    connector = GITHUB
    STARTED, SUCCEEDED, FAILED = "in_progress", "success", "failure"
    REQUESTED, DEPLOYED = "pending", "success"

    def __init__(self, company: Company, connector_id: int):
        self._company = company
        self._connector_id = connector_id
        self._repository = cache(self._new_repository)

    def _new_repository(self, name: str, number: int) -> Repository:
        return Repository(
            self._connector_id, str(number), name, "main", "shop", True, web_url=f"https://{GITHUB_HOST}/{name}"
        )

    def _of(self, service: Service) -> Repository:
        return self._repository(service.repository, service.number)

    def opened(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event that the pull request was opened; it gets its number."""
        change.number = self._company.next(change.service.repository, 180)
        return self._pull(change, "opened", at, change.author)

    def merged(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event that the pull request was merged."""
        return self._pull(change, "merged", at, change.author)

    def closed(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event that the pull request was closed without a merge."""
        return self._pull(change, "closed", at, change.author)

    def _pull(self, change: Change, state: str, at: datetime, author: str) -> SourceEvent:
        pull = {
            "number": change.number,
            "title": change.title,
            "body": f"{change.title} in {change.service.name}.",
            "html_url": f"{change.service.url}/pull/{change.number}",
            "head": {"ref": change.branch},
            "base": {"ref": "main"},
            "additions": 3 + change.size,
            "deletions": change.size // 3,
            "changed_files": len(change.files),
            "comments": change.size % 4,
            "review_comments": change.size % 3,
            "requested_reviewers": [{"login": change.reviewer}],
        }
        reviews = [] if state == "opened" else [{"user": {"login": change.reviewer}, "state": "APPROVED"}]
        more = {
            **pulls.review_facts(pull, reviews),
            **pulls.file_facts([{"filename": name} for name in change.files], len(change.files)),
        }
        return pulls.pull_request(self._of(change.service), pull, (state, at, author), at, None, more)

    def _push(self, change: Change, at: datetime) -> Push:
        return Push("main", change.before, change.after, at, "pushed", change.author)

    def pushed(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event of the push to the main branch; the change gets its commits."""
        service = change.service
        change.before, change.shas = service.head, [self._company.sha() for _ in range(change.commits)]
        service.head = change.after
        compared = f"{service.url}/compare/{change.before[:12]}...{change.after[:12]}"
        comparison = {"total_commits": change.commits, "html_url": compared}
        return pushes.push_event(self._of(service), self._push(change, at), None, comparison)

    def commit(self, change: Change, index: int, at: datetime, committed_at: datetime) -> SourceEvent:
        """Return the event of one commit of a push."""
        sha, files = change.shas[index], change.files
        item = {
            "sha": sha,
            "html_url": f"{change.service.url}/commit/{sha}",
            "author": {"login": change.author},
            "commit": {"message": change.message(index), "committer": {"date": stamp(committed_at)}},
            "stats": {
                "additions": 2 + change.size // change.commits,
                "deletions": (change.size // 3 + index) // change.commits,
            },
        }
        files = files if index == 0 else files[:1]
        return pushes.listed_commit(
            self._of(change.service), item, self._push(change, at), [{"filename": name} for name in files]
        )

    def run(self, change: Change, name: str, at: datetime, trigger: str = "push") -> Run:
        """Return the payload of a new run of a workflow."""
        number = self._company.next("run", 9_000_000)
        return {
            "id": number,
            "name": name,
            "display_title": change.title if trigger == "push" else name,
            "head_branch": "main",
            "event": trigger,
            "run_number": self._company.next(f"{change.service.repository} {name}", 400),
            "actor": {"login": change.author if trigger == "push" else "demo-bot"},
            "run_started_at": stamp(at),
            "html_url": f"{change.service.url}/actions/runs/{number}",
        }

    def ran(self, change: Change, run: Run, status: str, at: datetime, failed_jobs: Sequence[str] = ()) -> SourceEvent:
        """Return the event that a run is in this status."""
        ended = {} if status == self.STARTED else {"conclusion": status}
        run |= {"status": "completed" if ended else status, "head_sha": change.after, "updated_at": stamp(at), **ended}
        return runs.workflow_run(self._of(change.service), run, status, at, failed_jobs)

    def published(self, change: Change, at: datetime) -> SourceEvent:
        """Return the event that the image of a change was published; the change gets its tag."""
        service = change.service
        service.minor += 1
        change.tag = f"1.{service.minor}.0"
        repository = {"full_name": service.repository}
        package = {"name": service.name, "owner": {"login": "shop"}, "repository": repository}
        version = {
            "id": self._company.next("image", 88_000_000),
            "name": f"sha256:{self._company.digest()}",
            "created_at": stamp(at),
            "html_url": f"{service.url}/pkgs/container/{service.name}",
            "metadata": {"container": {"tags": [change.tag, "main"]}},
        }
        return images.listed(self._connector_id, BASE_URL, package, version, at)

    def deployment(self, change: Change, environment: str) -> dict[str, Any]:
        """Return the payload of a new deployment."""
        return {
            "id": self._company.next("deployment", 2_000_000),
            "environment": environment,
            "ref": "main",
            "description": change.title,
            "creator": {"login": change.author},
        }

    def deployed(self, change: Change, deployment: dict[str, Any], state: str, at: datetime) -> SourceEvent:
        """Return the event that a deployment is in this state."""
        deployment |= {"sha": change.after, "created_at": deployment.get("created_at", stamp(at))}
        if state == self.REQUESTED:
            return deployments.requested(self._of(change.service), deployment, at)
        status = {
            "id": self._company.next("deployment status", 5_000_000),
            "state": state,
            "created_at": stamp(at),
            "creator": {"login": change.author},
            "description": f"{change.service.name} {change.tag}",
            "log_url": f"{change.service.url}/deployments/{deployment['environment']}",
        }
        return deployments.reached(self._of(change.service), deployment, status, at)

    def released(self, service: Service, author: str, at: datetime) -> SourceEvent:
        """Return the event of a release of a service."""
        tag = f"v1.{service.minor}.0"
        release = {
            "id": self._company.next("release", 300_000),
            "name": tag,
            "tag_name": tag,
            "body": f"Release notes of {service.name} {tag}",
            "published_at": stamp(at),
            "author": {"login": author},
            "html_url": f"{service.url}/releases/tag/{tag}",
            "assets": [{"name": f"{service.name}-{tag}.tar.gz"}, {"name": "SHA256SUMS"}],
        }
        return releases.published(self._of(service), release, at)[0]
