"""``painchain backup`` and ``painchain restore``: everything into one file, and back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from painchain.cli.common import opened, plain, reason_option, stop, trail, utf8, whole_file
from painchain.core import runtime
from painchain.core.crypto import KeyUnusable
from painchain.database.session import settle
from painchain.maintenance import backup as maintenance_backup
from painchain.maintenance import backup_format
from painchain.maintenance.backup import Restored, RestoreRefused
from painchain.maintenance.backup_format import BadBackup, Checked
from painchain.workers.base import clock

WORD = "replace"
FILE = click.argument("file", callback=utf8)


@click.command()
@FILE
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def backup(file: str, force: bool) -> None:
    """Write everything that is stored into FILE ("-": standard output), while servers go on.

    It is as it was at one moment, with a seal of its own. The key is not in it: keep secret.key elsewhere, too.
    Exit code 1: the database or the file cannot be used.
    """
    with (
        opened("The backup cannot be taken"),
        writing_to(file, force) as out,
        _bar(maintenance_backup.rows(), "Saving") as bar,
    ):
        manifest = maintenance_backup.take(out, clock(), bar.update)
    events = manifest.rows["change_events"]
    click.echo(f"{file}: {events:,} events, up to number {manifest.events:,}, as of {manifest.time}.", err=file == "-")
    click.echo(
        f"The key ({manifest.key}) is NOT in it. Without it nothing of this can be restored: keep a copy of secret.key "
        "(or of PAINCHAIN_SECRET_KEY) in another place.",
        err=True,
    )


@click.command()
@FILE
@click.option(
    "--replace", is_flag=True, help="Even where there is more than a first start puts there: it is abandoned."
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--even-broken", is_flag=True, help="Even a log that was changed by hand before the backup was taken.")
@reason_option
def restore(file: str, replace: bool, yes: bool, even_broken: bool, reason: str) -> None:
    """Put what FILE holds in the place of everything that is stored, wholly or not at all.

    The file is checked, and the chain of its log before it is put there. Servers may go on meanwhile. It goes on the
    record. Exit code 2: there is more in the database, or nobody said yes. 1: the file or the database cannot be used.
    """
    try:
        with Path(file).open("rb") as source, opened("Nothing was restored: the database did not take it"):
            checked = _checked(source)
            refuse_what_is_in_use(replace, yes)
            restored = _restored(source, checked, even_broken, reason)
            settle()
    except OSError as error:
        stop(f"{file} cannot be read: {error.strerror or error}.", 1)
    except (BadBackup, RestoreRefused, KeyUnusable) as problem:
        stop(f"{file}: {plain(str(problem))}", 1)
    click.echo(f"Restored {restored.events:,} events, as of {plain(restored.time)}. Everybody signs in anew.")
    if restored.broken:
        click.echo(f"The chain of the log is broken, as it was in the backup: {restored.broken}", err=True)
    if restored.old_key:
        click.echo(
            f"It was sealed with the key {restored.old_key}, which was replaced since: if that key has leaked, be sure "
            "that nobody else made this file.",
            err=True,
        )
    if restored.tokens:
        click.echo(
            f"{restored.tokens:,} API tokens, and the accounts and passwords of that time, are valid again: see to it "
            "that none is among them that was revoked since.",
            err=True,
        )


def _checked(source: BinaryIO) -> Checked:
    """Check the file wholly before anything else is asked or done."""
    click.echo("Checking the file …", err=True)
    checked = backup_format.check(source, runtime.current().keys)
    maintenance_backup.refuse_other_versions(checked.manifest)
    return checked


def _restored(source: BinaryIO, checked: Checked, even_broken: bool, reason: str) -> Restored:
    now = clock()
    with _bar(sum(checked.manifest.rows.values()), "Restoring") as bar:
        try:
            return maintenance_backup.restore(
                source, checked, lambda event_log: trail(event_log, now, reason=reason), bar.update, even_broken
            )
        except KeyboardInterrupt:
            stop("Stopped: nothing was restored.", 1)


def refuse_what_is_in_use(replace: bool, yes: bool) -> None:
    """Stop where something would be lost that nobody has agreed to lose."""
    if not maintenance_backup.is_in_use():
        return
    if not replace:
        stop(
            "There is more in this database than a first start puts there; nothing was restored. Name an empty place "
            "with PAINCHAIN_INSTANCE or PAINCHAIN_DATABASE_URL, or add --replace: then what is there is abandoned. "
            "Take a backup of it first."
        )
    if yes:
        return
    if not sys.stdin.isatty():
        stop("Nothing was restored. Add --yes where nobody can be asked.")
    said = click.prompt(
        f'What is stored now is abandoned for good. Type "{WORD}" to go on', default="", show_default=False, err=True
    )
    if said.strip() != WORD:
        stop("Nothing was restored.")


def _bar(rows: int, label: str) -> Any:
    return click.progressbar(length=rows, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


@contextmanager
def writing_to(file: str, force: bool) -> Iterator[BinaryIO]:
    """Open the file that is written, for its owner alone. It takes its name when it is whole and on the disk."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if Path(file).is_file() and not force:
        stop(f"{file} is there already; nothing was written. Name another file, or add --force.")
    with whole_file(file, 0o600, force, mode="wb") as out:
        yield out
