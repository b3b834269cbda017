"""Verify an NDJSON export of PainChain: is each line an unchanged event, and is the export complete?

    python verify_export.py EXPORT.ndjson --key secret.key [--checkpoint checkpoints.ndjson]

This file needs Python 3.9 or newer and nothing else: copy it to wherever the export and the key are. The lines may come
in any order. Exit code 0: every line is genuine, and every checkpoint that can be compared matches. 1: otherwise.
2: the export could not be verified.
"""

from __future__ import annotations

import argparse
import base64
import hmac
import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

VERSION = 1
START = bytes(32)  # the hash before the first event
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
FIELDS = (
    *("event_id", "source", "event_type", "connector_id", "connector_name", "connector_type", "title"),
    *("description", "metadata", "author", "status", "url", "tags", "request_id", "timestamp", "recorded_at"),
)
MEMBERS = {"id", "chain", *FIELDS}
CHECKPOINT = {"version", "size", "head", "time", "key", "seal"}

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


class Unusable(Exception):
    """An input that cannot be read. The message gives the reason."""


def derive_key(root: bytes, purpose: str) -> bytes:
    """Return the key for a purpose: HKDF-SHA256 (RFC 5869) without salt."""
    extracted = hmac.digest(bytes(32), root, "sha256")
    return hmac.digest(extracted, f"painchain {purpose}".encode() + b"\x01", "sha256")


def parse_keys(text: str) -> list[bytes]:
    """Read the keys of a key file, the newest first."""
    try:
        roots = [base64.b64decode(word, altchars=b"-_", validate=True) for word in text.split()]
    except ValueError:
        roots = []
    if not roots or any(len(root) != 32 for root in roots):
        raise Unusable("The key file must contain one or more keys: 32 bytes each, in URL-safe base64.")
    return roots


def unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Reject duplicate members, which parsers read differently."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def microseconds(text: str) -> int:
    """Return a time as microseconds since 1970. Reject any other notation than that of an export."""
    time = datetime.fromisoformat(text[:-1] + "+00:00")
    if time.isoformat(timespec="microseconds") != text[:-1] + "+00:00" or text[-1] != "Z":
        raise ValueError("not a time in the notation of an export")
    return (time - EPOCH) // timedelta(microseconds=1)


def parse_float(text: str) -> float:
    """Return a float. Reject superfluous digits, which other parsers could read differently."""
    if repr(float(text)) != text:
        raise ValueError("not a number in the notation of an export")
    return float(text)


def parse_hash(text: str) -> bytes:
    """Return the bytes of a hash."""
    value = bytes.fromhex(text)
    if value.hex() != text:
        raise ValueError("not a hash in the notation of an export")
    return value


