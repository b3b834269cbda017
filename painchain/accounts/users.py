"""The accounts of people: add, change, disable, remove, each on the record; the last admin stays."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256

from sqlalchemy import delete, func, select
from sqlalchemy.engine import Connection

from painchain.audit.diff import Change
from painchain.audit.trail import Trail
from painchain.core import passwords
from painchain.core.roles import ADMIN, ROLES
from painchain.core.text import unprintable
from painchain.database.models import ApiToken, OneTimeLink, Person, SignIn
from painchain.database.prepared import Prepared
from painchain.database.session import db

LONGEST_NAME = 100
LABELS = {"name": "Name", "role": "Role", "email": "E-mail"}


class AccountRefused(Exception):
    """A change of an account that is not made; the message says why and what to do."""


class InvalidAccount(AccountRefused):
    """Values that an account does not take: `errors` by field."""

    def __init__(self, errors: dict[str, str]):
        self.errors = errors
        super().__init__("Nothing was saved: " + " ".join(errors.values()))


class LastAdmin(AccountRefused):
    """Nobody could manage people any more."""

    def __init__(self, name: str):
        super().__init__(f"“{name}” is the last admin who can sign in. Make somebody else an admin first.")


class StaleAccount(AccountRefused):
    """Somebody else changed the account in the meantime."""

    def __init__(self, person: Person):
        self.person = person
        super().__init__(f"“{person.name}” was changed by somebody else in the meantime. Look at it as it is now.")


_NEWEST = Prepared(select(func.max(Person.__table__.c.id)))


def any_exist(connection: Connection | None = None) -> bool:
    """Say whether there is any account: from then on everybody has to sign in."""
    [[newest]] = _NEWEST.all(connection or db.session.connection())
    return newest is not None


def list_users() -> Sequence[Person]:
    """Return all accounts by name, the disabled ones last."""
    return db.session.scalars(select(Person).order_by(Person.disabled_at.is_not(None), Person.key)).all()


def get(number: int) -> Person | None:
    """Return the account of that number, if there is one."""
    return db.session.get(Person, number)


def find_by_name(name: str) -> Person | None:
    """Return the account of that name, however it is capitalised, if there is one."""
    if any(unprintable(one) for one in name):  # PostgreSQL cannot even compare with NUL
        return None
    return db.session.scalars(select(Person).where(Person.key == key_of(name))).one_or_none()


def key_of(name: str) -> str:
    """Return a name as names are compared: "Ａlice" is "alice"."""
    return unicodedata.normalize("NFKC", name).strip().casefold()


def add(name: str, role: str, trail: Trail, email: str = "", password: str | None = None) -> Person:
    """Add an account, with a password or without (then a one-time link sets it).

    :raises Wrong: when a value cannot be taken.
    """
    errors = _name_errors(name) | _role_errors(role) | _email_errors(email)
    hashed = None
    if password is not None:
        try:
            hashed = passwords.hash_password(password, name)
        except passwords.WeakPassword as weak:
            errors["password"] = str(weak)
    if errors:
        raise InvalidAccount(errors)
    person = Person(
        name=_clean(name),
        key=key_of(name),
        email=_clean(email).casefold() or None,
        role=role,
        password=hashed,
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
    """Change name, role or address of an account; another role ends its sign-ins. Return whether anything changed.

    :raises Wrong: when a value cannot be taken.
    :raises Outdated: when `version` is not the account's version any more.
    :raises LastAdmin: when nobody could manage people any more.
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
        _refuse_last_admin(person, staying=role == ADMIN)
        end_sign_ins(person.id)
    before = person.name
    for field, value in new.items():
        setattr(person, field, value)
    person.key, person.version = key_of(person.name), person.version + 1
    said = "; ".join(f"{field} {old or 'empty'} → {value or 'empty'}" for field, (old, value) in changes.items())
    told = {field: {"old": old, "new": value} for field, (old, value) in changes.items()}
    labelled = [asdict(Change(field, LABELS[field], "text", *sides)) for field, sides in changes.items()]
    facts = {"person": before, "changes": told}
    trail.record("person_changed", before, "changed", f"Changed {before}: {said}", facts, changes=labelled)
    return True


