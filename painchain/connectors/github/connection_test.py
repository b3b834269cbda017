"""Test a connection with GitHub: whose token it is, what it can see, and what is missing."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import text
from painchain.connectors.contract import ConnectionTestResult, ErrorKind, PollError
from painchain.connectors.github.client import RATE_LIMIT_PREFIX, client
from painchain.connectors.github.pagination import listed
from painchain.connectors.http_client import Answer, Client
from painchain.connectors.poll_budget import parse_rate_limit

SECONDS = 5.0  # after which nothing more is asked
AN_ANSWER = 3.0  # seconds
KINDS = {
    "personal access token (classic)": "ghp_",
    "fine-grained personal access token": "github_pat_",
    "token of a GitHub App": "ghs_",
    "OAuth token": "gho_",
    "token of a GitHub App's user": "ghu_",
}
PARTS = {
    "Pull requests": ("repos/{name}/pulls", "Pull requests: read"),
    "Workflow runs": ("repos/{name}/actions/runs", "Actions: read"),
    "Releases": ("repos/{name}/releases", "Contents: read"),
    "Commits": ("repos/{name}/commits", "Contents: read"),
    "Deployments": ("repos/{name}/deployments", "Deployments: read"),
}
REFUSED = (ErrorKind.MISSING, ErrorKind.PERMISSION)

MOST_LINK = 4_000  # of a header that leads to other pages
_LAST = re.compile(r'[?&]page=(\d+)[^<>]*>;\s*rel="last"')


def check(settings: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Return what the token of these settings can see and what it can't."""
    try:
        with client(settings, now, seconds=AN_ANSWER) as asked:
            return Testing(asked, settings).checked()
    except PollError as error:
        return ConnectionTestResult(False, missing=[str(error)])


class Testing:
    """One test: the most telling questions first, as many as fit into its time."""

    def __init__(self, asked: Client, settings: Mapping[str, Any]):
        self._asked = asked
        self._settings = settings
        self._ends = time.monotonic() + SECONDS
        self._sees: list[str] = []
        self._missing: list[str] = []
        self._owners: set[str] = set()

    def checked(self) -> ConnectionTestResult:
        """Ask, and put into words what was answered."""
        identity = self._identity()
        names = self._settings.get("repos") or []
        ok = self._configured(names) if names else self._visible()
        return ConnectionTestResult(ok, identity, tuple(self._sees), tuple(self._missing))

    def _identity(self) -> str:
        token = self._settings["token"]
        kind = next((kind for kind, prefix in KINDS.items() if token.startswith(prefix)), "token")
        try:
            answer = self._get("user")
        except PollError as error:
            if error.trouble is not ErrorKind.PERMISSION:
                raise
            return kind  # of an App: it belongs to no user
        self._about_token(answer)
        login, name = text(answer.value, "login"), text(answer.value, "name")
        if not login:
            words = "The answer is not what GitHub's API answers. Check the API URL."
            raise PollError(words, ErrorKind.BAD_ANSWER, status=answer.status)
        return f"{login}{f' ({name})' if name else ''}, {kind}"

    def _about_token(self, answer: Answer) -> None:
        if told := parse_rate_limit(answer.headers, RATE_LIMIT_PREFIX):
            self._sees.append(f"{told.remaining} of {told.limit} requests left of the rate limit")
        if expires := answer.headers.get("github-authentication-token-expiration"):
            self._sees.append(f"The token expires on {expires}")
        scopes = answer.headers.get("x-oauth-scopes")  # only classic tokens have scopes
        if scopes is None:
            return
        has = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        self._sees.append(f"Scopes of the token: {', '.join(has) or 'none'}")
        if "repo" not in has:
            self._missing.append("The scope repo: without it private repositories are not seen.")

    def _visible(self) -> bool:
        try:
            answer, under = self._get("user/repos", {"sort": "pushed", "per_page": 1}), ""
        except PollError as error:
            if error.trouble is not ErrorKind.PERMISSION:
                raise
            answer, under = self._get("installation/repositories", {"per_page": 1}), "repositories"
        first = listed(answer, under)
        last = _LAST.search(answer.headers.get("link", "")[:MOST_LINK])
        number = int(last[1]) if last else len(first)
        self._sees.append(f"{number} {'repository' if number == 1 else 'repositories'}")
        if not first:
            self._missing.append("The token can see no repository: give it access to some, or list public ones.")
        for one in first:
            self._parts(one)
        return True

    def _configured(self, names: list[str]) -> bool:
        seen = []
        for number, name in enumerate(names):
            if self._late():
                self._missing.append(f"Not tested for want of time: {', '.join(names[number:][:5])}.")
                break
            if told := self._seen(f"repos/{name}"):
                seen.append(told)
                self._sees.append(name)
            else:
                self._missing.append(f"{name}: there is no such repository, or the token may not see it.")
        for told in seen:
            self._parts(told)
        return bool(seen)

    def _parts(self, told: Any) -> None:
        name, owner = text(told, "full_name"), text(told, "owner", "login")
        for what, (path, needs) in PARTS.items():
            if not self._late() and self._seen(path.format(name=name)) is None:
                self._missing.append(f"{what} of {name}: the token needs the permission {needs}.")
        whose = "orgs" if text(told, "owner", "type") == "Organization" else "users"
        if self._late() or owner in self._owners:
            return
        self._owners.add(owner)
        if self._seen(f"{whose}/{owner}/packages", {"package_type": "container"}) is None:
            self._missing.append(
                f"Images of {owner}: the token needs the scope read:packages, which only classic ones have."
            )

    def _seen(self, path: str, more: Mapping[str, Any] | None = None) -> Any:
        """Return what is at `path`; None if it is gone or forbidden."""
        try:
            return self._get(path, {"per_page": 1, **(more or {})}).value
        except PollError as error:
            if error.status == 409:  # a repository without any commit
                return []
            if error.trouble not in REFUSED:
                raise
            return None

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> Answer:
        return self._asked.get(path, params, deadline=self._ends + AN_ANSWER)

    def _late(self) -> bool:
        return time.monotonic() > self._ends
