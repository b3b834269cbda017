"""Read what all of GitLab's payloads share: projects, people and times."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from painchain.connectors import code_hosts
from painchain.connectors.code_hosts import dig, text
from painchain.connectors.http_client import link

UNKNOWN = "unknown"
SECOND = timedelta(seconds=1)
Item = Mapping[str, Any]


@dataclass(frozen=True)
class Project:
    """One project of a connector. `path` is its path_with_namespace, which changes when it is renamed.

    `connector_id` is the connector's part of event ids.
    """

    id: str
    path: str
    url: str | None = None
    branch: str = ""
    connector_id: int | str = 0

    def event_id(self, kind: str, *occurrence: str | int | datetime) -> str:
        """Return the id of an event of this project."""
        return code_hosts.event_id("gitlab", self.connector_id, self.id, kind, *occurrence)

    def neighbour_ids(self, when: datetime, kind: str, *occurrence: str | int | datetime) -> dict[str, datetime | None]:
        """Return the ids of the same occurrence one second earlier and later, as former ids of its event.

        GitLab takes the time of a change several times while it stores it, and its webhook and its API send different
        ones. Two real changes of the same thing to the same state are further apart.
        """
        return {self.event_id(kind, *occurrence, when + step): None for step in (-SECOND, SECOND)}


def project(item: Any, connector_id: int | str = 0) -> Project | None:
    """Return the project in a response or webhook, or None."""
    path = text(item, "path_with_namespace")
    if not path:
        return None
    number = text(item, "id") or path
    return Project(number, path, link(dig(item, "web_url")), text(item, "default_branch"), connector_id)


def person_name(person: Any) -> str:
    """Return the user name of a person, or their name."""
    return text(person, "username") or text(person, "name") or UNKNOWN


def first_time(item: Any, *keys: str) -> datetime | None:
    """Return the first of these times that the item has."""
    return next((when for key in keys if (when := parse_moment(dig(item, key)))), None)


def parse_moment(value: Any) -> datetime | None:
    """Return a time in the formats of GitLab's responses and webhooks, None for anything else.

    >>> parse_moment("2016-08-12 15:23:28 UTC") == parse_moment("2016-08-12 17:23:28 +0200")
    True
    >>> parse_moment("2016-08-12T15:23:28.000Z") == parse_moment("2016-08-12 15:23:28 UTC")
    True
    """
    if not isinstance(value, str):
        return None
    return code_hosts.parse_time(re.sub(r" ([+-]\d\d:?\d\d)$", r"\1", value.strip().replace(" UTC", "Z")))
