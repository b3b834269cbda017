"""``painchain verify``: check the log from its first event to its last, and say in words what was found."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from painchain.cli.common import opened, plain, quiet_end, stop
from painchain.database.session import iso
from painchain.history.projection import Gap
from painchain.integrity import checkpoint_comparison, checkpoints, derived_data, verification
from painchain.integrity.checkpoint_comparison import CheckpointMatch
from painchain.integrity.checkpoints import BadCheckpoint, Checkpoint
from painchain.integrity.verification import Completeness, Drift, Integrity

FAILED = "The log could not be checked"


@dataclass(frozen=True)
class VerifyReport:
    """What a check has found, and how long it took.

    `fits` are the checkpoints of a file, if one was named; `astray` is what does not tell the same as the events, if
    that was asked for.
    """

    integrity: Integrity
    completeness: Completeness
    fits: Sequence[CheckpointMatch] | None
    astray: Sequence[str] | None
    seconds: float

    @property
    def misfits(self) -> list[CheckpointMatch]:
        """The checkpoints that do not fit."""
        return [one for one in self.fits or () if one.broken]

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return not (self.integrity.broken or self.completeness.drift or self.misfits or self.astray)


@click.command("verify")
@click.option("--checkpoint", type=click.Path(path_type=Path), metavar="FILE", help="Compare with its checkpoints.")
@click.option("--deep", is_flag=True, help="Also check what searches, filters and charts go by; four times as long.")
@click.option("--json", "as_json", is_flag=True, help="The verdicts as one JSON object.")
def verify(checkpoint: Path | None, deep: bool, as_json: bool) -> None:
    """Check that the log is as it was written, and that it tells how everything is configured.

    Integrity: no event was edited, removed, inserted or moved. Completeness: replaying the log gives what is configured
    now. Whether its end was cut off shows against checkpoints that were kept elsewhere. Nothing is changed, and servers
    may go on meanwhile.

    Exit code 0: all is well. 1: something was tampered with, or is configured otherwise than the log tells. 2: it could
    not be checked.
    """
    try:
        with opened(FAILED, 2):
            found = check(read(checkpoint), deep)
    except KeyboardInterrupt:
        stop("Stopped: nothing was decided.")
    try:
        with quiet_end():
            click.echo(json.dumps(as_object(found)) if as_json else plainly(told(found)))
    except OSError as error:
        stop(f"The verdict cannot be written: {error.strerror}.")
    raise SystemExit(0 if found.ok else 1)


def read(file: Path | None) -> Sequence[Checkpoint] | None:
    """Return the checkpoints of a file, or stop with a line that says why there are none."""
    try:
        found = None if file is None else checkpoints.read(file)
    except BadCheckpoint as problem:
        stop(plain(f"{FAILED}. {problem}"))
    if found == []:
        stop(plain(f"{FAILED}: there is no checkpoint in {file}."))
    return found


def check(kept: Sequence[Checkpoint] | None, deep: bool) -> VerifyReport:
    """Check everything, with a progress bar on a terminal."""
    began = time.monotonic()
    with _shown("Verifying") as progress:
        integrity = verification.integrity(progress)
    fits = None if kept is None else checkpoint_comparison.compare(kept)
    completeness, astray = verification.completeness(), None
    if deep:
        with _shown("Comparing") as progress:
            astray = derived_data.astray(progress)
    return VerifyReport(integrity, completeness, fits, astray, time.monotonic() - began)


@contextmanager
def _shown(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal, and hand out what moves it."""
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def progress(done: int, whole: int) -> None:
            bar.length = max(whole, 1)
            bar.update(done - bar.pos)

        yield progress


def told(found: VerifyReport) -> Iterator[str]:
    """Yield the verdicts, line by line."""
    yield from _integrity(found.integrity)
    yield from _checkpoints(found)
    yield from _completeness(found.completeness)
    yield from _derived(found.astray)
    yield f"It took {found.seconds:.1f} seconds."


