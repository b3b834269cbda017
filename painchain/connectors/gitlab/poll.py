"""Poll GitLab project by project, and continue where the previous poll stopped."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any

from painchain.connectors.code_hosts import connector_key, first_server, objects, with_plain_ids
from painchain.connectors.contract import ErrorKind, PollContext, PollError, PollResult, RateLimit
from painchain.connectors.gitlab import followed, payloads
from painchain.connectors.gitlab.client import PAGE, SERVER_ERRORS, GitLabClient, iso, open_client, quote_path
from painchain.connectors.gitlab.cursor import ROUND, read_cursor
from painchain.connectors.gitlab.payloads import Project
from painchain.connectors.gitlab.project import ProjectReader
from painchain.connectors.poll_budget import PollBudgetExceeded

ACTIVE = timedelta(days=30)  # unlisted projects are polled if they had activity within this time
MAX_NAMED = 5  # in a note


def poll(context: PollContext) -> PollResult:
    """Return what is new in the projects of a connector."""
    with open_client(context.settings, context.now) as http:
        return PollRound(GitLabClient(http, context), context).run()


class PollRound:
    """Reads each project once. A round can take several polls; `todo` are the projects that are left.

    The cursor stores `base` (the server's URL), `server` (whose events have ids without a server), `asked` (the setting
    that the round is for), `todo`, `projects` (how far each has been read, by its id), `names` (the id and path of each
    project by its name in the settings, or by its id), `missing` and `refused`.
    """

    def __init__(self, api: GitLabClient, context: PollContext):
        self.api, self.context = api, context
        self.configured: list[str] = list(context.settings.get("projects") or [])
        self.cursor: dict[str, Any] = read_cursor(deepcopy(followed.of_server(context.settings, context.cursor)))
        self.cursor["base"] = context.settings["base_url"]
        self.cursor["server"] = first_server(context.settings, context.cursor)
        self.connector_key = connector_key(context.connector_id, context.settings, context.cursor)
        self.server_error: PollError | None = None

    def run(self) -> PollResult:
        """Read as much as fits in one poll."""
        more = False
        try:
            self._begin()
            while self.cursor["todo"]:
                self._read_project(self.cursor["todo"][0])
                self.cursor["todo"].pop(0)
        except PollBudgetExceeded:
            more = True
        except PollError as error:
            if not self.api.made_progress:
                raise
            more = True
            self._postpone(error)
        if not more:
            self._raise_if_nothing_read()
        events = [with_plain_ids(event, self.context.connector_id) for event in self.api.events.values()]
        note, limit = self._note(more), self.api.rate_limit
        return PollResult(events, self.cursor, more, note, rate_limit=limit, requests=self.api.requests)

    def _postpone(self, error: PollError) -> None:
        """Keep the events found before the error. If it persists, the next poll fails with it."""
        self.api.note(str(error))
        if error.retry_at:
            limit = self.api.rate_limit.limit if self.api.rate_limit else None
            self.api.rate_limit = RateLimit(limit, 0, error.retry_at)

    def _begin(self) -> None:
        """Start a round, unless one is in progress for these settings."""
        is_complete = all(key in self.cursor for key in ROUND)
        if self.cursor.get("asked") == self.configured and is_complete and self.cursor["todo"]:
            return
        todo = [{"ref": ref} for ref in self.configured] or self._memberships()
        projects, names = self.cursor.get("projects", {}), self.cursor.get("names", {})
        refs = {entry["ref"] for entry in todo}
        names = {ref: name for ref, name in names.items() if ref in refs}
        kept = refs | {name["id"] for name in names.values()}
        self.cursor = {
            "base": self.cursor["base"],
            "server": self.cursor["server"],
            "asked": self.configured,
            "todo": todo,
            "projects": {key: state for key, state in projects.items() if key in kept},
            "names": names,
            "missing": [],
            "refused": [],
            "read": [],
        }

    def _memberships(self) -> list[dict[str, Any]]:
        """Return the projects that the token's user is a member of, by id."""
        params = {
            "membership": "true",
            "simple": "true",
            "archived": "false",
            "order_by": "id",
            "sort": "asc",
            "last_activity_after": iso(self.context.now - ACTIVE),
            "per_page": PAGE,
        }
        todo: list[dict[str, Any]] = []
        while True:
            after = {"id_after": todo[-1]["id"]} if todo else {}
            page = objects(self.api.get("projects", {**params, **after}).value)
            projects = [project for item in page if (project := payloads.project(item))]
            todo += [{"ref": project.id, **_stored(project)} for project in projects]
            if len(page) < PAGE or not projects:
                return todo

    def _read_project(self, entry: Mapping[str, Any]) -> None:
        """Read one project. One project may fail with a server error; at the second one the poll fails."""
        try:
            project = self._project(entry)
            if project is None:
                self.cursor["missing"].append(entry["ref"])
                return
            self._remember(project, entry["ref"])
            if project.id not in self.cursor["read"]:
                self._read_lists(project)
            self.api.made_progress = True
        except PollError as error:
            is_local = error.kind is ErrorKind.PERMISSION or (error.kind in SERVER_ERRORS and not self.server_error)
            if not is_local:
                raise
            self.server_error = error if error.kind in SERVER_ERRORS else self.server_error
            self.cursor["refused"].append(entry.get("path", entry["ref"]))

    def _remember(self, project: Project, ref: str) -> None:
        """Store which project a name in the settings refers to, so that it is found after it is renamed."""
        projects, names = self.cursor["projects"], self.cursor["names"]
        if ref != project.id and ref in projects:  # an older version stored the state by the name
            state = projects.pop(ref)
            projects.setdefault(project.id, state)
        is_path = not ref.isdecimal()
        former_path = ref if is_path else names.get(ref, {}).get("path", project.path)
        if former_path.lower() != project.path.lower():
            advice = " Change the path in the settings." if is_path else ""
            self.api.note(f"{former_path} is now {project.path}.{advice}")
        names[ref] = {"id": project.id, "path": project.path}

    def _read_lists(self, project: Project) -> None:
        state = self.cursor["projects"].setdefault(project.id, {})
        reader = ProjectReader(self.api, project, self.context.settings.get("branches") or (), state)
        refused = reader.read()
        if len(refused) < reader.lists:
            self.cursor["read"].append(project.id)
        forbidden = [name for name, error in refused.items() if error.kind is not ErrorKind.NOT_FOUND]
        self.cursor["refused"] += [f"{', '.join(forbidden)} of {project.path}"] if forbidden else []

    def _raise_if_nothing_read(self) -> None:
        """Raise an error at the end of a round in which nothing could be read."""
        missing, refused = self.cursor["missing"], self.cursor["refused"]
        if self.configured and len(missing) == len(self.configured):
            raise PollError(
                f"None of the projects were found, or the token cannot access them: {_some(missing)}. "
                "Check the project paths, and that the token's user is a member.",
                ErrorKind.NOT_FOUND,
            )
        if refused and not self.cursor["read"]:
            if self.server_error:
                raise self.server_error
            raise PollError(
                f"The token cannot read {_some(refused)}. Grant it the scope read_api.", ErrorKind.PERMISSION
            )

    def _project(self, entry: Mapping[str, Any]) -> Project | None:
        """Return the project, requesting it if only its name is known; None if it is not found.

        GitLab redirects from the old path of a project to the new one, until another project takes the path. If it does
        not redirect, the project is requested by the id that belonged to the path.
        """
        if "path" in entry:
            values = {key: entry[key] for key in ("id", "path", "url", "branch")}
            return Project(**values, connector_id=self.connector_key)
        former = self.cursor["names"].get(entry["ref"])
        for ref in dict.fromkeys([entry["ref"], *([former["id"]] if former else [])]):
            try:
                value = self.api.get(f"projects/{quote_path(ref)}").value
                return payloads.project(value, self.connector_key)
            except PollError as error:
                if error.kind is not ErrorKind.NOT_FOUND:
                    raise
        return None

    def _note(self, more: bool) -> str:
        messages = list(self.api.notes)
        if missing := self.cursor.get("missing"):
            messages.append(f"Not found, or not accessible with this token: {_some(missing)}.")
        if refused := self.cursor.get("refused"):
            messages.append(f"Could not read: {_some(refused)}.")
        if more:
            left = len(self.cursor.get("todo", []))
            messages.append(
                f"There is more to read than fits in one poll. {left} project{'' if left == 1 else 's'} left."
            )
        return " ".join(messages)


def _some(names: list[str]) -> str:
    further = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {further} more" if further > 0 else "")


def _stored(project: Project) -> dict[str, Any]:
    return {"id": project.id, "path": project.path, "url": project.url, "branch": project.branch}
