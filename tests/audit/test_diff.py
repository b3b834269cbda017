"""Properties of the diff, for the real fields of every connector type."""

from __future__ import annotations

import itertools
import unicodedata
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from painchain.audit.diff import Change, apply, diff, is_same
from painchain.connectors import TYPES
from painchain.connectors.base import SEPARATORS, ConnectorType, Field, Kind
from painchain.core.text import SHOWN_CHARACTERS, clipped, format_value
from tests.support.thorough import examples

FIELDS = [field for connector_type in TYPES.values() for field in connector_type.all_fields]
EMPTIES = [None, "", []]
UNHURRIED = settings(deadline=None, max_examples=examples(100))

AWKWARD = ["main", " main ", "main,next", "a\r\nb", "a\nb", "é", "e\u0301", "x/", "/ /", "a”, “b", "\0", "\u200b"]
WORDS = st.text(max_size=12) | st.sampled_from(AWKWARD)
LISTABLE = WORDS.filter(lambda word: not SEPARATORS.intersection(word))  # an item with a separator is refused
ITEMS = st.lists(LISTABLE, max_size=4)
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: WORDS,
    Kind.URL: WORDS | WORDS.map("https://host.example/{}".format),
    Kind.NUMBER: st.integers(-10, 4000) | st.integers(-10, 4000).map(str) | st.integers(-10, 4000).map(float),
    Kind.CHECKBOX: st.booleans(),
    Kind.LIST: ITEMS | ITEMS.map("\r\n".join) | ITEMS.map(",".join),
    Kind.TAGS: ITEMS | ITEMS.map(", ".join),
    Kind.CERTIFICATE: ITEMS.map("\r\n".join),
    Kind.CHOICE: WORDS,
    Kind.SECRET: WORDS,
}


def value_of(field: Field) -> st.SearchStrategy[Any]:
    """Return any value that a form, a script or an older version can have for a field."""
    return VALUES[field.kind] | st.sampled_from(EMPTIES)


def some_of(connector_type: ConnectorType) -> st.SearchStrategy[dict[str, Any]]:
    """Return values for some of the fields of a type."""
    return st.fixed_dictionaries({}, optional={field.key: value_of(field) for field in connector_type.all_fields})


connector_types = st.sampled_from(list(TYPES.values()))
one_configuration = connector_types.flatmap(lambda kind: st.tuples(st.just(kind), some_of(kind)))
two_configurations = connector_types.flatmap(lambda kind: st.tuples(st.just(kind), some_of(kind), some_of(kind)))
field_and_value = st.sampled_from(FIELDS).flatmap(lambda field: st.tuples(st.just(field), value_of(field)))
two_values = st.sampled_from(FIELDS).flatmap(lambda field: st.tuples(st.just(field), value_of(field), value_of(field)))


def of_kind(kind: Kind) -> list[Field]:
    """Return the real fields of a kind, each definition once."""
    return list(dict.fromkeys(field for field in FIELDS if field.kind is kind))


@UNHURRIED
@given(one_configuration)
def test_saving_stored_values_changes_nothing(case):
    connector_type, stored = case
    assert diff(connector_type.all_fields, stored, stored) == []


@UNHURRIED
@given(two_configurations)
def test_applying_a_diff_gives_the_submitted_values(case):
    connector_type, stored, submitted = case
    fields = connector_type.all_fields
    result = apply(stored, diff(fields, stored, submitted))
    assert diff(fields, result, submitted) == []
    for field in fields:
        reached = field.normalize(result.get(field.key, field.default))
        expected = submitted if field.key in submitted else stored
        assert is_same(field, reached, field.normalize(expected.get(field.key, field.default)))


@UNHURRIED
@given(two_configurations)
def test_diff_lists_each_changed_field_once_in_form_order(case):
    connector_type, stored, submitted = case
    changes = diff(connector_type.all_fields, stored, submitted)
    changed = {change.key: change for change in changes}
    assert list(changed) == [field.key for field in connector_type.all_fields if field.key in changed]
    assert len(changes) == len(changed)
    for field in connector_type.all_fields:
        if field.key in changed:
            change = changed[field.key]
            assert (change.label, change.kind) == (field.label, field.kind)
            assert not is_same(field, change.old, change.new)


