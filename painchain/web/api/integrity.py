"""The JSON API of the log's integrity: the last check, and checkpoints on demand."""

from __future__ import annotations

from datetime import UTC, datetime

from flask import g
from flask.typing import ResponseReturnValue

from painchain.integrity import check_job, checkpoints, latest_checkpoint
from painchain.integrity.checkpoints import BadCheckpoint
from painchain.web.api.common import api_blueprint
from painchain.web.api.resources.base import answer
from painchain.web.api.resources.integrity import Checkpoint, Integrity
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = api_blueprint("integrity_api")


@blueprint.get("/api/integrity")
def integrity() -> ResponseReturnValue:
    """Return the result of the last check. It starts none."""
    return answer(Integrity.of(check_job.state(), latest_checkpoint.last()))


@blueprint.post("/api/checkpoints")
def make() -> ResponseReturnValue:
    """Create a checkpoint and return it as it stands in the file."""
    try:
        with audited_transaction() as trail:
            checkpoint = latest_checkpoint.make(trail, lambda: datetime.now(UTC), recorded=True)
    except BadCheckpoint as problem:
        latest_checkpoint.failed(problem, g.now)
        return json_error(409, f"No checkpoint was created. {problem}")
    return answer(Checkpoint(**checkpoints.as_json(checkpoint)), 201)
