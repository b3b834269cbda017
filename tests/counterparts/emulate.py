"""Run the npm package `emulate`: a stateful fake GitHub with one token and one repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from tests.counterparts.node import free_port, need, node

TOKEN = "made-up"
REPO = "octocat/hello-world"
SEED = {
    "tokens": {TOKEN: {"login": "octocat", "scopes": ["repo", "user"]}},
    "github": {
        "users": [{"login": "octocat", "name": "The Octocat"}],
        "repos": [{"owner": "octocat", "name": "hello-world", "auto_init": True}],
    },
}


@dataclass(frozen=True)
class Emulated:
    """The fake GitHub that runs at `url`."""

    url: str

    def ask(self, method: str, path: str, **body: Any) -> Any:
        """Send a request about the repository, and return the response as JSON."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body else None
        request = Request(f"{self.url}/repos/{REPO}/{path}", data, headers, method=method)
        with urlopen(request, timeout=10) as response:
            return json.loads(response.read() or "null")

    def open_pull_request(self, title: str, branch: str = "fix") -> int:
        """Push a commit to a new branch and open a pull request for it."""
        sha = self.ask("GET", "git/ref/heads/main")["object"]["sha"]
        self.ask("POST", "git/refs", ref=f"refs/heads/{branch}", sha=sha)
        self.ask("PUT", f"contents/{branch}.txt", message=f"Add {branch}", content="YQ==", branch=branch)
        return int(self.ask("POST", "pulls", title=title, head=branch, base="main")["number"])

    def merge(self, number: int) -> None:
        """Merge a pull request."""
        self.ask("PUT", f"pulls/{number}/merge", commit_title="Merge it")


@contextmanager
def emulated(folder: Path) -> Iterator[Emulated]:
    """Run the fake GitHub on a free port; its log is in `folder`."""
    program = need("emulate") / "dist" / "index.js"
    seed = folder / "emulate.config.json"
    seed.write_text(json.dumps(SEED))
    url = f"http://127.0.0.1:{(port := free_port())}"
    arguments = ("start", "--service", "github", "--port", str(port), "--seed", seed, "--base-url", url)
    with node(folder / "emulate.log", f"{url}/meta", program, *arguments):
        yield Emulated(url)
