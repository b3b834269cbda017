"""The format of a backup file: gzipped JSON lines with a seal at the end.

The first line is the manifest. A line with a table's name and columns stands before that table's rows, each of which
is an array of the stored values; JSON is stored as text. The line before the last has the row counts. The last line has
the SHA-256 of everything before it, and its seal.
"""

from __future__ import annotations

import gzip
import hmac
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, BinaryIO

import orjson

from painchain.core.crypto import Keyring
from painchain.core.json_encoder import json_encoder

FORMAT = 2
PURPOSE = "backups"
LEVEL = 3
MAX_LINE_LENGTH = 64 * 2**20
BATCH = 1000

BLOCK = 2**20

encode = json_encoder(allow_nan=False)


class BadBackup(Exception):
    """A file that cannot be restored. The message says why and what to do."""


@dataclass(frozen=True)
class Manifest:
    """The contents of a backup: `events` is the number of the newest event, `head` its hash, `key` the ID of its key.

    `seal`, `stamp` and `revision` are those of the log's head. `rows` contains the row count of each table, `ids` the
    highest ID that each table has used.
    """

    format: int
    schema: str
    version: str
    time: str
    database: str
    events: int
    head: str
    seal: str
    key: str
    stamp: int
    revision: int
    rows: dict[str, int]
    ids: dict[str, int]


@dataclass(frozen=True)
class VerifiedBackup:
    """A complete file that was sealed with one of our keys."""

    manifest: Manifest
    digest: bytes


class BackupWriter:
    """Writes a backup. It is complete only after it is sealed."""

    def __init__(self, file: BinaryIO):
        self._packed = gzip.GzipFile(filename="", mode="wb", compresslevel=LEVEL, fileobj=file, mtime=0)
        self._digest = sha256()

    def manifest(self, manifest: Manifest) -> None:
        """Write the first line."""
        self.lines([encode(asdict(manifest))])

    def table(self, name: str, columns: Sequence[str]) -> None:
        """Write the header of a table's rows."""
        self.lines([encode({"table": name, "columns": list(columns)})])

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines, each of them the JSON of a row."""
        written = "".join([f"{line}\n" for line in lines]).encode()
        self._digest.update(written)
        self._packed.write(written)

    def seal(self, rows: dict[str, int], keys: Keyring) -> None:
        """Write the row counts, the digest and the seal."""
        self.lines([encode({"rows": rows})])
        digest = self._digest.digest()
        self.lines([encode({"sha256": digest.hex(), "seal": _seal(keys.derive(PURPOSE), digest).hex()})])
        self._packed.close()


def check(file: BinaryIO, keys: Keyring) -> VerifiedBackup:
    """Read a whole file and verify its seal. Nothing in the file is trusted before that.

    :raises BadBackup: when it is not a backup, is incomplete, was changed, or was sealed with an unknown key.
    """
    digest, last = sha256(), b""
    with _reading(file) as blocks:
        for lines in blocks:
            if not last:
                manifest = _manifest(lines[: lines.index(b"\n") + 1])
            digest.update(last)
            start = _last_line(lines)
            digest.update(lines[:start])
            last = lines[start:]
    if not last:
        raise BadBackup("This is not a PainChain backup. Use another file.")
    _check_seal(_object(last), digest.digest(), manifest, keys)
    return VerifiedBackup(manifest, digest.digest())


def batches(file: BinaryIO, checked: VerifiedBackup) -> Iterator[tuple[str, Sequence[str], list[list[Any]]]]:
    """Yield the rows of a verified file in batches, with their table and its columns.

    :raises BadBackup: at the end, when the file has changed since it was verified.
    """
    digest, table = sha256(), ""
    columns: list[str] = []
    with _reading(file) as blocks:
        for block in blocks:
            last = _last_line(block)
            lines = block[:last] if block.startswith(b'{"sha256"', last) else block
            digest.update(lines)
            for is_header, text in _headers_and_rows(lines):
                if is_header:
                    header = json.loads(text)
                    table, columns = header.get("table", table), header.get("columns", columns)
                else:
                    yield table, columns, _decoded(b"[" + text.replace(b"\n", b",") + b"]")
    if digest.digest() != checked.digest:
        raise BadBackup("The file changed while it was read. Nothing was restored. Try again.")


def _last_line(lines: bytes) -> int:
    """Return where the last of whole lines begins."""
    return lines.rfind(b"\n", 0, -1) + 1


def _headers_and_rows(lines: bytes) -> Iterator[tuple[bool, bytes]]:
    """Yield each header, which is an object, and all rows up to the next one together. JSON contains no newline."""
    start = 0
    while start < len(lines):
        is_header = lines.startswith(b"{", start)
        end = lines.find(b"\n" if is_header else b"\n{", start, -1)
        end = len(lines) - 1 if end < 0 else end
        yield is_header, lines[start:end]
        start = end + 1


def _decoded(rows: bytes) -> list[list[Any]]:
    """Decode rows with orjson, which takes a third of the time. It refuses values such as an infinite number.

    It would read an integer of more than 64 bits as a floating-point number. Columns contain none, and JSON is text.
    """
    try:
        values: list[list[Any]] = orjson.loads(rows)
    except ValueError:
        values = json.loads(rows)
    return values


@contextmanager
def _reading(file: BinaryIO) -> Iterator[Iterator[bytes]]:
    """Decompress a file and yield blocks of whole lines."""
    file.seek(0)
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as packed:
            yield _blocks(packed)
    except gzip.BadGzipFile:
        raise BadBackup("This is not a PainChain backup, or it is damaged. Use another one.") from None
    except (EOFError, zlib.error):
        raise BadBackup("This backup is incomplete or damaged. Use another one.") from None


def _blocks(packed: gzip.GzipFile) -> Iterator[bytes]:
    while block := packed.read(BLOCK):
        lines = block if block.endswith(b"\n") else block + packed.readline(MAX_LINE_LENGTH)
        if not lines.endswith(b"\n"):
            raise BadBackup("This is not a PainChain backup, or it is damaged. Use another one.")
        yield lines


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def _manifest(line: bytes) -> Manifest:
    members = _object(line)
    if not isinstance(members.get("format"), int) or "rows" not in members:
        raise BadBackup("This is not a PainChain backup. Use another file.")
    if members["format"] > FORMAT:
        raise BadBackup("This backup is from a newer version of PainChain. Restore it with that version.")
    try:
        return Manifest(**members)
    except TypeError:
        raise BadBackup("This is not a PainChain backup. Use another file.") from None


def _check_seal(end: dict[str, Any], digest: bytes, manifest: Manifest, keys: Keyring) -> None:
    if end.get("sha256") != digest.hex():
        raise BadBackup("This backup is incomplete, or it was changed after it was created. Use another one.")
    if manifest.key not in keys.ids:
        raise BadBackup(
            "This backup was created with another key. Copy its secret.key into the instance folder. If there is "
            "a secret.key already, append the other key to it as a new line."
        )
    # Only the key in the manifest counts: a replaced key cannot seal newer backups.
    key = keys.derived(PURPOSE)[keys.ids.index(manifest.key)]
    stored_seal = str(end.get("seal")).encode("utf-8", "replace")  # untrusted text
    if hmac.compare_digest(_seal(key, digest).hex().encode(), stored_seal):
        return
    raise BadBackup("This backup was changed after it was created: its signature does not match. Use another one.")


def _seal(key: bytes, digest: bytes) -> bytes:
    return hmac.digest(key, digest, "sha256")
