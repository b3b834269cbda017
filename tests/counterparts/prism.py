"""Run Prism, a server that answers by GitHub's own OpenAPI description."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.counterparts.node import free_port, need, need_version, node

# The paths that polls and connection tests request. Prism takes many seconds to read the complete description.
PATHS = (
    "/user",
    "/user/repos",
    "/repos/{owner}/{repo}",
    "/repos/{owner}/{repo}/activity",
    "/repos/{owner}/{repo}/actions/runs",
    "/repos/{owner}/{repo}/actions/runs/{run_id}",
    "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}",
    "/repos/{owner}/{repo}/actions/runs/{run_id}/attempts/{attempt_number}/jobs",
    "/repos/{owner}/{repo}/commits",
    "/repos/{owner}/{repo}/commits/{ref}",
    "/repos/{owner}/{repo}/compare/{basehead}",
    "/repos/{owner}/{repo}/deployments",
    "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses",
    "/repos/{owner}/{repo}/git/matching-refs/{ref}",
    "/repos/{owner}/{repo}/issues/events",
    "/repos/{owner}/{repo}/pulls",
    "/repos/{owner}/{repo}/pulls/{pull_number}",
    "/repos/{owner}/{repo}/pulls/{pull_number}/files",
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews",
    "/repos/{owner}/{repo}/releases",
    "/repos/{owner}/{repo}/releases/{release_id}",
    "/users/{username}/packages",
    "/users/{username}/packages/{package_type}/{package_name}/versions",
    "/orgs/{org}/packages",
    "/orgs/{org}/packages/{package_type}/{package_name}/versions",
)


NODE = (20, 19)  # the first version with require() of ES modules, which Prism needs; Debian 12's own is older


@contextmanager
def prism(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run Prism on a free port, and yield its address and the log with its complaints about requests."""
    program = need("@stoplight/prism-cli") / "dist" / "index.js"
    need_version(*NODE)
    url = f"http://127.0.0.1:{(port := free_port())}"
    file, log = folder / "described.json", folder / "prism.log"
    file.write_text(json.dumps(_described(url)))
    with node(log, f"{url}/user", program, "mock", "--host", "127.0.0.1", "--port", str(port), file):
        yield url, log


def _described(url: str) -> dict[str, Any]:
    """Return the description of the paths in ``PATHS`` with everything that they refer to, for a server at `url`."""
    text = (need("@octokit/openapi") / "generated" / "api.github.com.json").read_text(encoding="utf-8")
    github = json.loads(text)
    description: dict[str, Any] = {"openapi": github["openapi"], "info": github["info"], "servers": [{"url": url}]}
    description["paths"] = {path: {"get": github["paths"][path]["get"]} for path in PATHS}
    parts: dict[str, dict[str, Any]] = {}
    waiting = [description["paths"]]
    while waiting:
        for reference in _references(waiting.pop()):
            _, _, kind, name = reference.split("/")
            if name not in parts.setdefault(kind, {}):
                parts[kind][name] = github["components"][kind][name]
                waiting.append(parts[kind][name])
    # The original example links to a next page that is not described.
    parts["headers"]["link"]["example"] = f'<{url}/user/repos?page=1>; rel="last"'
    description["components"] = parts
    return description


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(reference := part.get("$ref"), str):
            yield reference
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
