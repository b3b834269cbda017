"""The command line: ``painchain serve``, ``painchain log``, ``painchain events``, and the commands of other modules."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn, get_args
from zoneinfo import ZoneInfo

import click
from flask import Flask

from painchain import __version__, connectors, startup
from painchain.accounts import users
from painchain.audit import external_events
from painchain.audit.external_events import LogBody, LogEventType
from painchain.cli import demo
from painchain.cli.backup import backup, restore
from painchain.cli.checkpoint import checkpoint
from painchain.cli.common import (
    app,
    chosen,
    filter_options,
    local_zone,
    opened,
    plain,
    quiet_end,
    reachable,
    reason_option,
    stop,
    trail,
    utf8,
)
from painchain.cli.export import export
from painchain.cli.prune import prune
from painchain.cli.rotate_key import rotate_key
from painchain.cli.user import user
from painchain.cli.verify import verify
from painchain.connectors.base import Kind
from painchain.core import runtime
from painchain.core.text import format_value
from painchain.core.validation import BadBody, read
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.exports.export import event_json
from painchain.presentation import facts
from painchain.presentation.event_view import EventView, describe
from painchain.timeline import queries, visibility
from painchain.timeline.queries import Event, Filter
from painchain.workers.integrity import IntegrityWorker
from painchain.workers.notifications import NotificationWorker
from painchain.workers.scheduler import Scheduler
from painchain.workers.watch import WatchWorker

STOP_SECONDS = 4
LOOK_SECONDS = 1
MOST = 10_000

COLOURS = {"teal": "cyan", "violet": "magenta", "orange": "yellow", "blue": "blue"}
SOURCE_WIDTH = max(len(known.label) for known in connectors.TYPES.values())
WHAT_WIDTH = 64


@click.group()
@click.version_option(__version__, prog_name="painchain")
@click.pass_context
def main(context: click.Context) -> None:
    """PainChain: what changed, when, by whom, from what to what."""
    if os.environ.get("NO_COLOR"):
        context.color = False


main.add_command(backup)
main.add_command(checkpoint)
main.add_command(demo.demo)
main.add_command(export)
main.add_command(prune)
main.add_command(restore)
main.add_command(rotate_key)
main.add_command(user)
main.add_command(verify)


@main.command()
def serve() -> None:
    """Serve the dashboard until it is told to stop (SIGTERM or Ctrl-C)."""
    application = app(serving=True)
    loaded = runtime.of(application).settings
    try:
        server = startup.listen(application)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        stop(f"Cannot listen on {loaded.host}:{loaded.port}: {why.rstrip('.')}.")
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    background = (
        Scheduler(application),
        NotificationWorker(application),
        WatchWorker(application),
        IntegrityWorker(application),
    )  # whatever works beside the requests: each has start() and stop()
    host = f"[{loaded.host}]" if ":" in loaded.host else loaded.host
    try:
        click.echo(f"PainChain is at http://{host}:{port_of(server)}")
        if not loaded.only_here:
            offer_setup(application, loaded.public_url or f"http://{reachable(loaded)}:{port_of(server)}")
        for work in background:
            work.start()
        server.run()
        for work in background:
            work.stop()
        click.echo("PainChain has stopped; everything that was saved is safe.")
    finally:
        signal.alarm(0)  # no request hangs: closing the database takes the time it takes
        with application.app_context():
            db.engine.dispose()


def offer_setup(application: Flask, address: str) -> None:
    """Print the link to make the first account; until it is used nothing else is served beyond loopback."""
    with application.app_context():
        if users.any_exist():
            return
        with writer.writing():
            secret = users.make_link(None, datetime.now(UTC))
    click.echo(f"Nobody can sign in yet. Make the first account here (the link works once): {address}/link/{secret}")


def port_of(server: Any) -> int:
    """Return the port that a server listens on. A name such as localhost can stand for several addresses."""
    several = getattr(server, "effective_listen", None)
    return int(several[0][1] if several else server.effective_port)


def on_signal(number: int, frame: object) -> NoReturn:
    """Stop the server. A request that hangs holds it up for `STOP_SECONDS` and no longer."""
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(0))
    signal.alarm(STOP_SECONDS)
    raise SystemExit(0)


def json_value(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Return the JSON value of an option.

    :raises click.BadParameter: when it is none.
    """
    try:
        return None if value is None else _parsed(utf8(context, option, value))
    except (ValueError, RecursionError):
        raise click.BadParameter('this is not JSON; try {"poll_interval": {"old": 300, "new": 3600}}.') from None


