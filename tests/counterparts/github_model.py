"""A small model of a GitHub in use: its API, its webhook deliveries and the history of changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlencode

from tests.counterparts.github import GitHub
from tests.counterparts.server import JsonReply, ReceivedRequest

NO_COMMIT = "0" * 40
VERSIONS = "users/acme/packages/container/api/versions"


@dataclass(frozen=True)
class Happening:
    """One change of the history, as the timeline must show it."""

    event_type: str
    title: str
    status: str
    author: str
    time: datetime


@dataclass
class Repository:
    """The state of the repository that is not part of the responses."""

    number: int
    name: str
    heads: dict[str, str] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)
    followed: set[str] = field(default_factory=set)  # commits that were on the default branch
    former_names: list[str] = field(default_factory=list)


class GitHubModel(GitHub):
    """A GitHub with one repository. Each method is an action of a person; call `wait` between them.

    If it is `fast`, the steps of an action, and actions that follow each other, are seconds apart instead of minutes.

    `deliveries` are the webhook deliveries so far, `history` the changes so far. GitHub's clocks differ by a second:
    issue events are late, and so is the time of the last push in a delivery.
    """

    def __init__(self, now: datetime):
        super().__init__()
        self.now = now
        self.fast = False
        self.page = 3  # so that old items are on later pages
        self.history: list[Happening] = []
        self.deliveries: list[tuple[str, dict[str, Any]]] = []
        self._count = 0
        self._create("acme/api")

    # Times, numbers and commit hashes

    def wait(self, minutes: float) -> None:
        """Let time pass."""
        self.now += timedelta(minutes=minutes / 10 if self.fast and minutes >= 1 else minutes)

    def _next(self) -> int:
        self._count += 1
        return self._count

    def _sha(self) -> str:
        return f"{self._next():x}".rjust(6, "c").ljust(40, "e")

    def at(self, seconds: float = 0) -> str:
        """Return the present time as GitHub writes it."""
        return (self.now + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")

    def _create(self, name: str) -> None:
        number = self._next()
        self.repository = Repository(number, name)
        self.lists["user/repos"] = []
        self.add_repo(name, id=number)
        self._touch()
        first = self._commit("main")
        self.repository.heads["main"] = first
        self.repository.followed.add(first)
        self._work_before()

    def _work_before(self) -> None:
        """Fill several pages with older work, and open a pull request, without a history or deliveries."""
        now, history, deliveries = self.now, self.history, self.deliveries
        self.now, self.history, self.deliveries = now - timedelta(days=30), [], []
        for _ in range(5):
            self.start_run()
            self.finish_run("success")
            self.deploy()
            self.draft_release()
        self.open_pull()
        self.now, self.history, self.deliveries = now, history, deliveries

    def _touch(self) -> None:
        self.things[f"repos/{self.repository.name}"].update(pushed_at=self.at(), updated_at=self.at())

    def _about(self, seconds: float = 0) -> dict[str, Any]:
        about = dict(self.things[f"repos/{self.repository.name}"])
        pushed_at = datetime.fromisoformat(about["pushed_at"]) + timedelta(seconds=seconds)
        return {**about, "pushed_at": int(pushed_at.timestamp())}

    def _deliver(self, topic: str, login: str = "ann", **body: Any) -> None:
        self.deliveries.append((topic, {**body, "sender": {"login": login}, "repository": self._about(1)}))

    def _happen(self, event_type: str, title: str, status: str, author: str = "ann") -> None:
        self.history.append(Happening(event_type, title, status, author, self.now.replace(microsecond=0)))

    def _path(self, rest: str) -> str:
        return f"repos/{self.repository.name}/{rest}"

    # Branches

    def _commit(self, branch: str, *parents: str) -> str:
        sha = self._sha()
        by = {"name": "ann", "date": "2020-01-01T00:00:00Z"}  # people's clocks can be wrong
        body = {"message": f"Work {sha[:6]}", "author": by, "committer": by}
        self.things[self._path(f"commits/{sha}")] = {
            "sha": sha,
            "commit": body,
            "author": {"login": "ann"},
            "files": [],
        }
        self.repository.parents[sha] = list(parents) or [
            head for head in [self.repository.heads.get(branch)] if head is not None
        ]
        return sha

    def _ancestors(self, sha: str) -> list[str]:
        ancestors, waiting = list[str](), [sha]
        while waiting:
            commit = waiting.pop()
            if commit not in ancestors and commit in self.repository.parents:
                ancestors.append(commit)
                waiting += self.repository.parents[commit]
        return ancestors

    def _between(self, old: str, new: str) -> list[str]:
        before = set(self._ancestors(old))
        return [sha for sha in self._ancestors(new) if sha not in before][::-1]

    def _move(self, branch: str, after: str, kind: str, status: str, login: str = "ann") -> None:
        before = self.repository.heads.get(branch, NO_COMMIT)
        self.repository.heads[branch] = after
        if after == NO_COMMIT:
            del self.repository.heads[branch]
        self._touch()
        ends = {"before": before, "after": after, "ref": f"refs/heads/{branch}"}
        activity = {"id": self._next(), "timestamp": self.at(), "activity_type": kind, "actor": {"login": login}}
        self.lists[self._path("activity")].insert(0, {**activity, **ends})
        shas = self._between(before, after) if NO_COMMIT not in (before, after) else []
        flags = {"created": before == NO_COMMIT, "deleted": after == NO_COMMIT, "forced": status == "forced"}
        commits = [
            {
                "id": sha,
                "message": f"Work {sha[:6]}",
                "timestamp": "2020-01-01T00:00:00Z",
                "author": {"username": "ann"},
            }
            for sha in shas
        ]
        self._deliver("push", login, **ends, **flags, commits=commits)
        self._happen("Push", f"[Push] {branch}", status, login)
        for sha in shas if branch == "main" else []:
            if sha not in self.repository.followed:
                self.repository.followed.add(sha)
                self._happen("Commit", f"[Commit] Work {sha[:6]}", "committed")

    def push(self, branch: str = "main") -> None:
        """Push a commit to a branch."""
        if branch not in self.repository.heads:
            self._move(branch, self.repository.heads["main"], "branch_creation", "created")
            self.wait(1)
        self._move(branch, self._commit(branch), "push", "pushed")

    def promote_and_roll_back(self) -> None:
        """Move production to main, force it back, and move it to main again, within seconds."""
        if "production" not in self.repository.heads:
            self._move("production", self.repository.heads["main"], "branch_creation", "created")
        self.wait(1)
        old, new = self.repository.heads["production"], self._commit("main")
        self._move("main", new, "push", "pushed")
        for after, kind, status in [(new, "push", "pushed"), (old, "force_push", "forced"), (new, "push", "pushed")]:
            self.wait(1 / 30)
            self._move("production", after, kind, status, "bob")

    def delete_branch(self) -> None:
        """Delete a branch."""
        if "fix" in self.repository.heads:
            self._move("fix", NO_COMMIT, "branch_deletion", "deleted")

    # Pull requests

    def open_pull(self) -> None:
        """Open a pull request."""
        number = self._next()
        pull = {
            **{"number": number, "title": f"Change {number}", "state": "open", "user": {"login": "ann"}},
            **{"created_at": self.at(), "updated_at": self.at(), "closed_at": None, "merged_at": None},
            **{"head": {"ref": "fix"}, "base": {"ref": "main"}},
        }
        self.put(self.repository.name, "pulls", pull)
        self._deliver("pull_request", action="opened", pull_request=dict(pull))
        self._happen("PullRequest", f"[PR] Change {number}", "open")

    def toggle_pull(self) -> None:
        """Close the oldest pull request that is not merged, reopen it and close it again; or the other way round."""
        pulls = [pull for pull in self.lists[self._path("pulls")] if not pull["merged_at"]]
        for _ in range(3 if pulls else 0):
            pull = min(pulls, key=lambda pull: int(pull["number"]))
            action = "closed" if pull["state"] == "open" else "reopened"
            closed_at = self.at() if action == "closed" else None
            self._change_pull(pull, action, "bob", state="closed" if closed_at else "open", closed_at=closed_at)
            self._happen("PullRequest", f"[PR] {pull['title']}", "closed" if closed_at else "open", "bob")
            self.wait(1)

    def merge_pull(self) -> None:
        """Merge the newest open pull request."""
        pull = next((pull for pull in self.lists[self._path("pulls")] if pull["state"] == "open"), None)
        if pull is None:
            return
        merged = {"merged_at": self.at(), "closed_at": self.at(), "merged": True, "merged_by": {"login": "cy"}}
        self._change_pull(pull, "closed", "cy", state="closed", **merged)
        self._happen("PullRequest", f"[PR] {pull['title']}", "merged", "cy")
        self._move("main", self._commit("main", self.repository.heads["main"]), "pr_merge", "pushed", "cy")

    def _change_pull(self, pull: dict[str, Any], action: str, login: str, **values: Any) -> None:
        pull.update(values, updated_at=self.at())
        listed = self.lists[self._path("pulls")]
        listed.remove(pull)
        listed.insert(0, pull)
        issue = {"number": pull["number"], "title": pull["title"], "pull_request": {"url": ""}}
        event = {"id": self._next(), "event": action, "created_at": self.at(1), "actor": {"login": login}}
        self.lists[self._path("issues/events")].insert(0, {**event, "issue": issue})
        self._deliver("pull_request", login, action=action, pull_request=dict(pull))

    # Workflow runs, deployments and releases

    def start_run(self) -> None:
        """Start a workflow run."""
        number = self._next()
        run = {
            **{"id": number, "name": f"CI {number}", "head_branch": "main", "head_sha": "a", "run_attempt": 1},
            **{"status": "in_progress", "conclusion": None, "actor": {"login": "ann"}, "event": "push"},
            **{"created_at": self.at(), "run_started_at": self.at(), "updated_at": self.at()},
        }
        self.put(self.repository.name, "actions/runs", run)
        self._changed_run(run, "in_progress")

    def finish_run(self, conclusion: str = "failure") -> None:
        """Finish the runs that are in progress."""
        for run in self.lists[self._path("actions/runs")]:
            if run["conclusion"] is None:
                run.update(status="completed", conclusion=conclusion, updated_at=self.at())
                jobs = [{"name": "build", "conclusion": conclusion}]
                self.lists[self._path(f"actions/runs/{run['id']}/attempts/{run['run_attempt']}/jobs")] = jobs
                self._changed_run(run, conclusion)

    def run_again(self) -> None:
        """Run the oldest finished run again, twice: it fails again, then it succeeds."""
        finished = [run for run in self.lists[self._path("actions/runs")] if run["conclusion"]]
        for conclusion in ("failure", "success") if finished else ():
            run = finished[-1]
            self.wait(1)
            attempt = run["run_attempt"] + 1
            restarted = {
                "status": "in_progress",
                "conclusion": None,
                "run_started_at": self.at(),
                "updated_at": self.at(),
            }
            run.update(run_attempt=attempt, **restarted)
            self._changed_run(run, "in_progress")
            self.wait(2)
            self.finish_run(conclusion)

    def _changed_run(self, run: dict[str, Any], status: str) -> None:
        self.things[self._path(f"actions/runs/{run['id']}/attempts/{run['run_attempt']}")] = dict(run)
        self._deliver("workflow_run", action="completed", workflow_run=dict(run))
        self._happen("WorkflowRun", f"[Workflow] {run['name']} - main", status)

    def deploy(self) -> None:
        """Request a deployment."""
        number = self._next()
        deployment = {
            **{"id": number, "environment": f"env{number}", "ref": "main", "creator": {"login": "ann"}},
            **{"created_at": self.at(), "updated_at": self.at()},
        }
        self.put(self.repository.name, "deployments", deployment)
        self.lists[self._path(f"deployments/{number}/statuses")] = []
        self._deliver("deployment", deployment=dict(deployment))
        self._happen("Deployment", f"[Deployment] env{number} pending", "pending")

    def change_deployments(self) -> None:
        """Let the oldest deployment succeed, end and succeed again."""
        deployments = self.lists[self._path("deployments")]
        for state in ("success", "inactive", "success") if deployments else ():
            deployment = deployments[-1]
            self.wait(1)
            deployment["updated_at"] = self.at()
            status = {"id": self._next(), "state": state, "created_at": self.at(), "creator": {"login": "bob"}}
            self.lists[self._path(f"deployments/{deployment['id']}/statuses")].insert(0, status)
            self._deliver("deployment_status", "bob", deployment=dict(deployment), deployment_status=status)
            self._happen("Deployment", f"[Deployment] {deployment['environment']} {state}", state, "bob")

    def release_nightly(self) -> None:
        """Publish the nightly pre-release under its tag; the previous one is deleted."""
        releases = self.lists[self._path("releases")]
        for old in [release for release in releases if release["tag_name"] == "nightly"]:
            self._delete_release(old)
        self._publish({"id": self._next(), "tag_name": "nightly", "prerelease": True, "author": {"login": "ann"}})

    def draft_release(self) -> None:
        """Write a draft."""
        number = self._next()
        draft = {"id": number, "tag_name": f"v{number}", "draft": True, "created_at": self.at(), "prerelease": False}
        self.put(self.repository.name, "releases", {**draft, "author": {"login": "ann"}})

    def publish_draft(self) -> None:
        """Publish the oldest draft."""
        drafts = [release for release in self.lists[self._path("releases")] if release.get("draft")]
        if drafts:
            self._publish(drafts[-1])

    def promote_release(self) -> None:
        """Turn the newest pre-release into a release."""
        self._wait_after_publication()
        release = next((item for item in self.lists[self._path("releases")] if item["prerelease"]), None)
        if release:
            release.update(prerelease=False, tag_name=f"v{release['id']}", updated_at=self.at())
            self._deliver("release", action="released", release=dict(release))
            self._happen("Release", f"[Release] v{release['id']}", "published")

    def demote_release(self) -> None:
        """Turn the newest release that is no pre-release into one."""
        self._wait_after_publication()
        listed = self.lists[self._path("releases")]
        release = next((item for item in listed if not item["prerelease"] and not item.get("draft")), None)
        if release:
            release.update(prerelease=True, updated_at=self.at())
            self._deliver("release", action="prereleased", release=dict(release))
            self._happen("Release", f"[Release] {release['tag_name']}", "prerelease")

    def _wait_after_publication(self) -> None:
        # GitHub can deliver "published" and "released" for one publication: deliveries of half a minute are one.
        self.wait(0.6)

    def _publish(self, release: dict[str, Any]) -> None:
        release.update(draft=False, published_at=self.at(), updated_at=self.at())
        if release not in self.lists[self._path("releases")]:
            self.put(self.repository.name, "releases", {"created_at": self.at(), **release})
        status = "prerelease" if release["prerelease"] else "published"
        self._deliver("release", action="published", release={"created_at": self.at(), **release})
        self._happen("Release", f"[Release] {release['tag_name']}", status)

    def _delete_release(self, release: dict[str, Any]) -> None:
        self.lists[self._path("releases")].remove(release)
        self.things.pop(self._path(f"releases/{release['id']}"), None)
        self._deliver("release", action="deleted", release=dict(release))
        self._happen("Release", f"[Release] {release['tag_name']}", "deleted")

    # Images

    def publish_image(self, is_latest: bool = False) -> None:
        """Publish an image of a new version, and two seconds later under the tag "latest" too."""
        packages = self.lists["users/acme/packages"]
        if not packages:
            self.lists[VERSIONS] = []
            packages.append({"name": "api", "owner": {"login": "acme"}, "created_at": self.at()})
        number = self._next()
        version = {"id": number, "name": f"sha256:{number}", "created_at": self.at()}
        self.lists[VERSIONS].insert(0, {**version, "metadata": {"container": {"tags": []}}})
        self._tag(self.lists[VERSIONS][0], f"v{number}")
        if is_latest:
            self.wait(1 / 30)
            for other in self.lists[VERSIONS]:
                tags = other["metadata"]["container"]["tags"]
                tags[:] = [tag for tag in tags if tag != "latest"]
            self._tag(self.lists[VERSIONS][0], "latest")

    def tag_image(self) -> None:
        """Give the image before the newest one another tag."""
        versions = self.lists.get(VERSIONS, []) if self.lists["users/acme/packages"] else []
        if len(versions) > 1:
            self._tag(versions[1], f"stable{self._next()}")

    def _tag(self, version: dict[str, Any], tag: str) -> None:
        repository = {"id": self.repository.number, "full_name": self.repository.name}
        [package] = self.lists["users/acme/packages"]
        package.update(updated_at=self.at(), repository=repository)
        version["metadata"]["container"]["tags"].append(tag)
        version["updated_at"] = self.at()
        # Deliveries have no times of the version.
        times = {"created_at": "0001-01-01T00:00:00Z", "updated_at": "0001-01-01T00:00:00Z"}
        metadata = {"tag": {"name": tag, "digest": version["name"]}}
        delivered = {"id": version["id"], **times, "author": {"login": "ann"}, "container_metadata": metadata}
        kind = {"package_type": "CONTAINER", "package_version": delivered}
        self._deliver("registry_package", action="published", registry_package={**package, **kind})
        self._happen("Image", f"[Image] api:{tag}", "published")

    # The repository itself

    def rename(self) -> None:
        """Rename the repository. GitHub redirects from the old name."""
        old, new = self.repository.name, f"acme/api{self._next()}"
        for answers in (self.lists, self.things):
            for path in [path for path in answers if path.startswith(f"repos/{old}/") or path == f"repos/{old}"]:
                answers[path.replace(f"repos/{old}", f"repos/{new}", 1)] = answers.pop(path)  # type: ignore[attr-defined]
        self.things[f"repos/{new}"]["full_name"] = new
        self.repository.former_names.append(old)
        self.repository.name = new

    def recreate(self) -> None:
        """Delete the repository, and create another one under the first name."""
        for answers in (self.lists, self.things):
            for path in [path for path in answers if path.startswith(f"repos/{self.repository.name}")]:
                del answers[path]  # type: ignore[attr-defined]
        self._create("acme/api")

    # Answers

    def __call__(self, received: ReceivedRequest) -> JsonReply:
        """Answer one request."""
        path = unquote(received.path).strip("/")
        for old in self.repository.former_names:
            if path == f"repos/{old}" or path.startswith(f"repos/{old}/"):
                query = f"?{urlencode(received.params)}" if received.params else ""
                path = path.replace(f"repos/{old}", f"repos/{self.repository.name}", 1)
                return JsonReply({}, 301, {"Location": f"http://{received.headers['host']}/{path}{query}"})
        return super().__call__(received)

    def _compare(self, path: str, received: ReceivedRequest) -> JsonReply:
        ends = path.partition("/compare/")[2].split("...")
        old, new = (self.repository.heads.get(end, end) for end in ends)
        between = [self.things[self._path(f"commits/{sha}")] for sha in self._between(old, new)]
        reply = self._page(between, path, received)
        status = "ahead" if between else "behind"
        value = {"commits": reply.value, "total_commits": len(between), "status": status}
        return JsonReply(value, reply.status, reply.headers)


START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
