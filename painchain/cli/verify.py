"""``painchain verify``: check the log from its first event to its last, and report the results."""

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

from painchain.cli.common import count_noun, opened, plain, quiet_end, stop
from painchain.database.types import iso
from painchain.history.projection import Gap
from painchain.integrity import checkpoint_comparison, checkpoints, derived_data, verification
from painchain.integrity.checkpoint_comparison import CheckpointMatch
from painchain.integrity.checkpoints import BadCheckpoint, Checkpoint
from painchain.integrity.verification import Completeness, Drift, Integrity

FAILED = "Could not check the log"


@dataclass(frozen=True)
class VerifyReport:
    """The results of a check, and how long it took.

    `matches` compares the checkpoints of a file, if one was given. `wrong_indexes` describes derived data that does not
    match the events, if that was checked.
    """

    integrity: Integrity
    completeness: Completeness
    matches: Sequence[CheckpointMatch] | None
    wrong_indexes: Sequence[str] | None
    seconds: float

    @property
    def mismatches(self) -> list[CheckpointMatch]:
        """The checkpoints that do not match."""
        return [match for match in self.matches or () if match.broken]

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return not (self.integrity.broken or self.completeness.drift or self.mismatches or self.wrong_indexes)


@click.command("verify")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also compare the log with the checkpoints in this file.",
)
@click.option(
    "--deep",
    is_flag=True,
    help="Also check the indexes for search, filters and charts (adds two to three minutes per million events).",
)
@click.option("--json", "as_json", is_flag=True, help="Print the results as one JSON object.")
def verify(checkpoint: Path | None, deep: bool, as_json: bool) -> None:
    """Verify that nobody tampered with the log and that it matches the configuration.

    Integrity: no event was edited, removed, inserted or reordered. Completeness: replaying the log gives the current
    configuration. With checkpoints kept elsewhere, a truncated log is detected too. The command changes nothing, and
    servers can keep running.

    Exit code 0: no problem found. Exit code 1: the log was tampered with, or the configuration does not match it. Exit
    code 2: the log could not be checked.
    """
    try:
        with opened(FAILED, 2):
            report = check(read(checkpoint), deep)
    except KeyboardInterrupt:
        stop("Stopped before the check was complete.")
    try:
        with quiet_end():
            click.echo(json.dumps(as_object(report)) if as_json else "\n".join(map(plain, report_lines(report))))
    except OSError as error:
        stop(f"Cannot write the results: {error.strerror}.")
    raise SystemExit(0 if report.ok else 1)


def read(file: Path | None) -> Sequence[Checkpoint] | None:
    """Return the checkpoints in a file, or stop if there are none. Return None without a file."""
    try:
        to_compare = None if file is None else checkpoints.read(file)
    except BadCheckpoint as problem:
        stop(plain(f"{FAILED}. {problem}"))
    if to_compare == []:
        stop(plain(f"{FAILED}: there is no checkpoint in {file}."))
    return to_compare


def check(to_compare: Sequence[Checkpoint] | None, deep: bool) -> VerifyReport:
    """Check everything, with a progress bar on a terminal."""
    started = time.monotonic()
    with _progress_bar("Verifying") as progress:
        integrity = verification.verify_chain(progress)
    matches = None if to_compare is None else checkpoint_comparison.compare(to_compare)
    completeness, wrong_indexes = verification.completeness(), None
    if deep:
        with _progress_bar("Comparing") as progress:
            wrong_indexes = derived_data.find_problems(progress)
    return VerifyReport(integrity, completeness, matches, wrong_indexes, time.monotonic() - started)


