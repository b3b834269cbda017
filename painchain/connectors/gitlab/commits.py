"""Find new commits on the branches of a GitLab project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from painchain.connectors.code_hosts import text
from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.client import MAX_FILES, GitLabClient, iso, quote_path
from painchain.connectors.gitlab.events import Item, Project

COMMITS_WITH_FILES = 20  # for each read of a branch; each takes one request
State = dict[str, Any]


def read(api: GitLabClient, project: Project, branches: Sequence[str], state: State) -> None:
    """Add the new commits of these branches, or of the default branch; `state` stores the head of each."""
    for branch in branches or (project.branch,):
        if branch:
            _BranchReader(api, project, branch, state.setdefault(branch, {})).read()


class _BranchReader:
    """Reads the commits between the stored head and the current one: commit dates can be long before the push.

    If that takes several polls, `to` is the head to read up to and `page` the page to continue with.
    """

    def __init__(self, api: GitLabClient, project: Project, name: str, state: State):
        self.api, self.project, self.name, self.state = api, project, name, state
        self.path = f"projects/{project.id}/repository"

    def read(self) -> None:
        """Read the new commits of the branch, if its head has moved."""
        state = self.state
        if "to" not in state and not self._moved():
            return
        try:
            self._read_commits()
        except PollError as error:
            if error.kind is not ErrorKind.NOT_FOUND or "head" not in state:
                raise
            del state["head"]  # the branch was rewritten, and the commit is gone
            state["page"] = 1
            self._read_commits()
        state |= {"head": state.pop("to"), "etag": state.pop("next_etag")}
        del state["page"]

    def _moved(self) -> bool:
        try:
            path = f"{self.path}/branches/{quote_path(self.name)}"
            answer = self.api.get(path, etag=self.state.get("etag"))
        except PollError as error:
            if error.kind is ErrorKind.NOT_FOUND:
                return False  # not every project has every branch
            raise
        head = text(answer.value, "commit", "id")
        if answer.is_unchanged or not head or head == self.state.get("head"):
            return False
        self.state |= {"to": head, "page": 1, "next_etag": answer.headers.get("etag")}
        return True

    def _read_commits(self) -> None:
        known, to = self.state.get("head"), self.state["to"]
        params = {"ref_name": f"{known}..{to}" if known else to, "with_stats": "true"}
        if not known:
            params["since"] = iso(self.api.context.since)
        left = COMMITS_WITH_FILES
        for page in self.api.pages(f"{self.path}/commits", params, self.state["page"]):
            for item in page:
                changed = self._files(item) if left > 0 else None
                left -= 1
                self.api.add(events.commit(self.project, item, self.name, changed, self.api.context.now))
            self.state["page"] += 1
            self.api.made_progress = True

    def _files(self, item: Item) -> list[str] | None:
        sha = text(item, "id")
        path = f"{self.path}/commits/{quote_path(sha)}/diff"
        diff = self.api.get_optional(path, {"per_page": MAX_FILES}) if sha else None
        return None if diff is None else events.files(diff)
