"""Send the requests of one poll to GitHub: conditional ones, and never the last of a rate limit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from painchain.connectors.contract import ErrorKind, PollError
from painchain.connectors.http_client import HttpClient, Response
from painchain.connectors.http_errors import time_from
from painchain.connectors.poll_budget import ApiClient, PollBudget

MAX_REQUESTS = 300  # of one poll
MAX_SECONDS = 60.0  # of one poll
MAX_ETAGS = 1_000
RESERVE = 20  # one twentieth of the rate limit is left to other programs that use the token
RATE_LIMIT_PREFIX = "x-ratelimit"

REFUSED = (ErrorKind.NOT_FOUND, ErrorKind.PERMISSION)

Settings = Mapping[str, Any]


def open_client(settings: Settings, now: datetime, seconds: float = 10.0) -> HttpClient:
    """Return a client for the configured host.

    :raises PollError: if there is no token, or it has invalid characters.
    """
    token = settings.get("token") or ""
    if not token:
        raise PollError("No token is set. Enter one.", ErrorKind.AUTHENTICATION)
    if not (token.isascii() and token.isprintable()):
        raise PollError("The token contains invalid characters. Enter it again.", ErrorKind.AUTHENTICATION)
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json, application/json",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    return HttpClient(settings["base_url"], headers, now, step_seconds=seconds)


class GitHubClient(ApiClient):
    """The requests of one poll of GitHub. `etags` are those of the previous poll, for conditional requests."""

    rate_limit_prefix = RATE_LIMIT_PREFIX

    def __init__(self, http: HttpClient, now: datetime, stopping: Callable[[], bool], etags: Mapping[str, str]):
        super().__init__(http, PollBudget(MAX_REQUESTS, MAX_SECONDS, stopping))
        self._now = now
        self._etags = dict(etags)
        self.has_answered = False

    def get(self, path: str, params: Mapping[str, Any] | None = None, etag: str | None = None) -> Response:
        """Return the response to one GET request, as ``ApiClient.get`` does."""
        response = super().get(path, params, etag)
        self.has_answered = True
        return response

    def get_response(self, path: str, params: Mapping[str, Any] | None = None) -> Response | None:
        """Return the response for `path`; None if it is gone or forbidden."""
        try:
            return self.get(path, params)
        except PollError as error:
            if error.kind not in REFUSED:
                raise
            return None

    def get_optional(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return what is at `path`; None if it is gone or forbidden."""
        response = self.get_response(path, params)
        return response and response.value

    def get_changed(self, key: str, path: str, params: Mapping[str, Any] | None = None) -> Response:
        """Return the response to a GET request that is conditional on the ETag stored under `key`, if there is one."""
        return self.get(path, params, self._etags.get(key))

    def store_etag(self, key: str, response: Response) -> None:
        """Store the ETag of a response whose list has been read to the end."""
        etag = response.headers.get("etag", "")
        if 0 < len(etag) <= 100:
            self._etags.pop(key, None)
            self._etags[key] = etag

    def forget_etags(self, path: str) -> None:
        """Forget the ETags of a path and of everything below it, so that it is read as if for the first time."""
        self._etags = {key: etag for key, etag in self._etags.items() if key != path and not key.startswith(f"{path}/")}

    def etags(self) -> dict[str, str]:
        """Return the newest ETags, for the next poll."""
        return dict(list(self._etags.items())[-MAX_ETAGS:])

    def check_rate_limit(self) -> None:
        """Leave some requests to other programs that use the token.

        :raises PollError: if little of the rate limit is left.
        """
        limit = self.rate_limit
        if limit and limit.resets and limit.resets > self._now and limit.remaining < (limit.limit or 0) / RESERVE:
            message = f"Only {limit.remaining} requests are left of GitHub's rate limit. "
            message += f"Polling continues at {time_from(self._now, limit.resets)}."
            raise PollError(message, ErrorKind.RATE_LIMITED, limit.resets)
