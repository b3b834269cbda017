"""``painchain rotate-key``: replace the key, or go on without one that is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from painchain.audit.trail import Trail
from painchain.cli.common import opened, plain, reason_option, stop
from painchain.cli.common import trail as record_of_command
from painchain.configuration.connector_store import ChangeRefused
from painchain.core import runtime
from painchain.core.crypto import KeyUnusable
from painchain.core.key_file import KeySource
from painchain.eventlog.writer import EventLogWriter
from painchain.integrity import latest_checkpoint
from painchain.maintenance import key_rotation
from painchain.startup import create_app, create_app_for_key_recovery
from painchain.workers.base import clock

LOST = (
    "With the key is lost what it protected: nobody can verify the events so far, and nobody can open the stored "
    "tokens. They are dropped, connectors that had one disabled, webhook secrets and notify rules removed. "
    "Go on with a new key?"
)


@click.command("rotate-key")
@click.option("--drop-old", is_flag=True, help="Replace nothing: take old keys out of the file that nothing needs.")
@click.option("--lost", is_flag=True, help="The key is lost for good: go on with a new one, without stored tokens.")
@click.option("--yes", is_flag=True, help="With --lost: do not ask.")
@reason_option
def rotate_key(drop_old: bool, lost: bool, yes: bool, reason: str) -> None:
    """Replace the key that seals stored tokens and chains the log, and seal all of them anew.

    It goes on the record. Start every running server again afterwards: with the old key it writes nothing.
    """
    if drop_old and lost:
        raise click.UsageError("--lost and --drop-old do not go together.")

    def begin(event_log: EventLogWriter) -> Trail:
        return record_of_command(event_log, clock(), reason=reason)

    if lost:
        replace(begin, yes)
    elif drop_old:
        drop()
    else:
        rotate(begin)


def rotate(begin: Callable[[EventLogWriter], Trail]) -> None:
    """Replace the key."""
    with working():
        done = key_rotation.rotate(begin)
        where: KeySource = runtime.current().key_place
    click.echo(f"The key is {done.new} now, no longer {done.old}. Stored secrets sealed anew: {done.sealed}.")
    click.echo("Start every running server again: with the old key it writes nothing.")
    click.echo(
        f"Back up {plain(where.name)}: its {done.keys} keys belong together, the new one first. "
        "Without the old ones nobody can verify the events from before."
    )


def drop() -> None:
    """Take keys out of the file that nothing needs."""
    with working():
        kept = latest_checkpoint.file()
        dropped, left = key_rotation.drop_old()
    if dropped:
        click.echo(f"Old keys dropped: {dropped}. Keys left: {left}.")
        click.echo("Backups that were taken with them cannot be restored any more, and no checkpoint be compared.")
    else:
        click.echo(
            f"No key is dropped: the oldest events, or the checkpoints in {plain(str(kept))}, need the last of {left}."
        )


def replace(begin: Callable[[EventLogWriter], Trail], yes: bool) -> None:
    """Go on without a key that is lost."""
    if not yes:
        click.confirm(LOST, abort=True)
    with working(lost=True):
        kept = latest_checkpoint.file()
        done = key_rotation.replace_lost(begin)
        where: KeySource = runtime.current().key_place
    click.echo(f"PainChain goes on with the key in {plain(where.name)}. Back it up.")
    click.echo(f"Events that nobody can verify any more: {done.unverified:,}. From here on the log is chained anew.")
    for one in done.dropped:
        click.echo(f"Dropped: {plain(one)}")
    if kept.exists():
        click.echo(f"Move {plain(str(kept))} away: no checkpoint is put behind those of the lost key.")


@contextmanager
def working(lost: bool = False) -> Iterator[None]:
    """Open the database; what is in the way ends the command in words, and nothing is changed."""
    with opened("Nothing was changed", create=create_app_for_key_recovery if lost else create_app):
        try:
            yield
        except (ChangeRefused, KeyUnusable) as problem:
            stop(plain(str(problem)), 1)
