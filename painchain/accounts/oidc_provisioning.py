"""Whose account an identity at an OpenID Connect provider belongs to; whoever comes for the first time may get one."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import select

from painchain.accounts import users
from painchain.accounts.oidc import Identity
from painchain.accounts.users import InvalidAccount
from painchain.audit.diff import Change
from painchain.audit.trail import SYSTEM, Trail
from painchain.database.models import Person
from painchain.database.session import db


@dataclass(frozen=True)
class Rules:
    """Who is let in through the `provider`: `role` is that of accounts made at the first sign-in (none if empty)."""

    provider: str
    role: str
    domains: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """Somebody who is not let in: `message` for them, `why` for the record, the account if there is one."""

    message: str
    why: str
    person: Person | None = None


def find_or_create_account(identity: Identity, rules: Rules, trail: Trail) -> Person | Refusal:
    """Return the account of an identity, or why nobody is let in.

    After the first time it is known by issuer and subject, which stay; before, by the e-mail address, if the provider
    has verified it and the account is no other's at the same provider.
    """
    if refusal := _address_refused(identity, rules):
        return refusal
    person = _linked(identity) or _addressed(identity)
    if person and person.disabled_at:
        return Refusal("Your account is disabled. Ask an admin to enable it.", "disabled account", person)
    if person and person.issuer == identity.issuer and person.subject != identity.subject:
        message = f"The account with the address {identity.email} is somebody else's at {rules.provider}. Ask an admin."
        return Refusal(message, "the account is linked with another subject", person)
    if person is None:
        found = _made(identity, rules, trail)
        if isinstance(found, Refusal):
            return found
        person = found
    _link(person, identity, trail)
    return person


def _address_refused(identity: Identity, rules: Rules) -> Refusal | None:
    if not identity.email:
        return Refusal(f"{rules.provider} told no e-mail address that can be used.", "no e-mail address")
    if not identity.verified:
        message = f"{identity.email} is not verified at {rules.provider}. Verify it there, then sign in again."
        return Refusal(message, f"the e-mail address {identity.email} is not verified")
    if rules.domains and identity.email.rpartition("@")[2] not in rules.domains:
        message = f"Addresses such as {identity.email} are not let in here."
        return Refusal(message, f"the domain of {identity.email} is not let in")
    return None


def _linked(identity: Identity) -> Person | None:
    wanted = select(Person).where(Person.issuer == identity.issuer, Person.subject == identity.subject)
    return db.session.scalars(wanted).one_or_none()


def _addressed(identity: Identity) -> Person | None:
    return db.session.scalars(select(Person).where(Person.email == identity.email)).one_or_none()


def _made(identity: Identity, rules: Rules, trail: Trail) -> Person | Refusal:
    """Add an account. Its name is the address: whatever else a provider tells of somebody they may have chosen."""
    message = f"There is no account with the address {identity.email}. Ask an admin for one."
    if not rules.role:
        return Refusal(message, f"no account with the e-mail address {identity.email}")
    trail.author, trail.cause = SYSTEM, "OpenID Connect, first sign-in"
    try:
        return users.add(identity.email, rules.role, trail, email=identity.email)
    except InvalidAccount as wrong:
        return Refusal(f"{message} ({' '.join(wrong.errors.values())})", f"no account can be made: {identity.email}")


def _link(person: Person, identity: Identity, trail: Trail) -> None:
    """Remember who an account is to the provider, on the record."""
    if (person.issuer, person.subject) == (identity.issuer, identity.subject):
        return
    trail.author, trail.cause = person.name, ""
    change = Change("issuer", "Signs in through", "text", person.issuer, identity.issuer)
    person.issuer, person.subject = identity.issuer, identity.subject
    db.session.flush()
    text = f"{person.name} signs in through {identity.issuer} from now on"
    facts = {"person": person.name, "changes": {"issuer": {"old": change.old, "new": change.new}}}
    trail.record("person_changed", person.name, "changed", text, facts, changes=[asdict(change)])
