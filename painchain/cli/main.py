"""The ``painchain`` command: each subcommand's module is imported when that subcommand runs."""

from __future__ import annotations

import os
from importlib import import_module

import click

from painchain import __version__
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


class LazyGroup(click.Group):
    """A command group that lists its subcommands without importing them."""

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


@click.group(cls=LazyGroup)
@click.version_option(__version__, prog_name="painchain")
@click.pass_context
def main(context: click.Context) -> None:
    """PainChain records what changed, when, who changed it, and the old and new values."""
    if os.environ.get("NO_COLOR"):
        context.color = False
