"""The canonical form of many events at once is that of each, and no stored text can pretend to be two values."""

from __future__ import annotations

import hmac
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from painchain.core.crypto import Keyring
from painchain.database.types import stored_json
from painchain.eventlog.canonical_batch import JSON_FIELDS, canonical_forms
from painchain.eventlog.chain import FIELDS, Chain, canonical_form
from tests.support.thorough import examples

TEXTS = st.text(max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
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


def as_stored(row: tuple[Any, ...]) -> list[Any]:
    """Return the values of a row with JSON as text."""
    return [stored_json(value) if name in JSON_FIELDS else value for name, value in zip(FIELDS, row, strict=True)]


@settings(deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROWS, max_size=4))
def test_many_events_have_the_form_of_each(rows: list[tuple[Any, ...]]) -> None:
    assert canonical_forms([as_stored(row) for row in rows]) == [canonical_form(list(row)) for row in rows]


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
        {"event_id": 5},
        {"timestamp": "1"},
        {"recorded_at": 2.0},
    ],
)
def test_values_of_another_type_or_shape_are_refused(changed: dict[str, Any]) -> None:
    good = list(EVENT.values())
    for rows in ([list({**EVENT, **changed}.values())], [good, list({**EVENT, **changed}.values()), good]):
        with pytest.raises((ValueError, TypeError)):
            canonical_forms(rows)


def test_equal_numbers_of_other_types_are_different_values() -> None:
    forms = {canonical_forms([list({**EVENT, "connector_id": number}.values())])[0] for number in (1, 1.0, True)}
    assert len(forms) == 3


def test_the_hash_is_hmac_sha256() -> None:
    keys = Keyring((bytes(range(32)),))
    content = json.dumps(["é" * 5_000]).encode()
    expected = hmac.digest(keys.derive("chain of events"), bytes(32) + (5).to_bytes(8, "big") + content, "sha256")
    assert Chain(keys).link(bytes(32), 5, content) == expected
