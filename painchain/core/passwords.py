"""Hash passwords with argon2id, and check new ones against the password rules."""

from __future__ import annotations

from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

MIN_LENGTH, MAX_LENGTH = 12, 512
# OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_slots = BoundedSemaphore(2)  # limits the memory that parallel sign-ins take


class WeakPassword(ValueError):
    """A password that breaks the rules. The message says which one."""


def hash_password(password: str, name: str) -> str:
    """Return the hash of a new password for the account `name`.

    :raises WeakPassword: when it is too short, too long or too easy to guess.
    """
    if len(password) < MIN_LENGTH:
        raise WeakPassword(f"Use at least {MIN_LENGTH} characters. Several words are fine.")
    if len(password) > MAX_LENGTH:
        raise WeakPassword(f"Use at most {MAX_LENGTH} characters.")
    if len(set(password)) < 5 or password.casefold().replace(name.casefold(), "").strip("0123456789!.-_ ") == "":
        raise WeakPassword("This password is too easy to guess. Use several unrelated words.")
    with _slots:
        return HASHER.hash(password.encode("utf-8", "surrogatepass"))


def verify_password(stored: str | None, password: str) -> bool:
    """Return whether a password matches the stored hash. Without a hash it returns False and takes as long."""
    if len(password) > MAX_LENGTH:
        return False
    with _slots:
        try:
            HASHER.verify(stored or _dummy_hash(), password.encode("utf-8", "surrogatepass"))
        except (VerificationError, InvalidHashError):
            return False
    return stored is not None


@cache
def _dummy_hash() -> str:
    return HASHER.hash("nobody has this password")
