"""A small GitLab that plays days of work: it has a history, tells it by webhook and answers its API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha1
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.counterparts import ReceivedRequest, Reply, as_json
from tests.counterparts.gitlab import API, GitLab, params_of

NO_COMMIT = "0" * 40
USER = {"username": "eve", "name": "Eve"}


@dataclass(frozen=True)
class Change:
    """One change that the timeline must show: its type, repository, what it is about, its status and its time."""

    event_type: str
    repository: str
    subject: str
    status: str
    when: datetime


@dataclass
class Model(GitLab):
    """One GitLab with one project. Each action takes a few seconds, and `deliveries` are the webhooks that it sent."""

    now: datetime
    path: str = "acme/api"
    number: int = 7
    history: list[Change] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(default_factory=list)
    parents: dict[str, str] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)
    counter: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self.add_project(self.number, self.path)
        self.root = self.prefix
        self.lists[f"{self.prefix}/registry/repositories"] = [{"id": 3, "path": self.path, "name": ""}]
        self.lists[f"{self.prefix}/registry/repositories/3/tags"] = []
        self.heads["main"] = self._commit("")
        self.known_commits = {self.heads["main"]}

    @property
    def prefix(self) -> str:
        return f"projects/{self.number}"

    def _tick(self) -> str:
        """Let some seconds pass, and return the time as the API sends it."""
        self.counter += 1
        self.now += timedelta(seconds=9, milliseconds=777)
        return api_time(self.now)

    def _record(self, event_type: str, subject: str, status: str, when: datetime | None = None) -> None:
        self.history.append(Change(event_type, self.path, subject, status, when or self.now))

    def _deliver(self, kind: str, **body: Any) -> None:
        project = {"id": self.number, "path_with_namespace": self.path, "default_branch": "main"}
        self.deliveries.append({"object_kind": kind, "project": project, "user": USER, **body})

    # Branches

    def _commit(self, parent: str) -> str:
        sha = sha1(f"{parent}{len(self.parents)}".encode(), usedforsecurity=False).hexdigest()
        self.parents[sha] = parent
        # Whoever committed did so long ago, or has a wrong clock.
        date = api_time(self.now - timedelta(days=40) if len(self.parents) % 3 else self.now + timedelta(days=9))
        row = {"id": sha, "message": f"Change {sha[:7]}", "author_name": "Zoe", "committed_date": date}
        self.things[f"{self.prefix}/repository/commits/{sha}"] = {**row, "stats": {"additions": 1, "deletions": 0}}
        self.lists[f"{self.prefix}/repository/commits/{sha}/diff"] = [{"new_path": "a.py"}]
        return sha

    def ancestors(self, sha: str) -> list[str]:
        """Return a commit and those that it builds on, newest first."""
        line = []
        while sha:
            line.append(sha)
            sha = self.parents[sha]
        return line

    def push(self, branch: str = "main", commits: int = 1) -> None:
        """Push new commits to a branch. A branch that does not exist starts at the head of main."""
        at, before = self._tick(), self.heads.get(branch, "")
        after = before or self.heads["main"]
        for _ in range(commits):
            after = self._commit(after)
        self._move(branch, before, after, at)

    def put_back(self, branch: str = "main") -> None:
        """Move a branch back to the parent of its head, if there is one."""
        before = self.heads.get(branch, "")
        if before and self.parents[before]:
            self._move(branch, before, self.parents[before], self._tick())

    def forward(self, branch: str = "production") -> None:
        """Move a branch to the head of main: create it, fast-forward it or force it."""
        before = self.heads.get(branch, "")
        if before != self.heads["main"]:
            self._move(branch, before, self.heads["main"], self._tick())

    def remove(self, branch: str = "production") -> None:
        """Delete a branch, if it exists."""
        if before := self.heads.get(branch, ""):
            self._move(branch, before, "", self._tick())

    def _move(self, branch: str, before: str, after: str, at: str) -> None:
        if after:
            self.heads[branch] = after
        else:
            del self.heads[branch]
        known = set(self.ancestors(before)) if before else set(self.ancestors(self.heads["main"]))
        fresh = [sha for sha in self.ancestors(after) if sha not in known] if after else []
        is_forced = bool(before and after and before not in self.ancestors(after))
        status = "forced" if is_forced else "pushed" if before and after else "created" if after else "deleted"
        self._record("Push", f"{branch} {before[:7]}..{after[:7]}", status)
        for sha in fresh if branch == "main" else []:
            if sha not in self.known_commits:
                self.known_commits.add(sha)
                self._record("Commit", sha, "committed")
        self.add_push(self.number, branch, before or None, after or None, at, "eve", commit_count=len(fresh))
        commits = [
            {"id": sha, "message": f"Change {sha[:7]}", "author": {"name": "Zoe"}, "timestamp": at, "added": ["a.py"]}
            for sha in reversed(fresh)
        ]
        heads = {"before": before or NO_COMMIT, "after": after or NO_COMMIT, "ref": f"refs/heads/{branch}"}
        counts = {"commits": commits, "total_commits_count": len(commits)}
        self._deliver("push", **heads, **counts, user_username="eve", user_name="Eve")

    # Merge requests

    def merge_request(self, iid: int, action: str) -> None:
        """Open, close, reopen or merge a merge request, if its state allows that."""
        rows: list[Any] = self.lists[f"{self.prefix}/merge_requests"]
        row = next((row for row in rows if row["iid"] == iid), None)
        state = row["state"] if row else "missing"
        allowed = {"open": "missing", "close": "opened", "reopen": "closed", "merge": "opened"}
        if state != allowed[action]:
            return
        at = self._tick()
        # GitLab takes the time of the change and of the event one after the other, and can be slow.
        stored = api_time(self.now + timedelta(seconds=2, milliseconds=400))
        if row is None:
            row = {
                **{"iid": iid, "title": f"Change {iid}", "author": USER, "created_at": at, "closed_at": None},
                **{"target_branch": "main", "source_branch": "topic", "merged_at": None, "user_notes_count": 2},
            }
            rows.append(row)
            self.things[f"{self.prefix}/merge_requests/{iid}"] = row
        row |= {"updated_at": at, "state": {"close": "closed", "merge": "merged"}.get(action, "opened")}
        row["closed_at"] = stored if action == "close" else None
        row |= {"merged_at": at, "merge_user": USER} if action == "merge" else {"closed_by": USER}
        status = row["state"]
        action_name = {"open": "opened", "close": "closed", "reopen": "reopened", "merge": "accepted"}[action]
        entries = self.lists[f"{self.prefix}/events"]
        target = {"target_iid": iid, "target_type": "MergeRequest", "author": USER}
        entries.append({"id": 9000 + len(entries), "action_name": action_name, "created_at": stored, **target})
        self._record("MergeRequest", f"!{iid} {action_name.replace('accepted', 'merged')}", status)
        left_out = ("author", "closed_at", "merged_at", "closed_by", "merge_user", "user_notes_count")
        attributes = {key: value for key, value in row.items() if key not in left_out}
        attributes |= {"updated_at": hook_time(self.now), "created_at": hook_time(parse(row["created_at"]))}
        self._deliver("merge_request", object_attributes={**attributes, "action": action})

    # Pipelines, deployments and releases

    def pipeline(self, number: int, status: str) -> None:
        """Start or finish a pipeline. A finished one can run again."""
        rows: list[Any] = self.lists[f"{self.prefix}/pipelines"]
        row = next((row for row in rows if row["id"] == number), None)
        is_running = row is not None and row["status"] == "running"
        if (status == "running") == is_running:
            return
        at = self._tick()
        if row is None:
            row = {"id": number, "ref": "main", "sha": self.heads["main"], "source": "push", "created_at": at}
            rows.append(row)
            self.things[f"{self.prefix}/pipelines/{number}"] = {"started_at": at, "finished_at": None, "user": USER}
        whole = self.things[f"{self.prefix}/pipelines/{number}"]
        row |= {"status": status, "updated_at": at}
        if status != "running":
            whole |= {"finished_at": at, "duration": 3}
        whole |= row
        jobs = [{"id": 5, "name": "test", "status": "failed"}] if status == "failed" else []
        self.lists[f"{self.prefix}/pipelines/{number}/jobs"] = jobs
        self._record("Pipeline", f"{number}", status)
        times = {key: hook_time(parse(whole[key])) for key in ("created_at", "finished_at") if whole[key]}
        names = ("id", "ref", "sha", "source", "status")
        attributes = {**{key: row[key] for key in names}, "duration": whole.get("duration"), "finished_at": None}
        self._deliver("pipeline", object_attributes={**attributes, **times}, builds=jobs)

    def deployment(self, number: int, status: str) -> None:
        """Give a deployment another status."""
        rows: list[Any] = self.lists[f"{self.prefix}/deployments"]
        row = next((row for row in rows if row["id"] == number), None)
        if row is not None and row["status"] == status:
            return
        at = self._tick()
        if row is None:
            row = {"id": number, "ref": "main", "sha": self.heads["main"], "user": USER, "created_at": at}
            rows.append(row | {"environment": {"name": "production"}})
            row = rows[-1]
        row |= {"status": status, "updated_at": at}
        self.things[f"{self.prefix}/deployments/{number}"] = row
        self._record("Deployment", f"{number}", status)
        changed = hook_time(self.now + timedelta(milliseconds=500))
        commit_url = f"https://gitlab.example.com/{self.path}/-/commit/{row['sha']}"
        body = {"deployment_id": number, "status": status, "environment": "production", "ref": "main"}
        self._deliver("deployment", **body, status_changed_at=changed, commit_url=commit_url)

    def release(self, tag: str) -> None:
        """Publish a release; if there is one, delete it first."""
        self.delete_release(tag)
        rows: list[Any] = self.lists[f"{self.prefix}/releases"]
        at = self._tick()
        row = {"tag_name": tag, "name": tag, "created_at": at, "released_at": at, "author": USER}
        rows.append(row)
        self.things[f"{self.prefix}/releases/{tag}"] = row
        self._record("Release", tag, "published")
        self._deliver_release(row, "create")

    def delete_release(self, tag: str) -> None:
        """Delete a release, if there is one."""
        rows: list[Any] = self.lists[f"{self.prefix}/releases"]
        for row in [row for row in rows if row["tag_name"] == tag]:
            self._tick()
            rows.remove(row)
            del self.things[f"{self.prefix}/releases/{tag}"]
            self._record("Release", tag, "deleted")
            self._deliver_release(row, "delete")

    def _deliver_release(self, row: dict[str, Any], action: str) -> None:
        times = {key: hook_time(parse(row[key])) for key in ("created_at", "released_at")}
        self._deliver("release", action=action, tag=row["tag_name"], name=row["name"], **times)

    # Images, which have no webhook

    def push_image(self, tag: str = "latest") -> None:
        """Push a new image under a tag, and under its own."""
        self.now += timedelta(minutes=3)  # a tag that is put back to a newer image counts as put there with it
        at = self._tick()
        for name in (tag, f"v{self.counter}"):
            self._point(name, f"sha256:{self.counter:064}", at)

    def put_image_back(self) -> None:
        """Let "latest" point to an older image again."""
        tags = self.lists[f"{self.prefix}/registry/repositories/3/tags"]
        older = [row for row in tags if row["name"] != "latest"][:-1]
        if older:
            self._tick()
            self._point("latest", older[0]["digest"], older[0]["created_at"])

    def _point(self, tag: str, digest: str, created_at: str) -> None:
        path = f"{self.prefix}/registry/repositories/3/tags"
        row = {"name": tag, "digest": digest, "created_at": created_at}
        if self.things.get(f"{path}/{tag}") == row:
            return
        self.things[f"{path}/{tag}"] = row
        self.lists[path] = [*(other for other in self.lists[path] if other["name"] != tag), row]
        self._record("Image", f"{tag} {digest}", "published")

    def rename_project(self) -> None:
        """Give the project another path."""
        self._tick()
        new = f"acme/api-{self.counter}"
        self.rename(self.path, new)
        self.path = new

    # The API of the repository

    def __call__(self, received: ReceivedRequest) -> Reply:
        path = unquote(urlsplit(received.path).path.removeprefix(API))
        if path == f"{self.prefix}/repository/commits":
            return self._commits(received)
        if path == f"{self.prefix}/repository/merge_base":
            before, after = [value for key, value in parse_qsl(urlsplit(received.path).query) if key == "refs[]"]
            line = set(self.ancestors(before))
            return as_json({"id": next(sha for sha in self.ancestors(after) if sha in line)})
        if path.startswith(f"{self.prefix}/repository/branches/"):
            head = self.heads.get(path.rpartition("/")[2])
            return as_json({"commit": {"id": head}}) if head else as_json({}, 404)
        return super().__call__(received)

    def _commits(self, received: ReceivedRequest) -> Reply:
        params = params_of(received)
        base, dots, head = params["ref_name"].rpartition("..")
        base = self.heads.get(base, base)
        known = set(self.ancestors(base)) if dots else set()
        rows = [
            self.things[f"{self.prefix}/repository/commits/{sha}"] for sha in self.ancestors(head) if sha not in known
        ]
        since = params.get("since", "")
        return as_json([row for row in rows if row["committed_date"] >= since])


ACTIONS: list[Callable[[Model], None]] = [
    lambda model: model.push(),
    lambda model: model.push(commits=3),
    lambda model: model.push("topic"),
    lambda model: model.put_back(),
    lambda model: model.put_back("production"),
    lambda model: model.forward(),
    lambda model: model.remove(),
    *(lambda model, action=action: model.merge_request(1, action) for action in ("open", "close", "reopen", "merge")),
    lambda model: model.merge_request(2, "open"),
    lambda model: model.merge_request(2, "close"),
    lambda model: model.merge_request(2, "reopen"),
    *(lambda model, status=status: model.pipeline(31, status) for status in ("running", "failed", "success")),
    *(lambda model, status=status: model.deployment(41, status) for status in ("running", "success", "failed")),
    lambda model: model.release("nightly"),
    lambda model: model.release("v1"),
    lambda model: model.rename_project(),
    lambda model: model.delete_release("nightly"),
    lambda model: model.push_image(),
    lambda model: model.put_image_back(),
]
# What polling cannot see after these, it must have seen before. Images have no webhook.
HIDES = {20, 21, 23, 24, 25}
IMAGES = {24, 25}


def api_time(when: datetime) -> str:
    """Return a time as GitLab's API sends it."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def hook_time(when: datetime) -> str:
    """Return a time as GitLab's webhooks send it."""
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def parse(text: str) -> datetime:
    """Return a time that the API sends."""
    return datetime.fromisoformat(text)
