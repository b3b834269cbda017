"""Check the whole log: verify the chain, compare the checkpoints, replay the audit trail, and record the result."""

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
}  # the kind of break for each kind of mismatch

log = logging.getLogger(__name__)


def run_check(lease: CheckLease, progress: Callable[[int, int], None], clock: Callable[[], datetime]) -> CheckResult:
    """Check the log, store the result, record a break in the log, and make the daily checkpoint if there is none.

    `progress` is called with the events verified so far and their total. It may sleep, or raise to stop the check.
    """
    began = time.monotonic()
    walked = verification.integrity(progress)
    verdict = _completed(
        _compared(CheckResult(walked.events, walked.pruned, walked.last, walked.head.hex(), walked.broken))
    )
    if verdict.broken:
        log.error("The log was tampered with. %s", verdict.broken.words)
    now = clock()
    with writer.writing() as event_log:
        if check_job.settle(event_log.connection, lease, verdict, now, time.monotonic() - began):
            _record_break(
                Trail(event_log, audit_trail.SYSTEM, writer.new_request_id(now), now, cause=cause(lease)),
                verdict.broken,
            )
    if lease.daily and verdict.broken is None:
        _checkpoint(lease, clock)
    return verdict


def cause(lease: CheckLease) -> str:
    """Return the cause of the check, for the audit log."""
    return DAILY if lease.daily else ON_DEMAND


def _compared(result: CheckResult) -> CheckResult:
    """Return the result with the comparison of the checkpoints in the file. An unreadable file is not a break."""
    try:
        here, gone = checkpoints.read_with_known_key(latest_checkpoint.file())
        fits = checkpoint_comparison.compare(here)
    except BadCheckpoint as problem:
        log.error("The checkpoints cannot be compared. %s", problem)
        return replace(result, uncompared=str(problem))
    before = sum(one.kind == checkpoint_comparison.RESTORED for one in fits)
    result = replace(result, checkpoints=len(fits), before=before, unvouched=gone)
    worst = checkpoint_comparison.worst(fits)
    return replace(result, broken=_as_break(worst)) if worst and result.broken is None else result


def _as_break(fit: CheckpointMatch) -> Break:
    return Break(CHECKPOINTS[fit.kind], fit.checkpoint.size, fit.words)


def _completed(result: CheckResult) -> CheckResult:
    """Return the result with whether the log matches the current configuration, as far as it can be read."""
    found = verification.completeness()
    kept, explained = ([one.words for one in several[:MOST_DRIFT]] for several in (found.drift, found.explained))
    return replace(
        result, complete=not found.drift, whole=found.whole, drift=kept, drifts=len(found.drift), explained=explained
    )


def _record_break(trail: Trail, broken: Break | None) -> None:
    """Record in the log that the chain is broken, or whole again: once for the same place."""
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
    check_job.set_recorded_break(trail.event_log.connection, place)


def _checkpoint(lease: CheckLease, clock: Callable[[], datetime]) -> None:
    now = clock()
    try:
        with writer.writing() as event_log:
            trail = Trail(event_log, audit_trail.SYSTEM, writer.new_request_id(now), now, cause=cause(lease))
            latest_checkpoint.make(trail, clock, recorded=False)
    except BadCheckpoint as problem:
        latest_checkpoint.failed(problem, now)


def compare_newest_checkpoint() -> None:
    """Compare the log with its newest checkpoint when the server starts.

    A mismatch goes to the server's log at once, and a full check records it in the event log. The server keeps running.
    """
    try:
        fit = latest_checkpoint.mismatch()
    except BadCheckpoint as problem:
        log.error("The checkpoints cannot be read. %s", problem)
        return
    if fit:
        log.error("The log does not match its newest checkpoint. %s", fit.words)
        with writer.writing():
            check_job.ask()
