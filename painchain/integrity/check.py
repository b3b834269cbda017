"""One check of the log from beginning to end: the walk, the checkpoints, the replay; what it finds is told once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from painchain.audit import trail as audit_trail
from painchain.audit.trail import Trail
from painchain.eventlog import writer
from painchain.integrity import check_job, checkpoint_comparison, checkpoints, latest_checkpoint, verification
from painchain.integrity.check_job import MOST_DRIFT, CheckLease, CheckResult
from painchain.integrity.checkpoint_comparison import CheckpointMatch
from painchain.integrity.checkpoints import BadCheckpoint
from painchain.integrity.verification import Break

DAILY, ON_DEMAND = "daily check of the log", "check of the log, on demand"
CHECKPOINTS = {
    checkpoint_comparison.SHORT: "truncated",
    checkpoint_comparison.DIFFERS: "rewritten",
}  # what such a misfit is as a break

log = logging.getLogger(__name__)


def run_check(turn: CheckLease, progress: Callable[[int, int], None], clock: Callable[[], datetime]) -> CheckResult:
    """Check the log, store the verdict, put a break on the record, and make the day's checkpoint if all is well.

    `progress` hears how far the walk is; it may rest meanwhile, or raise to end it.
    """
    began = time.monotonic()
    walked = verification.integrity(progress)
    verdict = _completed(
        _compared(CheckResult(walked.events, walked.pruned, walked.last, walked.head.hex(), walked.broken))
    )
    if verdict.broken:
        log.error("The log is not as it was written. %s", verdict.broken.words)
    now = clock()
    with writer.writing() as event_log:
        if check_job.settle(event_log.connection, turn, verdict, now, time.monotonic() - began):
            _tell(
                Trail(event_log, audit_trail.SYSTEM, writer.new_request_id(now), now, cause=cause(turn)), verdict.broken
            )
    if turn.daily and verdict.broken is None:
        _checkpoint(turn, clock)
    return verdict


def cause(turn: CheckLease) -> str:
    """Say why PainChain checks the log."""
    return DAILY if turn.daily else ON_DEMAND


def _compared(verdict: CheckResult) -> CheckResult:
    """Return the verdict with what the checkpoints in the file say; one that cannot be read says nothing."""
    try:
        here, gone = checkpoints.kept(latest_checkpoint.file())
        fits = checkpoint_comparison.compare(here)
    except BadCheckpoint as problem:
        log.error("The checkpoints cannot be compared. %s", problem)
        return replace(verdict, uncompared=str(problem))
    before = sum(one.kind == checkpoint_comparison.RESTORED for one in fits)
    verdict = replace(verdict, checkpoints=len(fits), before=before, unvouched=gone)
    worst = checkpoint_comparison.worst(fits)
    return replace(verdict, broken=_as_break(worst)) if worst and verdict.broken is None else verdict


def _as_break(fit: CheckpointMatch) -> Break:
    return Break(CHECKPOINTS[fit.kind], fit.checkpoint.size, fit.words)


def _completed(verdict: CheckResult) -> CheckResult:
    """Return the verdict with whether the log tells how everything is configured now, as far as it can be read."""
    found = verification.completeness()
    kept, explained = ([one.words for one in several[:MOST_DRIFT]] for several in (found.drift, found.explained))
    return replace(
        verdict, complete=not found.drift, whole=found.whole, drift=kept, drifts=len(found.drift), explained=explained
    )


def _tell(trail: Trail, broken: Break | None) -> None:
    """Put on the record that the chain is broken, or whole again: once for the same place."""
    told = check_job.state().told
    place = f"{broken.kind} {broken.event}" if broken else None
    if place == told:
        return
    if broken:
        facts = {"why": broken.words, "of_event": broken.event, "how": broken.kind}
        trail.record("chain_broken", f"event {broken.event:,}", "broken", broken.words, facts)
    else:
        text = "The log is whole again: every event is as it was written."
        kind, _, number = (told or "").partition(" ")
        trail.record("chain_mended", "the log", "mended", text, {"was": f"event {number} ({kind})"})
    check_job.tell(trail.event_log.connection, place)


def _checkpoint(turn: CheckLease, clock: Callable[[], datetime]) -> None:
    now = clock()
    try:
        with writer.writing() as event_log:
            trail = Trail(event_log, audit_trail.SYSTEM, writer.new_request_id(now), now, cause=cause(turn))
            latest_checkpoint.make(trail, clock, recorded=False)
    except BadCheckpoint as problem:
        latest_checkpoint.failed(problem, now)


def at_start() -> None:
    """Look at the start whether the log is shorter than its newest checkpoint, or not the one that it was made of.

    Serving goes on: it is said in the log at once, and a check of everything puts it on the record.
    """
    try:
        fit = latest_checkpoint.mismatch()
    except BadCheckpoint as problem:
        log.error("The checkpoints cannot be read. %s", problem)
        return
    if fit:
        log.error("The log does not fit its newest checkpoint. %s", fit.words)
        with writer.writing():
            check_job.ask()
