"""``painchain backup`` and ``painchain restore``: write the database to one file, and read it back."""

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
from painchain.database.dialects import analyze
from painchain.database.encrypted_columns import UnreadableSecret
from painchain.maintenance import backup as maintenance_backup
from painchain.maintenance import backup_format
from painchain.maintenance.backup import RestoreRefused, RestoreResult
from painchain.maintenance.backup_format import BadBackup, VerifiedBackup
from painchain.workers.base import clock

CONFIRMATION = "replace"
FILE = click.argument("file", callback=utf8)


@click.command()
@FILE
@click.option("--force", is_flag=True, help="Overwrite an existing file.")
def backup(file: str, force: bool) -> None:
    """Back up the database to one file.

    Use "-" as FILE for standard output. The backup is a consistent snapshot, even while servers run. It is signed. It
    does not contain the key, so back up secret.key separately.

    Exit code 1: the database cannot be read or the file cannot be written.
    """
    with (
        opened("Cannot create the backup"),
        writing_to(file, force) as out,
        _progress_bar(maintenance_backup.count_rows(), "Saving") as bar,
    ):
        manifest = maintenance_backup.create(out, clock(), bar.update)
    events = manifest.rows["change_events"]
    click.echo(
        f"{file}: {events:,} events (last event number {manifest.events:,}), snapshot at {manifest.time}.",
        err=file == "-",
    )
    click.echo(
        f"The backup does NOT contain the key ({manifest.key}), and cannot be restored without it. Keep a copy of "
        "secret.key (or of PAINCHAIN_SECRET_KEY) in another place.",
        err=True,
    )


@click.command()
@FILE
@click.option("--replace", is_flag=True, help="Restore into a database that is not empty; its current data is deleted.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--even-broken", is_flag=True, help="Restore even if the log in the backup fails verification.")
@reason_option
def restore(file: str, replace: bool, yes: bool, even_broken: bool, reason: str) -> None:
    """Replace the database with the contents of a backup file.

    The file and its log are verified first. The restore is all or nothing. Servers can keep running. The restore is
    recorded in the audit log.

    Exit code 1: the file is not a valid backup, or the file or the database cannot be used. Exit code 2: the database
    is not empty and --replace is missing, or the restore was not confirmed.
    """
    try:
        with Path(file).open("rb") as source, opened("Nothing was restored"):
            checked = _checked(source)
            confirm_replacement(replace, yes)
            restored = _restored(source, checked, even_broken, reason)
            analyze()
    except OSError as error:
        stop(f"Cannot read {file}: {error.strerror or error}.", 1)
    except (BadBackup, RestoreRefused, KeyUnusable, UnreadableSecret) as problem:
        stop(f"{file}: {plain(str(problem))}", 1)
    click.echo(
        f"Restored {restored.events:,} events from the backup of {plain(restored.time)}. Everyone must sign in again."
    )
    if restored.broken:
        click.echo(
            f"The restored log fails verification. It was already broken in the backup: {restored.broken}", err=True
        )
    if restored.old_key:
        click.echo(
            f"The backup is signed with the key {restored.old_key}, which has since been replaced. If that key has "
            "leaked, find out who created this file.",
            err=True,
        )
    if restored.tokens:
        click.echo(
            f"{restored.tokens:,} API tokens and all accounts and passwords in the backup are valid again. If you "
            "revoked tokens after the backup, revoke them again.",
            err=True,
        )


def _checked(source: BinaryIO) -> VerifiedBackup:
    """Check the whole file before any prompt or change."""
    click.echo("Checking the file …", err=True)
    checked = backup_format.check(source, runtime.current().keys)
    maintenance_backup.refuse_other_versions(checked.manifest)
    return checked


def _restored(source: BinaryIO, checked: VerifiedBackup, even_broken: bool, reason: str) -> RestoreResult:
    """Restore a checked file, with a progress bar on a terminal."""
    now = clock()
    with _progress_bar(sum(checked.manifest.rows.values()), "Restoring") as bar:
        try:
            return maintenance_backup.restore(
                source, checked, lambda event_log: trail(event_log, now, reason=reason), bar.update, even_broken
            )
        except KeyboardInterrupt:
            stop("Stopped: nothing was restored.", 1)


def confirm_replacement(replace: bool, yes: bool) -> None:
    """Stop if the database is in use, unless the user agrees to lose its data."""
    if not maintenance_backup.is_in_use():
        return
    if not replace:
        stop(
            "Nothing was restored: this database is not empty. Choose an empty one with PAINCHAIN_INSTANCE or "
            "PAINCHAIN_DATABASE_URL. Or take a backup of this one, and add --replace to discard its data."
        )
    if yes:
        return
    if not sys.stdin.isatty():
        stop("Nothing was restored: confirmation needs a terminal. Add --yes to restore without confirmation.")
    answer = click.prompt(
        f'All current data will be permanently deleted. Type "{CONFIRMATION}" to continue',
        default="",
        show_default=False,
        err=True,
    )
    if answer.strip() != CONFIRMATION:
        stop("Nothing was restored: the restore was not confirmed.")


def _progress_bar(rows: int, label: str) -> Any:
    return click.progressbar(length=rows, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


@contextmanager
def writing_to(file: str, force: bool) -> Iterator[BinaryIO]:
    """Open the backup file, readable by its owner only. It gets its name once it is complete and on the disk."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if Path(file).is_file() and not force:
        stop(f"{file} already exists; nothing was written. Choose another file or add --force.")
    with whole_file(file, 0o600, force, mode="wb") as out:
        yield out
