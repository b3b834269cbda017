"""Create, change and delete teams, which are named sets of tags; each change is audited in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from painchain.audit import event_kinds
from painchain.audit.diff import Change, diff
from painchain.audit.trail import Trail
from painchain.configuration import named_rows
from painchain.configuration.errors import InvalidValues
from painchain.configuration.named_rows import created, is_taken, refuse_stale, touch
from painchain.connectors.base import MAX_ITEMS, Field, Kind
from painchain.database.models import Team
from painchain.database.session import db

NAME = Field("name", "Name", Kind.TEXT, required=True, max_length=100, help="Used to search, as in team:NAME.")
TAGS = Field(
    "tags",
    "Tags",
    Kind.TAGS,
    required=True,
    max_length=50,
    help=f"Comma-separated, from 1 to {MAX_ITEMS}. An event belongs to the team if it has any of them.",
)
FIELDS = (NAME, TAGS)
MAX_FORMER_NAMES = 20  # a team keeps this many of its latest former names


def list_all() -> list[Team]:
    """Return the teams in page order."""
    return list(db.session.scalars(select(Team).order_by(func.lower(Team.name), Team.id)))


def get(team_id: int) -> Team | None:
    """Return the team with this ID, or None."""
    return db.session.get(Team, team_id)


def values(team: Team | None) -> dict[str, Any]:
    """Return the current value of every field; for None, the empty values of a new team."""
    return {"name": team.name, "tags": team.tags} if team else {"name": None, "tags": []}


def create(submitted: Mapping[str, Any], trail: Trail) -> Team:
    """Add a team.

    :raises InvalidValues: when a value is invalid or the name is taken.
    """
    cleaned = _clean({**values(None), **submitted}, None)
    team = Team(
        **cleaned,
        former_names=[],
        **created(trail),
    )
    db.session.add(team)
    db.session.flush()
    trail.log(event_kinds.team_created(team.name, team.tags))
    return team


def update(team: Team, submitted: Mapping[str, Any], version: int | None, trail: Trail) -> list[Change]:
    """Save new values and return the changes. Fields missing from `submitted` stay unchanged.

    :raises painchain.configuration.errors.StaleRow: when the team has another version; None skips the check.
    :raises InvalidValues: when a value is invalid or the name is taken.
    """
    refuse_stale(team, version)
    changes = diff(FIELDS, values(team), _clean(submitted, team))
    if not changes:
        return []
    for change in changes:
        if change.key == NAME.key:
            team.former_names = [*(name for name in team.former_names if name != team.name), team.name][
                -MAX_FORMER_NAMES:
            ]
        setattr(team, change.key, change.new)
    touch(team, trail)
    db.session.flush()
    trail.log(event_kinds.team_updated(team.name, changes))
    return changes


def delete(team: Team, version: int | None, trail: Trail) -> None:
    """Delete a team. Connectors and events keep its tags.

    :raises painchain.configuration.errors.StaleRow: when the team has another version; None skips the check.
    """
    refuse_stale(team, version)
    trail.log(event_kinds.team_deleted(team.name, team.tags))
    db.session.delete(team)


def clean(submitted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the normalised values, and an error for each invalid field."""
    return named_rows.clean(FIELDS, submitted)


def _clean(submitted: Mapping[str, Any], team: Team | None) -> dict[str, Any]:
    cleaned, errors = clean(submitted)
    name = cleaned.get(NAME.key)
    if name and is_taken(name, ((stored.id, stored.name) for stored in list_all()), team):
        errors[NAME.key] = f"A team named “{name}” already exists. Choose another name."
    if errors:
        raise InvalidValues(errors)
    return cleaned
