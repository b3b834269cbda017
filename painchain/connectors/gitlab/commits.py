"""Find new commits on the branches of a GitLab project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from painchain.connectors.code_hosts import text
from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.client import MAX_FILES, GitLabClient, escaped, iso
from painchain.connectors.gitlab.events import Item, Project

COMMITS_WITH_FILES = 20  # of one look at a branch; each takes a request
State = dict[str, Any]


def look(asking: GitLabClient, place: Project, branches: Sequence[str], state: State) -> None:
    """Add the new commits of these branches, or else of the default branch; `state` keeps the head of each."""
    for branch in branches or (place.branch,):
        if branch:
            _Branch(asking, place, branch, state.setdefault(branch, {})).look()


class _Branch:
    """Reads the commits between the head that was known and the present one: what is pushed late is old already.

    While that goes on over several polls, `to` is the head that is read up to and `page` the page to go on with.
    """

    def __init__(self, asking: GitLabClient, place: Project, name: str, state: State):
        self.asking, self.place, self.name, self.state = asking, place, name, state
        self.path = f"projects/{place.id}/repository"

    def look(self) -> None:
        """Read what is new on the branch, if its head has moved."""
        state = self.state
        if "to" not in state and not self._moved():
            return
        try:
            self._read()
        except PollError as error:
            if error.trouble is not ErrorKind.MISSING or "head" not in state:
                raise
            del state["head"]  # the branch was rewritten, and the commit is gone
            state["page"] = 1
            self._read()
        state |= {"head": state.pop("to"), "etag": state.pop("next_etag")}
        del state["page"]

    def _moved(self) -> bool:
        try:
            path = f"{self.path}/branches/{escaped(self.name)}"
            answer = self.asking.get(path, etag=self.state.get("etag"))
        except PollError as error:
            if error.trouble is ErrorKind.MISSING:
                return False  # not every project has every branch
            raise
        head = text(answer.value, "commit", "id")
        if answer.unchanged or not head or head == self.state.get("head"):
            return False
        self.state |= {"to": head, "page": 1, "next_etag": answer.headers.get("etag")}
        return True

    def _read(self) -> None:
        known, to = self.state.get("head"), self.state["to"]
        params = {"ref_name": f"{known}..{to}" if known else to, "with_stats": "true"}
        if not known:
            params["since"] = iso(self.asking.context.since)
        left = COMMITS_WITH_FILES
        for page in self.asking.pages(f"{self.path}/commits", params, self.state["page"]):
            for item in page:
                changed = self._files(item) if left > 0 else None
                left -= 1
                self.asking.add(events.commit(self.place, item, self.name, changed, self.asking.context.now))
            self.state["page"] += 1
            self.asking.made_progress = True

    def _files(self, item: Item) -> list[str] | None:
        sha = text(item, "id")
        path = f"{self.path}/commits/{escaped(sha)}/diff"
        diff = self.asking.further(path, {"per_page": MAX_FILES}) if sha else None
        return None if diff is None else events.files(diff)
