"""Return which projects a GitLab connector follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from painchain.connectors.code_hosts import text
from painchain.connectors.contract import Cursor
from painchain.connectors.gitlab.cursor import read_names


def projects(settings: Mapping[str, Any], cursor: Cursor) -> dict[str, str]:
    """Return the path of each project by what identifies it: its id, and its path in lower case.

    The projects in the settings are followed; without any, those that the last poll found.
    """
    known = read_names(of_server(settings, cursor))
    followed: dict[str, str] = {}
    for ref in settings.get("projects") or known:
        path = text(known.get(ref), "path") or ref
        project_id = text(known.get(ref), "id")
        followed |= {identity: path for identity in (ref.casefold(), path.casefold(), project_id) if identity}
    return followed


def of_server(settings: Mapping[str, Any], cursor: Cursor) -> Cursor:
    """Return the cursor if it belongs to the server in the settings, else {}: another server counts its own projects.

    Older versions did not store the server.
    """
    server = settings.get("base_url")
    return cursor if isinstance(cursor, Mapping) and cursor.get("base", server) == server else {}
