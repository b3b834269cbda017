"""The events of releases: published, as a pre-release or not, and deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from painchain.connectors.code_hosts import dig, non_empty, objects, parse_time, text
from painchain.connectors.contract import SourceEvent
from painchain.connectors.github.repository import Repository, item_id
from painchain.connectors.http_client import link


def is_draft(release: Any) -> bool:
    """Return whether a release is a draft, for which no event is recorded."""
    return dig(release, "draft") is True


def status_of(release: Any) -> str:
    """Return the status of a release that is not a draft."""
    return "prerelease" if dig(release, "prerelease") is True else "published"


def published(
    repository: Repository,
    release: Any,
    now: datetime,
    changed_at: datetime | None = None,
    since: datetime | None = None,
) -> list[SourceEvent]:
    """Return the event of a published release; [] for a draft.

    `changed_at` is the time when a pre-release became a release after it was published, or the other way round,
    `since` the time of the previous poll.
    """
    if is_draft(release):
        return []
    published_at = parse_time(release, "published_at") or parse_time(release, "created_at")
    number, status = item_id(release), status_of(release)
    time = changed_at or published_at or now
    event_id = repository.event_id("release", number, status, *([published_at] if published_at else []))
    former_ids = repository.former_ids("release", number, time if published_at else None)
    if changed_at and (parse_time(release, "updated_at") or status == "prerelease"):
        # Each change has its own id. A webhook can have reported it before the release was changed in another way.
        former_ids[f"{event_id}:*:*:*"] = now
        event_id = repository.event_id("release", number, status, *([published_at] if published_at else []), changed_at)
    return [
        SourceEvent(
            event_id=event_id,
            event_type="Release",
            title=_title(release),
            timestamp=time,
            author=text(release, "author", "login") or "unknown",
            status=status,
            url=link(dig(release, "html_url")),
            text=text(release, "body"),
            facts=_facts(repository, release),
            former_ids=former_ids,
            former_since=since,
        )
    ]


def deleted(repository: Repository, release: Any, author: str, now: datetime) -> SourceEvent:
    """Return the event that a published release was deleted. GitHub does not say when: it was noticed `now`."""
    return SourceEvent(
        event_id=repository.event_id("release", item_id(release), "deleted"),
        event_type="Release",
        title=_title(release),
        timestamp=now,
        author=author or "unknown",
        status="deleted",
        text=text(release, "body"),
        facts=_facts(repository, release),
    )


def _title(release: Any) -> str:
    return f"[Release] {text(release, 'name') or text(release, 'tag_name')}".strip()


def _facts(repository: Repository, release: Any) -> dict[str, Any]:
    return non_empty(
        repository=repository.name,
        tag=text(release, "tag_name"),
        prerelease=dig(release, "prerelease") is True,
        draft=False,
        assets=[name for asset in objects(release, "assets") if (name := text(asset, "name"))],
    )
