"""Run a command as if nothing stood between it and its caller: streams, signals and exit status."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Self

from painchain.cli.sending.delivery import warn

FORWARDED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
NOT_FOUND, NOT_EXECUTABLE = 127, 126  # the exit statuses of a shell


class Interrupted(Exception):
    """A signal arrived after the command had ended."""


@dataclass(frozen=True)
class Execution:
    """How a command ran. `signal` names the signal that ended it, or is empty."""

    start: datetime
    end: datetime
    exit_status: int
    signal: str = ""


class SignalForwarder:
    """Passes signals on to a process while it runs. A signal that was ignored before stays so, for both."""

    def __init__(self) -> None:
        self.raises = False  # whether a signal that arrives after the end of the process raises Interrupted
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._previous[number] = signal.signal(number, self._forward)
        return self

    def __exit__(self, *failure: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start the process.

        :raises OSError: if that is not possible.
        """
        process = subprocess.Popen(command, close_fds=False)  # noqa: S603 (running it is the purpose)
        self._process = process
        for number in self._early:
            process.send_signal(number)
        return process

    def _forward(self, number: int, frame: FrameType | None) -> None:
        process = self._process
        if process is None:
            self._early.append(number)
        elif process.poll() is not None:
            if self.raises:
                self.raises = False
                raise Interrupted
        elif not (number in (signal.SIGINT, signal.SIGQUIT) and _has_terminal()):
            process.send_signal(number)


def _has_terminal() -> bool:
    """Return whether a terminal sends the signals of its keys to this process and to the command alike."""
    try:
        with Path("/dev/tty").open("rb", buffering=0) as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def execute(command: Sequence[str], forwarder: SignalForwarder, meanwhile: Callable[[], object]) -> Execution:
    """Run a command, and call `meanwhile` in another thread while it runs."""
    start, began = datetime.now(UTC), time.monotonic()
    try:
        process = forwarder.start(command)
    except OSError as error:
        warn(f"Cannot run {command[0]}: {error.strerror or error}.")
        status = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        return Execution(start, start, status)
    # No daemon: OpenSSL crashes if the interpreter ends while a thread reads certificates.
    threading.Thread(target=meanwhile).start()
    code = process.wait()
    end = start + timedelta(seconds=time.monotonic() - began)
    if code >= 0:
        return Execution(start, end, code)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return Execution(start, end, 128 - code, name)
