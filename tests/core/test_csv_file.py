"""Tables are written as CSV so that every reader gets the same values and no spreadsheet runs a formula."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from painchain.core.csv_file import cell, guard, rows_as_csv
from painchain.exports.export import csv_line

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


FORMULAS = [
    *("=1+1", "+1", "-1", "@sum", "\t=1", "\r=1", "\n=1", '=cmd|" /C calc"!A0'),
    *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20sum"),
    *(" =1+1", "\u00a0=1+1", "\ufeff=1+1", " \u00a0 \ufeff+1", " \t=1", "\u00a0\uff1d1"),
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_gets_an_apostrophe_in_reports_and_exports(text):
    [[exported]] = csv.reader(io.StringIO(csv_line([text]), newline=""))
    assert cell(text) == guard(text) == exported == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=b", " 1+1", "1-1", "\u00a0", "x@y.example", "'=1+1"])
def test_text_that_is_not_a_formula_is_unchanged(text):
    assert cell(text) == guard(text) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (-5, "'-5"),
        (False, "off"),
        ([], ""),
        (["=a", "b"], "'=a, b"),
        ({"a": 1}, '{"a": 1}'),
        ([1, None], "[1, null]"),
        ("a=b", "a=b"),
        ("ü", "ü"),
    ],
)
def test_values_are_written_as_readable_text(value, text):
    assert cell(value) == text


def test_line_endings_and_quotes_follow_rfc_4180():
    assert rows_as_csv([("a", 'say "so"'), ("b,c", "d\ne")]) == 'a,"say ""so"""\r\n"b,c","d\ne"\r\n'


@given(st.lists(st.lists(TEXT, min_size=2, max_size=4), max_size=4))
def test_reading_the_csv_returns_every_cell(rows):
    read = list(csv.reader(io.StringIO(rows_as_csv(rows), newline=""), strict=True))
    assert read == [[cell(value) for value in row] for row in rows]
