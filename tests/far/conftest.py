"""A server process that receives what real programs send to a webhook."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from bs4 import BeautifulSoup, Tag

from tests.far.programs import PATIENCE, until
from tests.support.server_process import ServerProcess


class Hook:
    """The webhook of one connector of a server."""

    def __init__(self, address: str):
        self.address = address
        self.number = 0

    def add(self, preset: str) -> tuple[str, str]:
        """Add a connector with a preset, and return the URL and the secret of its webhook."""
        body = {"type": "webhook", "name": "Real", "enabled": True, "config": {"preset": preset}}
        self.number = self.call("POST", "/api/connectors", body)["id"]
        made = self.call("POST", f"/api/connectors/{self.number}/webhook")
        return made["url"], made["secret"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to the API, and return the JSON of the response."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        with urlopen(request, timeout=PATIENCE) as response:
            return json.load(response)

    def events(self) -> list[dict[str, Any]]:
        """Return the events of the webhook, newest first."""
        return list(self.call("GET", f"/api/changes?source=webhook&connector={self.number}"))

    def deliveries(self) -> list[dict[str, Any]]:
        """Return the deliveries that PainChain kept, newest first."""
        return list(self.call("GET", f"/api/connectors/{self.number}/webhook/deliveries"))

    def rows(self) -> list[Tag]:
        """Return the rows of the webhook's events on the timeline."""
        with urlopen(f"{self.address}/?source=webhook&range=24h", timeout=PATIENCE) as response:
            feed = BeautifulSoup(response.read(), "html.parser").select("#feed article")
        return [row for row in feed if row.find_parent("article") is None]


@pytest.fixture
def hook(started_instance: Path, tmp_path: Path) -> Iterator[Hook]:
    """A server without a webhook yet."""
    instance = tmp_path / "instance"
    shutil.copytree(started_instance, instance)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PAINCHAIN_")}
    environ |= {"PAINCHAIN_PORT": "0", "PAINCHAIN_INSTANCE": str(instance)}
    process = ServerProcess(environ, tmp_path / "server.out", tmp_path / "server.err")
    try:
        line = until(lambda: next(iter(process.printed(1)), ""), "the server starts")
        yield Hook(next(word for word in line.split() if word.startswith("http://")).rstrip("/."))
    finally:
        process.terminate()
        process.wait()
