"""The state of the log's integrity, and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema

from painchain.integrity.check_job import State
from painchain.integrity.latest_checkpoint import LatestCheckpoint
from painchain.web.api.resources.base import Resource, Time


class Checkpoint(Resource):
    """A checkpoint with its seal, as in the checkpoint file."""

    version: Literal[1]
    size: int = Field(description="The number of the last event.")
    head: str = Field(description="Its hash, in hex.")
    time: Annotated[str, Field(json_schema_extra={"format": "date-time"})]
    key: str = Field(description="The name of the key that signs it.")
    seal: str = Field(description="Signature: HMAC-SHA256 of the other fields, in hex.")


StoredCheckpoint = Annotated[
    Mapping[str, Any] | None, WithJsonSchema({"anyOf": [{"$ref": "#/components/schemas/Checkpoint"}, {"type": "null"}]})
]


class BrokenAt(Resource):
    """The first event at which verification failed, and how the log was changed there."""

    kind: str
    event: int
    words: str


class RunningCheck(Resource):
    """The progress of the running check."""

    began: Time
    reached: int
    whole: int


class CheckpointState(Resource):
    """The newest checkpoint, and whether it was posted."""

    last: StoredCheckpoint
    problem: str | None = Field(description="Why the last checkpoint failed.")
    posted_at: Time | None
    post_waiting: bool
    post_error: str | None

    @classmethod
    def of(cls, latest: LatestCheckpoint) -> CheckpointState:
        """Return the resource of the newest checkpoint."""
        return cls(
            last=latest.made,
            problem=latest.problem,
            posted_at=latest.posted_at,
            post_waiting=latest.waiting,
            post_error=latest.error,
        )


class Integrity(Resource):
    """The result of the last integrity check."""

    state: Literal["unknown", "whole", "broken"] = Field(
        description="Result of the last check; `unknown` if the log was never checked."
    )
    checked_at: Time | None
    seconds: float | None
    events: int | None
    pruned: int | None
    last_event: int | None
    head: str | None = Field(description="The hash of the last event, in hex.")
    broken: BrokenAt | None
    complete: bool | None = Field(
        description="Whether replaying the log gives the current configuration; null: not checked."
    )
    drift: list[str] = Field(description="Descriptions of the differences between the configuration and the log.")
    explained: list[str] = Field(description="Differences that may be due to a time when auditing was off.")
    running: RunningCheck | None
    error: str | None = Field(description="Error of the last attempted check.")
    next_check: Time
    checkpoint: CheckpointState

    @classmethod
    def of(cls, state: State, latest: LatestCheckpoint) -> Integrity:
        """Return the resource of the last check and the newest checkpoint."""
        result, running = state.result, state.running
        broken = result.broken if result else None
        return cls(
            state="unknown" if result is None else "broken" if broken else "whole",
            checked_at=state.checked_at,
            seconds=state.seconds if result else None,
            events=result.events if result else None,
            pruned=result.pruned if result else None,
            last_event=result.last if result else None,
            head=result.head if result else None,
            broken=BrokenAt(kind=broken.kind, event=broken.event, words=broken.words) if broken else None,
            complete=result.complete if result else None,
            drift=list(result.drift) if result else [],
            explained=list(result.explained) if result else [],
            running=RunningCheck(began=running.began, reached=running.reached, whole=running.total)
            if running
            else None,
            error=state.error,
            next_check=state.due,
            checkpoint=CheckpointState.of(latest),
        )
