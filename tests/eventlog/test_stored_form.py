"""The quick form of a stored event is its canonical form, or no event has it."""

from __future__ import annotations

import hmac
import json
import math
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from painchain.core.crypto import Keyring
from painchain.database.types import stored_json
from painchain.eventlog.chain import FIELDS, Chain, canonical_form
from painchain.eventlog.stored_form import JSON_FIELDS, exact_form, quick_form
from tests.support.thorough import examples

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(["\x7f", "\x00", "e+", "é"])
INTEGERS = st.integers() | st.sampled_from([2**63, -(2**63), 2**64 - 1, 2**64, -(2**63) - 1, 10**20, 2**53 + 1])
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [1e-5, 1e-7, 1e16, 1e20, 2.0**64, -0.0, 0.1]
)
SCALARS = st.none() | st.booleans() | INTEGERS | FLOATS | TEXTS
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))
FACTS = st.dictionaries(TEXTS, VALUES, max_size=4)
NUMBERS = st.integers(0, 2**62)
ROWS = st.tuples(
    *(TEXTS, TEXTS, TEXTS, st.none() | NUMBERS, st.none() | TEXTS, st.none() | TEXTS, TEXTS),
    *(FACTS, FACTS, TEXTS, st.none() | TEXTS, st.none() | TEXTS, st.lists(TEXTS, max_size=3), TEXTS, NUMBERS, NUMBERS),
)
EVENT: dict[str, Any] = {
    **dict.fromkeys(FIELDS, "a"),
    **{"connector_id": 7, "description": '{"text":"a"}', "metadata": '{"b":1,"c":2}', "tags": '["d"]'},
    **{"timestamp": 1, "recorded_at": 2},
}
# Notations in which PainChain does not write numbers and other values, and texts that are no JSON
NOTATIONS = (
    *("1E5", "1e5", "0.00001", "1e-7", "1e-07", "100.0", "1e16", "1e+16", "1.0e+16", "-0", "-0.0", "0.10", "1e400"),
    *("18446744073709551615", "18446744073709551616", "100000000000000000000", "1e20", "-9223372036854775809", "NaN"),
    *("Infinity", " 1", "[1, 2]", '{"b":1,"a":2}', '{"a":1,"a":2}', '{"a":1,"\\u0061":2}', '"\\u00e9"', '"é"', '"\\/"'),
    *('"\\ud800"', '"\\ud83d\\ude00"', '"\\u007f"', '"\x7f"', '"\t"', "[1,]", "01", "1.", "+1", "", "1 2", "9" * 5000),
    *("[" * 300 + "]" * 300, "[" * 5000 + "]" * 5000, '"a', "\ufeff1", '"\x00"', "nul", "True", "'a'", "1]", "{}}"),
)


def as_stored(row: tuple[Any, ...]) -> list[Any]:
    """Return the values of a row with JSON as text, followed by a number and a hash."""
    values = zip(FIELDS, row, strict=True)
    return [*(stored_json(value) if name in JSON_FIELDS else value for name, value in values), 5, b"hash"]


def quick(row: list[Any]) -> bytes | None:
    try:
        return quick_form(row)
    except (ValueError, TypeError):
        return None


def exact(row: list[Any]) -> bytes | None:
    try:
        return exact_form(row)
    except (ValueError, TypeError, RecursionError):
        return None


def is_canonical(form: bytes) -> bool:
    """Return whether bytes can be those of an event: only these fields may be null."""
    values = json.loads(form)[1:]
    nullable = ("connector_id", "connector_name", "connector_type", "status", "url")
    has_types = all(value is not None or name in nullable for name, value in zip(FIELDS, values, strict=True))
    return has_types and all(type(value) is int for value in values[-2:]) and canonical_form(values) == form


def is_known(row: list[Any]) -> bool:
    """Return whether the quick form is known and right. It must not be that of an event with other values."""
    form = quick(row)
    assert form is None or form == exact(row) or not is_canonical(form)
    return form is not None and form == exact(row)


@settings(deadline=None, max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
@given(ROWS)
def test_the_quick_form_is_the_canonical_form(row: tuple[Any, ...]) -> None:
    assert exact(as_stored(row)) == canonical_form(list(row))
    is_known(as_stored(row))


def test_the_quick_form_of_usual_values_is_known() -> None:
    metadata = {"b": "Größe → 😀 \x00", "a": {"c": [1, None, True, 2**63, 0.5, 3420.0, -1], "é": {}, "e": "1e-5"}}
    for text in (stored_json(metadata), json.dumps(metadata)):
        assert is_known([*{**EVENT, "metadata": text, "url": None, "connector_id": None}.values(), 5, b""])


def test_other_notations_are_never_taken_for_another_event() -> None:
    for notation, field in product(NOTATIONS, JSON_FIELDS):
        for text in (notation, f"[{notation}]", f'{{"a":{notation}}}', f'{{"a": [0,{notation}]}}'):
            is_known([*{**EVENT, field: text}.values(), 5, b""])


PIECES = st.sampled_from(
    [*'[]{},:"\\01e9.-+ \n\té\x7f', "true", "null", '"a":', "\\u00e9", "\\ud800", "\\n", *NOTATIONS]
)


@settings(deadline=None, max_examples=examples(300))
@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(JSON_FIELDS))
@example('{"a":[1,2,{"b":"c"}]}', "metadata")
def test_any_text_is_never_taken_for_another_event(text: str, field: str) -> None:
    is_known([*{**EVENT, field: text}.values(), 5, b""])


def test_values_of_another_type_are_never_taken_for_another_event() -> None:
    values = (None, 5, 0, 1.5, 1e-7, 1e20, math.inf, -math.inf, 2**62, b"a", "a", "null", "1", "")
    for field, value in product(FIELDS, values):
        is_known([*{**EVENT, field: value}.values(), 5, b""])


@pytest.mark.parametrize(
    "changed",
    [
        {"description": '{"text":"a"},{"b":1', "metadata": '"c":2}'},  # the same bytes, divided elsewhere
        {"description": '{"text":"a"},{"b":1,"c":2}', "metadata": ""},
        {"description": '{"text":"a"}]', "metadata": '[{"b":1,"c":2}'},
        {"metadata": "NaN"},
        {"metadata": '{"b":1,"c":2'},
        {"metadata": None},
        {"tags": '["d"],"a"', "request_id": None},
        {"tags": b'["d"]', "title": b"a"},
        {"timestamp": "1"},
        {"recorded_at": 2.0},
    ],
)
def test_values_of_another_type_or_shape_are_refused(changed: dict[str, Any]) -> None:
    row = [*{**EVENT, **changed}.values(), 5, b""]
    assert exact(row) is None
    form = quick(row)
    assert form is None or not is_canonical(form)


def test_equal_numbers_of_other_types_are_different_values() -> None:
    forms = {exact_form(list({**EVENT, "connector_id": number}.values())) for number in (1, 1.0, True)}
    assert len(forms) == 3


def test_the_hash_is_hmac_sha256() -> None:
    keys = Keyring((bytes(range(32)),))
    content = json.dumps(["é" * 5_000]).encode()
    expected = hmac.digest(keys.derive("chain of events"), bytes(32) + (5).to_bytes(8, "big") + content, "sha256")
    assert Chain(keys).link(bytes(32), 5, content) == expected
