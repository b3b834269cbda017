"""Poll GitHub: choose the repositories to read, and continue where the previous poll stopped.

The cursor stores for each repository, by its number, when it was read (`seen`) and the position of each of its lists. A
list is read from its newest item back to the newest time of the previous poll. If a list is too long for one poll, the
next poll continues at its next page, so no item is skipped, whatever the clocks say. `names` has the numbers of the
repositories in the settings: a renamed repository keeps its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from datetime import timedelta
from typing import Any

from painchain.connectors.code_hosts import dig, first_server, parse_time, text
from painchain.connectors.contract import Cursor, ErrorKind, PollContext, PollError, PollResult
from painchain.connectors.github import packages
from painchain.connectors.github.client import GitHubClient, open_client
from painchain.connectors.github.cursor import read_cursor
from painchain.connectors.github.pagination import PollSession, cursor_time, list_items
from painchain.connectors.github.repository import Repository, describe
from painchain.connectors.github.repository_reader import RepositoryReader
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
    stored = read_cursor(deepcopy(context.cursor))
    known = stored if stored.get("base") == context.settings["base_url"] else {}
    with open_client(context.settings, context.now) as http:
        session = PollSession(context, GitHubClient(http, context.now, context.stopping, known.get("etags", {})))
        return PollRound(session, known).run()


class PollRound:
    """Reads every repository once, least recently read first. A round can take several polls."""

    def __init__(self, session: PollSession, known: Cursor):
        self._session = session
        self._states: dict[str, State] = known.get("repos", {})
        self._names: dict[str, str] = known.get("names", {})
        self._images = known.get("images", {})
        self._began: str | None = known.get("began")
        self._owners: dict[str, bool] = {}
        self._begin = cursor_time(session.context.since)
        self._before = deepcopy((self._states, self._images))

    def run(self) -> PollResult:
        """Read as much as fits in one poll."""
        has_more = False
        try:
            self._read()
        except PollBudgetExceeded as exceeded:
            has_more = self._made_progress()
            self._session.note(str(exceeded))
        except PollError as error:
            if not self._made_progress():
                raise  # the next poll is due immediately and would fail the same way
            has_more = True
            self._session.note(str(error))
        if self._session.failures and not self._session.lists_read and not has_more:
            raise self._session.failures[0][1]
        note, api = " ".join([*self._session.notes, *self._failures_note()]), self._session.api
        cursor = self._cursor(has_more)
        return PollResult(self._session.events, cursor, has_more, note, self._session.gap, api.rate_limit, api.requests)

    def _read(self) -> None:
        listed = self._session.context.settings.get("repos") or []
        for repository, state in self._configured(listed) if listed else self._visible():
            RepositoryReader(self._session, repository, state).read_all()
        names = {name.casefold() for name in listed}
        packages.read(self._session, self._owners, self._images, names and {*names, *self._names.values()})

    def _configured(self, names: list[str]) -> Iterator[tuple[Repository, State]]:
        """Yield the repositories in the settings, least recently read first."""
        keys = {name.casefold(): name for name in names}
        self._names = {key: self._names[key] for key in keys if key in self._names}
        self._keep_states([*keys, *self._names.values()])
        read = set[str]()
        for key, name in sorted(keys.items(), key=lambda item: text(self._state_of(item[0]), "seen")):
            state = self._state_of(key)
            if self._is_done(state):
                about = describe(0, state["about"])
                self._owners[about.owner] = about.is_organization
                continue
            repository = None
            with self._session.attempt(name, counts_as_list=False):
                repository = self._repository(name, key)
            if repository and repository.id not in read:
                read.add(repository.id)
                self._owners[repository.owner] = repository.is_organization
                yield repository, self._states[repository.id]

    def _state_of(self, key: str) -> State:
        """Return what is known of a repository by its name in the settings, in lower case."""
        return self._states.get(self._names.get(key, key), {})

    def _is_done(self, state: State) -> bool:
        """Return whether a previous poll of this round has read the repository."""
        return self._began is not None and isinstance(state.get("about"), dict) and text(state, "seen") >= self._began

    def _repository(self, name: str, key: str) -> Repository:
        """Ask for a repository by its name in the settings. If it was renamed, GitHub redirects to its new name."""
        path, api, known = f"repos/{name}", self._session.api, dig(self._state_of(key), "about")
        response = api.get_changed(path, path) if text(known, "default_branch") else api.get(path)
        if response.is_unchanged:
            about = known
        else:
            if not text(response.value, "full_name"):
                message = "The response is not from GitHub's API. Check the API URL."
                raise PollError(message, ErrorKind.INVALID_RESPONSE, status=response.status)
            about = _compact(response.value)
        repository = describe(self._session.connector_key, about, name)
        self._adopt(repository, key)
        self._names[key] = repository.id
        self._states[repository.id]["about"] = about
        if not response.is_unchanged:
            api.store_etag(path, response)
        if repository.name.casefold() != key:
            self._session.note(f"{name} is now called {repository.name}. Enter the new name.")
        return repository

    def _visible(self) -> Iterator[tuple[Repository, State]]:
        """Yield the repositories that the token can access: those with news first, then some of the others."""
        repositories = self._listed()
        described = [
            describe(self._session.connector_key, repository, self._former_name(repository))
            for repository in repositories
        ]
        self._keep_states([key for repository in described for key in (repository.id, repository.name.casefold())])
        for repository in described:
            self._adopt(repository, repository.name.casefold())
            self._owners[repository.owner] = repository.is_organization
        if not repositories:
            self._session.note("The token cannot access any repository.")
        pairs = [(item, repository) for item, repository in zip(repositories, described, strict=True)]
        pairs = [pair for pair in pairs if not (self._began and self._seen(pair[1]) >= self._began)]
        pairs.sort(key=lambda pair: self._seen(pair[1]))
        busy = [repository for item, repository in pairs if _is_busy(item, self._states[repository.id])]
        idle = [repository for _, repository in pairs if repository not in busy][:MAX_IDLE]
        for repository in (*busy, *idle):
            state = self._states[repository.id]
            former = text(state, "about", "full_name")
            if former and former != repository.name:
                self._session.note(f"{former} is now called {repository.name}.")
            state["about"] = {"full_name": repository.name}
            yield repository, state

    def _seen(self, repository: Repository) -> str:
        return text(self._states[repository.id], "seen")

    def _former_name(self, repository: Any) -> str:
        return text(self._states.get(text(repository, "id"), {}), "about", "full_name")

    def _listed(self) -> list[Any]:
        """Return the repositories that the token can access, at most MAX_REPOSITORIES."""
        api, repositories = self._session.api, list[Any]()
        try:
            response, list_key = api.get("user/repos", {"sort": "pushed", "per_page": 100}), ""
        except PollError as error:
            if error.kind is not ErrorKind.PERMISSION:
                raise
            # The token of a GitHub App belongs to no user.
            response, list_key = api.get("installation/repositories", {"per_page": 100}), "repositories"
        while len(repositories) < MAX_REPOSITORIES:
            repositories += [item for item in list_items(response, list_key) if text(item, "full_name")]
            following = next_page(response)
            if following is None:
                return repositories[:MAX_REPOSITORIES]
            response = api.get(following)
        self._session.note(
            f"Only the {MAX_REPOSITORIES} most recently pushed repositories are polled. List the others to poll them."
        )
        return repositories[:MAX_REPOSITORIES]

    def _made_progress(self) -> bool:
        """Return whether this poll read a repository to the end, or moved the position of any list."""
        states, images = self._before
        for key, state in self._states.items():
            about = text(state, "about", "full_name").casefold()
            before = states.get(key) or states.get(about) or {"seen": self._begin}
            unread = {"since": before["seen"]}
            if state["seen"] != before["seen"] or state.get("backlog") != before.get("backlog"):
                return True
            for kind, position in state.get("lists", {}).items():
                if position != before.get("lists", {}).get(kind, unread):
                    return True
        return any(position != images.get(owner, {"since": self._begin}) for owner, position in self._images.items())

    def _keep_states(self, keys: list[str]) -> None:
        self._states = {key: self._states[key] for key in keys if key in self._states}

    def _adopt(self, repository: Repository, key: str) -> None:
        """Make sure that there is a state for a repository. Older versions stored it under the name."""
        former = self._states.pop(key, None) if key != repository.id else None
        state = self._states.get(repository.id) or former
        if state is None:
            state = {"seen": self._begin}
            self._session.api.forget_etags(repository.path)
        state.setdefault("begin", state["seen"])
        self._states[repository.id] = state

    def _failures_note(self) -> list[str]:
        refused = [f"{name} ({_briefly(error)})" for name, error in self._session.failures]
        more = len(refused) - MAX_NAMED
        if not refused:
            return []
        return [f"Could not read: {'; '.join(refused[:MAX_NAMED])}{f'; and {more} more' if more > 0 else ''}."]

    def _cursor(self, has_more: bool) -> Cursor:
        base, etags = self._session.context.settings["base_url"], self._session.api.etags()
        began = {"began": self._began or cursor_time(self._session.context.now)} if has_more else {}
        return {
            "base": base,
            "server": first_server(self._session.context.settings, self._session.context.cursor),
            "repos": self._states,
            "names": self._names,
            "images": self._images,
            "etags": etags,
            **began,
        }


def _compact(repository: Any) -> dict[str, Any]:
    """Return what is stored of a repository."""
    keys = ("full_name", "default_branch", "master_branch", "pushed_at", "html_url")
    owner = {key: text(repository, "owner", key) for key in ("login", "type")}
    return {"id": text(repository, "id"), **{key: text(repository, key) for key in keys}, "owner": owner}


def _is_busy(repository: Any, state: State) -> bool:
    seen = parse_time(state, "seen")
    times = [time for key in ("pushed_at", "updated_at") if (time := parse_time(repository, key))]
    is_unfinished = "backlog" in state or any("next" in position for position in state.get("lists", {}).values())
    return is_unfinished or seen is None or any(time >= seen - SLACK for time in times)


def _briefly(error: PollError) -> str:
    return str(error.status) if error.status and error.status >= 400 else str(error)
