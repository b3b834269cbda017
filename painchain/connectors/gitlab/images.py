"""Find new images in the container registry of a GitLab project."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from painchain.connectors.code_hosts import text
from painchain.connectors.contract import PollError, SourceEvent
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.client import ILL, PAGE, REFUSED, GitLabClient, escaped
from painchain.connectors.gitlab.events import Item, Project, moment

FIRST_TAGS = 50  # a repository with more is taken as known when it is first seen
MOST_PAGES = 10  # of the tags of one repository
MOVING = ("latest", "stable", "edge", "nightly", "main", "master")
OVERLAP = timedelta(minutes=2)
State = dict[str, Any]


def look(asking: GitLabClient, place: Project, state: State) -> None:
    """Add what is new in every container repository of a project.

    `state` keeps the tags that are known of each, and in `asked` those that this run through them has been at: it can
    take several polls.
    """
    known: State = state.setdefault("known", {})
    asked: list[str] = state.setdefault("asked", [])
    for page in asking.pages(f"projects/{place.id}/registry/repositories", {}):
        for repository in page:
            number = text(repository, "id")
            if number and number not in asked:
                _Repository(asking, place, repository, known.setdefault(number, {})).look()
                asked.append(number)
    state["known"] = {number: known[number] for number in asked if number in known}
    state["asked"] = []


class _Repository:
    """GitLab lists tags by name alone; what a tag points at takes a request for each.

    So new names are asked for, and those that are there to be moved ("latest"); a known tag that moves under any
    other name is not seen.
    """

    def __init__(self, asking: GitLabClient, place: Project, repository: Item, state: State):
        self.asking, self.place, self.repository, self.state = asking, place, repository, state
        self.path = f"projects/{place.id}/registry/repositories/{repository['id']}/tags"
        self.first = not state.get("looked")
        self.moving = {*MOVING, place.branch}

    def look(self) -> None:
        """Ask for each tag that is new or can have moved."""
        names = self._names()
        known: list[str] = self.state.setdefault("known", [])
        if self.first and len(names) > FIRST_TAGS:
            known[:] = [name for name in names if name not in self.moving]
        before = set(known)
        for name in names:
            if (name in self.moving or name not in before) and self._told(name):
                known.append(name)  # at once: whatever ends this poll, the next does not ask for it again
                self.asking.made_progress |= name not in before
        there = set(names)
        self.state["known"] = [name for name in dict.fromkeys(known) if name in there]
        self.state["looked"] = True

    def _names(self) -> list[str]:
        pages = list(islice(self.asking.pages(self.path, {}), MOST_PAGES + 1))
        if len(pages) > MOST_PAGES:
            path = text(self.repository.get("path"))
            self.asking.note(f"{path} has too many images; only the first {MOST_PAGES * PAGE} tags are looked at.")
        return [name for page in pages[:MOST_PAGES] for tag in page if (name := text(tag, "name"))]

    def _told(self, name: str) -> bool:
        """Ask for one tag; say whether GitLab has told of it, or that it is gone."""
        try:
            tag = self.asking.get(f"{self.path}/{escaped(name)}").value
        except PollError as error:
            if error.trouble in ILL:
                return False
            if error.trouble in REFUSED:
                return True
            raise
        self._point(name, tag)
        return True

    def _point(self, name: str, tag: Any) -> None:
        digest = text(tag, "digest")
        digests: dict[str, str] = self.state.setdefault("digests", {})
        if not digest or digests.get(name) == digest:
            return
        for found in self._news(tag):
            self.asking.add(found)
        if name in self.moving:
            digests[name] = digest

    def _news(self, tag: Item) -> Iterator[SourceEvent | None]:
        made, turn = moment(tag.get("created_at")), self.asking.context
        if self.first and made and made < turn.since - OVERLAP:
            return
        # An older image can get a new tag; that happened since the last look.
        recent = made and made > turn.since - OVERLAP
        yield events.image(self.place, self.repository, tag, made if made and recent else turn.now)
