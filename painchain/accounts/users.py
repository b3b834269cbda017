"""Add, change, disable and remove accounts, and record each change. The last admin cannot be removed."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from painchain.audit.diff import Change
from painchain.audit.trail import Trail
from painchain.core import passwords
from painchain.core.roles import ADMIN, ROLES
from painchain.core.text import is_blank, unprintable
from painchain.database.models import ApiToken, OneTimeLink, Person, SavedView, SignIn
from painchain.database.prepared import Prepared
from painchain.database.session import db

MAX_NAME_LENGTH = 100
LABELS = {"name": "Name", "role": "Role", "email": "Email"}


class AccountRefused(Exception):
    """A refused change of an account. The message says why and what to do."""


class InvalidAccount(AccountRefused):
    """Invalid values of an account: `errors` by field."""

    def __init__(self, errors: dict[str, str]):
        self.errors = errors
        super().__init__("Nothing was saved. " + " ".join(errors.values()))


class LastAdmin(AccountRefused):
    """The change would leave no admin who can sign in."""

    def __init__(self, name: str):
        super().__init__(f"“{name}” is the last admin who can sign in. Give another account the admin role first.")


class StaleAccount(AccountRefused):
    """Another user has changed the account since it was read."""

    def __init__(self, person: Person):
        self.person = person
        super().__init__(
            f"“{person.name}” was changed by another user in the meantime. Nothing was saved. Reload it and try again."
        )


_NEWEST = Prepared(select(func.max(Person.__table__.c.id)))


def any_exist(connection: Connection | None = None) -> bool:
    """Return whether any account exists. Once one does, everybody must sign in."""
    [[newest]] = _NEWEST.all(connection or db.session.connection())
    return newest is not None


def list_users() -> Sequence[Person]:
    """Return all accounts sorted by name, the disabled ones last."""
    return db.session.scalars(select(Person).order_by(Person.disabled_at.is_not(None), Person.key)).all()


def get(person_id: int) -> Person | None:
    """Return the account with this ID, or None."""
    return db.session.get(Person, person_id)


def find_by_name(name: str) -> Person | None:
    """Return the account with this name, or None. Upper and lower case are equal."""
    if any(unprintable(character) for character in name):  # PostgreSQL cannot even compare with NUL
        return None
    return db.session.scalars(select(Person).where(Person.key == key_of(name))).one_or_none()


def key_of(name: str) -> str:
    """Return the form of a name that comparisons use: "Ａlice" becomes "alice"."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def add(name: str, role: str, trail: Trail, email: str = "", password: str | None = None) -> Person:
    """Add an account. Without a password, a one-time link sets it later.

    :raises InvalidAccount: when a value is invalid.
    """
    errors = _name_errors(name) | _role_errors(role) | _email_errors(email)
    password_hash = None
    if password is not None:
        try:
            password_hash = passwords.hash_password(password, name)
        except passwords.WeakPassword as weak:
            errors["password"] = str(weak)
    if errors:
        raise InvalidAccount(errors)
    person = Person(
        name=_clean(name),
        key=key_of(name),
        email=_clean(email).casefold() or None,
        role=role,
        password=password_hash,
        created_at=trail.now,
        created_by=trail.author,
        version=1,
    )
    db.session.add(person)
    db.session.flush()
    trail.record(
        "person_added", person.name, "added", f"Added {person.name} as {role}", {"person": person.name, "role": role}
    )
    return person


def change(person: Person, trail: Trail, version: int | None, *, name: str, role: str, email: str = "") -> bool:
    """Change the name, role or email address of an account. Return whether anything changed.

    A change of the role ends its sessions.

    :raises InvalidAccount: when a value is invalid.
    :raises StaleAccount: when `version` is no longer the account's version.
    :raises LastAdmin: when no admin who can sign in would be left.
    """
    _refuse_outdated(person, version)
    errors = _role_errors(role) | _name_errors(name, person.id) | _email_errors(email, person.id)
    if errors:
        raise InvalidAccount(errors)
    new = {"name": _clean(name), "role": role, "email": _clean(email).casefold() or None}
    changes = {
        field: (getattr(person, field), value) for field, value in new.items() if getattr(person, field) != value
    }
    if not changes:
        return False
    if "role" in changes:
        _refuse_last_admin(person, stays_admin=role == ADMIN)
        end_sign_ins(person.id)
    old_name = person.name
    for field, value in new.items():
        setattr(person, field, value)
    person.key, person.version = key_of(person.name), person.version + 1
    summary = "; ".join(f"{field} {old or 'empty'} → {value or 'empty'}" for field, (old, value) in changes.items())
    recorded_changes = {field: {"old": old, "new": value} for field, (old, value) in changes.items()}
    labelled_changes = [asdict(Change(field, LABELS[field], "text", *sides)) for field, sides in changes.items()]
    metadata = {"person": old_name, "changes": recorded_changes}
    trail.record(
        "person_changed", old_name, "changed", f"Changed {old_name}: {summary}", metadata, changes=labelled_changes
    )
    return True


