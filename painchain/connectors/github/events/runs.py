"""The events of workflow runs: each attempt starts and ends on its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import dig, integer, non_empty, parse_time, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.github.repository import Repository, item_id
from painchain.connectors.http_client import link

NOT_STARTED = ("", "queued", "requested", "pending")  # states of a run that has not started
STARTED = ("success", "failure", "timed_out", "cancelled", "neutral")  # conclusions of a run that has started
BROKEN = ("failure", "timed_out")


def run_status(run: Any) -> str:
    """Return the conclusion of a workflow run, or its status while it has none."""
    return text(run, "conclusion") or text(run, "status")


def is_broken(run: Any) -> bool:
    """Return whether a run has failed, so that the names of its failed jobs are worth a request."""
    return run_status(run) in BROKEN and bool(text(run, "id"))


def attempt_of(run: Any) -> int:
    """Return the number of a run's attempt."""
    return integer(run, "run_attempt") or 1


def workflow_run(
    repository: Repository,
    run: Any,
    status: str,
    now: datetime,
    failed_jobs: Iterable[str] = (),
    details: Mapping[str, Any] | None = None,
    occurrence: int = 1,
) -> SourceEvent:
    """Return the event that an attempt of a workflow run reached `status`, for the `occurrence`-th time."""
    started_at = parse_time(run, "run_started_at") or parse_time(run, "created_at")
    is_current = status == run_status(run)
    ended_at = parse_time(run, "updated_at") if text(run, "conclusion") and is_current else None
    has_changed = is_current and (occurrence > 1 or status not in ("in_progress", *NOT_STARTED))
    changed_at = parse_time(run, "updated_at") if has_changed else None
    attempt, number = attempt_of(run), item_id(run)
    url = link(dig(run, "html_url"))
    name = text(run, "name") or text(run, "path").rpartition("/")[2] or text(run, "display_title")
    branch = text(run, "head_branch")
    return SourceEvent(
        event_id=repository.event_id("run", number, attempt, status, *([occurrence] if occurrence > 1 else [])),
        event_type="WorkflowRun",
        title=f"[Workflow] {' - '.join(part for part in (name, branch) if part)}".strip(),
        timestamp=changed_at or started_at or parse_time(run, "updated_at") or now,
        author=text(run, "triggering_actor", "login") or text(run, "actor", "login") or "unknown",
        status=status,
        url=url,
        text=text(run, "display_title"),
        facts=non_empty(
            repository=repository.name,
            status=status,
            duration=max(0, int((ended_at - started_at).total_seconds())) if ended_at and started_at else None,
            branch=branch,
            commit=text(run, "head_sha"),
            trigger=text(run, "event"),
            run_number=integer(run, "run_number"),
            failed_jobs=list(failed_jobs),
            logs_url=url and f"{url}/attempts/{attempt}",
        ),
        former_ids={} if occurrence > 1 else repository.former_ids("workflow", f"{number}-{attempt}-{status}", None),
        details=details,
    )


def run_changes(
    repository: Repository, run: Any, now: datetime, failed_jobs: Iterable[str] = (), occurrence: int = 1
) -> list[SourceEvent]:
    """Return the events of an attempt of a workflow run so far: its start and its end.

    A run that has not ended is in its state for the `occurrence`-th time.
    """
    status = run_status(run)
    if status in NOT_STARTED:
        return []
    if occurrence > 1 and not text(run, "conclusion"):
        return [workflow_run(repository, run, status, now, occurrence=occurrence)]
    states = ("in_progress", status) if status in STARTED else (status,)
    return [
        workflow_run(repository, run, state, now, failed_jobs if state != "in_progress" else ()) for state in states
    ]


def failed_job_names(jobs: Iterable[Any]) -> list[str]:
    """Return the names of the jobs that failed."""
    return [text(job, "name") or "unnamed" for job in jobs if text(job, "conclusion") in BROKEN]
