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
from painchain.integrity.check_job import MAX_DRIFT, CheckLease, CheckResult
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
    started = time.monotonic()
    chain = verification.verify_chain(progress)
    result = CheckResult(chain.events, chain.pruned, chain.last, chain.head.hex(), chain.broken)
    result = _with_drift(_with_checkpoints(result))
    if result.broken:
        log.error("The log was tampered with. %s", result.broken.words)
    now = clock()
    with writer.writing() as event_log:
        if check_job.settle(event_log.connection, lease, result, now, time.monotonic() - started):
            _record_break(
                Trail(event_log, audit_trail.SYSTEM, writer.new_request_id(now), now, cause=cause(lease)),
                result.broken,
            )
    if lease.daily and result.broken is None:
        _checkpoint(lease, clock)
    return result


def cause(lease: CheckLease) -> str:
    """Return the cause of the check, for the audit log."""
    return DAILY if lease.daily else ON_DEMAND


def _with_checkpoints(result: CheckResult) -> CheckResult:
    """Add the comparison with the checkpoint file to a result. An unreadable file is not a break."""
    try:
        checkpoints_of_file, unknown_keys = checkpoints.read_with_known_key(latest_checkpoint.file())
        matches = checkpoint_comparison.compare(checkpoints_of_file)
    except BadCheckpoint as problem:
        log.error("The checkpoints cannot be compared. %s", problem)
        return replace(result, uncompared=str(problem))
    before_restore = sum(match.kind == checkpoint_comparison.RESTORED for match in matches)
    result = replace(result, checkpoints=len(matches), before_restore=before_restore, with_lost_key=unknown_keys)
    mismatch = checkpoint_comparison.worst(matches)
    return replace(result, broken=_as_break(mismatch)) if mismatch and result.broken is None else result


def _as_break(match: CheckpointMatch) -> Break:
    return Break(CHECKPOINTS[match.kind], match.checkpoint.size, match.message)


def _with_drift(result: CheckResult) -> CheckResult:
    """Add to a result whether the log matches the current configuration."""
    completeness = verification.completeness()
    drifts = completeness.drift
    return replace(
        result,
        complete=not drifts,
        is_log_complete=completeness.is_log_complete,
        drift=[drift.message for drift in drifts[:MAX_DRIFT]],
        drifts=len(drifts),
        explained=[drift.message for drift in completeness.explained[:MAX_DRIFT]],
    )


def _record_break(trail: Trail, broken: Break | None) -> None:
    """Record in the log that the chain is broken, or intact again. The same break is recorded once."""
    recorded = check_job.state().recorded_break
    position = f"{broken.kind} {broken.event}" if broken else None
    if position == recorded:
        return
    if broken:
        facts = {"why": broken.words, "of_event": broken.event, "how": broken.kind}
        trail.record("chain_broken", f"event {broken.event:,}", "broken", broken.words, facts)
    else:
        text = "The log is intact again: every event is as it was written."
        kind, _, number = (recorded or "").partition(" ")
        trail.record("chain_mended", "the log", "mended", text, {"was": f"event {number} ({kind})"})
    check_job.set_recorded_break(trail.event_log.connection, position)


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
        mismatch = latest_checkpoint.mismatch()
    except BadCheckpoint as problem:
        log.error("The checkpoints cannot be read. %s", problem)
        return
    if mismatch:
        log.error("The log does not match its newest checkpoint. %s", mismatch.message)
        with writer.writing():
            check_job.request_check()
