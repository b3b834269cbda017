"""What the connectors of code hosts share: fields, five event types, ids, and readers for unreliable JSON."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from painchain.connectors.base import EventType, Field, Kind, Shape, fields
from painchain.connectors.contract import ErrorKind, PollError, SourceEvent
from painchain.connectors.event_group import EventGroup, GroupRole
from painchain.core import logs

log = logging.getLogger(__name__)

# No code host has other times. Programs that have no date write year 1, 1970 or 9999.
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

# One part of a path, except "." and "..", which would point to another path.
MAX_COMPLETED_COMMITS = 20  # of one delivery: the others keep what the delivery says about them
PATH_PART = r"(?!\.{1,2}(?:/|$))[A-Za-z0-9_.-]+"

BRANCHES = Field(
    "branches",
    "Branches",
    Kind.LIST,
    help="One per line. Empty: the default branch for commits, all branches for the rest.",
    item=r"[^\s,~^:?*\[\\]+",
    item_hint="a branch name",
)

# The states of one deployment: its ids start with host, connector, repository, "deployment" and its number.
STATES_OF_DEPLOYMENT = EventGroup("state", GroupRole.PEER, id_parts=5)

SHARED_EVENT_TYPES = (
    EventType(
        "Push",
        "Push",
        fields(
            repository="Repository",
            branch="Branch",
            before=("From", Shape.SHA),
            after=("To", Shape.SHA),
            commits="Commits",
            pusher="Pusher",
            forced=("Forced", Shape.YES_NO),
        ),
        "commit",
        group=EventGroup("commit", GroupRole.HEAD, facts=("repository", "branch", "after")),
    ),
    EventType(
        "Release",
        "Release",
        fields(
            repository="Repository",
            tag="Tag",
            prerelease=("Pre-release", Shape.YES_NO),
            draft=("Draft", Shape.YES_NO),
            assets=("Assets", Shape.LIST),
        ),
        "tag",
    ),
    EventType(
        "Commit",
        "Commit",
        fields(
            repository="Repository",
            branch="Branch",
            sha=("SHA", Shape.SHA),
            committed_at="Committed at",
            push=("Push", Shape.SHA),
            changes=("Changes", Shape.LINES),
            files_changed=("Files changed", Shape.LIST),
            files_total="Files in total",
        ),
        "commit",
        group=EventGroup("commit", GroupRole.PART, facts=("repository", "branch", "push")),
    ),
    EventType(
        "Deployment",
        "Deployment",
        fields(
            repository="Repository",
            environment="Environment",
            ref="Ref",
            sha=("SHA", Shape.SHA),
            state=("State", Shape.STATUS),
            creator="Creator",
        ),
        "rocket",
        group=STATES_OF_DEPLOYMENT,
    ),
    EventType(
        "Image",
        "Image",
        fields(
            repository="Repository",
            registry="Registry",
            image="Image",
            digest=("Digest", Shape.SHA),
            tags=("Tags", Shape.LIST),
            size=("Size", Shape.BYTES),
            package="Package",
        ),
        "box",
    ),
)


def topic(name: str) -> str:
    """Return the name of a kind of delivery if it looks like one, else "". The header that has it is not signed.

    >>> topic("workflow_run"), topic("Merge Request Hook"), topic("x?token=1")
    ('workflow_run', 'Merge Request Hook', '')
    """
    return name if re.fullmatch(r"[A-Za-z]+([ _][A-Za-z]+)*", name) else ""


def server(base_url: Any) -> str:
    """Return the host and port of an API URL; "" if it has none.

    >>> server("https://Git.example:8443/api/v3"), server(None)
    ('git.example:8443', '')
    """
    try:
        return urlsplit(text(base_url)).netloc.rpartition("@")[2].lower()
    except ValueError:
        return ""


def first_server(settings: Mapping[str, Any], cursor: Any) -> str:
    """Return the server whose events have the connector's id alone: the one that its first poll read.

    Older versions stored only the URL of the last poll.
    """
    stored = text(cursor, "server") or server(dig(cursor, "base"))
    return stored or server(settings.get("base_url"))


def first_cursor(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the cursor of a connector that was not polled yet, but has events from the server in its settings."""
    return {"server": server(settings.get("base_url"))}


def connector_key(connector_id: int, settings: Mapping[str, Any], cursor: Any) -> int | str:
    """Return the connector's part of event ids: its id, and the server if its first events came from another one.

    Two servers can give the same number to different repositories.

    >>> connector_key(3, {"base_url": "https://git.example"}, {"server": "git.example"})
    3
    >>> connector_key(3, {"base_url": "https://git.example:8443"}, {"server": "api.github.com"})
    '3@git.example%3A8443'
    """
    here = server(settings.get("base_url"))
    return connector_id if here == first_server(settings, cursor) else f"{connector_id}@{_id_part(here)}"


def key_of(event: SourceEvent) -> str:
    """Return the connector's part of the id of an event."""
    return event.event_id.split(":")[1]


def with_plain_ids(event: SourceEvent, connector_id: int) -> SourceEvent:
    """Return an event whose id names the server as a duplicate of one without, if both have the same time.

    So nothing is recorded twice if only the name of the server has changed.
    """
    host_type, key, _ = event.event_id.split(":", 2)
    if key == str(connector_id):
        return event
    with_server, plain = f"{host_type}:{key}:", f"{host_type}:{connector_id}:"
    former: dict[str, datetime | None] = {}
    for former_id, time in event.former_ids.items():
        if former_id.startswith(with_server):
            former[former_id] = time
        former[former_id.replace(with_server, plain, 1)] = time or event.timestamp
    former.setdefault(event.event_id.replace(with_server, plain, 1), event.timestamp)
    return replace(event, former_ids=former)


