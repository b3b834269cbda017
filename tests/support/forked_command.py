"""Run a command of PainChain in a forked process, with a file, a pipe or a terminal as its output."""

from __future__ import annotations

import os
import pty
import select
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support import server_process
from tests.support.server_process import FORKSERVER, PATIENCE, ServerProcess


class PreparedProcess(ServerProcess):
    """A process that prepares itself, and then does what `painchain` or `python app.py` does."""

    def __init__(
        self, prepare: Callable[[], None], environ: Mapping[str, str], out: Path, err: Path, *command: str
    ) -> None:
        """Start like `ServerProcess`. Keep the module of `prepare` small, because the process imports it."""
        self.out, self.err = out, err
        for file in (out, err):
            file.touch()
        arguments = (prepare, dict(environ), out, err, command)
        self._process = FORKSERVER.Process(target=_prepare_and_run, args=arguments, daemon=True)
        self._process.start()


def _prepare_and_run(
    prepare: Callable[[], None], environ: Mapping[str, str], out: Path, err: Path, command: Sequence[str]
) -> None:
    prepare()
    server_process._run(dict(environ), out, err, command)


def be_interruptible() -> None:
    """Let Ctrl-C stop the process, also in a background job of a shell, which ignores it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def run_elsewhere(folder: str) -> None:
    """Run in another folder than that of the checkout."""
    server_process.ROOT = Path(folder)


@contextmanager
def piped(folder: Path, *arguments: str) -> Iterator[tuple[ServerProcess, int]]:
    """Run `painchain` with arguments; give the process, and the end of a pipe from which to read its standard output.

    Standard error goes to a file in the folder.
    """
    pipe = folder / "command.pipe"
    os.mkfifo(pipe)
    process = ServerProcess(os.environ, pipe, folder / "command.err", *arguments)
    try:
        yield process, os.open(pipe, os.O_RDONLY)
    finally:
        process.kill()
        process.wait(PATIENCE)


def on_a_terminal(*arguments: str, out: Path | None = None, **environ: str) -> str:
    """Return what a command prints on a terminal: its standard output; or its standard error, if `out` is a file."""
    master, slave = pty.openpty()
    terminal = Path(os.ttyname(slave))
    streams = (out, terminal) if out else (terminal, Path(os.devnull))
    process = ServerProcess({**os.environ, **environ}, *streams, *arguments)
    printed = b""
    while process.poll() is None or select.select([master], [], [], 0)[0]:
        if select.select([master], [], [], 0.05)[0]:
            printed += os.read(master, 65536)
    os.close(slave)
    os.close(master)
    assert process.wait(PATIENCE) == 0
    return printed.decode()
