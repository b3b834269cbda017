"""Run the real senders of webhooks: Debian's Alertmanager and its image registry."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import pytest

PATIENCE = 60  # seconds
Found = TypeVar("Found")


def require(*programs: str) -> None:
    """Skip the test if a program is missing, or fail it if PAINCHAIN_TEST_REQUIRE contains `far`."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        is_required = "far" in os.environ.get("PAINCHAIN_TEST_REQUIRE", "").split()
        (pytest.fail if is_required else pytest.skip)(f"not installed: {', '.join(missing)}")


def until(found: Callable[[], Found | None], what: str) -> Found:
    """Wait until a function returns something, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (result := found()):
        assert time.monotonic() < deadline, f"not in {PATIENCE} s: {what}"
        time.sleep(0.05)
    return result


def free_port() -> int:
    """Return a port of this machine that is free now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(command: list[str], health: str, log: Path, **environ: str) -> Iterator[None]:
    """Run a program until the end of the block, which begins when an address of it answers."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environ})
    try:
        until(lambda: process.poll() is not None or _answers(health), f"{command[0]} answers")
        assert process.poll() is None, log.read_text(encoding="utf-8")
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(address: str) -> bool:
    try:
        with urlopen(address, timeout=PATIENCE) as response:
            return bool(response.status == 200)
    except URLError:
        return False


class Alertmanager:
    """A real Alertmanager with one receiver, which repeats each alert every second."""

    def __init__(self, folder: Path, hook: str, secret: str):
        self.folder, self.address = folder, f"http://127.0.0.1:{free_port()}"
        self._configuration = folder / "alertmanager.yml"
        self._configuration.write_text(
            "route: {receiver: painchain, group_wait: 0s, group_interval: 1s, repeat_interval: 1s}\n"
            "receivers:\n"
            "  - name: painchain\n"
            "    webhook_configs:\n"
            f"      - url: {hook}\n"
            "        send_resolved: true\n"
            f"        http_config: {{authorization: {{type: Bearer, credentials: '{secret}'}}}}\n",
            encoding="utf-8",
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it until the end of the block."""
        listen = self.address.removeprefix("http://")
        command = [
            *("prometheus-alertmanager", f"--config.file={self._configuration}", f"--web.listen-address={listen}"),
            *(f"--storage.path={self.folder / 'alerts'}", "--cluster.listen-address="),
        ]
        with running(command, f"{self.address}/-/ready", self.folder / "alertmanager.log"):
            yield

    def notifications(self) -> int:
        """Return how many notifications it has sent to the webhook."""
        with urlopen(f"{self.address}/metrics", timeout=PATIENCE) as response:
            metrics = response.read().decode()
        match = re.search(r'^alertmanager_notifications_total\{integration="webhook"\} (\d+)$', metrics, re.MULTILINE)
        assert match
        return int(match[1])

    def alert(self, *words: str) -> None:
        """Fire an alert, or with an end that has passed, resolve it."""
        command = ["amtool", f"--alertmanager.url={self.address}", "alert", "add", *words]
        subprocess.run(command, check=True, timeout=PATIENCE)


class Registry:
    """A real image registry, which notifies one webhook."""

    def __init__(self, folder: Path, hook: str, secret: str):
        self.folder, self.host, self._debug = folder, f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        endpoint = {
            "name": "painchain",
            "url": hook,
            "headers": {"Authorization": [f"Bearer {secret}"]},
            "timeout": "10s",
            "threshold": 5,
            "backoff": "1s",
        }
        configuration = {
            "version": "0.1",
            "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
            "http": {"addr": self.host, "debug": {"addr": self._debug}},
            "notifications": {"endpoints": [endpoint]},
        }
        self._configuration = folder / "registry.yml"
        self._configuration.write_text(json.dumps(configuration), encoding="utf-8")  # YAML contains JSON

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it until the end of the block."""
        command = ["docker-registry", "serve", str(self._configuration)]
        with running(command, f"http://{self.host}/v2/", self.folder / "registry.log"):
            yield

    def accepted(self) -> int:
        """Return how many of its notifications the webhook accepted."""
        with urlopen(f"http://{self._debug}/debug/vars", timeout=PATIENCE) as response:
            [endpoint] = json.load(response)["registry"]["notifications"]["endpoints"]
        return int(endpoint["Metrics"]["Successes"])

    def push(self, image: str) -> str:
        """Push an image with one layer, and return the digest of its manifest."""
        layout = self.folder / "layout"
        digest = write_image(layout)
        command = ["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false"]
        subprocess.run([*command, f"oci:{layout}", f"docker://{self.host}/{image}"], check=True, timeout=PATIENCE)
        return digest


def write_image(layout: Path) -> str:
    """Write an image as an OCI layout, and return the digest of its manifest."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def store(content: bytes, kind: str) -> dict[str, Any]:
        number = hashlib.sha256(content).hexdigest()
        (blobs / number).write_bytes(content)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{number}", "size": len(content)}

    archive = bytes(10_240)  # of no file
    diff = f"sha256:{hashlib.sha256(archive).hexdigest()}"
    contents = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [diff]}}
    config = store(json.dumps(contents).encode(), "config.v1+json")
    layer = store(gzip.compress(archive), "layer.v1.tar+gzip")
    manifest = store(json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode(), "manifest.v1+json")
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}), encoding="utf-8")
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    return str(manifest["digest"])
