"""Run programs that npm installs for tests. `tests/node/package.json` lists them, and `make test` installs them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

MODULES = Path(__file__).parents[1] / "node" / "node_modules"
NO_NODE = "node or tests/node/node_modules is missing: `make test` installs the packages where there is npm"
PATIENCE = 60.0


def need(package: str) -> Path:
    """Return the folder of an installed package; skip the test if it is not there, unless it is required."""
    folder = MODULES / package
    if shutil.which("node") is None or not folder.exists():
        required = "node" in os.environ.get("PAINCHAIN_TEST_REQUIRE", "").split()
        (pytest.fail if required else pytest.skip)(NO_NODE)
    return folder


def need_version(*least: int) -> None:
    """Skip the test if Node is older. Debian 12's own Node can be."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    if tuple(map(int, version.removeprefix("v").split(".")[:2])) < least:
        pytest.skip(f"This needs Node {'.'.join(map(str, least))}; it is {version}")


@cache
def webhook_examples() -> list[tuple[str, dict[str, Any]]]:
    """Return GitHub's own examples of webhook payloads: the name of the event, and the body."""
    files = sorted(need("@octokit/webhooks-examples").glob("*/index.json"))
    webhooks = [webhook for file in files for webhook in json.loads(file.read_text(encoding="utf-8"))]
    return [(webhook["name"], example) for webhook in webhooks for example in webhook["examples"]]


def free_port() -> int:
    """Return a free port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def node(log: Path, ready: str, *command: str | Path) -> Iterator[None]:
    """Run a server in Node until it answers at `ready`."""
    environ = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    with (
        log.open("w") as output,
        subprocess.Popen(["node", *map(str, command)], stdout=output, stderr=output, env=environ) as process,
    ):
        try:
            ends = time.monotonic() + PATIENCE
            while not _answers(ready):
                assert process.poll() is None, f"it exited: {log.read_text()[-2000:]}"
                assert time.monotonic() < ends, f"it does not answer: {log.read_text()[-2000:]}"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    with contextlib.suppress(OSError):
        try:
            with urlopen(address, timeout=5):
                return True
        except HTTPError:
            return True
    return False