def parse_line(line: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Return the number, previous hash, own hash and hashed content of the event in a line.

    :raises ValueError: or KeyError, TypeError, AttributeError, RecursionError, when the line is not an event.
    """
    event = json.loads(line.decode("utf-8"), object_pairs_hook=unique_members, parse_float=parse_float)
    chain = event["chain"]
    if set(event) != MEMBERS or set(chain) != {"version", "previous", "mac"} or type(event["id"]) is not int:
        raise ValueError("not an event of an export")
    if type(chain["version"]) is not int or chain["version"] != VERSION:
        raise ValueError("unknown version")
    values = [event[name] for name in FIELDS[:-2]]
    content = _encode([VERSION, *values, *(microseconds(event[name]) for name in FIELDS[-2:])]).encode()
    return event["id"], parse_hash(chain["previous"]), parse_hash(chain["mac"]), content


def _has(bits: bytearray, number: int) -> bool:
    """Return whether a set of numbers, stored as bits, has this number."""
    return number >> 3 < len(bits) and bool(bits[number >> 3] & 1 << (number & 7))


def _add(bits: bytearray, number: int) -> None:
    """Add a number to a set of numbers that is stored as bits."""
    bits.extend(bytes(max(0, (number >> 3) + 1 - len(bits))))
    bits[number >> 3] |= 1 << (number & 7)


def _lowest(bits: bytearray) -> int:
    """Return the lowest number of a set of numbers that is stored as bits; a number above all others if it is empty."""
    start = 8 * (len(bits) - len(bits.lstrip(b"\0")))
    return next((number for number in range(start, start + 8) if _has(bits, number)), 2**63)


class Export:
    """The result of the lines read so far.

    Only the ends of each range of consecutive numbers are stored, so a complete export needs little memory, in any
    order of its lines.
    """

    def __init__(self, roots: list[bytes], checkpoints: Iterable[dict[str, Any]] = ()):
        self.keys = [derive_key(root, "chain of events") for root in roots]
        # The numbers of the events hashed with each key, as bits; the newest key first.
        self._numbers_by_key = {key: bytearray() for key in self.keys}
        self.lines = self.matching = self.bad = self.first = self.last = 0
        self.problems: list[tuple[int, str]] = []
        self._seen = bytearray()
        self._starts: dict[int, tuple[bytes, int]] = {}
        self._ends: dict[int, tuple[bytes, int]] = {}
        self._checkpoint_sizes = {checkpoint["size"] for checkpoint in checkpoints}
        self.hashes: dict[int, bytes] = {0: START} if 0 in self._checkpoint_sizes else {}

    @property
    def genuine(self) -> int:
        """The number of genuine lines. An event hashed with a replaced key matches its hash, but is not genuine."""
        return self.matching - len(self.outdated())

    @property
    def missing(self) -> int:
        """The number of events missing between the first and the last one."""
        return self.last - self.first + 1 - self.matching if self.matching else 0

    @property
    def gaps(self) -> int:
        """The number of gaps between the events."""
        return max(0, len(self._starts) - 1)

    def outdated(self) -> list[tuple[int, int]]:
        """Return the events hashed with a replaced key, each with an earlier event that already has a newer key."""
        newest, events = 2**63, []
        for bits in self._numbers_by_key.values():
            events += [(number, newest) for number in range(newest + 1, 8 * len(bits)) if _has(bits, number)]
            newest = min(newest, _lowest(bits))
        return sorted(events)

    def read(self, line: bytes) -> None:
        """Verify one line."""
        self.lines += 1
        try:
            number, previous, mac, content = parse_line(line)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            self._problem("is not an event of an NDJSON export")
            return
        key = self._key_of(number, previous, mac, content)
        if key is None:
            self._problem(f"was edited, or belongs to another log: event {number} does not match its hash")
        elif self._is_duplicate(number):
            self._problem(f"is a duplicate of event {number}")
        else:
            self.matching += 1
            _add(self._numbers_by_key[key], number)
            self._join(number, previous, mac)

    def _key_of(self, number: int, previous: bytes, mac: bytes, content: bytes) -> bytes | None:
        """Return the key that an event is hashed with, or None if it was edited or belongs to another log."""
        if not 0 < number < 2**63:
            return None
        linked = previous + number.to_bytes(8, "big") + content
        for index, key in enumerate(self.keys):
            if hmac.compare_digest(hmac.digest(key, linked, "sha256"), mac):
                self.keys.insert(0, self.keys.pop(index))  # the next line most likely has the same key
                return key
        return None

    def _is_duplicate(self, number: int) -> bool:
        """Return whether an event was seen before, and mark it as seen."""
        is_duplicate = _has(self._seen, number)
        _add(self._seen, number)
        return is_duplicate

    def _join(self, number: int, previous: bytes, mac: bytes) -> None:
        """Add an event to the ranges of numbers, and compare it with its neighbours."""
        self.first = min(self.first or number, number)
        self.last = max(self.last, number)
        for size, head in ((number - 1, previous), (number, mac)):
            if size in self._checkpoint_sizes:
                self.hashes[size] = head
        first, last, hash_before, last_hash = number, number, previous, mac
        is_in_order = number != 1 or previous == START
        if number - 1 in self._ends:
            end_hash, first = self._ends.pop(number - 1)
            is_in_order = is_in_order and end_hash == previous
            hash_before = self._starts[first][0]
        if number + 1 in self._starts:
            start_hash, last = self._starts.pop(number + 1)
            is_in_order = is_in_order and start_hash == mac
            last_hash = self._ends[last][0]
        self._starts[first], self._ends[last] = (hash_before, last), (last_hash, first)
        if not is_in_order:
            self._problem(
                f"is out of order: event {number} is genuine, but does not follow the one before it or precede the one "
                "after it. The log was truncated and rewritten there"
            )

    def _problem(self, message: str) -> None:
        self.bad += 1
        if not self.problems:
            self.problems.append((self.lines, message))


def parse_checkpoints(text: str, roots: list[bytes]) -> list[dict[str, Any]]:
    """Return the checkpoints of a file and verify their seals. An incomplete last line is ignored."""
    seals = {derive_key(root, "name of the key")[:8].hex(): derive_key(root, "checkpoints") for root in roots}
    checkpoints = []
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            checkpoint = json.loads(line, object_pairs_hook=unique_members)
            if set(checkpoint) != CHECKPOINT or checkpoint["version"] != VERSION or type(checkpoint["size"]) is not int:
                raise ValueError(line)
            members = {name: value for name, value in checkpoint.items() if name != "seal"}
            expected = hmac.digest(seals[checkpoint["key"]], _encode(members).encode(), "sha256")
            is_valid = hmac.compare_digest(expected, bytes.fromhex(checkpoint["seal"]))
            head = bytes.fromhex(checkpoint["head"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise Unusable(
                f"Line {number} of the checkpoint file is not a checkpoint signed with one of these keys."
            ) from None
        if not is_valid:
            raise Unusable(f"Line {number} of the checkpoint file was changed: its seal does not match.")
        checkpoints.append({**members, "head": head})
    if not checkpoints:
        raise Unusable("The checkpoint file is empty.")
    return checkpoints


def report(export: Export, checkpoints: list[dict[str, Any]]) -> Iterator[tuple[bool, str]]:
    """Yield the lines of the report, each with whether it is good news."""
    outdated = export.outdated()
    genuine = export.matching - len(outdated)
    yield not export.bad, f"{genuine:,} of {export.lines:,} lines are genuine."
    for line, message in export.problems:
        others = f"{export.bad - 1:,} more {'line is' if export.bad == 2 else 'lines are'} not genuine."
        more = f" {others}" if export.bad > 1 else ""
        yield False, f"Line {line:,} {message}.{more}"
    if not genuine:
        yield (
            False,
            "No line is genuine. Check that the file is an NDJSON export and that this is the key of the exported log.",
        )
        return
    if outdated:
        number, newer = outdated[0]
        others = f" {len(outdated) - 1:,} more {'event is' if len(outdated) == 2 else 'events are'} like it."
        yield (
            False,
            f"Event {number:,} is hashed with a key that was already replaced when event {newer:,} was written: "
            f"someone with the old key inserted it.{others if len(outdated) > 1 else ''}",
        )
    numbers = f"First event: {export.first:,}. Last event: {export.last:,}. Missing events between them:"
    if export.missing:
        yield (
            True,
            f"{numbers} {export.missing:,} (in {export.gaps:,} {'gap' if export.gaps == 1 else 'gaps'}). This is "
            "expected for a filtered export, or if retention deleted events. Otherwise someone removed them from the "
            "file.",
        )
    else:
        yield True, f"{numbers} 0."
    yield from compare_checkpoints(export, checkpoints)


def compare_checkpoints(export: Export, checkpoints: list[dict[str, Any]]) -> Iterator[tuple[bool, str]]:
    """Yield the result of comparing the checkpoints with the lines."""
    matching = unknown = 0
    for checkpoint in checkpoints:
        size, head = checkpoint["size"], export.hashes.get(checkpoint["size"])
        if head is not None and hmac.compare_digest(head, checkpoint["head"]):
            matching += 1
        elif head is not None:
            yield (
                False,
                f"The checkpoint of {checkpoint['time']} does not match: event {size:,} was a different event then.",
            )
        elif size > export.last:
            yield (
                False,
                f"The end is missing: at {checkpoint['time']} the log had {size:,} events, but the last line is event "
                f"{export.last:,}. This is expected for a filtered export, or one made before the checkpoint.",
            )
        else:
            unknown += 1
    if checkpoints:
        yield True, f"{matching:,} of {len(checkpoints):,} checkpoints match."
    if unknown:
        yield True, f"{unknown:,} cannot be compared: their events are not in the file."


def main(arguments: list[str] | None = None) -> int:
    """Verify the export named on the command line. Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", help="the NDJSON export; - for standard input")
    parser.add_argument("--key", required=True, help="the key file: instance/secret.key")
    parser.add_argument("--checkpoint", help="a file of checkpoints to compare with")
    options = parser.parse_args(arguments)
    try:
        roots = parse_keys(Path(options.key).read_text(encoding="ascii", errors="replace"))
        checkpoint_text = (
            Path(options.checkpoint).read_text(encoding="ascii", errors="replace") if options.checkpoint else ""
        )
        checkpoints = parse_checkpoints(checkpoint_text, roots) if options.checkpoint else []
        export = Export(roots, checkpoints)
        with sys.stdin.buffer if options.export == "-" else Path(options.export).open("rb") as lines:
            for line in lines:
                export.read(line)
        if not export.lines:
            raise Unusable("The export is empty.")
    except OSError as problem:
        print(f"Could not verify the export. Cannot read {problem.filename}: {problem.strerror}.", file=sys.stderr)
        return 2
    except Unusable as problem:
        print(f"Could not verify the export. {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped before the end of the export. Nothing was verified.", file=sys.stderr)
        return 2
    good = True
    for is_good, line in report(export, checkpoints):
        print(line)
        good = good and is_good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