def plainly(lines: Iterator[str]) -> str:
    """Return lines in which nothing acts on a terminal."""
    return "\n".join(map(plain, lines))


def _integrity(found: Integrity) -> Iterator[str]:
    gone = f", {found.pruned:,} more removed by retention or given up by a restore" if found.pruned else ""
    counted = f"{many(found.events, 'event')}{gone}"
    if found.broken:
        yield f"Integrity: BROKEN at event {found.broken.event} ({found.broken.kind}). {found.broken.words}"
        yield f"  {found.broken.advice}"
        yield f"  Up to there the log is as it was written: {counted}."
    else:
        yield f"Integrity: good. Every event is as it was written, in its place: {counted}."


def _checkpoints(found: VerifyReport) -> Iterator[str]:
    if found.fits is None:
        return
    if found.misfits:
        yield f"Checkpoints: {len(found.misfits):,} of {len(found.fits):,} do not fit. {found.misfits[0].words}"
        return
    unknown = sum(one.kind == checkpoint_comparison.UNKNOWN for one in found.fits)
    restored = sum(one.kind == checkpoint_comparison.RESTORED for one in found.fits)
    yield f"Checkpoints: good. {len(found.fits) - unknown - restored:,} of {len(found.fits):,} fit."
    if unknown:
        yield f"  {unknown:,} cannot be compared any more: retention has removed the events around them."
    if restored:
        yield f"  {restored:,} are of before a backup was restored, which is on the record."


def _completeness(found: Completeness) -> Iterator[str]:
    if found.drift:
        yield f"Completeness: DRIFT. {many(len(found.drift), 'thing')} configured otherwise than the log tells:"
        yield from (f"  {one.words}" for one in found.drift)
    else:
        yield "Completeness: good. Replaying the log gives what is configured now."
    if found.explained:
        yield "  Otherwise than the log tells, which may be because auditing was off:"
        yield from (f"  {one.words}" for one in found.explained)
    if not found.whole:
        yield "  The audit trail is not whole: older events were removed by retention. What is left was compared."


def _derived(astray: Sequence[str] | None) -> Iterator[str]:
    if astray:
        yield "Searches, filters and charts: ASTRAY. They do not tell the same as the events, which was done by hand:"
        yield from (f"  {one}" for one in astray)
    elif astray is not None:
        yield "Searches, filters and charts: good. They tell the same as the events."


def many(number: int, noun: str) -> str:
    """Return a number of things in words.

    >>> many(1, "event"), many(2000, "event")
    ('1 event', '2,000 events')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def as_object(found: VerifyReport) -> dict[str, Any]:
    """Return what was found as JSON has it."""
    integrity, completeness = found.integrity, found.completeness
    broken = integrity.broken
    return {
        "ok": found.ok,
        "integrity": {
            "ok": broken is None,
            "events": integrity.events,
            "pruned": integrity.pruned,
            "last": integrity.last,
            "head": integrity.head.hex(),
            "broken": broken and {**vars(broken), "advice": broken.advice},
        },
        "completeness": {
            "ok": not completeness.drift,
            "whole": completeness.whole,
            "drift": [_drift(one) for one in completeness.drift],
            "explained": [_drift(one) for one in completeness.explained],
            "gaps": [_gap(one) for one in completeness.gaps],
        },
        "checkpoints": None
        if found.fits is None
        else {
            "ok": not found.misfits,
            "compared": [
                {"size": one.checkpoint.size, "time": iso(one.checkpoint.time), "fit": one.kind, "words": one.words}
                for one in found.fits
            ],
        },
        "derived": None if found.astray is None else {"ok": not found.astray, "astray": list(found.astray)},
        "seconds": round(found.seconds, 3),
    }


def _drift(one: Drift) -> dict[str, Any]:
    return {"what": one.what, "words": one.words, "logged": one.logged, "present": one.present}


def _gap(one: Gap) -> dict[str, Any]:
    return {"start": one.start and iso(one.start), "end": one.end and iso(one.end)}
