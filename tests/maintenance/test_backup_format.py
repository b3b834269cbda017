"""The rows of a backup file are read as they were written."""

from __future__ import annotations

import io
import math

import pytest

from painchain.core.crypto import Keyring
from painchain.maintenance import backup_format
from painchain.maintenance.backup_format import FORMAT, BackupWriter, Manifest, batches, check

ROWS = ['[1,"Gr\\u00f6\\u00dfe \\ud83d\\ude00",null,1.5]', "[-9223372036854775808,9223372036854775807,true]"]
JSON_AS_TEXT = f'["[{10**30}]"]'  # a number of more than 64 bits must stay as it is
UNUSUAL = ["[9.0e+999]", '["\\ud800"]']  # orjson refuses them, but databases can contain them


def test_rows_are_read_as_they_were_written() -> None:
    values = [[1, "Größe 😀", None, 1.5], [-(2**63), 2**63 - 1, True]]
    assert read_back(ROWS) == values
    assert read_back([JSON_AS_TEXT]) == [[f"[{10**30}]"]]
    assert read_back([*ROWS, *UNUSUAL]) == [*values, [math.inf], ["\ud800"]]


def test_rows_are_the_same_however_much_of_the_file_is_read_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keyring((bytes(32),))
    file = written({"a": ROWS, "empty": [], "b": ['["\\n{", "{"]'], "c": ["[2]"] * 20}, keys)
    expected = [*[("a", row) for row in read_back(ROWS)], ("b", ["\n{", "{"]), *[("c", [2])] * 20]
    for block in (*range(1, 400), 2**20):
        monkeypatch.setattr(backup_format, "BLOCK", block)
        all_rows = [(table, row) for table, _, rows in batches(file, check(file, keys)) for row in rows]
        assert all_rows == expected


def read_back(rows: list[str]) -> list[list[object]]:
    """Write rows to a backup file, and read them."""
    keys = Keyring((bytes(32),))
    file = written({"t": rows}, keys)
    [(table, columns, values)] = batches(file, check(file, keys))
    assert (table, columns) == ("t", ["t"])
    return values


def written(tables: dict[str, list[str]], keys: Keyring) -> io.BytesIO:
    """Return a backup file of these rows, by table. Each table has one column of its own name."""
    file = io.BytesIO()
    texts = dict.fromkeys(("schema", "version", "time", "database", "head", "seal"), "")
    numbers = dict.fromkeys(("events", "stamp", "revision"), 0)
    writer = BackupWriter(file)
    writer.manifest(Manifest(**texts, **numbers, format=FORMAT, key=keys.id, rows={}, ids={}))
    for table, rows in tables.items():
        writer.table(table, [table])
        writer.lines(rows)
    writer.seal({}, keys)
    return file
