"""``painchain event``: record a change from a script or a pipeline on a PainChain server."""

from __future__ import annotations

from typing import Any

import click

from painchain.cli.messages import plain, stop, utf8
from painchain.cli.sending.delivery import NotKept, deliver, warn
from painchain.cli.sending.options import change_event, chosen_server, chosen_spool, event_options
from painchain.cli.sending.server import BadServer, Refused

TIMEOUT = 15.0  # seconds


@click.command()
@click.argument("title", callback=utf8)
@click.option("--status", callback=utf8, help="How it went, such as success, failure or running.")
@click.option("--time", callback=utf8, help="When it happened, such as 2026-01-31T14:00:00Z.  [default: now]")
@click.option("--end-time", callback=utf8, help="When it ended. Needs --time.")
@event_options
def event(server: str | None, token_file: str | None, timeout: float | None, no_spool: bool, **members: Any) -> None:
    """Record a change on a PainChain server and print the event's ID.

    If PainChain is away, the event is kept and a later command sends it: the exit code is 0, and no ID is printed.
    Exit code 1: nothing was recorded or kept. Exit code 2: the event or a setting is not valid.
    """
    try:
        target = chosen_server(server, token_file)
        event_id = deliver(target, change_event(members), timeout or TIMEOUT, chosen_spool(target, no_spool))
    except BadServer as problem:
        stop(str(problem))
    except Refused as refused:
        for line in refused.lines:
            warn(line)
        stop("Nothing was recorded.", 2 if refused.is_invalid else 1)
    except NotKept as problem:
        stop(str(problem), 1)
    if event_id:
        click.echo(plain(event_id))
