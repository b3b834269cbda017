"""Poll GitLab: project by project, as far as one poll goes, and then on from there."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from painchain.connectors.code_hosts import rows
from painchain.connectors.contract import ErrorKind, PollContext, PollError, PollResult, RateLimit
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.client import ILL, PAGE, GitLabClient, client, escaped, iso
from painchain.connectors.gitlab.events import Project
from painchain.connectors.gitlab.project import ProjectNews
from painchain.connectors.poll_budget import PollBudgetExceeded

ACTIVE = timedelta(days=30)  # of the projects that nobody listed, those that something happened in
MOST_NAMES = 5  # in a note


def poll(turn: PollContext) -> PollResult:
    """Ask for what is new in the projects of a connector."""
    with client(turn.settings, turn.now) as http:
        return _Round(GitLabClient(http, turn), turn).poll()


class _Round:
    """One round asks each project once. It takes as many polls as it needs; `todo` are the projects still to ask.

    The cursor: `asked` (the setting that the round is for), `todo`, `projects` (how far each has been read, by how it
    is named), and what the round has come upon: `missing` and `refused`.
    """

    def __init__(self, asking: GitLabClient, turn: PollContext):
        self.asking, self.turn = asking, turn
        self.wanted: list[str] = list(turn.settings.get("projects") or [])
        self.cursor: dict[str, Any] = deepcopy(turn.cursor)
        self.ill: PollError | None = None

    def poll(self) -> PollResult:
        """Return what this poll found."""
        more = False
        try:
            self._begin()
            while self.cursor["todo"]:
                self._ask(self.cursor["todo"][0])
                self.cursor["todo"].pop(0)
        except PollBudgetExceeded:
            more = True
        except PollError as error:
            if not self.asking.made_progress:
                raise
            more = True
            self._put_off(error)
        if not more:
            self._judge()
        found = list(self.asking.events.values())
        return PollResult(found, self.cursor, more, self._note(more), rate_limit=self.asking.rate_limit)

    def _put_off(self, error: PollError) -> None:
        """Keep what was found before the trouble; if that is still there, the next poll finds nothing but it."""
        self.asking.note(str(error))
        if error.retry_at:
            limit = self.asking.rate_limit.limit if self.asking.rate_limit else None
            self.asking.rate_limit = RateLimit(limit, 0, error.retry_at)

    def _begin(self) -> None:
        """Begin a round, if none is under way for these settings."""
        if self.cursor.get("asked") == self.wanted and self.cursor.get("todo"):
            return
        todo = [{"ref": ref} for ref in self.wanted] or self._memberships()
        before = self.cursor.get("projects", {})
        self.cursor = {
            "asked": self.wanted,
            "todo": todo,
            "projects": {one["ref"]: before[one["ref"]] for one in todo if one["ref"] in before},
            "missing": [],
            "refused": [],
            "read": 0,
        }

    def _memberships(self) -> list[dict[str, Any]]:
        """Return the projects that the token is a member of, in the order of their ids."""
        params = {
            "membership": "true",
            "simple": "true",
            "archived": "false",
            "order_by": "id",
            "sort": "asc",
            "last_activity_after": iso(self.turn.now - ACTIVE),
            "per_page": PAGE,
        }
        todo: list[dict[str, Any]] = []
        while True:
            after = {"id_after": todo[-1]["id"]} if todo else {}
            page = rows(self.asking.get("projects", {**params, **after}).value)
            places = [place for item in page if (place := events.project(item))]
            todo += [{"ref": place.id, **asdict(place)} for place in places]
            if len(page) < PAGE or not places:
                return todo

    def _ask(self, one: Mapping[str, Any]) -> None:
        """Ask one project. One may fail for itself; when two do, GitLab has a problem."""
        try:
            place = self._place(one)
            if place is None:
                self.cursor["missing"].append(one["ref"])
                return
            self._look(place, one)
            self.asking.made_progress = True
        except PollError as error:
            itself = error.trouble is ErrorKind.PERMISSION or (error.trouble in ILL and not self.ill)
            if not itself:
                raise
            self.ill = error if error.trouble in ILL else self.ill
            self.cursor["refused"].append(one.get("path", one["ref"]))

    def _look(self, place: Project, one: Mapping[str, Any]) -> None:
        state = self.cursor["projects"].setdefault(one["ref"], {})
        news = ProjectNews(self.asking, place, self.turn.settings.get("branches") or (), state)
        refused = news.look()
        self.cursor["read"] += len(refused) < news.lists
        may_not = [name for name, error in refused.items() if error.trouble is not ErrorKind.MISSING]
        self.cursor["refused"] += [f"{', '.join(may_not)} of {place.path}"] if may_not else []

    def _judge(self) -> None:
        """Fail, at the end of a round, if nothing could be read in it."""
        missing, refused = self.cursor["missing"], self.cursor["refused"]
        if self.wanted and len(missing) == len(self.wanted):
            raise PollError(
                f"GitLab has none of the projects, or the token may not see them: {_some(missing)}. Check how they are "
                "written, and that the token's user is a member.",
                ErrorKind.MISSING,
            )
        if refused and not self.cursor["read"]:
            if self.ill:
                raise self.ill
            raise PollError(
                f"The token may not read {_some(refused)}. Give it the scope read_api.", ErrorKind.PERMISSION
            )

    def _place(self, one: Mapping[str, Any]) -> Project | None:
        """Return the project, asking for it if only its name is known; None if there is none to be seen."""
        if "path" in one:
            return Project(**{key: one[key] for key in ("id", "path", "url", "branch")})
        try:
            return events.project(self.asking.get(f"projects/{escaped(one['ref'])}").value)
        except PollError as error:
            if error.trouble is ErrorKind.MISSING:
                return None
            raise

    def _note(self, more: bool) -> str:
        words = list(self.asking.notes)
        if missing := self.cursor.get("missing"):
            words.append(f"Not there, or not for this token to see: {_some(missing)}.")
        if refused := self.cursor.get("refused"):
            words.append(f"Could not be read: {_some(refused)}.")
        if more:
            left = len(self.cursor.get("todo", []))
            words.append(f"There is more to read than fits in one poll. {left} project{'' if left == 1 else 's'} left.")
        return " ".join(words)


def _some(names: list[str]) -> str:
    further = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {further} more" if further > 0 else "")
