"""A model of a GitHub repository: its branches and its name, its webhook deliveries and the history of changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlencode

from tests.counterparts.github import GitHub
from tests.counterparts.server import JsonReply, ReceivedRequest

NO_COMMIT = "0" * 40


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


class GitHubRepository(GitHub):
    """A GitHub with one repository, and what happens to its branches and its name.

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
        """Do what was done before the history begins."""

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
