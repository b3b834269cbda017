"""``painchain backup`` and ``painchain restore``: write everything to one file, and read it back."""

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
    """Write everything to one backup file.

    FILE "-" is standard output. Servers can keep running: the backup is a consistent snapshot. It is signed, and it
    does not contain the key, so back up secret.key separately.

    Exit code 1: the database or the file cannot be used.
    """
    with (
        opened("Cannot take a backup"),
        writing_to(file, force) as out,
        _progress_bar(maintenance_backup.count_rows(), "Saving") as bar,
    ):
        manifest = maintenance_backup.create(out, clock(), bar.update)
    events = manifest.rows["change_events"]
    click.echo(f"{file}: {events:,} events, up to number {manifest.events:,}, as of {manifest.time}.", err=file == "-")
    click.echo(
        f"The backup does NOT contain the key ({manifest.key}), and cannot be restored without it. Keep a copy of "
        "secret.key (or of PAINCHAIN_SECRET_KEY) in another place.",
        err=True,
    )


@click.command()
@FILE
@click.option("--replace", is_flag=True, help="Restore into a database that is not empty; its current data is deleted.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--even-broken", is_flag=True, help="Restore even a log that was tampered with before the backup.")
@reason_option
def restore(file: str, replace: bool, yes: bool, even_broken: bool, reason: str) -> None:
    """Replace everything with the contents of a backup file.

    Either everything is restored or nothing. The file and the chain of its log are checked first. Servers can keep
    running. The restore is recorded in the audit log.

    Exit code 1: the file or the database cannot be used. Exit code 2: the database is in use and --replace is missing,
    or the restore was not confirmed.
    """
    try:
        with Path(file).open("rb") as source, opened("Nothing was restored"):
            checked = _checked(source)
            refuse_what_is_in_use(replace, yes)
            restored = _restored(source, checked, even_broken, reason)
            analyze()
    except OSError as error:
        stop(f"Cannot read {file}: {error.strerror or error}.", 1)
    except (BadBackup, RestoreRefused, KeyUnusable) as problem:
        stop(f"{file}: {plain(str(problem))}", 1)
    click.echo(f"Restored {restored.events:,} events, as of {plain(restored.time)}. Everyone has to sign in again.")
    if restored.broken:
        click.echo(f"The chain of the log is broken, as it was when the backup was taken: {restored.broken}", err=True)
    if restored.old_key:
        click.echo(
            f"The backup is signed with the key {restored.old_key}, which has been replaced since. If that key has "
            "leaked, make sure that nobody else wrote this file.",
            err=True,
        )
    if restored.tokens:
        click.echo(
            f"{restored.tokens:,} API tokens and all accounts and passwords of that time are valid again. Revoke again "
            "those that were revoked since.",
            err=True,
        )


def _checked(source: BinaryIO) -> VerifiedBackup:
    """Check the whole file before anything is asked or changed."""
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


def refuse_what_is_in_use(replace: bool, yes: bool) -> None:
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
        stop("Nothing was restored. Add --yes to confirm without a terminal.")
    answer = click.prompt(
        f'All current data will be permanently deleted. Type "{CONFIRMATION}" to continue',
        default="",
        show_default=False,
        err=True,
    )
    if answer.strip() != CONFIRMATION:
        stop("Nothing was restored.")


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
        stop(f"{file} exists; nothing was written. Choose another file or add --force.")
    with whole_file(file, 0o600, force, mode="wb") as out:
        yield out