def event_id(
    host_type: str, connector_id: int | str, repository_id: str | int, kind: str, *occurrence: str | int | datetime
) -> str:
    """Return the id of an event of a repository: the same for a poll, a webhook and a repeated delivery.

    `connector_id` is the connector's part of the id (`connector_key`). `repository_id` is the source's own number of
    the repository or project, which a new name does not change. `occurrence` is the source's own id of what happened,
    or else the time that the source gives it, to the second: a source can give fractions in one place and none in
    another. Two different occurrences never share an id.

    >>> event_id("github", 3, 4711, "pr", 12, "closed", datetime(2026, 3, 4, 5, 6, 7, 890, tzinfo=UTC))
    'github:3:4711:pr:12:closed:2026-03-04T05:06:07Z'
    """
    return ":".join([host_type, str(connector_id), *(_id_part(part) for part in (repository_id, kind, *occurrence))])


def _id_part(part: str | int | datetime) -> str:
    if isinstance(part, datetime):
        time = part.replace(tzinfo=UTC) if part.tzinfo is None else part.astimezone(UTC)
        return f"{time:%Y-%m-%dT%H:%M:%SZ}"
    return str(part).replace("%", "%25").replace(":", "%3A")


def dig(value: Any, *path: str | int) -> Any:
    """Return the value at `path` in nested JSON; None where a part of the path is missing or has another type.

    >>> dig({"user": {"login": "zoe"}}, "user", "login"), dig({"user": None}, "user", "login")
    ('zoe', None)
    """
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value


def text(value: Any, *path: str | int) -> str:
    """Return the string or number at `path` as a string, or ""."""
    member = dig(value, *path)
    return str(member) if isinstance(member, str | int | float) and not isinstance(member, bool) else ""


def objects(value: Any, *path: str | int) -> list[Any]:
    """Return the objects in the list at `path`; [] if there is no list."""
    member = dig(value, *path)
    return [row for row in member if isinstance(row, dict)] if isinstance(member, list) else []


def strings(value: Any, *path: str | int) -> list[str]:
    """Return the strings in the list at `path`; [] if there is no list."""
    member = dig(value, *path)
    return [word for word in member if isinstance(word, str)] if isinstance(member, list) else []


def integer(value: Any, *path: str | int) -> int | None:
    """Return the integer at `path`, or None."""
    member = dig(value, *path)
    return member if isinstance(member, int) and not isinstance(member, bool) else None


def parse_time(value: Any, *path: str | int) -> datetime | None:
    """Return the time at `path` (ISO 8601, or seconds since 1970) in UTC; None if it is none or absurd.

    >>> parse_time("2026-03-04T05:06:07Z"), parse_time("soon"), parse_time({"at": None}, "at")
    (datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.timezone.utc), None, None)
    >>> parse_time("0001-01-01T00:00:00Z"), parse_time("9999-12-31T23:59:59Z"), parse_time(0)
    (None, None, None)
    """
    member = dig(value, *path)
    try:
        if isinstance(member, int) and not isinstance(member, bool):
            time = datetime.fromtimestamp(member, UTC)
        elif isinstance(member, str):
            time = datetime.fromisoformat(member)
            time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        else:
            return None
        return time if EARLIEST <= time < LATEST else None
    except (ValueError, OverflowError, OSError):
        return None


def unreadable(problem: Exception, what: str) -> PollError:
    """Log an unexpected exception while `what` was read, and return it as an error of this part alone."""
    logs.log_failure(log, f"Reading {what}", problem)
    return PollError("PainChain could not read the response. See the server log for details.", ErrorKind.INTERNAL)


def count_state(runs: dict[str, Any], number: str, status: str, attempt: int = 1) -> int:
    """Note the state that a run is in, and return how often this attempt has reached it, as far as polls have seen.

    `runs` are the runs that have not ended, in the cursor. A run can wait for an approval several times.

    >>> runs = {}
    >>> [count_state(runs, "7", status) for status in ("waiting", "waiting", "in_progress", "waiting")]
    [1, 1, 1, 2]
    """
    known = runs.pop(number, None)
    if known is None or known["attempt"] != attempt:
        known = {"attempt": attempt, "status": "", "counts": {}}
    counts = dict(known["counts"])
    if status != known["status"]:
        counts[status] = counts.get(status, 0) + 1
    runs[number] = {"attempt": attempt, "status": status, "counts": counts}
    return int(counts.get(status, 1))


def unread_commits(count: int | None, has_some: bool = False) -> str:
    """Return the fact that the commits of a push are missing. `count` is how many it has, None if that is not known.

    >>> unread_commits(12), unread_commits(12, has_some=True), unread_commits(None)
    ('12, could not be read', '12, not all could be read', 'could not be read')
    """
    missing = "not all could be read" if has_some else "could not be read"
    return missing if count is None else f"{count}, {missing}"


def first_line(message: str, length: int = 100) -> str:
    """Return the first line of a message that is not blank, cut to `length` characters."""
    return next((line.strip() for line in message.splitlines() if line.strip()), "")[:length]


def non_empty(**facts: Any) -> dict[str, Any]:
    """Return the facts without empty values."""
    return {key: fact for key, fact in facts.items() if fact is not None and fact not in ("", [], {})}
