"""``painchain demo``: fill an empty log with sample events, and serve them."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import click

from painchain.cli import serve as server
from painchain.cli.common import opened, stop
from painchain.database.dialects import analyze
from painchain.maintenance import demo_data
from painchain.timeline import queries

FIRST_START_EVENTS = 1  # the first start records that it created the built-in connector
FOLDER = "instance/demo"  # of --serve, unless a setting names another instance


@click.command()
@click.option("--events", type=click.IntRange(100), default=2_000, show_default=True, help="Number of events.")
@click.option(
    "--days",
    type=click.IntRange(1, 3650),
    default=14,
    show_default=True,
    help="Number of days that the events cover.",
)
@click.option("--seed", default=1, show_default=True, help="Random seed. Another seed produces other events.")
@click.option("--force", is_flag=True, help="Add the events even if the log is not empty.")
@click.option(
    "--serve",
    is_flag=True,
    help=f"Then start the server. Uses the instance folder {FOLDER}, unless PAINCHAIN_INSTANCE or "
    "PAINCHAIN_DATABASE_URL is set. A demo that exists already is served as it is.",
)
def demo(events: int, days: int, seed: int, force: bool, serve: bool) -> None:
    """Fill an empty log with sample events.

    The command adds the events of a made-up company, and its connectors, whose addresses do not exist. Use it on an
    empty log only: sample events look like real ones.
    """
    if serve and not (os.environ.get("PAINCHAIN_INSTANCE") or os.environ.get("PAINCHAIN_DATABASE_URL")):
        os.environ["PAINCHAIN_INSTANCE"] = FOLDER
    with opened("Not all events were written"):
        last = queries.head().last_event
        is_used = last > FIRST_START_EVENTS and not force
        if is_used and not (serve and demo_data.is_in_log()):
            stop(
                f"Nothing was written: this log already has {last:,} events. "
                "Choose an empty database with PAINCHAIN_INSTANCE or PAINCHAIN_DATABASE_URL, or add --force."
            )
        if is_used:
            click.echo(f"The demo already exists, with {last:,} events. Delete its instance folder to start again.")
        else:
            with click.progressbar(length=events, label=f"{events:,} events") as bar:
                demo_data.fill(events, days, seed, datetime.now(UTC), bar.update, with_teams=True, with_changes=True)
            analyze()
            click.echo(f"Added {events:,} sample events over {days} days to the log.")
    if serve:
        server.run()
