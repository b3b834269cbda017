"""Settings → Audit log: whether it is as it was written, its checkpoints, and what that can show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, g, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

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

MOST_LINES = 500


@dataclass(frozen=True)
class Place:
    """Where to look at a break: the event itself, or the nearest before it that is still there."""

    event: int
    itself: bool


@dataclass(frozen=True)
class Compared:
    """One line that was pasted: how its checkpoint fits, or why it is none."""

    fit: CheckpointMatch | None
    problem: str = ""


@blueprint.get("")
def index() -> ResponseReturnValue:
    """Show how the log is."""
    return _page()


@blueprint.get("/progress")
def progress() -> ResponseReturnValue:
    """Return how far a check is, or what it has found."""
    return responses.fragment("settings/checking", **_checking())


@blueprint.post("/check")
def check() -> ResponseReturnValue:
    """Let the log be checked now."""
    running = check_job.state().running
    with audited_transaction():
        check_job.ask()
    words = "A check is running already." if running else "The log is being checked."
    return responses.go_to(url_for(".index"), Toast(words, "info" if running else "good"))


@blueprint.post("/checkpoint")
def make() -> ResponseReturnValue:
    """Make a checkpoint."""
    try:
        with audited_transaction() as trail:
            made = latest_checkpoint.make(trail, _clock, recorded=True)
    except BadCheckpoint as problem:
        latest_checkpoint.failed(problem, g.now)
        return _page(409)
    return responses.go_to(
        url_for(".index"), Toast(f"A checkpoint of {latest_checkpoint.format_value(made)} was made.")
    )


@blueprint.get("/checkpoints.ndjson")
def download() -> ResponseReturnValue:
    """Hand out the file of checkpoints as it is."""
    try:
        content = latest_checkpoint.file().read_bytes()
    except OSError:
        return responses.error(
            404, "No checkpoints", "There is no checkpoint on this server yet, or no way to read it."
        )
    name = f"painchain-checkpoints-{g.now:%Y-%m-%dT%H%M%SZ}.ndjson"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, mimetype="application/x-ndjson", headers=headers)


@blueprint.post("/compare")
def compare() -> ResponseReturnValue:
    """Compare checkpoints that were kept elsewhere with the log."""
    pasted = [line.strip() for line in request.form.get("checkpoints", "").splitlines() if line.strip()]
    problem = "" if 0 < len(pasted) <= MOST_LINES else f"Paste from 1 to {MOST_LINES} lines of a file of checkpoints."
    compared = [] if problem else [_compared(line) for line in pasted]
    wrong = problem or any(one.fit is None for one in compared)
    return _page(422 if wrong else 200, pasted="\n".join(pasted) if wrong else "", compared=compared, problem=problem)


def _compared(line: str) -> Compared:
    try:
        return Compared(checkpoint_comparison.compare([checkpoints.parse(line)])[0])
    except BadCheckpoint as problem:
        return Compared(None, str(problem))


def _page(status: int = 200, **compared: Any) -> ResponseReturnValue:
    values = {
        **_checking(),
        "last": latest_checkpoint.last(),
        "newest": _newest(),
        "file": latest_checkpoint.file(),
        "posted_to": urlsplit(runtime.current().settings.checkpoint_url).hostname,
        "gaps": snapshots.gaps(EPOCH, g.now + timedelta(days=1)),
        **{"pasted": "", "compared": [], "problem": "", **compared},
    }
    return responses.page("pages/settings/audit_log.html", status, **values)


def _newest() -> Any:
    try:
        return checkpoints.newest(latest_checkpoint.file())
    except BadCheckpoint:
        return None


def _checking() -> dict[str, Any]:
    """Return what is known of the log, and what the newest checkpoint says at this very moment."""
    state = check_job.state()
    misfit, unreadable = None, ""
    try:
        misfit = latest_checkpoint.mismatch()
    except BadCheckpoint as problem:
        unreadable = str(problem)
    return {
        "state": state,
        "verdict": state.verdict,
        "misfit": misfit,
        "unreadable": unreadable,
        "place": _place(state, misfit),
        "took": timedelta(seconds=state.seconds),
    }


def _place(state: State, misfit: CheckpointMatch | None) -> Place | None:
    broken = state.verdict.broken if state.verdict else None
    number = broken.event if broken else misfit.checkpoint.size if misfit else None
    nearest = check_job.nearest(number) if number is not None else None
    return Place(nearest, nearest == number) if nearest else None


def _clock() -> datetime:
    return datetime.now(UTC)
