"""Test a connection to GitLab: whose token it is, what it can see, and what is missing."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from painchain.connectors.code_hosts import rows, text
from painchain.connectors.contract import ConnectionTestResult, ErrorKind, PollError
from painchain.connectors.gitlab import events
from painchain.connectors.gitlab.client import client, escaped
from painchain.connectors.gitlab.events import Item
from painchain.connectors.http_client import Answer, Client

SECONDS = 8.0  # for all of it
SCOPES = {"read_api", "api"}  # either is enough
MOST_NAMES = 10  # of the projects that a token is a member of


def check(settings: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Ask GitLab who the token is and what it can see."""
    try:
        with client(settings, now, seconds=SECONDS / 2) as http:
            look = _Look(http)
            token, user = look.may("personal_access_tokens/self"), look.may("user")
            missing = _scopes(token)
            wanted = list(settings.get("projects") or [])
            sees, absent = look.listed(wanted) if wanted else look.memberships()
    except PollError as error:
        return ConnectionTestResult(ok=False, missing=[str(error)])
    polls = not missing and (bool(sees) or not wanted)
    return ConnectionTestResult(polls, _identity(user, token, now.date()), sees, [*missing, *absent])


class _Look:
    """The requests of one test, which together may take so long and no longer."""

    def __init__(self, http: Client):
        self._http = http
        self._until = time.monotonic() + SECONDS

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        return self._http.get(path, params, deadline=self._until)

    def may(self, path: str) -> Item | None:
        """Return what GitLab tells the token of itself; None where it may not, or GitLab is older."""
        try:
            value = self._get(path).value
        except PollError as error:
            if error.trouble in (ErrorKind.PERMISSION, ErrorKind.MISSING):
                return None
            raise
        return value if isinstance(value, Mapping) else None

    def listed(self, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return which of the listed projects the token sees, and what to say of the others."""
        sees, absent = [], []
        for number, ref in enumerate(wanted):
            if time.monotonic() > self._until - 1:
                absent.append(f"{len(wanted) - number} more projects were not looked at: GitLab answers slowly.")
                break
            place = events.project(self.may(f"projects/{escaped(ref)}"))
            if place:
                sees.append(place.path)
            else:
                absent.append(f"There is no project {ref}, or the token may not see it. Make its user a member.")
        return sees, absent

    def memberships(self) -> tuple[list[str], list[str]]:
        """Return the projects that the token is a member of, as many as are worth naming."""
        params = {"membership": "true", "simple": "true", "archived": "false", "order_by": "last_activity_at"}
        try:
            answer = self._get("projects", {**params, "per_page": MOST_NAMES})
        except PollError as error:
            if error.trouble is ErrorKind.PERMISSION:
                return [], ["The token may not list projects. Give it the scope read_api."]
            raise
        sees = [place.path for item in rows(answer.value) if (place := events.project(item))]
        total = answer.headers.get("x-total", "")
        if total.isdecimal() and int(total) > len(sees):
            sees.append(f"and {int(total) - len(sees)} more projects")
        return sees, [] if sees else ["The token is a member of no project. List the projects, or make it a member."]


def _scopes(token: Item | None) -> list[str]:
    scopes = token.get("scopes") if token else None
    if not isinstance(scopes, list) or SCOPES & {one for one in scopes if isinstance(one, str)}:
        return []
    has = ", ".join(map(str, scopes)) or "none"
    return [f"The token lacks the scope read_api; it has {has}. Make one that has it."]


def _identity(user: Item | None, token: Item | None, today: date) -> str:
    who = [events.name(user)] if user else []
    if token and text(token, "name"):
        who.append(f"token “{text(token.get('name'))}”")
    return ", ".join([*who, *_end(token, today)])


def _end(token: Item | None, today: date) -> list[str]:
    try:
        days = (date.fromisoformat(text(token.get("expires_at") if token else None)[:10]) - today).days
    except ValueError:
        return []
    return ["expires today" if days <= 0 else f"expires in {days} day{'' if days == 1 else 's'}"]
