"""Find new images in the container registry of a GitLab project."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from painchain.connectors.code_hosts import text
from painchain.connectors.contract import PollError, SourceEvent
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.client import OVERLAP, PAGE, REFUSED, SERVER_ERRORS, GitLabClient, quote_path
from painchain.connectors.gitlab.payloads import Item, Project, first_time, parse_moment

FIRST_TAGS = 50  # of a repository with more, the first poll reports none
MAX_PAGES = 10  # of the tags of one repository
MOVING = ("latest", "stable", "edge", "nightly", "main", "master")
CHECKED_TAGS = 2  # of the other known tags of a repository, in each poll
CHECKED_AGAIN = timedelta(hours=1)  # after this time
DIGEST_START = len("sha256:") + 16  # how much of a digest is stored to notice that a tag moved
State = dict[str, Any]


def read(api: GitLabClient, project: Project, state: State) -> None:
    """Add the new images of every container repository of a project.

    `state` stores the known tags of each repository and, in `asked`, the repositories already read in this pass, which
    can take several polls.
    """
    known: State = state.setdefault("known", {})
    already_read: list[str] = state.setdefault("asked", [])
    for page in api.pages(f"projects/{project.id}/registry/repositories", {}):
        for repository in page:
            number = text(repository, "id")
            if number and number not in already_read:
                _RepositoryReader(api, project, repository, known.setdefault(number, {})).read()
                already_read.append(number)
    state["known"] = {number: known[number] for number in already_read if number in known}
    state["asked"] = []


class _RepositoryReader:
    """Reads one container repository.

    GitLab lists tags by name only; the digest of each takes a request. So each poll requests the new tags, the moving
    ones ("latest"), and a few of the others in turn. `checked` stores the start of the digest of each of the others, ""
    if it is not known, and when it was requested.
    """

    def __init__(self, api: GitLabClient, project: Project, repository: Item, state: State):
        self.api, self.project, self.repository, self.state = api, project, repository, state
        self.path = f"projects/{project.id}/registry/repositories/{repository['id']}/tags"
        self.first = not state.get("looked")
        self.since = parse_moment(state.get("read_at")) or api.context.since
        self.moving = {*MOVING, project.branch}

    def read(self) -> None:
        """Read each tag that is new or may have moved."""
        names = self._names()
        known: list[str] = self.state.setdefault("known", [])
        if self.first and len(names) > FIRST_TAGS:
            known[:] = [name for name in names if name not in self.moving]
        before = set(known)
        for name in names:
            if (name in self.moving or name not in before) and self._read_tag(name):
                known.append(name)  # now: the next poll does not read it again, however this one ends
                self.api.made_progress |= name not in before
        self._check_again([name for name in names if name in before and name not in self.moving])
        present = set(names)
        self.state["known"] = [name for name in dict.fromkeys(known) if name in present]
        self.state["checked"] = {name: check for name, check in self._checked.items() if name in present}
        self.state |= {"looked": True, "read_at": self.api.context.now.isoformat()}

    @property
    def _checked(self) -> dict[str, tuple[str, str]]:
        checked: dict[str, tuple[str, str]] = self.state.setdefault("checked", {})
        return checked

    def _check_again(self, names: list[str]) -> None:
        """Read a few known tags again, first those that were not read for the longest time."""
        now, checked = self.api.context.now, self._checked
        last = {name: parse_moment(checked.get(name, ("", ""))[1]) for name in names}
        due = [name for name in names if (at := last[name]) is None or now - at >= CHECKED_AGAIN]
        for name in sorted(due, key=lambda name: checked.get(name, ("", ""))[1])[:CHECKED_TAGS]:
            self._read_tag(name)
            checked[name] = (checked.get(name, ("", ""))[0], now.isoformat())

    def _names(self) -> list[str]:
        pages = list(islice(self.api.pages(self.path, {}), MAX_PAGES + 1))
        if len(pages) > MAX_PAGES:
            path = text(self.repository.get("path"))
            self.api.note(f"{path} has too many images. Only the first {MAX_PAGES * PAGE} tags are read.")
        return [name for page in pages[:MAX_PAGES] for tag in page if (name := text(tag, "name"))]

    def _read_tag(self, name: str) -> bool:
        """Read one tag. Return whether that is done: it was read, or it is gone or forbidden."""
        try:
            tag = self.api.get(f"{self.path}/{quote_path(name)}").value
        except PollError as error:
            if error.kind in SERVER_ERRORS:
                return False
            if error.kind in REFUSED:
                return True
            raise
        self._add_image(name, tag)
        return True

    def _add_image(self, name: str, tag: Any) -> None:
        digest = text(tag, "digest")
        if not digest:
            return
        if name in self.moving:
            digests: dict[str, str] = self.state.setdefault("digests", {})
            before, since = digests.get(name, ""), self.since
            digests[name] = digest
        else:
            before, at = self._checked.get(name, ("", ""))
            since = parse_moment(at) or self.since
            digest = digest[:DIGEST_START]
            self._checked[name] = (digest, self.api.context.now.isoformat())
            if not before and name in self.state["known"]:
                return  # it is read for the first time, and is not new
        if digest == before:
            return
        moves: dict[str, int] = self.state.setdefault("moves", {})
        if before:
            moves[name] = moves.get(name, 0) + 1
        self.api.add(self._event(tag, moves.get(name, 0), since))

    def _event(self, tag: Item, moves: int, since: datetime) -> SourceEvent | None:
        pushed, context = first_time(tag, "published_at", "created_at"), self.api.context
        if self.first and pushed and pushed < context.since - OVERLAP:
            return None
        # An older image can get a new tag, and a tag can be put back: that happened since the tag was last read.
        is_new = pushed is not None and pushed >= since - OVERLAP
        return events.image(self.project, self.repository, tag, moves, pushed if pushed and is_new else context.now)
