"""``painchain log``: record an event from a script."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import click

from painchain.audit import external_events
from painchain.audit.external_events import LogBody, LogEventType
from painchain.cli.common import opened, plain, reason_option, stop, trail, utf8
from painchain.core.validation import BadBody, read
from painchain.eventlog import writer


def json_value(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Parse an option as JSON.

    :raises click.BadParameter: if it is not valid JSON.
    """
    try:
        return None if value is None else _parsed(utf8(context, option, value))
    except (ValueError, RecursionError):
        raise click.BadParameter('not valid JSON; try {"poll_interval": {"old": 300, "new": 3600}}.') from None


def json_or_text(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Parse an option as JSON; return the text itself if it is not valid JSON."""
    try:
        return None if value is None else _parsed(utf8(context, option, value))
    except (ValueError, RecursionError):
        return value


def _parsed(text: str) -> Any:
    value = json.loads(text)
    json.dumps(value, allow_nan=False)  # Python reads NaN, Infinity and 1e999, but they are not JSON
    return value


@click.command()
@click.option("--event-type", required=True, type=click.Choice(get_args(LogEventType)), help="Type of event.")
@click.option("--connector-name", callback=utf8, help="Name of the connector.")
@click.option(
    "--connector-type",
    callback=utf8,
    help="Type of the connector. With field_visibility_changed, the event type, such as PullRequest.",
)
@click.option("--field", callback=utf8, help="Setting that changed, for config_changed.")
@click.option("--old-value", callback=json_or_text, help="Previous value: JSON or plain text.")
@click.option("--new-value", callback=json_or_text, help="New value: JSON or plain text.")
@click.option("--changes", callback=json_value, help="All changes made together, as JSON: {FIELD: {old, new}}.")
@click.option("--field-key", callback=utf8, help="Field that was shown or hidden, for field_visibility_changed.")
@click.option("--visible/--hidden", default=None, help="Whether that field is now shown or hidden.")
@click.option("--author", callback=utf8, help="Who made the change. Stored as unverified.")
@reason_option
def log(reason: str, **options: Any) -> None:
    """Record an event from a script and print its ID.

    Exit code 1: nothing was recorded, because auditing is off or the database cannot be written; or the message says
    that it is not known. Exit code 2: the event is not valid.
    """
    body = parse_event({name: value for name, value in options.items() if value is not None})
    with opened("The database did not record the event"):
        event_id = record(body, reason)
    if event_id is None:
        stop("Nothing was recorded, because auditing is off. Enable the PainChain connector in Settings.", 1)
    click.echo(event_id)


def parse_event(options: dict[str, Any]) -> LogBody:
    """Return the event that the options describe, or stop with one line for each invalid option."""
    try:
        return read(LogBody, json.dumps(options).encode())
    except BadBody as problem:
        for error in problem.errors:
            click.echo(plain(f"painchain: {_option_prefix(error['field'])}{error['message']}."), err=True)
        stop("Nothing was recorded.")


def _option_prefix(field: str) -> str:
    """Return the option that sets a field, with the part inside it that is wrong: "--changes (a.was): "."""
    name, _, inside = field.partition(".")
    option = f"--{name.replace('_', '-')}"
    return f"{option} ({inside}): " if inside else f"{option}: " if name else ""


def record(body: LogBody, reason: str = "") -> str | None:
    """Record an event in its own transaction and return its ID, or None while auditing is off."""
    with writer.writing() as event_log:
        return external_events.record(body, trail(event_log, datetime.now(UTC), reason=reason))
