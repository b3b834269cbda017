#!/usr/bin/env bash
# gidgethub takes a list of workflow runs for the names of the members around it.
#
# Package: gidgethub 6.0.0 (PyPI).
# Expected: `getiter()` yields "all the items at a specified endpoint" (its docstring). GitHub puts lists of Actions, checks,
#   environments and installations into an object, each under a name of its own: `{"total_count": 2,
#   "workflow_runs": [...]}`. gidgethub knows the name `items` of searches; for others, `iterable_key` takes it. Without
#   it, a good guess is that the list is found, or that an error says that there is no `items`.
# What happens: it yields the texts `total_count` and `workflow_runs`, for each page anew, and no error.
# Why it matters: a program that counts runs, or looks whether there are any, always has two for each page, also if there
#   are none. One that reads `run["id"]` fails with a TypeError about texts. PainChain names the member of each list, and
#   reports a response without it (`connectors/github/pagination.py`).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check gidgethub==6.0.0 2>/dev/null
venv/bin/python - <<'PY'
import asyncio
import json
import sys
from importlib.metadata import version

from gidgethub.abc import GitHubAPI

ANSWERS = {
    "actions/runs": {"total_count": 2, "workflow_runs": [{"id": 1}, {"id": 2}]},
    "actions/runs?status=failure": {"total_count": 0, "workflow_runs": []},
}


class Client(GitHubAPI):
    """A client that gets the answers above, as GitHub's REST API documents them."""

    async def _request(self, method, url, headers, body=b""):
        answer = ANSWERS[url.removeprefix("https://api.github.com/repos/owner/name/")]
        return 200, {"content-type": "application/json; charset=utf-8"}, json.dumps(answer).encode()

    async def sleep(self, seconds):
        """Wait for nothing."""


async def items(path, **named):
    return [item async for item in Client("example").getiter(f"/repos/owner/name/{path}", **named)]


async def main():
    print("gidgethub", version("gidgethub"))
    seen = [await items(path) for path in ANSWERS]
    for path, found in zip(ANSWERS, seen):
        print(f"{path}: {found}")
    named = await items("actions/runs", iterable_key="workflow_runs")
    print(f"actions/runs with iterable_key: {named}")
    names = ["total_count", "workflow_runs"]
    sys.exit(seen != [names, names] or named != [{"id": 1}, {"id": 2}])


asyncio.run(main())
PY
