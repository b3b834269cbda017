"""The options of the commands that send an event, and the event that they describe."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any

import click

from painchain.cli.messages import utf8
from painchain.cli.sending.delivery import OWN_ID, warn
from painchain.cli.sending.server import BadServer, Server, find_server
from painchain.cli.sending.spool import Spool, SpoolUnusable, find_folder

MAX_DATA = 1024 * 1024  # characters to read; the server accepts 64 KiB


def _data(context: click.Context, option: click.Parameter, value: str | None) -> Any:
    """Parse JSON, which can be in a file or come from standard input."""
    if not value:
        return None
    text = utf8(context, option, value)
    try:
        if value == "-" or value.startswith("@"):
            with click.open_file(value.removeprefix("@"), encoding="utf-8") as file:
                text = file.read(MAX_DATA)
        parsed = json.loads(text)
        json.dumps(parsed, allow_nan=False)  # Python reads NaN, Infinity and 1e999, but they are not JSON
    except OSError as error:
        raise click.BadParameter(f"cannot read {value[1:]}: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        raise click.BadParameter('not valid JSON; try {"replicas": 3}, @FILE or -.') from None
    return parsed


_OPTIONS = (
    click.option(
        "--kind",
        callback=utf8,
        help="deployment, release, configuration, feature_flag, migration, infrastructure, dns, incident, other, or "
        "any lower-case word.  [default: other]",
    ),
    click.option("--service", callback=utf8, help="Service that changed."),
    click.option("--environment", callback=utf8, help="Environment, such as production."),
    click.option("--version", callback=utf8, help="Version that is now there."),
    click.option("--sha", callback=utf8, help="Hash of the commit."),
    click.option("--digest", callback=utf8, help="Digest of the image, such as sha256:…."),
    click.option("--repository", callback=utf8, help="Full name of the repository, such as acme/shop."),
    click.option("--url", callback=utf8, help="Web page about the change, such as that of the pipeline."),
    click.option("--actor", callback=utf8, help="Who made the change. Shown as the claimed author."),
    click.option("--description", callback=utf8, help="Text about the change."),
    click.option("--tag", "tags", multiple=True, callback=utf8, help="Tag of the event. Can be repeated."),
    click.option("--data", callback=_data, help="More about the change: JSON, @FILE, or - for standard input."),
    click.option(
        "--external-id",
        callback=utf8,
        help="Your own ID of the change. Sent again with the same ID, it is the same event.",
    ),
    click.option("--server", envvar="PAINCHAIN_URL", show_envvar=True, help="URL of the PainChain server."),
    click.option(
        "--token-file",
        envvar="PAINCHAIN_TOKEN_FILE",
        show_envvar=True,
        help="File with the API token. Without it, the token is in PAINCHAIN_TOKEN.",
    ),
    click.option(
        "--timeout",
        envvar="PAINCHAIN_TIMEOUT",
        show_envvar=True,
        type=click.FloatRange(0.1, 600),
        help="Seconds to wait for PainChain.  [default: 15; painchain run: 2]",
    ),
    click.option("--no-spool", is_flag=True, help="Do not keep the event if PainChain is away."),
)


def event_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the members of an event, and where to send it, to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def change_event(members: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event with these members. An empty one counts as not given; without an ID, it gets one."""
    given = {name: value for name, value in members.items() if value not in (None, "", ())}
    return {"external_id": f"{OWN_ID}{token_hex(16)}", **given}


def chosen_server(server: str | None, token_file: str | None) -> Server:
    """Return the server of the options and the environment.

    :raises BadServer: if its URL or token cannot be used.
    """
    token = os.environ.get("PAINCHAIN_TOKEN", "")
    if token_file:
        try:
            token = Path(token_file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            raise BadServer(f"Cannot read the token file {token_file}: {reason}.") from None
    return find_server((server or "").strip(), token.strip())


def chosen_spool(server: Server, no_spool: bool) -> Spool | None:
    """Return where to keep events, or None if they are not kept; say why if that is not by choice."""
    if no_spool:
        return None
    try:
        return Spool(find_folder(os.environ), server)
    except SpoolUnusable as unusable:
        warn(f"{unusable}.")
        return None
