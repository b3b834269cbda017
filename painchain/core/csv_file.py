"""Write tables as CSV (RFC 4180) that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

# What makes a spreadsheet run a cell instead of showing it.
_RUNS = (
    "=",
    "+",
    "-",
    "@",
    "＝",
    "＋",
    "－",
    "＠",
    "\t",
    "\r",
    "\n",
)  # the wide ones count where people write Chinese or Japanese


def cell(value: Any) -> str:
    """Return a value as the text of one cell.

    >>> cell("=1+1"), cell(300), cell(["a", "b"]), cell(True), cell(None)
    ("'=1+1", '300', 'a, b', 'on', '')
    """
    text = _plain(value)
    return f"'{text}" if text.startswith(_RUNS) else text


def written(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as CSV."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
