"""The CSV export is valid CSV, and no cell is a formula."""

from __future__ import annotations

import csv
import io
import json

import pytest
from flask import Flask

from painchain.exports import export
from painchain.exports.export import csv_line
from tests.support.exports import Events, Report, newest_first, texts_of


def test_csv_is_rfc_4180_with_a_header_and_a_line_for_each_event(
    app: Flask,
    events: Events,
    report: Report,
) -> None:
    report(author='Ann "Nan", née\nOther', new_value=600)
    with app.app_context():
        text = texts_of("csv")
    assert text.endswith("\r\n")
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    assert list(rows[0]) == list(export.COLUMNS)
    from_api = newest_first(events)
    assert [row["event_id"] for row in rows] == [event["event_id"] for event in from_api]
    assert rows[0]["author"] == from_api[0]["author"]
    for column in ("description", "metadata", "tags"):
        assert json.loads(rows[0][column]) == from_api[0][column]


FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "  +1",
    "＝1",
    "＋1",
    "－1",
    "＠x",
    "\ufeff=1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_of_csv_is_a_formula(text: str) -> None:
    [[cell]] = csv.reader(io.StringIO(csv_line([text]), newline=""))
    assert cell == f"'{text}"


@pytest.mark.parametrize("text", ["a=b", "", "1", "'quoted'", "[Config Changed] x", "ünï"])
def test_other_texts_are_unchanged_in_csv(text: str) -> None:
    [row] = csv.reader(io.StringIO(csv_line([text, "x"]), newline=""))
    assert row == [text, "x"]


def test_reported_formula_is_escaped_in_csv(app: Flask, report: Report) -> None:
    report(author="=HYPERLINK(0)")
    with app.app_context():
        rows = list(csv.DictReader(io.StringIO(texts_of("csv"), newline="")))
    assert rows[0]["author"] == "'=HYPERLINK(0)"
