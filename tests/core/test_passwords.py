"""Passwords are hashed with as much work as recommended; tests that only sign in do less of it."""

from __future__ import annotations

from argon2 import Type, extract_parameters

from painchain.core import passwords
from tests.conftest import FULL_HASHER

PHRASE = "several unrelated words"


def test_a_hash_takes_as_much_work_as_owasp_recommends() -> None:
    parameters = extract_parameters(FULL_HASHER.hash(PHRASE))
    assert (parameters.type, parameters.memory_cost, parameters.time_cost) == (Type.ID, 19_456, 2)


def test_the_work_is_that_of_the_hasher_and_a_hash_with_more_of_it_still_matches() -> None:
    stored = passwords.hash_password(PHRASE, "alice")
    assert extract_parameters(stored).memory_cost == passwords.HASHER.memory_cost < FULL_HASHER.memory_cost
    for each in (stored, FULL_HASHER.hash(PHRASE)):
        assert passwords.verify_password(each, PHRASE)
        assert not passwords.verify_password(each, PHRASE.upper())
