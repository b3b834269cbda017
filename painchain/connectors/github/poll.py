"""Poll GitHub: which repositories are looked at, and where the next poll goes on.

The cursor has for each repository when it was looked at (`seen`) and where each of its lists stands. A list is read
from its newest item back to the newest time that was read before; one that is too long for a poll goes on at its next
page. So nothing is passed over that has not been read, whatever the clocks say.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

from painchain.connectors.code_hosts import moment, text
from painchain.connectors.contract import Cursor, ErrorKind, PollContext, PollError, PollResult
from painchain.connectors.github import packages
from painchain.connectors.github.client import GitHubClient, client
from painchain.connectors.github.pagination import PollSession, listed, stamp
from painchain.connectors.github.repository import Reading, Repo
from painchain.connectors.http_client import next_page
from painchain.connectors.poll_budget import PollBudgetExceeded

MOST_REPOS = 200  # of those that the token can see
IDLE = 10  # repositories to which nobody has pushed take turns, so many in a poll
SLACK = timedelta(minutes=10)  # by which clocks may differ
MOST_NAMED = 5

State = dict[str, Any]


def poll(turn: PollContext) -> PollResult:
    """Return what is new in the repositories since the last poll.

    :raises PollError: if nothing can be read.
    """
    # Another API has another past.
    known = deepcopy(turn.cursor) if turn.cursor.get("base") == turn.settings["base_url"] else {}
    with client(turn.settings, turn.now) as asked:
        walk = PollSession(turn, GitHubClient(asked, turn.now, turn.stopping, known.get("etags", {})))
        return Round(walk, known).polled()


class Round:
    """Every repository once, the one that was not looked at for longest first; a round can take several polls."""

    def __init__(self, walk: PollSession, known: Cursor):
        self._walk = walk
        self._states: dict[str, State] = known.get("repos", {})
        self._images = known.get("images", {})
        self._began: str | None = known.get("began")
        self._owners: dict[str, bool] = {}
        self._notes: list[str] = []
        self._begin = stamp(walk.turn.since)
        self._before = deepcopy((self._states, self._images))

    def polled(self) -> PollResult:
        """Read as much as one poll may."""
        more = False
        try:
            self._read()
        except PollBudgetExceeded as enough:
            more = self._has_come_on()
            self._notes.append(str(enough))
        except PollError as error:
            if not self._has_come_on():
                raise  # or the next poll, which is due at once, would come to the same
            more = True
            self._notes.append(str(error))
        if self._walk.refused and not self._walk.read and not more:
            raise self._walk.refused[0][1]
        note = " ".join([*self._notes, *self._refusals()])
        return PollResult(self._walk.found, self._cursor(more), more, note, rate_limit=self._walk.asking.rate_limit)

    def _read(self) -> None:
        names = self._walk.turn.settings.get("repos")
        for repo, state in self._configured(names) if names else self._visible():
            Reading(self._walk, repo, state).everything()
        packages.read(self._walk, self._owners, self._images)

    def _configured(self, names: list[str]) -> Iterator[tuple[Repo, State]]:
        self._keep([name.casefold() for name in names])
        for name in sorted(names, key=lambda name: text(self._states[name.casefold()], "seen")):
            state = self._states[name.casefold()]
            if self._is_done(state):
                self._owners[state["about"][2]] = state["about"][3]
                continue
            repo = None
            with self._walk.reading(name, counts=False):
                repo = self._about(name, state)
            if repo:
                self._owners[repo.owner] = repo.organization
                yield repo, state

    def _is_done(self, state: State) -> bool:
        """Say whether this round has been there, in the poll before."""
        return self._began is not None and "about" in state and text(state, "seen") >= self._began

    def _about(self, name: str, state: State) -> Repo:
        path, api = f"repos/{name}", self._walk.asking
        answer = api.get_changed(path, path) if "about" in state else api.get(path)
        if not answer.unchanged:
            if not text(answer.value, "full_name"):
                words = "The answer is not what GitHub's API answers. Check the API URL."
                raise PollError(words, ErrorKind.BAD_ANSWER, status=answer.status)
            state["about"] = [*_described(answer.value)]
            api.store_etag(path, answer)
        return Repo(*state["about"])

    def _visible(self) -> Iterator[tuple[Repo, State]]:
        told = self._listed()
        self._keep([text(one, "full_name").casefold() for one in told])
        if not told:
            self._notes.append("The token can see no repository.")
        self._owners.update({text(one, "owner", "login"): _described(one)[3] for one in told})
        states = [(one, self._states[text(one, "full_name").casefold()]) for one in told]
        states = [pair for pair in states if not (self._began and text(pair[1], "seen") >= self._began)]
        states.sort(key=lambda pair: text(pair[1], "seen"))
        busy = [pair for pair in states if _is_busy(*pair)]
        idle = [pair for pair in states if not _is_busy(*pair)][:IDLE]
        for one, state in (*busy, *idle):
            yield Repo(*_described(one)), state

    def _listed(self) -> list[Any]:
        """Return the repositories that the token can see, as many as are looked at."""
        asking, found = self._walk.asking, list[Any]()
        try:
            answer, under = asking.get("user/repos", {"sort": "pushed", "per_page": 100}), ""
        except PollError as error:
            if error.trouble is not ErrorKind.PERMISSION:
                raise
            # The token of a GitHub App belongs to no user.
            answer, under = asking.get("installation/repositories", {"per_page": 100}), "repositories"
        while len(found) < MOST_REPOS:
            found += [one for one in listed(answer, under) if text(one, "full_name")]
            following = next_page(answer)
            if following is None:
                return found[:MOST_REPOS]
            answer = asking.get(following)
        self._notes.append(f"Only the {MOST_REPOS} repositories that were pushed to last are looked at: list others.")
        return found[:MOST_REPOS]

    def _has_come_on(self) -> bool:
        """Say whether a repository has been read to the end, or any list stands somewhere else than before."""
        states, images = self._before
        for name, state in self._states.items():
            before = states.get(name) or {"seen": self._begin}
            unread = {"since": before["seen"]}
            if state["seen"] != before["seen"]:
                return True
            for kind, place in state.get("lists", {}).items():
                if place != before.get("lists", {}).get(kind, unread):
                    return True
        return any(place != images.get(owner, {"since": self._begin}) for owner, place in self._images.items())

    def _keep(self, names: list[str]) -> None:
        self._states = {name: self._states.get(name) or {"seen": self._begin} for name in names}

    def _refusals(self) -> list[str]:
        refused = [f"{what} ({_briefly(error)})" for what, error in self._walk.refused]
        more = len(refused) - MOST_NAMED
        if not refused:
            return []
        return [f"Could not be read: {'; '.join(refused[:MOST_NAMED])}{f'; and {more} more' if more > 0 else ''}."]

    def _cursor(self, more: bool) -> Cursor:
        base, etags = self._walk.turn.settings["base_url"], self._walk.asking.etags()
        began = {"began": self._began or stamp(self._walk.turn.now)} if more else {}
        return {"base": base, "repos": self._states, "images": self._images, "etags": etags, **began}


def _described(one: Any) -> tuple[str, str, str, bool]:
    organization = text(one, "owner", "type") == "Organization"
    return text(one, "full_name"), text(one, "default_branch") or "main", text(one, "owner", "login"), organization


def _is_busy(one: Any, state: State) -> bool:
    seen = moment(state, "seen")
    times = [when for key in ("pushed_at", "updated_at") if (when := moment(one, key))]
    unfinished = any("next" in place for place in state.get("lists", {}).values())
    return unfinished or seen is None or any(when >= seen - SLACK for when in times)


def _briefly(error: PollError) -> str:
    return str(error.status) if error.status and error.status >= 400 else str(error)
