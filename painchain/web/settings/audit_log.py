"""Settings → Audit log: integrity status, checkpoints, and the limits of the check."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.configuration import onboarding
from painchain.core import runtime
from painchain.database.types import EPOCH
from painchain.history import snapshots
from painchain.integrity import check_job, checkpoint_comparison, checkpoints, latest_checkpoint
from painchain.integrity.check_job import State
from painchain.integrity.checkpoint_comparison import CheckpointMatch
from painchain.integrity.checkpoints import BadCheckpoint
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("audit_log", __name__, url_prefix="/settings/audit-log")

MAX_LINES = 500


@dataclass(frozen=True)
class BrokenAt:
    """The event to show for a break: the damaged event, or the nearest earlier one that still exists."""

    event: int
    itself: bool


@dataclass(frozen=True)
class Comparison:
    """The result for one pasted line: how its checkpoint matches the log, or why it is not a checkpoint."""

    match: CheckpointMatch | None
    problem: str = ""


@blueprint.get("")
def index() -> ResponseReturnValue:
    """Show the integrity status of the log."""
    return _page()


@blueprint.get("/progress")
def progress() -> ResponseReturnValue:
    """Return the progress or the result of a check."""
    return responses.fragment("settings/integrity_status", **_integrity())


@blueprint.post("/check")
def check() -> ResponseReturnValue:
    """Start a check of the log."""
    running = check_job.state().running
    with audited_transaction():
        check_job.request_check()
    message = "A check is already running." if running else "Checking the log …"
    return responses.go_to(url_for(".index"), Toast(message, "info" if running else "good"))


@blueprint.post("/checkpoint")
def make() -> ResponseReturnValue:
    """Create a checkpoint."""
    try:
        with audited_transaction() as trail:
            checkpoint = latest_checkpoint.make(trail, _clock, recorded=True)
    except BadCheckpoint as problem:
        latest_checkpoint.failed(problem, g.now)
        return _page(409)
    return responses.go_to(
        url_for(".index"), Toast(f"Created a checkpoint of {latest_checkpoint.format_value(checkpoint)}.")
    )


@blueprint.get("/checkpoints.ndjson")
def download() -> ResponseReturnValue:
    """Download the checkpoint file unchanged."""
    try:
        content = latest_checkpoint.file().read_bytes()
    except OSError:
        return responses.error(
            404, "No checkpoints", "There is no checkpoint on this server yet, or the file cannot be read."
        )
    name = f"painchain-checkpoints-{g.now:%Y-%m-%dT%H%M%SZ}.ndjson"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, mimetype="application/x-ndjson", headers=headers)


@blueprint.post("/compare")
def compare() -> ResponseReturnValue:
    """Compare checkpoints stored elsewhere with the log."""
    pasted = [line.strip() for line in request.form.get("checkpoints", "").splitlines() if line.strip()]
    problem = "" if 0 < len(pasted) <= MAX_LINES else f"Paste 1 to {MAX_LINES} lines from a checkpoint file."
    compared = [] if problem else [_compare_line(line) for line in pasted]
    wrong = problem or any(comparison.match is None for comparison in compared)
    return _page(422 if wrong else 200, pasted="\n".join(pasted) if wrong else "", compared=compared, problem=problem)


def _compare_line(line: str) -> Comparison:
    try:
        return Comparison(checkpoint_comparison.compare([checkpoints.parse(line)])[0])
    except BadCheckpoint as problem:
        return Comparison(None, str(problem))


def _page(status: int = 200, **compared: Any) -> ResponseReturnValue:
    values = {
        **_integrity(),
        "last": latest_checkpoint.last(),
        "newest": _newest(),
        "file": latest_checkpoint.file(),
        "posted_to": urlsplit(runtime.current().settings.checkpoint_url).hostname,
        "key_copy": onboarding.key_copy(),
        "gaps": snapshots.gaps(EPOCH, g.now + timedelta(days=1)),
        **{"pasted": "", "compared": [], "problem": "", **compared},
    }
    return responses.page("pages/settings/audit_log.html", status, **values)


def _newest() -> Any:
    try:
        return checkpoints.newest(latest_checkpoint.file())
    except BadCheckpoint:
        return None


def _integrity() -> dict[str, Any]:
    """Return the result of the last check, and compare the newest checkpoint with the log now."""
    state = check_job.state()
    mismatch, unreadable = None, ""
    try:
        mismatch = latest_checkpoint.mismatch()
    except BadCheckpoint as problem:
        unreadable = str(problem)
    return {
        "state": state,
        "result": state.result,
        "mismatch": mismatch,
        "unreadable": unreadable,
        "broken_at": _broken_at(state, mismatch),
        "took": timedelta(seconds=state.seconds),
    }


def _broken_at(state: State, mismatch: CheckpointMatch | None) -> BrokenAt | None:
    broken = state.result.broken if state.result else None
    number = broken.event if broken else mismatch.checkpoint.size if mismatch else None
    nearest = check_job.nearest(number) if number is not None else None
    return BrokenAt(nearest, nearest == number) if nearest else None


def _clock() -> datetime:
    return datetime.now(UTC)
