"""A repository on GitHub: its number, its names, and the ids of its events."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors.code_hosts import event_id, parse_time, text
from painchain.connectors.http_client import link

# The times that two parts of GitHub give for one occurrence can differ by this many seconds.
TOLERANCE = 5
# The same, where other occurrences may be unknown.
UNLISTED_TOLERANCE = 1


@dataclass(frozen=True)
class Repository:
    """A repository as one connector reads it.

    `connector_id` is the connector's part of event ids. `id` is GitHub's number, which a new name does not change.
    `name` is ``owner/name`` as GitHub spells it now, `former_names` are those under which older versions may have
    stored events. `branch` is the default branch, `web_url` its page.
    """

    connector_id: int | str
    id: str
    name: str
    branch: str = ""
    owner: str = ""
    is_organization: bool = False
    pushed_at: datetime | None = None
    web_url: str = ""
    former_names: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The path of the repository in the API."""
        return f"repos/{self.name}"

    def event_id(self, kind: str, *occurrence: str | int | datetime) -> str:
        """Return the id of an event of this repository."""
        return event_id("github", self.connector_id, self.id, kind, *occurrence)

    def nearby_ids(
        self, time: datetime, others: Collection[datetime] | None, kind: str, *occurrence: str | int
    ) -> dict[str, datetime | None]:
        """Return the ids that an occurrence has if another part of GitHub gives a time that differs by some seconds.

        `others` are the times of other occurrences of this kind, None if they are not known. A time that is as near to
        one of them is left out.
        """
        seconds = UNLISTED_TOLERANCE if others is None else TOLERANCE
        candidates = [time + timedelta(seconds=difference) for difference in range(-seconds, seconds + 1) if difference]
        return {
            self.event_id(kind, *occurrence, candidate): None
            for candidate in candidates
            if abs(candidate - time) < _distance(candidate, others)
        }

    def later_ids(
        self, later: Collection[datetime], others: Collection[datetime], kind: str, *occurrence: str | int
    ) -> dict[str, datetime | None]:
        """Return the ids that an occurrence has if a webhook gave it the time of one of the `later` occurrences.

        `others` are the times of other occurrences that differ only in their time: these times are left out.
        """
        candidates = [time + timedelta(seconds=difference) for time in later for difference in (-1, 0, 1)]
        return {
            self.event_id(kind, *occurrence, candidate): None
            for candidate in candidates
            if _distance(candidate, others) > timedelta(seconds=TOLERANCE)
        }

    def former_ids(self, kind: str, rest: str, time: datetime | None) -> dict[str, datetime | None]:
        """Return the ids ``{kind}-{name}-{rest}`` of older versions, with the time of the stored event."""
        return {f"{kind}-{name}-{rest}": time for name in (self.name, *self.former_names)}


def _distance(time: datetime, others: Collection[datetime] | None) -> timedelta:
    return min((abs(time - other) for other in others or ()), default=timedelta.max)


def describe(connector_id: int | str, item: Any, *former_names: str) -> Repository:
    """Return the repository of a response or a webhook delivery."""
    name = text(item, "full_name")
    return Repository(
        connector_id=connector_id,
        id=text(item, "id") or name.casefold(),
        name=name,
        branch=text(item, "default_branch") or text(item, "master_branch") or "main",
        owner=text(item, "owner", "login"),
        is_organization=text(item, "owner", "type") == "Organization",
        pushed_at=parse_time(item, "pushed_at"),
        web_url=link(text(item, "html_url")) or "",
        former_names=tuple(former for former in dict.fromkeys(former_names) if former and former != name),
    )


def is_wanted_branch(branch: str, settings: Mapping[str, Any]) -> bool:
    """Return whether events of a branch are wanted. If the settings list no branches, all are."""
    return not settings.get("branches") or branch in settings["branches"]


def item_id(item: Any, key: str = "id") -> str:
    """Return the id of an item: its number, or else its node id."""
    return text(item, key) or text(item, "node_id") or "unknown"
