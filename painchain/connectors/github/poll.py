"""Poll GitHub: choose the repositories to read, and continue where the previous poll stopped.

The cursor stores for each repository when it was read (`seen`) and the position of each of its lists. A list is read
from its newest item back to the newest time of the previous poll. If a list is too long for one poll, the next poll
continues at its next page, so no item is skipped, whatever the clocks say.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

from painchain.connectors.code_hosts import parse_time, text
from painchain.connectors.contract import Cursor, ErrorKind, PollContext, PollError, PollResult
from painchain.connectors.github import packages
from painchain.connectors.github.client import GitHubClient, open_client
from painchain.connectors.github.pagination import PollSession, cursor_time, list_items
from painchain.connectors.github.repository import Repository, RepositoryReader
from painchain.connectors.http_client import next_page
from painchain.connectors.poll_budget import PollBudgetExceeded

MAX_REPOSITORIES = 200  # of those that the token can see
MAX_IDLE = 10  # repositories without a push that one poll reads; they take turns
SLACK = timedelta(minutes=10)  # the largest expected difference between clocks
MAX_NAMED = 5

State = dict[str, Any]


def poll(context: PollContext) -> PollResult:
    """Return what is new in the repositories since the last poll.

    :raises PollError: if nothing can be read.
    """
    # The cursor of another API does not apply.
    known = deepcopy(context.cursor) if context.cursor.get("base") == context.settings["base_url"] else {}
    with open_client(context.settings, context.now) as http:
        session = PollSession(context, GitHubClient(http, context.now, context.stopping, known.get("etags", {})))
        return PollRound(session, known).run()


class PollRound:
    """Reads every repository once, least recently read first. A round can take several polls."""

    def __init__(self, session: PollSession, known: Cursor):
        self._session = session
        self._states: dict[str, State] = known.get("repos", {})
        self._images = known.get("images", {})
        self._began: str | None = known.get("began")
        self._owners: dict[str, bool] = {}
        self._notes: list[str] = []
        self._begin = cursor_time(session.context.since)
        self._before = deepcopy((self._states, self._images))

    def run(self) -> PollResult:
        """Read as much as fits in one poll."""
        more = False
        try:
            self._read()
        except PollBudgetExceeded as exceeded:
            more = self._made_progress()
            self._notes.append(str(exceeded))
        except PollError as error:
            if not self._made_progress():
                raise  # the next poll is due immediately and would fail the same way
            more = True
            self._notes.append(str(error))
        if self._session.failures and not self._session.lists_read and not more:
            raise self._session.failures[0][1]
        note = " ".join([*self._notes, *self._failures_note()])
        return PollResult(self._session.events, self._cursor(more), more, note, rate_limit=self._session.api.rate_limit)

    def _read(self) -> None:
        wanted = self._session.context.settings.get("repos")
        for repo, state in self._configured(wanted) if wanted else self._visible():
            RepositoryReader(self._session, repo, state).read_all()
        packages.read(self._session, self._owners, self._images)

    def _configured(self, names: list[str]) -> Iterator[tuple[Repository, State]]:
        self._init_states([name.casefold() for name in names])
        for name in sorted(names, key=lambda name: text(self._states[name.casefold()], "seen")):
            state = self._states[name.casefold()]
            if self._is_done(state):
                self._owners[state["about"][2]] = state["about"][3]
                continue
            repo = None
            with self._session.attempt(name, counts_as_list=False):
                repo = self._repository(name, state)
            if repo:
                self._owners[repo.owner] = repo.organization
                yield repo, state

    def _is_done(self, state: State) -> bool:
        """Say whether a previous poll of this round has read the repository."""
        return self._began is not None and "about" in state and text(state, "seen") >= self._began

    def _repository(self, name: str, state: State) -> Repository:
        path, api = f"repos/{name}", self._session.api
        answer = api.get_changed(path, path) if "about" in state else api.get(path)
        if not answer.is_unchanged:
            if not text(answer.value, "full_name"):
                message = "The response is not from GitHub's API. Check the API URL."
                raise PollError(message, ErrorKind.INVALID_RESPONSE, status=answer.status)
            state["about"] = [*_described(answer.value)]
            api.store_etag(path, answer)
        return Repository(*state["about"])

    def _visible(self) -> Iterator[tuple[Repository, State]]:
        repositories = self._listed()
        self._init_states([text(repository, "full_name").casefold() for repository in repositories])
        if not repositories:
            self._notes.append("The token cannot access any repository.")
        self._owners.update(
            {text(repository, "owner", "login"): _described(repository)[3] for repository in repositories}
        )
        states = [(repository, self._states[text(repository, "full_name").casefold()]) for repository in repositories]
        states = [pair for pair in states if not (self._began and text(pair[1], "seen") >= self._began)]
        states.sort(key=lambda pair: text(pair[1], "seen"))
        busy = [pair for pair in states if _is_busy(*pair)]
        idle = [pair for pair in states if not _is_busy(*pair)][:MAX_IDLE]
        for repository, state in (*busy, *idle):
            yield Repository(*_described(repository)), state

    def _listed(self) -> list[Any]:
        """Return the repositories that the token can access, at most MAX_REPOSITORIES."""
        api, repositories = self._session.api, list[Any]()
        try:
            answer, list_key = api.get("user/repos", {"sort": "pushed", "per_page": 100}), ""
        except PollError as error:
            if error.kind is not ErrorKind.PERMISSION:
                raise
            # The token of a GitHub App belongs to no user.
            answer, list_key = api.get("installation/repositories", {"per_page": 100}), "repositories"
        while len(repositories) < MAX_REPOSITORIES:
            repositories += [repository for repository in list_items(answer, list_key) if text(repository, "full_name")]
            following = next_page(answer)
            if following is None:
                return repositories[:MAX_REPOSITORIES]
            answer = api.get(following)
        self._notes.append(
            f"Only the {MAX_REPOSITORIES} most recently pushed repositories are polled. List the others to poll them."
        )
        return repositories[:MAX_REPOSITORIES]

    def _made_progress(self) -> bool:
        """Say whether this poll read a repository to the end, or moved the position of any list."""
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

    def _init_states(self, names: list[str]) -> None:
        self._states = {name: self._states.get(name) or {"seen": self._begin} for name in names}

    def _failures_note(self) -> list[str]:
        refused = [f"{name} ({_briefly(error)})" for name, error in self._session.failures]
        more = len(refused) - MAX_NAMED
        if not refused:
            return []
        return [f"Could not read: {'; '.join(refused[:MAX_NAMED])}{f'; and {more} more' if more > 0 else ''}."]

    def _cursor(self, more: bool) -> Cursor:
        base, etags = self._session.context.settings["base_url"], self._session.api.etags()
        began = {"began": self._began or cursor_time(self._session.context.now)} if more else {}
        return {"base": base, "repos": self._states, "images": self._images, "etags": etags, **began}


def _described(repository: Any) -> tuple[str, str, str, bool]:
    organization = text(repository, "owner", "type") == "Organization"
    return (
        text(repository, "full_name"),
        text(repository, "default_branch") or "main",
        text(repository, "owner", "login"),
        organization,
    )


def _is_busy(repository: Any, state: State) -> bool:
    seen = parse_time(state, "seen")
    times = [when for key in ("pushed_at", "updated_at") if (when := parse_time(repository, key))]
    unfinished = any("next" in place for place in state.get("lists", {}).values())
    return unfinished or seen is None or any(when >= seen - SLACK for when in times)


def _briefly(error: PollError) -> str:
    return str(error.status) if error.status and error.status >= 400 else str(error)
