"""Return which repositories a GitHub connector follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from painchain.connectors.code_hosts import dig, text
from painchain.connectors.contract import Cursor
from painchain.connectors.github.cursor import read_names


def repositories(settings: Mapping[str, Any], cursor: Cursor) -> dict[str, str]:
    """Return the name of each repository by what identifies it: its id, and its name in lower case.

    The repositories in the settings are followed; without any, those that the last poll found.
    """
    ids, stored = read_names(cursor), cursor.get("repos") if isinstance(cursor, Mapping) else None
    states = stored if isinstance(stored, dict) else {}
    listed = {name.casefold(): name for name in settings.get("repos") or []}
    if listed:
        by_id = {ids[key]: name for key, name in listed.items() if key in ids}
        return {**listed, **by_id}
    named = [(key, name) for key, state in states.items() if (name := text(dig(state, "about"), "full_name"))]
    return {identity: name for key, name in named for identity in (key, name.casefold())}
