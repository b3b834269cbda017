"""The command ``painchain demo``."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from painchain.cli.common import opened, stop
from painchain.database.session import settle
from painchain.maintenance import demo_data
from painchain.timeline import queries

FIRST_START = 1  # the built-in connector was created: the one event of every log that nobody has used yet


@click.command()
@click.option("--events", type=click.IntRange(100), default=10_000, show_default=True, help="So many.")
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="Over so many days.")
@click.option("--seed", default=1, show_default=True, help="The same number makes the same events.")
@click.option("--force", is_flag=True, help="Even where there are events already.")
def demo(events: int, days: int, seed: int, force: bool) -> None:
    """Fill the log with made-up events of every source, to try things out.

    Demo connectors are added; they stay disabled. Made-up events cannot be told from the record of what happened here
    once they are in it, so they go into an empty log only.
    """
    with opened("Not all events were written: the database did not take them"):
        there = queries.head().last_event
        if there > FIRST_START and not force:
            stop(
                f"This log already holds {there:,} events; nothing was written. "
                "Name an empty place with PAINCHAIN_INSTANCE or PAINCHAIN_DATABASE_URL, or add --force."
            )
        with click.progressbar(length=events, label=f"{events:,} events") as bar:
            demo_data.fill(events, days, seed, datetime.now(UTC), bar.update)
        settle()
    click.echo(f"{events:,} made-up events over {days} days are in the log.")
