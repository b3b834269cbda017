"""``painchain user``: manage accounts from the terminal of the server, also when nobody can sign in any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from painchain.accounts import invitations, users
from painchain.accounts import sessions as login_sessions
from painchain.accounts.users import AccountRefused
from painchain.audit.trail import Trail
from painchain.cli.common import opened, plain, reachable, reason_option, stop, utf8
from painchain.cli.common import trail as record_of_command
from painchain.core import runtime
from painchain.core.roles import ROLES
from painchain.database.account_models import Person
from painchain.eventlog import writer
from painchain.workers.base import clock

FAILED = "Nothing was changed"
NAME = click.argument("name", callback=utf8)
LINK = click.option(
    "--link", "base", callback=utf8, metavar="URL", help="How people reach PainChain.  [default: where it listens]"
)


@click.group()
def user() -> None:
    """Manage the accounts of people. Every change goes on the record."""


@user.command("list")
def everybody() -> None:
    """List the accounts, the disabled ones last."""
    with opened("The accounts cannot be read"):
        found = users.list_users()
        width = max((len(plain(one.name)) for one in found), default=0)
        for one in found:
            click.echo(line(one, width))
        if not found:
            click.echo("There is no account yet: nobody signs in. painchain user add NAME adds the first.", err=True)


@user.command()
@NAME
@click.option("--role", type=click.Choice(ROLES), help="What they may do.  [default: viewer; of the first: admin]")
@click.option("--email", default="", callback=utf8, help="Their e-mail address, for OpenID Connect.")
@LINK
@reason_option
def add(name: str, role: str | None, email: str, base: str | None, reason: str) -> None:
    """Add an account, and print the link that sets its password (it works once)."""
    with recording(reason) as trail:
        invited = invitations.invite(name, role or invitations.first_role(), trail, email)
        one, secret = invited.person, invited.secret
        said = f"{plain(one.name)} is added as {one.role}. Set the password here (the link works once):"
        address = link(secret or "", base)
    click.echo(f"{said} {address}")


@user.command("role")
@NAME
@click.argument("role", type=click.Choice(ROLES))
@reason_option
def change_role(name: str, role: str, reason: str) -> None:
    """Give somebody another role; they are signed out everywhere."""
    with recording(reason) as trail:
        one = called(name)
        changed = users.change(one, trail, None, name=one.name, role=role, email=one.email or "")
        said = f"{plain(one.name)} is {role} now." if changed else f"{plain(one.name)} is {role} already."
    click.echo(said)


@user.command()
@NAME
@LINK
@reason_option
def reset(name: str, base: str | None, reason: str) -> None:
    """Print a link that sets a new password (it works once). The old one holds until it is used."""
    with recording(reason) as trail:
        address = link(invitations.new_link(called(name), trail), base)
    click.echo(f"Set a new password here (the link works once, for {users.LINK_HOURS['reset']} hours): {address}")


@user.command()
@NAME
@reason_option
def disable(name: str, reason: str) -> None:
    """Keep somebody out: signed out everywhere, API tokens stop working."""
    with recording(reason) as trail:
        one = called(name)
        said = f"{plain(one.name)} is {'disabled' if users.disable(one, trail) else 'disabled already'}."
    click.echo(said)


@user.command()
@NAME
@reason_option
def enable(name: str, reason: str) -> None:
    """Let somebody in again."""
    with recording(reason) as trail:
        one = called(name)
        said = f"{plain(one.name)} is {'enabled' if users.enable(one, trail) else 'enabled already'}."
    click.echo(said)


@user.command("sign-out")
@click.argument("name", required=False, callback=utf8)
@click.option("--all", "everybody_there", is_flag=True, help="Of all accounts.")
@reason_option
def sign_out(name: str | None, everybody_there: bool, reason: str) -> None:
    """Sign somebody out of every browser, or with --all everybody. API tokens go on."""
    if (name is None) != everybody_there:
        raise click.UsageError("Give a name, or --all.")
    with recording(reason) as trail:
        people_there = [called(name)] if name else users.list_users()
        ended = sum(login_sessions.end_all(one, trail) for one in people_there)
    click.echo(f"Signed out of {ended} browser{'' if ended == 1 else 's'}.")


@user.command()
@NAME
@click.option("--yes", is_flag=True, help="Do not ask.")
@reason_option
def remove(name: str, yes: bool, reason: str) -> None:
    """Remove an account with its sign-ins and API tokens. What they changed stays on the timeline."""
    if not yes:
        click.confirm(f"Remove {plain(name)}, with sign-ins and API tokens?", abort=True)
    with recording(reason) as trail:
        one = called(name)
        said = f"{plain(one.name)} is removed."
        users.remove(one, trail)
    click.echo(said)


@contextmanager
def recording(reason: str) -> Iterator[Trail]:
    """Write one change of an account, or stop with a line that says why it is not made."""
    with opened(FAILED):
        try:
            with writer.writing() as event_log:
                yield record_of_command(event_log, clock(), reason=reason)
        except AccountRefused as refusal:
            stop(plain(str(refusal)), 1)


def called(name: str) -> Person:
    """Return the account of a name, or stop."""
    one = users.find_by_name(name)
    return one or stop(f"There is no account called “{plain(name)}”. painchain user list shows all.", 1)


def link(secret: str, base: str | None) -> str:
    """Return the whole address of a link that works once."""
    settings = runtime.current().settings
    address = base or settings.public_url or f"http://{reachable(settings)}:{settings.port}"
    return f"{address.rstrip('/')}/link/{secret}"


def line(one: Person, width: int) -> str:
    """Return an account in one line."""
    notes = ["disabled"] if one.disabled_at else []
    notes += [] if one.password or one.subject else ["no password yet"]
    parts = [f"{plain(one.name):<{width}}", f"{one.role:<6}", plain(one.email or ""), ", ".join(notes)]
    return "  ".join(part for part in parts if part).rstrip()
