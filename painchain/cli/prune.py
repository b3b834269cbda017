"""``painchain prune``: remove the events that are kept no longer."""

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
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@reason_option
def prune(dry_run: bool, reason: str) -> None:
    """Remove the events that are kept no longer, by the rules of Settings, Retention.

    The removal goes on the record. Exit code 1: auditing is off, others are at it, or the database cannot be used.
    """
    now = clock()
    with opened("The events cannot be removed"):
        going = [one for one in retention_rules.prunable(retention_rules.rules(), now) if one.events]
        for one in going:
            click.echo(line(one, "would go" if dry_run else "go"))
        if not going:
            click.echo("Nothing goes: no event is older than it is kept.")
        elif not dry_run:
            removed = carry_out(going, now, reason)
            click.echo(f"Removed {removed:,} event{'' if removed == 1 else 's'}.")


def line(one: PrunableEvents, verb: str) -> str:
    """Return what goes of a source in one line."""
    ends = " to ".join(f"{end:%Y-%m-%d %H:%M} UTC" for end in (one.oldest, one.newest) if end)
    return f"{source_label(one.source)}: {one.events:,} event{'' if one.events == 1 else 's'} {verb}, {ends}"


def carry_out(going: Sequence[PrunableEvents], now: datetime, reason: str = "") -> int:
    """Carry out the removal, with a progress bar on a terminal; return how many events went, or stop."""
    request_id, removed, total = writer.new_request_id(now), 0, sum(one.events for one in going)
    with click.progressbar(length=total, label="Pruning", file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        try:
            for step in chain(left_over(), *(steps(one, request_id, now, reason) for one in going)):
                removed += step.events
                bar.update(step.events)
        except RetentionRefused as refusal:
            stop(f"{refusal} Removed {removed:,} of {total:,} events.", 1)
    return removed


def left_over() -> Iterator[pruning.Step]:
    """Carry out what was ordered and nobody works on."""
    while (number := pruning.take(beat := clock())) is not None:
        yield from paced(pruning.carry_out(number, beat, clock))


def paced(several: Iterable[pruning.Step]) -> Iterator[pruning.Step]:
    """Leave half of the time to other writers."""
    for step in several:
        yield step
        time.sleep(step.seconds if step.more else 0)


def steps(one: PrunableEvents, request_id: str, now: datetime, reason: str) -> Iterator[pruning.Step]:
    """Order the removal of one source's events and carry it out."""
    beat = clock()
    with writer.writing() as event_log:
        [number] = retention_rules.schedule_prune(
            [one], retention_rules.ON_DEMAND, trail(event_log, now, request_id, reason), beat
        )
    yield from paced(pruning.carry_out(number, beat, clock))
