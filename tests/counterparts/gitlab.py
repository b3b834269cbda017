"""GitLab's REST API as PainChain uses it: paging, order, updated_after, ETags, and 404 for what is not there."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.counterparts import Asked, Reply, as_json

API = "/api/v4/"


class GitLab:
    """`lists` and `things` are what is there, by path below the API; `refuse` answers a path in its own way."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {}
        self.things: dict[str, Any] = {}
        self.refuse: dict[str, Reply] = {}
        self.headers: dict[str, str] = {}
        self.page = 100

    def add_project(self, number: int, path: str, branch: str = "main", **lists: list[Any]) -> None:
        """Add a project with its lists: merge_requests, pipelines, and so on."""
        web = f"https://gitlab.example.com/{path}"
        item = {"id": number, "path_with_namespace": path, "default_branch": branch, "web_url": web}
        self.lists.setdefault("projects", []).append(item)
        self.things[f"projects/{number}"] = self.things[f"projects/{path}"] = item
        for name in ("merge_requests", "pipelines", "releases", "deployments", "registry/repositories", "events"):
            self.lists[f"projects/{number}/{name}"] = lists.get(name, [])

    def push(self, number: int, *commits: dict[str, Any], branch: str = "main") -> None:
        """Put these commits, newest first, on a branch."""
        self.things[f"projects/{number}/repository/branches/{branch}"] = {"commit": commits[0]}
        self.lists[f"projects/{number}/repository/commits"] = list(commits)

    def __call__(self, asked: Asked) -> Reply:
        """Answer one request."""
        path = unquote(urlsplit(asked.path).path.removeprefix(API))
        if asked.headers.get("private-token") != "glpat-far":
            return as_json({"message": "401 Unauthorized"}, 401)
        if path in self.refuse:
            return self.refuse[path]
        if path in self.lists:
            return self._list(self.lists[path], asked)
        if path in self.things:
            return self._conditional(self.things[path], asked, {})
        return as_json({"message": "404 Not found"}, 404)

    def _list(self, whole: list[Any], asked: Asked) -> Reply:
        params = params_of(asked)
        if after := params.get("updated_after"):
            whole = sorted((one for one in whole if _time(one) >= after.replace("Z", "")), key=_time)
        if after := params.get("id_after"):
            whole = [one for one in whole if one["id"] > int(after)]
        if since := params.get("since"):
            whole = [one for one in whole if (one.get("committed_date") or since) >= since]
        if ".." in (reach := params.get("ref_name", "")):
            ids = [one["id"] for one in whole]
            old = reach.split("..")[0]
            if old not in ids:
                return as_json({"message": "404 Commit Not Found"}, 404)
            whole = whole[: ids.index(old)]
        size, number = min(int(params.get("per_page", 20)), self.page), int(params.get("page", 1))
        part = whole[(number - 1) * size : number * size]
        following = str(number + 1) if number * size < len(whole) else ""
        return self._conditional(part, asked, {"X-Next-Page": following, "X-Total": str(len(whole))})

    def _conditional(self, value: Any, asked: Asked, headers: dict[str, str]) -> Reply:
        etag = f'W/"{hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]}"'
        status = 304 if asked.headers.get("if-none-match") == etag else 200
        body = b"" if status == 304 else json.dumps(value).encode()
        return Reply(status, body, {**headers, **self.headers, "ETag": etag})


def params_of(asked: Asked) -> dict[str, str]:
    """Return the parameters of a request."""
    return dict(parse_qsl(urlsplit(asked.path).query))


def _time(one: Any) -> str:
    value = one.get("updated_at") if isinstance(one, dict) else None
    return (value or "9999").replace("Z", "")
