"""``painchain demo``: fill an empty log with sample events."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from painchain.cli.common import opened, stop
from painchain.database.dialects import analyze
from painchain.maintenance import demo_data
from painchain.timeline import queries

FIRST_START_EVENTS = 1  # the first start records that it created the built-in connector


@click.command()
@click.option("--events", type=click.IntRange(100), default=10_000, show_default=True, help="Number of events.")
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    help="Number of days that the events cover.",
)
@click.option("--seed", default=1, show_default=True, help="Random seed. The same seed produces the same events.")
@click.option("--force", is_flag=True, help="Add the events even if the log is not empty.")
def demo(events: int, days: int, seed: int, force: bool) -> None:
    """Fill an empty log with sample events.

    The command adds events from every source, and their connectors, which stay disabled. Use it on an empty log only:
    sample events look like real ones.
    """
    with opened("Not all events were written"):
        last = queries.head().last_event
        if last > FIRST_START_EVENTS and not force:
            stop(
                f"Nothing was written: this log already has {last:,} events. "
                "Choose an empty database with PAINCHAIN_INSTANCE or PAINCHAIN_DATABASE_URL, or add --force."
            )
        with click.progressbar(length=events, label=f"{events:,} events") as bar:
            demo_data.fill(events, days, seed, datetime.now(UTC), bar.update)
        analyze()
    click.echo(f"Added {events:,} sample events over {days} days to the log.")
