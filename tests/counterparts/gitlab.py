"""A fake of GitLab's REST API as PainChain uses it: paging, order, updated_after, ETags, and 404s."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.counterparts import ReceivedRequest, Reply, as_json

API = "/api/v4/"
LONG_AGO = "2000-01-01T00:00:00.000Z"


class GitLab:
    """A GitLab whose content a test sets.

    `lists` and `things` are its content by path below the API; `refuse` overrides the response of a path, and `moved`
    redirects the old path of a project to its id.
    """

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {}
        self.things: dict[str, Any] = {}
        self.refuse: dict[str, Reply] = {}
        self.moved: dict[str, int] = {}
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

    def rename(self, old: str, new: str, redirects: bool = True) -> None:
        """Give a project another path. GitLab redirects from the old one until another project takes it."""
        item = self.things.pop(f"projects/{old}")
        item |= {"path_with_namespace": new, "web_url": f"https://gitlab.example.com/{new}"}
        self.things[f"projects/{new}"] = item
        if redirects:
            self.moved[f"projects/{old}"] = item["id"]

    def push(
        self,
        number: int,
        *commits: dict[str, Any],
        branch: str = "main",
        at: str | None = None,
        before: str | None = None,
        author: str = "root",
    ) -> dict[str, Any]:
        """Replace the commits of a branch, newest first, and return the push from the project's events.

        `before` is the previous head in that event; by default the actual one.
        """
        path = f"projects/{number}/repository/branches/{branch}"
        head = before if before is not None else (self.things.get(path) or {}).get("commit", {}).get("id")
        self.things[path] = {"commit": commits[0]}
        self.lists[f"projects/{number}/repository/commits"] = list(commits)
        when = at or commits[0].get("committed_date") or LONG_AGO
        return self.add_push(number, branch, head, commits[0]["id"], when, author, commit_count=len(commits))

    def add_push(
        self,
        number: int,
        branch: str | None,
        before: str | None,
        after: str | None,
        at: str,
        author: str = "root",
        **pushed: Any,
    ) -> dict[str, Any]:
        """Add a push to the events of a project, and return the entry."""
        entries = self.lists[f"projects/{number}/events"]
        action = "created" if not before else "pushed" if after else "removed"
        data = {"ref": branch, "ref_type": "branch", "action": action, "commit_from": before, "commit_to": after}
        entry = {
            **{"id": 9000 + len(entries), "project_id": number, "action_name": "pushed to", "created_at": at},
            **{"author": {"username": author}, "push_data": {**data, "commit_count": 1, **pushed}},
        }
        entries.append(entry)
        return entry

    def __call__(self, received: ReceivedRequest) -> Reply:
        """Answer one request."""
        path = unquote(urlsplit(received.path).path.removeprefix(API))
        if received.headers.get("private-token") != "glpat-far":
            return as_json({"message": "401 Unauthorized"}, 401)
        if path in self.refuse:
            return self.refuse[path]
        if path in self.moved:
            return Reply(302, b"", {"Location": f"{API}projects/{self.moved[path]}"})
        if path in self.lists:
            return self._list(self.lists[path], path, received)
        if path in self.things:
            return self._conditional(self.things[path], received, {})
        if path.endswith("/repository/merge_base"):
            return self._merge_base(path.removesuffix("merge_base"), received)
        return as_json({"message": "404 Not found"}, 404)

    def _merge_base(self, repository: str, received: ReceivedRequest) -> Reply:
        before, after = [value for key, value in parse_qsl(urlsplit(received.path).query) if key == "refs[]"]
        shas = [commit.get("id") for commit in self.lists.get(f"{repository}commits", [])]
        if before not in shas or after not in shas:
            return as_json({"message": "404 Merge Base Not Found"}, 404)
        return as_json({"id": before if shas.index(before) >= shas.index(after) else after})

    def _list(self, items: list[Any], path: str, received: ReceivedRequest) -> Reply:
        params = params_of(received)
        if after := params.get("updated_after"):
            items = sorted((row for row in items if _time(row) >= after.replace("Z", "")), key=_time)
        if after := params.get("id_after"):
            items = [row for row in items if row["id"] > int(after)]
        if since := params.get("since"):
            items = [row for row in items if (row.get("committed_date") or since) >= since]
        if path.endswith("/events"):
            items = [row for row in items if row["created_at"][:10] > params["after"]]
            if action := params.get("action"):
                items = [
                    row for row in items if action in (row.get("action_name"), "pushed" if "push_data" in row else "")
                ]
            items.sort(key=lambda row: (row["created_at"], row.get("id", 0)), reverse=True)
        if path.endswith("/releases") and all(isinstance(row, dict) for row in items):
            items = sorted(items, key=lambda row: row.get(params["order_by"]) or "", reverse=True)
        if ".." in (reach := params.get("ref_name", "")):
            ids = [row["id"] for row in items]
            old, new = reach.split("..")
            if old not in ids or new not in ids:
                return as_json({"message": "404 Commit Not Found"}, 404)
            items = items[ids.index(new) : max(ids.index(new), ids.index(old))]
        size, number = min(int(params.get("per_page", 20)), self.page), int(params.get("page", 1))
        part = items[(number - 1) * size : number * size]
        following = str(number + 1) if number * size < len(items) else ""
        return self._conditional(part, received, {"X-Next-Page": following, "X-Total": str(len(items))})

    def _conditional(self, value: Any, received: ReceivedRequest, headers: dict[str, str]) -> Reply:
        etag = f'W/"{hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]}"'
        status = 304 if received.headers.get("if-none-match") == etag else 200
        body = b"" if status == 304 else json.dumps(value).encode()
        return Reply(status, body, {**headers, **self.headers, "ETag": etag})


def params_of(received: ReceivedRequest) -> dict[str, str]:
    """Return the parameters of a request."""
    return dict(parse_qsl(urlsplit(received.path).query))


def _time(row: Any) -> str:
    value = row.get("updated_at") if isinstance(row, dict) else None
    return (value or "9999").replace("Z", "")
