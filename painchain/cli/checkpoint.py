"""``painchain checkpoint``: create a signed checkpoint of the log, to store it elsewhere."""

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
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append the checkpoint to this file instead of PAINCHAIN_CHECKPOINT_FILE.",
)
@reason_option
def checkpoint(file: Path | None, reason: str) -> None:
    """Create a signed checkpoint of the log.

    A checkpoint holds the number of events and the hash of the last one. If you keep it on another machine, it shows
    whether the log was truncated or rewritten later. The command prints the checkpoint and appends it to the checkpoint
    file. If PAINCHAIN_CHECKPOINT_URL is set, a running server posts the checkpoint there.

    Exit code 1: the checkpoint could not be created or written.
    """
    now = clock()
    with opened("No checkpoint was created"):
        try:
            with writer.writing() as event_log:
                created = latest_checkpoint.make(trail(event_log, now, reason=reason), clock, recorded=True, into=file)
        except BadCheckpoint as problem:
            if file is None:
                latest_checkpoint.failed(problem, now)
            stop(f"No checkpoint was created. {problem}", 1)
        click.echo(checkpoints.line(created))
