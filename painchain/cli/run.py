"""``painchain run``: run a command, and record on a PainChain server when it ran and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click

from painchain.cli.messages import utf8
from painchain.cli.sending.delivery import NotKept, deliver, keep, warn
from painchain.cli.sending.execution import Execution, Interrupted, SignalForwarder, execute
from painchain.cli.sending.options import change_event, chosen_server, chosen_spool, event_options
from painchain.cli.sending.server import BadServer, Refused, Server, opener
from painchain.cli.sending.spool import Spool

TIMEOUT = 2.0  # seconds


@click.command(context_settings={"allow_interspersed_args": False})
@click.option("--title", required=True, callback=utf8, help="Title of the event, such as “Migrate orders”.")
@event_options
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run(
    context: click.Context,
    /,
    command: tuple[str, ...],
    server: str | None,
    token_file: str | None,
    timeout: float | None,
    no_spool: bool,
    **members: Any,
) -> None:
    """Run a command and record when it ran and how it ended.

    The exit code is that of the command; 128 + N if signal N ended it, 127 if there is no such command. If PainChain
    is away, the event is kept and a later command sends it.
    """
    if not isinstance(members["data"], dict | None):
        raise click.BadParameter("must be a JSON object.", context, param_hint="--data")
    with SignalForwarder() as forwarder:
        execution = execute(command, forwarder, _prepare)
        event = _event(members, execution)
        try:
            target = chosen_server(server, token_file)
            _send(target, event, timeout or TIMEOUT, chosen_spool(target, no_spool), forwarder)
        except BadServer as problem:
            warn(f"{problem} The event was not recorded.")
        except Refused as refused:
            warn(f"The event was not recorded. {refused}")
        except NotKept as problem:
            warn(str(problem))
    context.exit(execution.exit_status)


def _event(members: Mapping[str, Any], execution: Execution) -> dict[str, Any]:
    """Return the event of a command that has run."""
    ended = {"exit_status": execution.exit_status} | ({"signal": execution.signal} if execution.signal else {})
    return change_event(members) | {
        "time": execution.start.isoformat(),
        "end_time": execution.end.isoformat(),
        "status": "failure" if execution.exit_status else "success",
        "data": {**(members["data"] or {}), **ended},
    }


def _prepare() -> None:
    """Do what sending needs while the command runs. If it fails, sending says so."""
    with suppress(OSError):
        opener()


def _send(
    server: Server, event: Mapping[str, Any], seconds: float, spool: Spool | None, forwarder: SignalForwarder
) -> None:
    try:
        forwarder.raises = True
        deliver(server, event, seconds, spool)
    except Interrupted:
        keep(event, spool, "A signal interrupted the sending.")
    finally:
        forwarder.raises = False
