"""A small model of a GitHub in use: what people do in its repository."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.counterparts.github_repository import GitHubRepository

VERSIONS = "users/acme/packages/container/api/versions"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class GitHubModel(GitHubRepository):
    """A GitHub with one repository. Each method is an action of a person; call `wait` between them.

    If it is `fast`, the steps of an action, and actions that follow each other, are seconds apart instead of minutes.

    `deliveries` are the webhook deliveries so far, `history` the changes so far. GitHub's clocks differ by a second:
    issue events are late, and so is the time of the last push in a delivery.
    """

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
