"""``painchain rotate-key``: replace the key, also when the old one is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from painchain.audit.trail import Trail
from painchain.cli.common import count_noun, opened, plain, reason_option, stop
from painchain.cli.common import trail as record_of_command
from painchain.configuration.errors import ChangeRefused
from painchain.core import runtime
from painchain.core.crypto import KeyUnusable
from painchain.core.key_file import KeySource
from painchain.eventlog.writer import EventLogWriter
from painchain.integrity import latest_checkpoint
from painchain.maintenance import key_rotation
from painchain.startup import create_app_for_key_recovery
from painchain.workers.base import clock

LOST_KEY_WARNING = (
    "Without the lost key, the existing events cannot be verified and the stored tokens cannot be decrypted. Stored "
    "tokens, webhook secrets and notification rules will be deleted. Connectors that had a token will be disabled. "
    "Continue with a new key?"
)


@click.command("rotate-key")
@click.option("--drop-old", is_flag=True, help="Only remove old keys that are no longer needed. Keep the current key.")
@click.option(
    "--lost", is_flag=True, help="Start over with a new key because the old one is lost. Deletes stored tokens."
)
@click.option("--yes", is_flag=True, help="With --lost: do not ask for confirmation.")
@reason_option
def rotate_key(drop_old: bool, lost: bool, yes: bool, reason: str) -> None:
    """Replace the key that encrypts stored tokens and signs the log.

    Stored tokens are encrypted again with the new key. The change is recorded in the audit log. Then restart every
    running server: a server with the old key cannot write.
    """
    if drop_old and lost:
        raise click.UsageError("--lost and --drop-old cannot be used together.")

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
        key_file: KeySource = runtime.current().key_source
    secrets = count_noun(done.sealed, "stored secret")
    click.echo(f"The key is now {done.new}; it was {done.old}. Re-encrypted {secrets}.")
    click.echo("Restart every running server: a server with the old key cannot write.")
    click.echo(
        f"Back up {plain(key_file.name)}. It must keep its {done.keys} keys, the new one first: "
        "older events can only be verified with the old keys."
    )


def drop() -> None:
    """Remove keys that are no longer needed from the key file."""
    with working():
        checkpoint_file = latest_checkpoint.file()
        removed, remaining = key_rotation.drop_old()
    if removed:
        click.echo(f"Old keys removed: {removed}. Keys left: {remaining}.")
        click.echo("Backups and checkpoints signed with the removed keys can no longer be used.")
    else:
        click.echo(
            f"No key was removed. The oldest events or the checkpoints in {plain(str(checkpoint_file))} still need the "
            f"oldest key. Number of keys: {remaining}."
        )


def replace(begin: Callable[[EventLogWriter], Trail], yes: bool) -> None:
    """Continue with a new key after the old one was lost."""
    if not yes:
        click.confirm(LOST_KEY_WARNING, abort=True)
    with working(lost=True):
        checkpoint_file = latest_checkpoint.file()
        done = key_rotation.replace_lost(begin)
        key_file: KeySource = runtime.current().key_source
    click.echo(f"PainChain now uses the key in {plain(key_file.name)}. Back it up.")
    events = count_noun(done.unverified, "event")
    click.echo(f"{events} can no longer be verified. New events are chained with the new key.")
    for item in done.dropped:
        click.echo(f"Deleted: {plain(item)}")
    if checkpoint_file.exists():
        click.echo(
            f"Move {plain(str(checkpoint_file))} elsewhere: new checkpoints cannot follow those of the lost key."
        )


@contextmanager
def working(lost: bool = False) -> Iterator[None]:
    """Open the database. If that fails, stop with a message and change nothing."""
    with opened("Nothing was changed", create=create_app_for_key_recovery if lost else None):
        try:
            yield
        except (ChangeRefused, KeyUnusable) as problem:
            stop(plain(str(problem)), 1)