@contextmanager
def _progress_bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal; yield the function that moves it."""
    with click.progressbar(length=1, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int) -> None:
            bar.length = max(total, 1)
            bar.update(done - bar.pos)

        yield progress


def report_lines(report: VerifyReport) -> Iterator[str]:
    """Yield the results, line by line."""
    yield from _integrity(report.integrity)
    yield from _checkpoints(report)
    yield from _completeness(report.completeness)
    yield from _indexes(report.wrong_indexes)
    yield f"Took {report.seconds:.1f} seconds."


def _integrity(integrity: Integrity) -> Iterator[str]:
    pruned = f" ({integrity.pruned:,} more were deleted by retention or by a restore)" if integrity.pruned else ""
    if integrity.broken:
        yield f"Integrity: FAILED at event {integrity.broken.event} ({integrity.broken.kind}). {integrity.broken.words}"
        yield f"  {integrity.broken.advice}"
        yield f"  Verified up to there: {count_noun(integrity.events, 'event')}{pruned}."
    else:
        yield f"Integrity: OK. {count_noun(integrity.events, 'event')} verified{pruned}."


def _checkpoints(report: VerifyReport) -> Iterator[str]:
    matches, mismatches = report.matches, report.mismatches
    if matches is None:
        return
    if mismatches:
        yield f"Checkpoints: FAILED. {len(mismatches):,} of {len(matches):,} do not match. {mismatches[0].message}"
        return
    unknown = sum(match.kind == checkpoint_comparison.UNKNOWN for match in matches)
    restored = sum(match.kind == checkpoint_comparison.RESTORED for match in matches)
    yield f"Checkpoints: OK. {len(matches) - unknown - restored:,} of {len(matches):,} match."
    if unknown:
        yield f"  {unknown:,} can no longer be compared: retention deleted the events around them."
    if restored:
        yield f"  {restored:,} predate a restore of a backup. The audit log records the restore."


def _completeness(completeness: Completeness) -> Iterator[str]:
    if completeness.drift:
        differences = count_noun(len(completeness.drift), "difference")
        yield f"Completeness: FAILED. {differences} between the configuration and the log:"
        yield from (f"  {drift.message}" for drift in completeness.drift)
    else:
        yield "Completeness: OK. Replaying the log gives the current configuration."
    if completeness.explained:
        yield "  Differences that may come from a time when auditing was off:"
        yield from (f"  {drift.message}" for drift in completeness.explained)
    if not completeness.is_log_complete:
        yield "  Retention deleted older audit events. Only the remaining ones were compared."


def _indexes(wrong_indexes: Sequence[str] | None) -> Iterator[str]:
    if wrong_indexes:
        yield "Indexes: FAILED. They do not match the events, so they were edited directly in the database:"
        yield from (f"  {problem}" for problem in wrong_indexes)
    elif wrong_indexes is not None:
        yield "Indexes: OK. Searches, filters and charts match the events."


def as_object(report: VerifyReport) -> dict[str, Any]:
    """Return the results as the JSON object that --json prints."""
    integrity, completeness = report.integrity, report.completeness
    broken = integrity.broken
    return {
        "ok": report.ok,
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
            "whole": completeness.is_log_complete,
            "drift": [_drift(drift) for drift in completeness.drift],
            "explained": [_drift(drift) for drift in completeness.explained],
            "gaps": [_gap(gap) for gap in completeness.gaps],
        },
        "checkpoints": None
        if report.matches is None
        else {
            "ok": not report.mismatches,
            "compared": [
                {
                    "size": match.checkpoint.size,
                    "time": iso(match.checkpoint.time),
                    "fit": match.kind,
                    "words": match.message,
                }
                for match in report.matches
            ],
        },
        "derived": None
        if report.wrong_indexes is None
        else {"ok": not report.wrong_indexes, "astray": list(report.wrong_indexes)},
        "seconds": round(report.seconds, 3),
    }


def _drift(drift: Drift) -> dict[str, Any]:
    return {"what": drift.subject, "words": drift.message, "logged": drift.logged, "present": drift.present}


def _gap(gap: Gap) -> dict[str, Any]:
    return {"start": gap.start and iso(gap.start), "end": gap.end and iso(gap.end)}
