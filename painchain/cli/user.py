"""``painchain user``: manage accounts from the terminal, even if no one can sign in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from painchain.accounts import invitations, password_links, users
from painchain.accounts import sessions as login_sessions
from painchain.accounts.users import AccountRefused
from painchain.audit.trail import Trail
from painchain.cli.common import count_noun, opened, plain, reachable, reason_option, stop, utf8
from painchain.cli.common import trail as record_of_command
from painchain.core import runtime, server_address
from painchain.core.roles import ROLES
from painchain.database.commit import OutcomeUnknown
from painchain.database.models import Person
from painchain.eventlog import writer
from painchain.workers.base import clock

FAILED = "Nothing was changed"
LOST_LINK = "If it was saved, the link is lost: create a new one with painchain user reset NAME."
NAME = click.argument("name", callback=utf8)
LINK = click.option(
    "--link",
    "base",
    callback=utf8,
    metavar="URL",
    help="Base URL for the link.  [default: PAINCHAIN_PUBLIC_URL, or else the address of the running server]",
)


@click.group()
def user() -> None:
    """Manage accounts.

    Every change is recorded in the audit log.
    """


@user.command("list")
def list_accounts() -> None:
    """List accounts; disabled accounts are last."""
    with opened("Cannot read the accounts"):
        people = users.list_users()
        width = max((len(plain(person.name)) for person in people), default=0)
        for person in people:
            click.echo(line(person, width))
        if not people:
            click.echo(
                "No accounts yet, so nobody has to sign in. To add the first account, run painchain user add NAME.",
                err=True,
            )


@user.command()
@NAME
@click.option("--role", type=click.Choice(ROLES), help="Role of the account.  [default: viewer; first account: admin]")
@click.option("--email", default="", callback=utf8, help="Email address, for OpenID Connect.")
@LINK
@reason_option
def add(name: str, role: str | None, email: str, base: str | None, reason: str) -> None:
    """Add an account, and print its reset link."""
    with recording(reason, LOST_LINK) as trail:
        invited = invitations.invite(name, role or invitations.first_role(), trail, email)
        person, secret = invited.person, invited.secret
        message = f"Added {plain(person.name)} as {person.role}. Set the password here (the link works once):"
        address = link(secret or "", base)
    click.echo(f"{message} {address}")


@user.command("role")
@NAME
@click.argument("role", type=click.Choice(ROLES))
@reason_option
def change_role(name: str, role: str, reason: str) -> None:
    """Change the role of an account and end its sessions."""
    with recording(reason) as trail:
        person = find_person(name)
        changed = users.change(person, trail, None, name=person.name, role=role, email=person.email or "")
        message = f"{plain(person.name)} {'now' if changed else 'already'} has the role {role}."
    click.echo(message)


@user.command()
@NAME
@LINK
@reason_option
def reset(name: str, base: str | None, reason: str) -> None:
    """Print a reset link: it sets a new password, once. The old password works until the link is used."""
    with recording(reason, LOST_LINK) as trail:
        address = link(invitations.new_link(find_person(name), trail), base)
    click.echo(
        f"Set a new password here (the link works once, for {password_links.LINK_HOURS['reset']} hours): {address}"
    )


@user.command()
@NAME
@reason_option
def disable(name: str, reason: str) -> None:
    """Disable an account.

    This ends its sessions, and its API tokens stop working.
    """
    with recording(reason) as trail:
        person = find_person(name)
        message = f"{plain(person.name)} is {'now' if users.disable(person, trail) else 'already'} disabled."
    click.echo(message)


@user.command()
@NAME
@reason_option
def enable(name: str, reason: str) -> None:
    """Enable a disabled account."""
    with recording(reason) as trail:
        person = find_person(name)
        message = f"{plain(person.name)} is {'now' if users.enable(person, trail) else 'already'} enabled."
    click.echo(message)


@user.command("sign-out")
@click.argument("name", required=False, callback=utf8)
@click.option("--all", "all_accounts", is_flag=True, help="End the sessions of all accounts.")
@reason_option
def sign_out(name: str | None, all_accounts: bool, reason: str) -> None:
    """End all browser sessions of one account, or of all accounts. API tokens keep working."""
    if (name is None) != all_accounts:
        raise click.UsageError("Give either a name or --all.")
    with recording(reason) as trail:
        people = [find_person(name)] if name else users.list_users()
        ended = sum(login_sessions.end_all(person, trail) for person in people)
    click.echo(f"Ended {count_noun(ended, 'session')}.")


@user.command()
@NAME
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@reason_option
def remove(name: str, yes: bool, reason: str) -> None:
    """Remove an account and its sessions and API tokens. Its events stay on the timeline."""
    if not yes:
        click.confirm(f"Remove {plain(name)} and all its sessions and API tokens?", abort=True)
    with recording(reason) as trail:
        person = find_person(name)
        message = f"Removed {plain(person.name)}."
        users.remove(person, trail)
    click.echo(message)


@contextmanager
def recording(reason: str, advice: str = "") -> Iterator[Trail]:
    """Make one change of an account in a transaction, or stop with one line that says why not.

    `advice` is added if it is not known whether the change was saved.
    """
    with opened(FAILED):
        try:
            with writer.writing() as event_log:
                yield record_of_command(event_log, clock(), reason=reason)
        except OutcomeUnknown as unknown:
            unknown.advice = advice
            raise
        except AccountRefused as refusal:
            stop(plain(str(refusal)), 1)


def find_person(name: str) -> Person:
    """Return the account of this name, or stop."""
    person = users.find_by_name(name)
    return person or stop(f"No account named “{plain(name)}”. To list all accounts, run painchain user list.", 1)


def link(secret: str, base: str | None) -> str:
    """Return the full address of a one-time link.

    The server can listen on another port than the settings of this command say, so its own address comes first.
    """
    settings = runtime.current().settings
    address = base or settings.public_url or server_address.read(settings.instance)
    address = address or f"http://{reachable(settings)}:{settings.port}"
    return f"{address.rstrip('/')}/link/{secret}"


def line(person: Person, width: int) -> str:
    """Return an account in one line, its name padded to `width` characters."""
    notes = ["disabled"] if person.disabled_at else []
    notes += [] if person.password or person.subject else ["no password yet"]
    columns = [f"{plain(person.name):<{width}}", f"{person.role:<6}", plain(person.email or ""), ", ".join(notes)]
    return "  ".join(column for column in columns if column).rstrip()
