"""Find the account of an identity at an OpenID Connect provider, create it at the first sign-in, or unlink it."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import delete, select

from painchain.accounts import users
from painchain.accounts.oidc_sign_in import Identity
from painchain.accounts.users import AccountRefused, InvalidAccount, StaleAccount
from painchain.audit.diff import Change
from painchain.audit.trail import SYSTEM, Trail
from painchain.database.models import Person, SignIn
from painchain.database.session import db

METHOD = "oidc"


class NotLinked(AccountRefused):
    """The account is not linked to an identity."""

    def __init__(self, name: str):
        super().__init__(f"“{name}” is not linked to an identity provider.")


class NoOtherSignIn(AccountRefused):
    """Without the identity, nobody could sign in to the account."""

    def __init__(self, name: str):
        super().__init__(
            f"“{name}” has no password, so nobody could sign in to the account any more. An admin can create a reset "
            "link, which sets a password. Then unlink the identity."
        )


@dataclass(frozen=True)
class Rules:
    """Who may sign in through the `provider`. The first sign-in creates an account with `role`, if it is set."""

    provider: str
    role: str
    domains: tuple[str, ...]


@dataclass(frozen=True)
class Refusal:
    """A refused sign-in: `message` for the user, `reason` for the audit log, and the account if there is one."""

    message: str
    reason: str
    person: Person | None = None


def find_or_create_account(identity: Identity, rules: Rules, trail: Trail) -> Person | Refusal:
    """Return the account of an identity, or why the sign-in is refused.

    After the first sign-in an account is found by issuer and subject, which never change. At the first sign-in it is
    found by the email address, if the provider has verified it and the account is not linked to another subject there.
    """
    if refusal := _email_refusal(identity, rules):
        return refusal
    person = _find_linked(identity) or _find_by_email(identity)
    if person and person.disabled_at:
        return Refusal("Your account is disabled. Ask an admin to enable it.", "disabled account", person)
    if person and person.issuer == identity.issuer and person.subject != identity.subject:
        message = f"The account of {identity.email} belongs to another user at {rules.provider}. Ask an admin."
        return Refusal(message, "the account is linked with another subject", person)
    if person is None:
        created = _create_account(identity, rules, trail)
        if isinstance(created, Refusal):
            return created
        person = created
    _link(person, identity, trail)
    return person


def _email_refusal(identity: Identity, rules: Rules) -> Refusal | None:
    if not identity.email:
        return Refusal(f"{rules.provider} sent no usable email address.", "no email address")
    if not identity.verified:
        message = f"{identity.email} is not verified at {rules.provider}. Verify it there, then sign in again."
        return Refusal(message, f"the email address {identity.email} is not verified")
    if rules.domains and identity.email.rpartition("@")[2] not in rules.domains:
        message = f"Sign-in is not allowed for addresses like {identity.email}."
        return Refusal(message, f"the domain of {identity.email} is not let in")
    return None


def _find_linked(identity: Identity) -> Person | None:
    query = select(Person).where(Person.issuer == identity.issuer, Person.subject == identity.subject)
    return db.session.scalars(query).one_or_none()


def _find_by_email(identity: Identity) -> Person | None:
    return db.session.scalars(select(Person).where(Person.email == identity.email)).one_or_none()


def _create_account(identity: Identity, rules: Rules, trail: Trail) -> Person | Refusal:
    """Create an account with the email address as its name. The user may have chosen any other claim freely."""
    message = f"No account with the address {identity.email}. Ask an admin for one."
    if not rules.role:
        return Refusal(message, f"no account with the email address {identity.email}")
    trail.author, trail.cause = SYSTEM, "OpenID Connect, first sign-in"
    try:
        return users.add(identity.email, rules.role, trail, email=identity.email)
    except InvalidAccount as error:
        return Refusal(f"{message} ({' '.join(error.errors.values())})", f"no account can be made: {identity.email}")


def _link(person: Person, identity: Identity, trail: Trail) -> None:
    """Link an account to its subject at the provider, and record that."""
    if (person.issuer, person.subject) == (identity.issuer, identity.subject):
        return
    trail.author, trail.cause = person.name, ""
    change = Change("issuer", "Signs in through", "text", person.issuer, identity.issuer)
    person.issuer, person.subject = identity.issuer, identity.subject
    db.session.flush()
    text = f"{person.name} signs in through {identity.issuer} from now on"
    metadata = {"person": person.name, "changes": {"issuer": {"old": change.old, "new": change.new}}}
    trail.record("person_changed", person.name, "changed", text, metadata, changes=[asdict(change)])


def refuse_unlinking(person: Person, is_own: bool, has_provider: bool) -> None:
    """Refuse to unlink an account that nobody could sign in to afterwards.

    With an email address, the next sign-in through the provider links the account again. People who unlink their own
    identity want to do without the provider, so they need a password.

    :raises NotLinked: when the account is not linked.
    :raises NoOtherSignIn: when there is no other way to sign in.
    """
    if person.issuer is None:
        raise NotLinked(person.name)
    if not person.password and (is_own or not (person.email and has_provider)):
        raise NoOtherSignIn(person.name)


def unlink(person: Person, trail: Trail, version: int | None, except_session: str | None = None) -> None:
    """Remove the link of an account to its identity, and record that.

    The sessions that began through the provider end, except one.

    :raises StaleAccount: when `version` is no longer the account's version.
    """
    if version is not None and version != person.version:
        raise StaleAccount(person)
    change = Change("issuer", "Signs in through", "text", person.issuer, None)
    person.issuer, person.subject, person.version = None, None, person.version + 1
    began_there = (SignIn.person_id == person.id, SignIn.way.startswith(METHOD), SignIn.id != (except_session or ""))
    db.session.execute(delete(SignIn).where(*began_there))
    text = f"{person.name} is no longer linked to {change.old}"
    metadata = {"person": person.name, "changes": {"issuer": {"old": change.old, "new": change.new}}}
    trail.record("person_changed", person.name, "changed", text, metadata, changes=[asdict(change)])
