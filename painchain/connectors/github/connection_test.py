"""Test a connection to GitHub: the owner of the token, what it can access, and what is missing."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import text
from painchain.connectors.contract import ConnectionTestResult, ErrorKind, PollError
from painchain.connectors.github.client import RATE_LIMIT_PREFIX, open_client
from painchain.connectors.github.pagination import list_items
from painchain.connectors.http_client import HttpClient, Response
from painchain.connectors.poll_budget import parse_rate_limit

SECONDS = 5.0  # after which no request is sent
RESPONSE_SECONDS = 3.0
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
REFUSED = (ErrorKind.NOT_FOUND, ErrorKind.PERMISSION)

MAX_LINK = 4_000  # characters of a Link header
_LAST = re.compile(r'[?&]page=(\d+)[^<>]*>;\s*rel="last"')


def run_test(settings: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Return what the token of these settings can access, and what is missing."""
    try:
        with open_client(settings, now, seconds=RESPONSE_SECONDS) as http:
            return ConnectionTest(http, settings).run()
    except PollError as error:
        return ConnectionTestResult(False, missing=[str(error)])


class ConnectionTest:
    """One test: the most important requests first, as many as fit into its time."""

    def __init__(self, http: HttpClient, settings: Mapping[str, Any]):
        self._http = http
        self._settings = settings
        self._deadline = time.monotonic() + SECONDS
        self._access: list[str] = []
        self._missing: list[str] = []
        self._owners: set[str] = set()

    def run(self) -> ConnectionTestResult:
        """Send the requests and return the result."""
        identity = self._identity()
        names = self._settings.get("repos") or []
        ok = self._check_configured(names) if names else self._check_visible()
        return ConnectionTestResult(ok, identity, tuple(self._access), tuple(self._missing))

    def _identity(self) -> str:
        token = self._settings["token"]
        kind = next((kind for kind, prefix in KINDS.items() if token.startswith(prefix)), "token")
        try:
            response = self._get("user")
        except PollError as error:
            if error.kind is not ErrorKind.PERMISSION:
                raise
            return kind  # the token of a GitHub App belongs to no user
        self._describe_token(response)
        login, name = text(response.value, "login"), text(response.value, "name")
        if not login:
            message = "The response is not from GitHub's API. Check the API URL."
            raise PollError(message, ErrorKind.INVALID_RESPONSE, status=response.status)
        return f"{login}{f' ({name})' if name else ''}, {kind}"

    def _describe_token(self, response: Response) -> None:
        if limit := parse_rate_limit(response.headers, RATE_LIMIT_PREFIX):
            self._access.append(f"{limit.remaining} of {limit.limit} requests left of the rate limit")
        if expires := response.headers.get("github-authentication-token-expiration"):
            self._access.append(f"The token expires on {expires}")
        scopes = response.headers.get("x-oauth-scopes")  # only classic tokens have scopes
        if scopes is None:
            return
        has = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        self._access.append(f"Scopes of the token: {', '.join(has) or 'none'}")
        if "repo" not in has:
            self._missing.append("The scope repo: without it, private repositories are not visible.")

    def _check_visible(self) -> bool:
        try:
            response, list_key = self._get("user/repos", {"sort": "pushed", "per_page": 1}), ""
        except PollError as error:
            if error.kind is not ErrorKind.PERMISSION:
                raise
            response, list_key = self._get("installation/repositories", {"per_page": 1}), "repositories"
        first = list_items(response, list_key)
        last = _LAST.search(response.headers.get("link", "")[:MAX_LINK])
        number = int(last[1]) if last else len(first)
        self._access.append(f"{number} {'repository' if number == 1 else 'repositories'}")
        if not first:
            self._missing.append(
                "The token cannot access any repository. Grant it access, or list public repositories."
            )
        for repository in first:
            self._check_permissions(repository)
        return True

    def _check_configured(self, names: list[str]) -> bool:
        accessible = []
        for number, name in enumerate(names):
            if self._is_late():
                self._missing.append(f"Not tested, because GitHub responds slowly: {', '.join(names[number:][:5])}.")
                break
            if repository := self._get_optional(f"repos/{name}"):
                accessible.append(repository)
                self._access.append(name)
            else:
                self._missing.append(f"{name}: not found, or the token cannot access it.")
        for repository in accessible:
            self._check_permissions(repository)
        return bool(accessible)

    def _check_permissions(self, repository: Any) -> None:
        name, owner = text(repository, "full_name"), text(repository, "owner", "login")
        for part, (path, permission) in PARTS.items():
            if not self._is_late() and self._get_optional(path.format(name=name)) is None:
                self._missing.append(f"{part} of {name}: the token needs the permission {permission}.")
        owners = "orgs" if text(repository, "owner", "type") == "Organization" else "users"
        if self._is_late() or owner in self._owners:
            return
        self._owners.add(owner)
        if self._get_optional(f"{owners}/{owner}/packages", {"package_type": "container"}) is None:
            self._missing.append(
                f"Images of {owner}: the token needs the scope read:packages, which only classic tokens have."
            )

    def _get_optional(self, path: str, more: Mapping[str, Any] | None = None) -> Any:
        """Return what is at `path`; None if it is gone or forbidden."""
        try:
            return self._get(path, {"per_page": 1, **(more or {})}).value
        except PollError as error:
            if error.status == 409:  # an empty repository
                return []
            if error.kind not in REFUSED:
                raise
            return None

    def _get(self, path: str, params: Mapping[str, Any] | None = None) -> Response:
        return self._http.get(path, params, deadline=self._deadline + RESPONSE_SECONDS)

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline
