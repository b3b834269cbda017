"""Write tables as CSV (RFC 4180) in which no cell is a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

# At the start of a file, this makes spreadsheets read it as UTF-8.
BYTE_ORDER_MARK = "\ufeff"
# The characters that start a formula in a spreadsheet. The full-width forms count in Chinese and Japanese locales.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Spreadsheets skip these before a formula: space, no-break space, byte order mark.
SKIPPED = " \u00a0\ufeff"


def guard(text: str) -> str:
    """Return the text of a cell, with an apostrophe in front if a spreadsheet would run it as a formula.

    >>> guard("=1+1"), guard(" =1+1"), guard("a=b")
    ("'=1+1", "' =1+1", 'a=b')
    """
    return f"'{text}" if text.lstrip(SKIPPED).startswith(FORMULA_STARTS) else text


def cell(value: Any) -> str:
    """Return a value as the text of one cell.

    >>> cell("=1+1"), cell(300), cell(["a", "b"]), cell(True), cell(None)
    ("'=1+1", '300', 'a, b', 'on', '')
    """
    return guard(_plain(value))


def line(cells: Iterable[str]) -> str:
    """Return cells that are already guarded as one line of CSV."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue()


def rows_as_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as the text of a CSV file."""
    return "".join(line(cell(value) for value in row) for row in rows)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