def disable(person: Person, trail: Trail, version: int | None = None) -> bool:
    """Disable an account: its sessions end and its tokens stop working. Return False if it is already disabled.

    :raises LastAdmin: when no admin who can sign in would be left.
    """
    _refuse_outdated(person, version)
    if person.disabled_at:
        return False
    _refuse_last_admin(person)
    person.disabled_at, person.version = trail.now, person.version + 1
    end_sign_ins(person.id)
    db.session.execute(delete(OneTimeLink).where(OneTimeLink.person_id == person.id))
    trail.record("person_disabled", person.name, "disabled", f"Disabled {person.name}", {"person": person.name})
    return True


def enable(person: Person, trail: Trail, version: int | None = None) -> bool:
    """Enable an account. Return False if it is already enabled."""
    _refuse_outdated(person, version)
    if not person.disabled_at:
        return False
    person.disabled_at, person.version = None, person.version + 1
    trail.record("person_enabled", person.name, "enabled", f"Enabled {person.name}", {"person": person.name})
    return True


def remove(person: Person, trail: Trail, version: int | None = None) -> None:
    """Remove an account with its sessions, tokens and own views. Its events stay in the log.

    :raises LastAdmin: when no admin who can sign in would be left.
    """
    _refuse_outdated(person, version)
    _refuse_last_admin(person)
    tokens = db.session.scalars(select(ApiToken.name).where(ApiToken.person_id == person.id)).all()
    facts: dict[str, Any] = {"person": person.name, "role": person.role, "tokens": list(tokens)}
    if views := views_of(person):
        facts["views"] = views
    trail.record("person_removed", person.name, "removed", f"Removed {person.name}", facts)
    db.session.delete(person)
    db.session.flush()


def views_of(person: Person) -> list[str]:
    """Return the names of the saved views that only this person sees."""
    return list(
        db.session.scalars(select(SavedView.name).where(SavedView.owner_id == person.id).order_by(SavedView.name))
    )


def set_password(person: Person, password: str, trail: Trail, except_session: str | None = None) -> None:
    """Store a new password. End all sessions of the account but one, and delete its one-time links.

    :raises InvalidAccount: when the password is too weak.
    """
    try:
        person.password = passwords.hash_password(password, person.name)
    except passwords.WeakPassword as weak:
        raise InvalidAccount({"password": str(weak)}) from None
    end_sign_ins(person.id, except_session)
    db.session.execute(delete(OneTimeLink).where(OneTimeLink.person_id == person.id))
    trail.record("password_set", person.name, "set", f"Set the password of {person.name}", {"person": person.name})


def end_sign_ins(person_id: int, except_session: str | None = None) -> int:
    """End all sessions of an account except one. Return how many ended."""
    ended = db.session.execute(delete(SignIn).where(SignIn.person_id == person_id, SignIn.id != (except_session or "")))
    return int(ended.rowcount)  # type: ignore[attr-defined]


def digest(secret: str) -> str:
    """Return the hash under which a random secret is stored. A random secret needs no salt."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse_outdated(person: Person, version: int | None) -> None:
    if version is not None and version != person.version:
        raise StaleAccount(person)


def _refuse_last_admin(person: Person, stays_admin: bool = False) -> None:
    if stays_admin or person.role != ADMIN or person.disabled_at:
        return
    is_other_admin = (Person.role == ADMIN, Person.disabled_at.is_(None), Person.id != person.id)
    if not db.session.scalar(select(func.count()).where(*is_other_admin)):
        raise LastAdmin(person.name)


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _name_errors(name: str, except_id: int | None = None) -> dict[str, str]:
    name = _clean(name)
    if is_blank(name):
        return {"name": "Enter a name."}
    if len(name) > MAX_NAME_LENGTH:
        return {"name": f"Enter at most {MAX_NAME_LENGTH} characters."}
    if any(unprintable(character) or character in "\n\t" for character in name):
        return {"name": "The name contains an invisible character."}
    if ":" in name or key_of(name) in ("system", "unknown"):
        return {"name": "This name is reserved for PainChain. A name must not contain a colon."}
    existing = find_by_name(name)
    if existing and existing.id != except_id:
        return {"name": f"An account named “{existing.name}” already exists."}
    return {}


def _email_errors(email: str, except_id: int | None = None) -> dict[str, str]:
    email = _clean(email).casefold()
    if not email:
        return {}
    if (
        len(email) > 254
        or email.count("@") != 1
        or any(character.isspace() or unprintable(character) for character in email)
    ):
        return {"email": "This is not a valid email address."}
    if not all(email.split("@")):
        return {"email": "This is not a valid email address."}
    existing = db.session.scalars(select(Person).where(Person.email == email)).one_or_none()
    if existing and existing.id != except_id:
        return {"email": f"This address already belongs to “{existing.name}”."}
    return {}


def _role_errors(role: str) -> dict[str, str]:
    return {} if role in ROLES else {"role": f"Choose one of {', '.join(ROLES)}."}
