"""``painchain checkpoint``: sign how long the log is, and keep that where the log is not."""

from __future__ import annotations

from pathlib import Path

import click

from painchain.cli.common import opened, reason_option, stop, trail
from painchain.eventlog import writer
from painchain.integrity import checkpoints, latest_checkpoint
from painchain.integrity.checkpoints import BadCheckpoint
from painchain.workers.base import clock


@click.command()
@click.option(
    "--file",
    "into",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append it to this file, rather than to PAINCHAIN_CHECKPOINT_FILE.",
)
@reason_option
def checkpoint(into: Path | None, reason: str) -> None:
    """Make a checkpoint of the log: print it, append it to the file of checkpoints, and have it posted.

    It says how many events there are and what the hash of the last one is. Kept on another machine, it shows whether
    the log was cut off or written anew since. A running server posts it. Exit code 1: it could not be made or written.
    """
    now = clock()
    with opened("No checkpoint was made: the database did not take it"):
        try:
            with writer.writing() as event_log:
                made = latest_checkpoint.make(trail(event_log, now, reason=reason), clock, recorded=True, into=into)
        except BadCheckpoint as problem:
            if into is None:
                latest_checkpoint.failed(problem, now)
            stop(f"No checkpoint was made. {problem}", 1)
        click.echo(checkpoints.line(made))
