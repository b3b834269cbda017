"""Test a connection to GitLab: the owner of the token, what it can access, and what is missing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from painchain.connectors.code_hosts import objects, text
from painchain.connectors.contract import ConnectionTestResult, ErrorKind, PollError
from painchain.connectors.gitlab import payloads
from painchain.connectors.gitlab.client import open_client, quote_path
from painchain.connectors.gitlab.payloads import Item
from painchain.connectors.http_client import HttpClient, Response

SECONDS = 8.0  # for all requests
SCOPES = {"read_api", "api"}  # one of them is enough
MAX_NAMED = 10  # of the projects that the token can access


def run_test(settings: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Return what the token of these settings can access, and what is missing."""
    try:
        with open_client(settings, now, seconds=SECONDS / 2) as http:
            test = ConnectionTest(http)
            token, user = test.get_optional("personal_access_tokens/self"), test.get_optional("user")
            missing = _scopes(token)
            listed = list(settings.get("projects") or [])
            access, missing_projects = test.check_listed(listed) if listed else test.check_memberships()
    except PollError as error:
        return ConnectionTestResult(ok=False, missing=[str(error)])
    polls = not missing and (bool(access) or not listed)
    return ConnectionTestResult(polls, _identity(user, token, now.date()), access, [*missing, *missing_projects])


class ConnectionTest:
    """The requests of one test, with one deadline."""

    def __init__(self, http: HttpClient):
        self._http = http
        self._deadline = time.monotonic() + SECONDS

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> Response:
        return self._http.get(path, params, deadline=self._deadline)

    def get_optional(self, path: str) -> Item | None:
        """Return the object at `path`; None if it is forbidden or does not exist."""
        try:
            value = self._get(path).value
        except PollError as error:
            if error.kind in (ErrorKind.PERMISSION, ErrorKind.NOT_FOUND):
                return None
            raise
        return value if isinstance(value, Mapping) else None

    def check_listed(self, listed: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the listed projects that the token can access, and a message for each other one."""
        access, missing_projects = [], []
        for number, ref in enumerate(listed):
            if time.monotonic() > self._deadline - 1:
                missing_projects.append(
                    f"{len(listed) - number} more projects were not tested, because GitLab responds slowly."
                )
                break
            project = payloads.project(self.get_optional(f"projects/{quote_path(ref)}"))
            if project:
                access.append(project.path)
            else:
                missing_projects.append(
                    f"Project {ref} not found, or the token cannot access it. Make the token's user a member."
                )
        return access, missing_projects

    def check_memberships(self) -> tuple[list[str], list[str]]:
        """Return the first projects that the token's user is a member of, and messages."""
        params = {"membership": "true", "simple": "true", "archived": "false", "order_by": "last_activity_at"}
        try:
            answer = self._get("projects", {**params, "per_page": MAX_NAMED})
        except PollError as error:
            if error.kind is ErrorKind.PERMISSION:
                return [], ["The token cannot list projects. Grant it the scope read_api."]
            raise
        access = [project.path for item in objects(answer.value) if (project := payloads.project(item))]
        total = answer.headers.get("x-total", "")
        if total.isdecimal() and int(total) > len(access):
            access.append(f"and {int(total) - len(access)} more projects")
        return access, [] if access else [
            "The token's user is not a member of any project. List projects, or make the user a member."
        ]


def _scopes(token: Item | None) -> list[str]:
    scopes = token.get("scopes") if token else None
    if not isinstance(scopes, list) or SCOPES & {scope for scope in scopes if isinstance(scope, str)}:
        return []
    granted = ", ".join(map(str, scopes)) or "none"
    return [f"The token lacks the scope read_api (it has {granted}). Create a token with that scope."]


def _identity(user: Item | None, token: Item | None, today: date) -> str:
    who = [payloads.person_name(user)] if user else []
    if token and text(token, "name"):
        who.append(f"token “{text(token.get('name'))}”")
    return ", ".join([*who, *_expiry(token, today)])


def _expiry(token: Item | None, today: date) -> list[str]:
    try:
        days = (date.fromisoformat(text(token.get("expires_at") if token else None)[:10]) - today).days
    except ValueError:
        return []
    return ["expires today" if days <= 0 else f"expires in {days} day{'' if days == 1 else 's'}"]