def json_or_text(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Return the JSON value of an option, or what was given as it is where that is no JSON."""
    try:
        return None if value is None else _parsed(utf8(context, option, value))
    except (ValueError, RecursionError):
        return value


def _parsed(text: str) -> Any:
    value = json.loads(text)
    json.dumps(value, allow_nan=False)  # NaN, Infinity and 1e999 are no JSON, whatever Python reads
    return value


@main.command()
@click.option("--event-type", required=True, type=click.Choice(get_args(LogEventType)), help="What happened.")
@click.option("--connector-name", callback=utf8, help="The connector that it happened to.")
@click.option(
    "--connector-type",
    callback=utf8,
    help="Its type; for field_visibility_changed the event type, such as PullRequest.",
)
@click.option("--field", callback=utf8, help="The field that was changed.")
@click.option("--old-value", callback=json_or_text, help="What it was: JSON, or else text.")
@click.option("--new-value", callback=json_or_text, help="What it is now: JSON, or else text.")
@click.option("--changes", callback=json_value, help="Every change of one save: {FIELD: {old, new}} in JSON.")
@click.option("--field-key", callback=utf8, help="The field that was shown or hidden.")
@click.option("--visible/--hidden", default=None, help="Whether that field is shown from now on.")
@click.option("--author", callback=utf8, help="Who you say did it; it is kept as claimed.")
@reason_option
def log(reason: str, **given: Any) -> None:
    """Record an event that a script reports, and print its id.

    Exit code 2: the event is not understood. 1: auditing is off or the database did not take it; nothing is recorded.
    """
    body = reported({name: value for name, value in given.items() if value is not None})
    with opened("Nothing was recorded: the database did not take it"):
        event_id = record(body, reason)
    if event_id is None:
        stop("Auditing is off: nothing was recorded. Enable the PainChain connector in Settings.", 1)
    click.echo(event_id)


def reported(given: dict[str, Any]) -> LogBody:
    """Return the event that was given as options, or stop with a line for each that is wrong."""
    try:
        return read(LogBody, json.dumps(given).encode())
    except BadBody as problem:
        for one in problem.errors:
            click.echo(plain(f"painchain: {_option(one['field'])}{one['message']}."), err=True)
        stop("Nothing was recorded.")


def _option(field: str) -> str:
    name, _, inside = field.partition(".")
    option = f"--{name.replace('_', '-')}"
    return f"{option} ({inside}): " if inside else f"{option}: " if name else ""


def record(body: LogBody, reason: str = "") -> str | None:
    """Write a reported event in a transaction of its own and return its id: None while auditing is off."""
    with writer.writing() as event_log:
        return external_events.record(body, trail(event_log, datetime.now(UTC), reason=reason))


@main.command()
@filter_options
@click.option("--limit", type=click.IntRange(0, MOST), default=50, show_default=True, help="So many, the newest.")
@click.option("--follow", is_flag=True, help="Go on with new events as they come, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, as GET /api/changes gives it.")
def events(limit: int, follow: bool, as_json: bool, **given: Any) -> None:
    """Print events, the newest last. A filter can be repeated: any of its values will do."""
    if follow and given["end_date"]:
        raise click.UsageError("--follow goes on into the future: leave out --end-date.")
    zone = local_zone()
    with opened("The events cannot be read"), quiet_end():
        wanted = chosen(given, zone)
        seen = queries.head().last_event
        found = newest(wanted, limit, seen)
        if not found and limit:
            click.echo("No event matches" + (" yet." if follow else "."), err=True)
        show(found, as_json, zone)
        for new in arriving(wanted, seen) if follow else ():
            show(new, as_json, zone)


def newest(wanted: Filter, limit: int, last: int) -> list[Event]:
    """Return the newest events that are wanted, up to number `last`, the newest last."""
    found = queries.page(wanted, limit=limit).events if limit else ()
    return [event for event in reversed(found) if event.id <= last]


def arriving(wanted: Filter, after: int) -> Iterator[Sequence[Event]]:
    """Yield what is written after event number `after`, as it comes, until nobody reads any more."""
    while not reader_gone():
        db.session.rollback()  # an open read would not see what others write
        time.sleep(LOOK_SECONDS)
        last = queries.head().last_event
        while after < last:
            found = queries.since(wanted, after)
            after = found[-1].id if len(found) == queries.PAGE else max([last, *(event.id for event in found)])
            yield found


def reader_gone() -> bool:
    """Say whether standard output is a pipe that nobody reads any more."""
    watched = select.poll()
    watched.register(sys.stdout, 0)
    return any(state & (select.POLLERR | select.POLLHUP) for _, state in watched.poll(0))


def show(found: Iterable[Event], as_json: bool, zone: ZoneInfo) -> None:
    """Print events, without the fields that are hidden, or as JSON, which is whole and exact."""
    hidden = visibility.all_hidden()
    for event in found:
        if as_json:
            click.echo(json.dumps(event_json(event)))  # in ASCII: nothing in it acts on a terminal
        else:
            click.echo(line(describe(event, hidden.of(event.source, event.connector_id), zone)))


def line(one: EventView) -> str:
    """Return an event in one line: when, where, what, by whom."""
    source = click.style(f"{plain(one.source_label):<{SOURCE_WIDTH}}", fg=COLOURS.get(one.colour))
    claimed = f" (claims to be {plain(one.claimed)})" if one.claimed else ""
    reason = f"  “{plain(one.reason)}”" if one.reason else ""
    author = click.style(f"by {plain(one.event.author)}{claimed}{reason}", dim=True)
    return f"{one.local:%Y-%m-%d %H:%M:%S}  {source}  {plain(what(one)):<{WHAT_WIDTH}}  {author}"


def what(one: EventView) -> str:
    """Return what happened, as the feed says it."""
    told = [facts.format_fact(row.fact) for row in one.told]
    outcome = one.status.words if one.status else ""
    said = [text for text in (what_changed(one), outcome, *told, one.note) if text]
    if one.verb:
        return " · ".join([f"{one.subject} {one.verb}" if one.subject else one.label, *said])
    return " · ".join([*([one.subject] if one.subject else []), *(said or [one.label])])


def what_changed(one: EventView) -> str:
    """Return a single change as "Poll interval: 300 → 3600", without the sides that are hidden."""
    if one.change is None:
        return ""
    old = format_value(one.change.old) if "old" in one.sides else ""
    new = format_value(one.change.new) if "new" in one.sides else ""
    if one.change.kind == Kind.SECRET:
        return f"{one.change.label} {one.change.new if new else 'changed'}"
    return f"{one.change.label}: {f'{old} → {new}'.strip()}" if old or new else f"{one.change.label} changed"
