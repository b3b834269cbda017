"""The ``painchain`` command: each subcommand's module is imported when that subcommand runs."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any, TextIO

import click

from painchain import __version__
from painchain.cli.messages import stop
from painchain.core import memory

# The module of each subcommand, and the first line of its help. A test compares them with the subcommands.
COMMANDS = {
    "backup": ("backup", "Back up the database to one file."),
    "checkpoint": ("checkpoint", "Create a signed checkpoint of the log."),
    "demo": ("demo", "Fill an empty log with sample events."),
    "event": ("event", "Record a change on a PainChain server and print the event's ID."),
    "events": ("events", "Print events, oldest first."),
    "export": ("export", "Write events, newest first, to a file or to standard output."),
    "log": ("log", "Record an event from a script and print its ID."),
    "prune": ("prune", "Delete events that are past their retention period."),
    "restore": ("backup", "Replace the database with the contents of a backup file."),
    "rotate-key": ("rotate_key", "Replace the key that encrypts stored tokens and signs the log."),
    "run": ("run", "Run a command and record when it ran and how it ended."),
    "serve": ("serve", "Start the server; stop it with Ctrl-C or SIGTERM."),
    "user": ("user", "Manage accounts."),
    "verify": ("verify", "Verify that nobody tampered with the log and that it matches the configuration."),
}


CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # to a file to which the output goes


class LazyGroup(click.Group):
    """A command group that lists its subcommands without importing them."""

    def main(self, *arguments: Any, **more: Any) -> Any:
        """Run a command. Say if its output cannot be written. What cannot be said does not change the exit status."""
        try:
            try:
                return super().main(*arguments, **more)
            except OSError as error:
                if error.errno not in CANNOT_WRITE or error.filename is not None:
                    raise
                stop(f"Cannot write the results: {error.strerror}.", 1)
        except SystemExit as end:
            # Python writes what is buffered once more at exit, and would replace the status with 120.
            _discard_unwritable(sys.stderr)
            if end.code:  # otherwise, that it cannot be written is the failure
                _discard_unwritable(sys.stdout)
            raise

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of all subcommands."""
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """Import a subcommand; return None if there is none of this name."""
        if name not in COMMANDS:
            return None
        path = f"painchain.cli.{COMMANDS[name][0]}"
        if name == "serve":
            memory.limit_heaps()  # before the imports, which fill most of the heap
            module = import_module(path)
        else:
            module = memory.import_uncollected(path)
        command: click.Command = getattr(module, name.replace("-", "_"))
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the subcommands with the first line of their help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in COMMANDS.items()])


def _discard_unwritable(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="painchain")
@click.pass_context
def main(context: click.Context) -> None:
    """PainChain records what changed, when, who changed it, and the old and new values."""
    if os.environ.get("NO_COLOR"):
        context.color = False