@UNHURRIED
@given(field_and_value)
@example((Field("base_url", "API URL", Kind.URL), "https://host.example/ /"))
def test_normalization_is_idempotent(case):
    field, value = case
    normalized = field.normalize(value)
    assert field.normalize(normalized) == normalized


def test_empty_values_are_equal():
    for field, old, new in itertools.product(FIELDS, EMPTIES, EMPTIES):
        assert diff([field], {field.key: old}, {field.key: new}) == [], (field.key, old, new)


def test_missing_value_equals_empty():
    for field, new in itertools.product((field for field in FIELDS if field.default is None), EMPTIES):
        assert diff([field], {}, {field.key: new}) == [], (field.key, new)


@pytest.mark.parametrize("field", [field for field in FIELDS if field.default is not None], ids=lambda field: field.key)
def test_field_without_stored_value_has_its_default(field):
    assert diff([field], {}, {field.key: field.default}) == []


def test_field_that_is_not_submitted_is_unchanged():
    fields = TYPES["github"].all_fields
    assert diff(fields, {"poll_interval": 60, "repos": ["a/b"]}, {}) == []


@pytest.mark.parametrize("kind", [Kind.NUMBER, Kind.CHECKBOX])
def test_zero_and_false_are_not_empty(kind):
    nothing = {Kind.NUMBER: 0, Kind.CHECKBOX: False}[kind]
    for field in of_kind(kind):
        for empty in EMPTIES:
            assert [(change.old, change.new) for change in diff([field], {field.key: empty}, {field.key: nothing})] == [
                (None, nothing)
            ]
            assert diff([field], {field.key: nothing}, {field.key: empty}) != []
        assert diff([field], {field.key: nothing}, {field.key: nothing}) == []


@UNHURRIED
@given(st.integers(-(10**17), 10**17), st.sampled_from(["{}", " {} ", "{}\r\n"]))
@example(60, "{}")
def test_typed_number_equals_the_stored_number(number, typed):
    for field in of_kind(Kind.NUMBER):
        as_text = typed.format(number)
        assert diff([field], {field.key: number}, {field.key: as_text}) == []
        assert diff([field], {field.key: as_text}, {field.key: number}) == []
        assert [change.new for change in diff([field], {field.key: number}, {field.key: str(number + 1)})] == [
            number + 1
        ]


@UNHURRIED
@given(st.data())
def test_order_spacing_and_repetition_of_tags_do_not_matter(data):
    tags = data.draw(st.lists(st.text("abcé -", min_size=1, max_size=5), max_size=5))
    shuffled = data.draw(st.permutations(tags + tags[:1]))
    spaces = data.draw(st.sampled_from([",", ", ", " ,\t", ",,", "\r\n"]))
    for stored in (tags, ",".join(tags)):
        for submitted in (shuffled, spaces.join(shuffled), tuple(shuffled)):
            assert diff([tags_field()], {"tags": stored}, {"tags": submitted}) == []


@pytest.mark.parametrize("typed", ["a, b", "a,b", "b,a", " a ,, b ,a", ["b", "a"], ["a,b"], "a\r\nb"])
def test_equal_tags(typed):
    assert diff([tags_field()], {"tags": ["a", "b"]}, {"tags": typed}) == []


def test_tags_are_case_sensitive_and_list_added_and_removed():
    [change] = diff([tags_field()], {"tags": ["system", "audit"]}, {"tags": "audit, Audit, changes"})
    assert change.added == ["Audit", "changes"]
    assert change.removed == ["system"]


@pytest.mark.parametrize("field", of_kind(Kind.LIST), ids=lambda field: field.key)
def test_other_lists_compare_in_order(field):
    [change] = diff([field], {field.key: ["a", "b"]}, {field.key: "b\r\na"})
    assert (change.old, change.new) == (["a", "b"], ["b", "a"])
    assert diff([field], {field.key: ["a", "b"]}, {field.key: "a\r\n\r\n b \r\na"}) == []


