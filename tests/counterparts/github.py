"""A fake of GitHub's REST API as PainChain uses it: paging by Link, order, ETags, a rate limit, and 404s."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import unquote, urlencode

from tests.counterparts.server import JsonReply, ReceivedRequest

TOKEN = "ghp_far"
LISTS = ("pulls", "issues/events", "actions/runs", "releases", "deployments", "activity", "commits")
UNDER = {"actions/runs": "workflow_runs", "jobs": "jobs", "installation/repositories": "repositories"}


class GitHub:
    """A fake GitHub. `lists` and `things` are its content by path; `refuse` overrides the response of a path."""

    def __init__(self) -> None:
        self.lists: dict[str, list[Any]] = {"user/repos": []}
        self.things: dict[str, Any] = {"user": {"login": "zoe", "name": "Zoe"}}
        self.refuse: dict[str, JsonReply] = {}
        self.headers: dict[str, str] = {}
        self.limit, self.left = 5000, 5000
        self.page = 100

    def add_repo(self, name: str, organization: bool = False, **more: Any) -> None:
        """Add an empty repository."""
        owner = name.partition("/")[0]
        kind = "Organization" if organization else "User"
        number = len(self.lists["user/repos"]) + 1
        about = {"id": number, "full_name": name, "default_branch": "main", "owner": {"login": owner, "type": kind}}
        self.lists["user/repos"].append({**about, **more})
        self.things[f"repos/{name}"] = self.lists["user/repos"][-1]
        for kind in LISTS:
            self.lists[f"repos/{name}/{kind}"] = []
        self.lists[f"{'orgs' if organization else 'users'}/{owner}/packages"] = []

    def put(self, name: str, kind: str, *items: Any) -> None:
        """Insert items at the top of a list of a repository; each item also gets its own path."""
        self.lists[f"repos/{name}/{kind}"][:0] = items
        for item in items:
            if isinstance(item, dict) and (number := item.get("number") or item.get("sha") or item.get("id")):
                self.things.setdefault(f"repos/{name}/{kind}/{number}", item)

    def __call__(self, received: ReceivedRequest) -> JsonReply:
        """Answer one request."""
        path = unquote(received.path).strip("/")
        if received.headers.get("authorization") != f"Bearer {TOKEN}":
            return JsonReply({"message": "Bad credentials"}, 401)
        if path in self.refuse:
            return self.refuse[path]
        if path in self.lists:
            return self._list(path, received)
        if "/compare/" in path:
            return self._compare(path, received)
        if path in self.things:
            return self._conditional(self.things[path], received, {})
        return self._with_rate_limit(JsonReply({"message": "Not Found"}, 404))

    def _list(self, path: str, received: ReceivedRequest) -> JsonReply:
        items = self.lists[path]
        if since := received.params.get("since"):
            items = [commit for commit in items if commit["commit"]["committer"]["date"] >= since]
        if ref := received.params.get("ref"):
            items = [activity for activity in items if activity["ref"] == ref]
        return self._page(items, path, received)

    def _page(self, items: list[Any], path: str, received: ReceivedRequest) -> JsonReply:
        size, number = min(int(received.params.get("per_page", 30)), self.page), int(received.params.get("page", 1))
        headers = {}
        if number * size < len(items):
            query = urlencode({**received.params, "page": number + 1})
            host = received.headers["host"]
            headers["Link"] = (
                f'<http://{host}{received.path}?{query}>; rel="next", <http://{host}{received.path}?page=9>; rel="last"'
            )
        part = items[(number - 1) * size : number * size]
        under = next((under for end, under in UNDER.items() if path.endswith(end)), "")
        return self._conditional({under: part} if under else part, received, headers)

    def _compare(self, path: str, received: ReceivedRequest) -> JsonReply:
        repo, _, ends = path.partition("/compare/")
        old, _, new = ends.partition("...")
        commits = self.lists[f"{repo}/commits"]
        shas = [commit["sha"] for commit in commits]
        if old not in shas or new not in shas:
            return self._with_rate_limit(JsonReply({"message": "Not Found"}, 404))
        between = commits[shas.index(new) : shas.index(old)][::-1]
        reply = self._page(between, path, received)
        status = "ahead" if between else "behind"
        value = {"commits": reply.value, "total_commits": len(between), "status": status}
        return JsonReply(value, reply.status, reply.headers)

    def push(self, name: str, when: str, *commits: Any, branch: str = "main", **more: Any) -> None:
        """Push commits, the newest first, to the top of a branch."""
        listed = self.lists[f"repos/{name}/commits"]
        before = listed[0]["sha"] if listed else "0" * 40
        self.put(name, "commits", *commits)
        activity = {"id": len(self.lists[f"repos/{name}/activity"]) + 1, "before": before, "timestamp": when}
        ends = {"after": listed[0]["sha"], "ref": f"refs/heads/{branch}", "activity_type": "push"}
        self.put(name, "activity", {**activity, **ends, "actor": {"login": "ann"}, **more})

    def _conditional(self, value: Any, received: ReceivedRequest, headers: dict[str, str]) -> JsonReply:
        etag = f'W/"{hashlib.sha256(json.dumps(value).encode()).hexdigest()}"'
        unchanged = received.headers.get("if-none-match") == etag
        return self._with_rate_limit(JsonReply(value, 304 if unchanged else 200, {**headers, "ETag": etag}))

    def _with_rate_limit(self, reply: JsonReply) -> JsonReply:
        self.left -= reply.status != 304  # a 304 does not count against the limit
        rate = {"limit": self.limit, "remaining": max(0, self.left), "reset": 4_000_000_000}
        limits = {f"X-RateLimit-{name}": str(value) for name, value in rate.items()}
        return JsonReply(reply.value, reply.status, {**limits, **self.headers, **reply.headers})
