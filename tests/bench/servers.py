"""Start servers as separate processes, time their first response, read their memory, stop them."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from painchain.core import config

ROOT = Path(__file__).parents[2]
THREADS = next(setting.default for setting in config.SETTINGS if setting.name == "threads")
ports = count(8301)


@dataclass(frozen=True)
class Request:
    """A request to a server, and the expected status of the response."""

    address: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200

    @property
    def method(self) -> str:
        """POST if there is a body."""
        return "POST" if self.body else "GET"

    @property
    def raw(self) -> bytes:
        """The request as raw HTTP."""
        headers = {"Host": "127.0.0.1", **self.headers, **({"Content-Length": len(self.body)} if self.body else {})}
        lines = [f"{self.method} {self.address} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.body

    def answer(self, port: int) -> bytes:
        """Send the request once, and return the body of the response.

        :raises SystemExit: if the response has another status.
        """
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(self.method, self.address, self.body, self.headers)
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status != self.status:
            raise SystemExit(f"{self.method} {self.address} was answered with {answer.status}: {body[:600]!r}")
        return body


HEALTH = Request("/health")


@dataclass
class Server:
    """A running server. `first_answer` is the seconds from the start of its process to its first response."""

    process: subprocess.Popen[bytes]
    port: int
    first_answer: float

    @property
    def resident(self) -> float:
        """The memory that the server uses, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    @property
    def cpu_seconds(self) -> float:
        """The processor time that the server has used, in seconds."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def painchain(instance: Path, first: Request = HEALTH) -> Iterator[Server]:
    """Run PainChain with its database in `instance`; it is up as soon as it answers `first`."""
    with running(["app.py"], instance, first) as server:
        yield server


@contextmanager
def running(command: list[str], instance: Path, first: Request = HEALTH, checkout: Path = ROOT) -> Iterator[Server]:
    """Run a command that serves PainChain, or another checkout of it, with its database in `instance`."""
    port = next(ports)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(config.PREFIX)}
    environ |= {"PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_PORT": str(port), "PAINCHAIN_LOG_LEVEL": "error"}
    environ["PAINCHAIN_ALLOW_PRIVATE_ADDRESSES"] = "yes"
    with _running(command, port, first, environ, checkout) as server:
        yield server


def python_of(checkout: Path) -> str:
    """Return the Python of a checkout: the one that `make run` sets up there."""
    return sys.executable if checkout == ROOT else str(checkout / ".venv/bin/python")


@contextmanager
def bare(folder: Path) -> Iterator[Server]:
    """Run the bare app with its database and templates in `folder`."""
    port = next(ports)
    with _running(
        ["tests/bench/bare.py", str(port), THREADS, str(folder)], port, Request("/nothing", status=204)
    ) as server:
        yield server


@contextmanager
def _running(
    command: list[str], port: int, first: Request, environ: dict[str, str] | None = None, checkout: Path = ROOT
) -> Iterator[Server]:
    begin = time.perf_counter()
    python = python_of(checkout)
    process = subprocess.Popen([python, *command], cwd=checkout, env=environ, stdout=subprocess.DEVNULL)
    try:
        while not _answers(port, first):
            if process.poll() is not None or time.perf_counter() - begin > 30:
                raise SystemExit(f"{' '.join(command)} did not start on port {port}")
            time.sleep(0.005)
        yield Server(process, port, time.perf_counter() - begin)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()


def _answers(port: int, request: Request) -> bool:
    try:
        request.answer(port)
    except ConnectionRefusedError:
        return False
    return True