@UNHURRIED
@given(st.lists(st.text("abc -", max_size=5), max_size=5))
def test_line_endings_of_text_areas_do_not_matter(lines):
    for field in [*of_kind(Kind.CERTIFICATE), *of_kind(Kind.LIST)]:
        for ends in ("\r\n", "\r"):
            assert diff([field], {field.key: "\n".join(lines)}, {field.key: ends.join(lines)}) == []


@UNHURRIED
@given(LISTABLE)
@example("Zoe\u0308")
@example("\u212b")
def test_composed_and_decomposed_characters_are_equal(text):
    for field in [*of_kind(Kind.TEXT), *of_kind(Kind.TAGS), *of_kind(Kind.LIST), *of_kind(Kind.SECRET)]:
        composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
        assert diff([field], {field.key: decomposed}, {field.key: composed}) == []


@pytest.mark.parametrize("value", [True, "on", 1.5, "1e3", [300], {"seconds": 300}], ids=repr)
def test_value_of_another_type_is_refused(value):
    for field in of_kind(Kind.NUMBER):
        with pytest.raises(ValueError, match="integer"):
            diff([field], {field.key: 300}, {field.key: value})


@UNHURRIED
@given(st.sampled_from(of_kind(Kind.SECRET)), WORDS, WORDS)
def test_secret_change_records_only_the_action(field, old, new):
    recorded = [change.recorded() for change in diff([field], {field.key: old}, {field.key: new})]
    old, new = field.normalize(old), field.normalize(new)
    if old == new:
        assert recorded == []
    else:
        sides = {(False, True): (None, "set"), (True, True): ("set", "replaced"), (True, False): ("set", "cleared")}
        expected = sides[bool(old), bool(new)]
        assert recorded == [Change(field.key, field.label, "secret", *expected)]


@UNHURRIED
@given(two_values)
def test_other_changes_are_recorded_unchanged(case):
    field, old, new = case
    assume(field.kind is not Kind.SECRET)
    for change in diff([field], {field.key: old}, {field.key: new}):
        assert change.recorded() is change


LONG = st.builds(
    lambda head, times, tail: head * times + tail,
    st.sampled_from(["a", "ab", "“", "… (121 characters"]),
    st.integers(0, SHOWN_CHARACTERS + 2),
    st.text("ab”… ", max_size=3),
)


@UNHURRIED
@given(LONG, LONG)
def test_different_texts_are_formatted_differently(first, second):
    assert (clipped(first) == clipped(second)) == (first == second)
    assert (format_value(first) == format_value(second)) == (first == second)


def test_long_text_is_cut_with_its_length():
    shown = clipped("x" * 5000)
    assert shown.startswith("x" * SHOWN_CHARACTERS + "… (5,000 characters, sha256 ")
    assert len(shown) < SHOWN_CHARACTERS + 60
    assert clipped("x" * SHOWN_CHARACTERS) == "x" * SHOWN_CHARACTERS


@UNHURRIED
@given(two_values)
def test_different_field_values_are_formatted_differently(case):
    field, first, second = case
    first, second = field.normalize(first), field.normalize(second)
    assert (format_value(first) == format_value(second)) == (first == second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (300, "300"),
        (True, "on"),
        (True, 1),
        (None, "nothing"),
        (["a", "b"], ["a, b"]),
        (["a", "b"], ["a”, “b"]),
        (["a", ["b"]], ["a", "b"]),
        ([["a"], ["b"]], ["a", "b"]),
        ([None], None),
        (1, 1.0),
        (0, None),
        (False, None),
        ({"a": 1}, '{"a": 1}'),
    ],
    ids=repr,
)
def test_reported_values_are_formatted_differently(first, second):
    assert format_value(first) != format_value(second)


def tags_field() -> Field:
    """Return the field for tags, which every connector has."""
    [field] = of_kind(Kind.TAGS)
    return field