def disable(person: Person, trail: Trail, version: int | None = None) -> bool:
    """Keep somebody out from now on: sign-ins end, tokens stop working. Return False if it is so already.

    :raises LastAdmin: when nobody could manage people any more.
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
    """Let somebody in again. Return False if it is so already."""
    _refuse_outdated(person, version)
    if not person.disabled_at:
        return False
    person.disabled_at, person.version = None, person.version + 1
    trail.record("person_enabled", person.name, "enabled", f"Enabled {person.name}", {"person": person.name})
    return True


def remove(person: Person, trail: Trail, version: int | None = None) -> None:
    """Remove an account with its sign-ins and tokens. What is written of it stays as it is.

    :raises LastAdmin: when nobody could manage people any more.
    """
    _refuse_outdated(person, version)
    _refuse_last_admin(person)
    tokens = db.session.scalars(select(ApiToken.name).where(ApiToken.person_id == person.id)).all()
    trail.record(
        "person_removed",
        person.name,
        "removed",
        f"Removed {person.name}",
        {"person": person.name, "role": person.role, "tokens": list(tokens)},
    )
    db.session.delete(person)
    db.session.flush()


def set_password(person: Person, password: str, trail: Trail, but: str | None = None) -> None:
    """Store a new password; every sign-in of the account, save one, and every link ends.

    :raises Wrong: when the password cannot be taken.
    """
    try:
        person.password = passwords.hash_password(password, person.name)
    except passwords.WeakPassword as weak:
        raise InvalidAccount({"password": str(weak)}) from None
    end_sign_ins(person.id, but)
    db.session.execute(delete(OneTimeLink).where(OneTimeLink.person_id == person.id))
    trail.record("password_set", person.name, "set", f"Set the password of {person.name}", {"person": person.name})


def end_sign_ins(person_id: int, but: str | None = None) -> int:
    """End everywhere what somebody is signed in with, save one; return how many there were."""
    ended = db.session.execute(delete(SignIn).where(SignIn.person_id == person_id, SignIn.id != (but or "")))
    return int(ended.rowcount)  # type: ignore[attr-defined]


def digest(secret: str) -> str:
    """Return what is stored of a secret that is random enough to need no salt."""
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse_outdated(person: Person, version: int | None) -> None:
    if version is not None and version != person.version:
        raise StaleAccount(person)


def _refuse_last_admin(person: Person, staying: bool = False) -> None:
    if staying or person.role != ADMIN or person.disabled_at:
        return
    others = select(func.count()).where(Person.role == ADMIN, Person.disabled_at.is_(None), Person.id != person.id)
    if not db.session.scalar(others):
        raise LastAdmin(person.name)


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _name_errors(name: str, but: int | None = None) -> dict[str, str]:
    name = _clean(name)
    if not name:
        return {"name": "Give a name."}
    if len(name) > LONGEST_NAME:
        return {"name": f"A name has {LONGEST_NAME} characters at most."}
    if any(unprintable(one) or one in "\n\t" for one in name):
        return {"name": "The name contains a character that cannot be seen."}
    if ":" in name or key_of(name) in ("system", "unknown"):
        return {"name": "This name is kept for PainChain itself, and no name contains a colon."}
    taken = find_by_name(name)
    return {"name": f"There is somebody called “{taken.name}” already."} if taken and taken.id != but else {}


def _email_errors(email: str, but: int | None = None) -> dict[str, str]:
    email = _clean(email).casefold()
    if not email:
        return {}
    if len(email) > 254 or email.count("@") != 1 or any(one.isspace() or unprintable(one) for one in email):
        return {"email": "This is no e-mail address."}
    if not all(email.split("@")):
        return {"email": "This is no e-mail address."}
    taken = db.session.scalars(select(Person).where(Person.email == email)).one_or_none()
    return {"email": f"This is the address of “{taken.name}” already."} if taken and taken.id != but else {}


def _role_errors(role: str) -> dict[str, str]:
    return {} if role in ROLES else {"role": f"Choose one of {', '.join(ROLES)}."}
