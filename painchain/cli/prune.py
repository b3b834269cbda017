"""``painchain prune``: delete events that are past their retention period."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain

import click

from painchain.audit.sentences import source_label
from painchain.cli.common import opened, reason_option, stop, trail
from painchain.eventlog import writer
from painchain.retention import pruning
from painchain.retention import rules as retention_rules
from painchain.retention.rules import PrunableEvents, RetentionRefused
from painchain.workers.base import clock


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what would be deleted.")
@reason_option
def prune(dry_run: bool, reason: str) -> None:
    """Delete events that are past their retention period.

    The rules are in Settings, Retention. The deletion is recorded in the audit log.

    Exit code 1: auditing is off, another process is deleting events, or the database cannot be used.
    """
    now = clock()
    with opened("Cannot delete the events"):
        prunable = [source for source in retention_rules.prunable(retention_rules.rules(), now) if source.events]
        for source in prunable:
            click.echo(line(source, "would be deleted" if dry_run else "to delete"))
        if not prunable:
            click.echo("Nothing to delete: no event is past its retention period.")
        elif not dry_run:
            deleted = carry_out(prunable, now, reason)
            click.echo(f"Deleted {deleted:,} event{'' if deleted == 1 else 's'}.")


def line(source: PrunableEvents, verb: str) -> str:
    """Return in one line how many events of a source are deleted, and from when."""
    period = " to ".join(f"{end:%Y-%m-%d %H:%M} UTC" for end in (source.oldest, source.newest) if end)
    events = f"{source.events:,} event{'' if source.events == 1 else 's'}"
    return f"{source_label(source.source)}: {events} {verb} ({period})"


def carry_out(prunable: Sequence[PrunableEvents], now: datetime, reason: str = "") -> int:
    """Delete the events, with a progress bar on a terminal; return how many were deleted, or stop."""
    request_id, deleted, total = writer.new_request_id(now), 0, sum(source.events for source in prunable)
    with click.progressbar(length=total, label="Pruning", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        try:
            for step in chain(unfinished(), *(steps(source, request_id, now, reason) for source in prunable)):
                deleted += step.events
                bar.update(step.events)
        except RetentionRefused as refusal:
            stop(f"{refusal} Deleted {deleted:,} of {total:,} events.", 1)
    return deleted


def unfinished() -> Iterator[pruning.Step]:
    """Carry out scheduled deletions that no process is working on."""
    while (number := pruning.acquire(started := clock())) is not None:
        yield from paced(pruning.run(number, started, clock))


def paced(steps: Iterable[pruning.Step]) -> Iterator[pruning.Step]:
    """Pause after each step as long as it took, so that other processes can write."""
    for step in steps:
        yield step
        time.sleep(step.seconds if step.has_more else 0)


def steps(source: PrunableEvents, request_id: str, now: datetime, reason: str) -> Iterator[pruning.Step]:
    """Schedule the deletion of one source's events and carry it out."""
    started = clock()
    with writer.writing() as event_log:
        [number] = retention_rules.schedule_prune(
            [source], retention_rules.ON_DEMAND, trail(event_log, now, request_id, reason), started
        )
    yield from paced(pruning.run(number, started, clock))
