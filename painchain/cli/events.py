"""``painchain events``: print events on a terminal or as JSON, and follow new ones."""

from __future__ import annotations

import json
import select
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import click

from painchain import connectors
from painchain.cli.common import chosen_filter, filter_options, local_zone, opened, plain, quiet_end
from painchain.connectors.base import Kind
from painchain.core.text import format_value
from painchain.database.session import db
from painchain.exports.export import event_json
from painchain.presentation import facts
from painchain.presentation.event_view import EventView, describe
from painchain.timeline import queries, visibility
from painchain.timeline.filter import Filter
from painchain.timeline.queries import Event

FOLLOW_SECONDS = 1
MAX_LIMIT = 10_000

COLOURS = {"teal": "cyan", "violet": "magenta", "orange": "yellow", "blue": "blue"}
SOURCE_WIDTH = max(len(connector_type.label) for connector_type in connectors.TYPES.values())
WHAT_WIDTH = 64


@click.command()
@filter_options
@click.option(
    "--limit",
    type=click.IntRange(0, MAX_LIMIT),
    default=50,
    show_default=True,
    help="Number of newest events to print.",
)
@click.option("--follow", is_flag=True, help="Keep printing new events until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line, in the format of the API.")
def events(limit: int, follow: bool, as_json: bool, **options: Any) -> None:
    """Print events, oldest first.

    Repeat an option to match any of several values.
    """
    if follow and options["end_date"]:
        raise click.UsageError("--follow and --end-date cannot be used together.")
    zone = local_zone()
    with opened("Cannot read the events"), quiet_end():
        filter = chosen_filter(options, zone)
        last = queries.head().last_event
        events = newest(filter, limit, last)
        if not events and limit:
            click.echo("No matching events" + (" yet." if follow else "."), err=True)
        show(events, as_json, zone)
        for new_events in arriving(filter, last) if follow else ():
            show(new_events, as_json, zone)


def newest(filter: Filter, limit: int, last: int) -> list[Event]:
    """Return the newest matching events up to number `last`, newest last."""
    events = queries.page(filter, limit=limit).events if limit else ()
    return [event for event in reversed(events) if event.id <= last]


def arriving(filter: Filter, after: int) -> Iterator[Sequence[Event]]:
    """Yield matching events after number `after` as they are written, until the output has no reader."""
    while not reader_gone():
        db.session.rollback()  # an open read transaction would not see new events
        time.sleep(FOLLOW_SECONDS)
        last = queries.head().last_event
        while after < last:
            events = queries.written_after(filter, after)
            after = events[-1].id if len(events) == queries.PAGE else max([last, *(event.id for event in events)])
            yield events


def reader_gone() -> bool:
    """Return whether standard output is a pipe without a reader."""
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))


def show(events: Iterable[Event], as_json: bool, zone: ZoneInfo) -> None:
    """Print events as lines without hidden fields, or as complete JSON objects."""
    hidden = visibility.all_hidden()
    for event in events:
        if as_json:
            click.echo(json.dumps(event_json(event)))  # ASCII only, so no control character reaches the terminal
        else:
            click.echo(line(describe(event, hidden.of(event.source, event.connector_id), zone)))


def line(view: EventView) -> str:
    """Return an event as one line: time, source, what happened, author."""
    source = click.style(f"{plain(view.source_label):<{SOURCE_WIDTH}}", fg=COLOURS.get(view.colour))
    claimed = f" (claimed author: {plain(view.claimed)})" if view.claimed else ""
    reason = f"  “{plain(view.reason)}”" if view.reason else ""
    author = click.style(f"by {plain(view.event.author)}{claimed}{reason}", dim=True)
    return f"{view.local:%Y-%m-%d %H:%M:%S}  {source}  {plain(summary(view)):<{WHAT_WIDTH}}  {author}"


def summary(view: EventView) -> str:
    """Return what happened, in the same text as the feed."""
    fact_texts = [facts.format_fact(row.fact) for row in view.line_rows]
    outcome = view.status.text if view.status else ""
    details = [text for text in (what_changed(view), outcome, *fact_texts, view.note) if text]
    if view.verb:
        return " · ".join([f"{view.subject} {view.verb}" if view.subject else view.label, *details])
    return " · ".join([*([view.subject] if view.subject else []), *(details or [view.label])])


def what_changed(view: EventView) -> str:
    """Return a single change as "Poll interval: 300 → 3600", without hidden values."""
    if view.change is None:
        return ""
    old = format_value(view.change.old) if "old" in view.sides else ""
    new = format_value(view.change.new) if "new" in view.sides else ""
    if view.change.kind == Kind.SECRET:
        return f"{view.change.label} {view.change.new if new else 'changed'}"
    return f"{view.change.label}: {f'{old} → {new}'.strip()}" if old or new else f"{view.change.label} changed"
