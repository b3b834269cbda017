"""Start PainChain's server or a command without importing it anew: fork a process that has already imported it.

A new interpreter takes about a second of processor time to import PainChain, and a run of all tests starts about 150
servers.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

from painchain.cli.main import main

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 60  # seconds
FORKSERVER = multiprocessing.get_context("forkserver")
FORKSERVER.set_forkserver_preload(["tests.support.preloaded"])  # not imported here, where nothing needs it


class ServerProcess:
    """A process that does what `python app.py` or `painchain` does. Its methods are those of `subprocess.Popen`."""

    def __init__(self, environ: Mapping[str, str], out: Path, err: Path, *command: str):
        """Start `app.py`, or `painchain` with arguments, in the folder of the checkout; add its output to two files."""
        self.out, self.err = out, err
        for file in (out, err):
            file.touch()
        self._process: BaseProcess = FORKSERVER.Process(
            target=_run, args=(dict(environ), out, err, command), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while the process runs; negative if a signal ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process has ended, and return its exit code.

        :raises subprocess.TimeoutExpired: it did not end within `timeout` seconds.
        """
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("app.py", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if the process has not ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask the process to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once."""
        self.send_signal(signal.SIGKILL)

    def printed(self, lines: int) -> list[str]:
        """Wait until the process has printed this number of lines, and return all that it has printed."""
        for _ in range(PATIENCE * 50):
            ended = self.returncode is not None
            printed = self.out.read_text().splitlines(keepends=True)
            if len(printed) > lines or (printed and len(printed) == lines and printed[-1].endswith("\n")):
                return printed
            assert not ended, f"the server did not start: {''.join(printed)}{self.err.read_text()}"
            time.sleep(0.02)
        raise AssertionError(f"not {lines} lines after {PATIENCE} s: {printed} {self.err.read_text()}")


def _run(environ: dict[str, str], out: Path, err: Path, command: Sequence[str]) -> None:
    """Become a process that was started with this environment and output, and run `app.py` or a command."""
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(ROOT)
    for file, number in ((out, 1), (err, 2)):
        opened = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOCTTY)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", buffering=1, closefd=False)
    if command:
        main(list(command), prog_name="painchain")
    sys.argv = ["app.py"]
    runpy.run_path("app.py", run_name="__main__")
