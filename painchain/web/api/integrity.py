"""The JSON API of the log's integrity: what the last check found, and checkpoints on demand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from flask import g, jsonify
from flask.typing import ResponseReturnValue

from painchain.database.types import iso
from painchain.integrity import check_job, checkpoints, latest_checkpoint
from painchain.integrity.check_job import State
from painchain.integrity.checkpoints import BadCheckpoint
from painchain.integrity.latest_checkpoint import LatestCheckpoint
from painchain.web.api import events
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = events.guarded("integrity_api")


@blueprint.get("/api/integrity")
def integrity() -> ResponseReturnValue:
    """Return what the last check has found; it checks nothing itself."""
    return jsonify({**_check_json(check_job.state()), "checkpoint": _checkpoint_json(latest_checkpoint.last())})


@blueprint.post("/api/checkpoints")
def make() -> ResponseReturnValue:
    """Make a checkpoint and return it as it stands in the file."""
    try:
        with audited_transaction() as trail:
            made = latest_checkpoint.make(trail, lambda: datetime.now(UTC), recorded=True)
    except BadCheckpoint as problem:
        latest_checkpoint.failed(problem, g.now)
        return json_error(409, f"No checkpoint was made. {problem}")
    return jsonify(checkpoints.as_json(made)), 201


def _check_json(state: State) -> dict[str, Any]:
    found, running = state.verdict, state.running
    broken = found.broken if found else None
    return {
        "state": "unknown" if found is None else "broken" if broken else "whole",
        "checked_at": _iso(state.checked_at),
        "seconds": state.seconds if found else None,
        "events": found.events if found else None,
        "pruned": found.pruned if found else None,
        "last_event": found.last if found else None,
        "head": found.head if found else None,
        "broken": {"kind": broken.kind, "event": broken.event, "words": broken.words} if broken else None,
        "complete": found.complete if found else None,
        "drift": list(found.drift) if found else [],
        "explained": list(found.explained) if found else [],
        "running": {"began": iso(running.began), "reached": running.reached, "whole": running.whole}
        if running
        else None,
        "error": state.error,
        "next_check": _iso(state.due),
    }


def _checkpoint_json(last: LatestCheckpoint) -> dict[str, Any]:
    return {
        "last": last.made,
        "problem": last.problem,
        "posted_at": _iso(last.posted_at),
        "post_waiting": last.waiting,
        "post_error": last.error,
    }


def _iso(value: datetime | None) -> str | None:
    return iso(value) if value else None
