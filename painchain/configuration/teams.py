"""Create, change and delete teams, named sets of tags, each on the record in the same transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select

from painchain.audit import event_kinds
from painchain.audit.diff import Change, diff
from painchain.audit.trail import Trail
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.connectors.base import MAX_ITEMS, Field, FieldError, Kind
from painchain.database.models import Team
from painchain.database.session import db

NAME = Field("name", "Name", Kind.TEXT, required=True, max_length=100, help="How the team is called, as in team:NAME.")
TAGS = Field(
    "tags",
    "Tags",
    Kind.TAGS,
    required=True,
    max_length=50,
    help=f"Comma-separated, from 1 to {MAX_ITEMS}. An event belongs to the team if it carries any of them.",
)
FIELDS = (NAME, TAGS)
FORMER = 20  # as many of its last names a team keeps


class StaleTeam(ChangeRefused):
    """Somebody else changed the team since the person's copy was read. `team` is as it is now."""

    def __init__(self, team: Team):
        super().__init__(f"“{team.name}” was changed by {team.updated_by} in the meantime. Nothing was saved.")
        self.team = team


def list_all() -> list[Team]:
    """Return the teams in the order of the page."""
    return list(db.session.scalars(select(Team).order_by(func.lower(Team.name), Team.id)))


def get(team_id: int) -> Team | None:
    """Return the team of that id, if there is one."""
    return db.session.get(Team, team_id)


def values(team: Team | None) -> dict[str, Any]:
    """Return the present value of every field; what it is before anyone has set it, where there is no team yet."""
    return {"name": team.name, "tags": team.tags} if team else {"name": None, "tags": []}


def create(submitted: Mapping[str, Any], trail: Trail) -> Team:
    """Add a team.

    :raises InvalidValues: when a field does not take its value, or the name is taken.
    """
    cleaned = _clean({**values(None), **submitted}, None)
    team = Team(
        **cleaned,
        former_names=[],
        version=1,
        created_at=trail.now,
        created_by=trail.author,
        updated_at=trail.now,
        updated_by=trail.author,
    )
    db.session.add(team)
    db.session.flush()
    trail.log(event_kinds.team_created(team.name, team.tags))
    return team


def update(team: Team, submitted: Mapping[str, Any], version: int | None, trail: Trail) -> list[Change]:
    """Save new values, and return what that changed. A field missing from `submitted` stays as it is.

    :raises StaleTeam: when `version` is not the team's version any more; None stands for any.
    :raises InvalidValues: when a field does not take its value, or the name is taken.
    """
    refuse_stale(team, version)
    changes = diff(FIELDS, values(team), _clean(submitted, team))
    if not changes:
        return []
    for change in changes:
        if change.key == NAME.key:
            team.former_names = [*(name for name in team.former_names if name != team.name), team.name][-FORMER:]
        setattr(team, change.key, change.new)
    team.version += 1
    team.updated_at, team.updated_by = trail.now, trail.author
    db.session.flush()
    trail.log(event_kinds.team_updated(team.name, changes))
    return changes


def delete(team: Team, version: int | None, trail: Trail) -> None:
    """Remove a team; its tags stay where they are.

    :raises StaleTeam: when `version` is not the team's version any more; None stands for any.
    """
    refuse_stale(team, version)
    trail.log(event_kinds.team_deleted(team.name, team.tags))
    db.session.delete(team)


def refuse_stale(team: Team, version: int | None) -> None:
    """Refuse a change made upon an older version of the team; `version` None stands for any.

    :raises StaleTeam: when it is older.
    """
    if version is not None and version != team.version:
        raise StaleTeam(team)


def clean(submitted: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values normalised, and an error for each field that does not take its value."""
    cleaned, errors = {}, {}
    for field in FIELDS:
        if field.key in submitted:
            try:
                cleaned[field.key] = field.clean(submitted[field.key])
            except FieldError as error:
                errors[field.key] = str(error)
    return cleaned, errors


def _clean(submitted: Mapping[str, Any], team: Team | None) -> dict[str, Any]:
    cleaned, errors = clean(submitted)
    name = cleaned.get(NAME.key)
    others = (other.name.casefold() for other in list_all() if team is None or other.id != team.id)
    if name and name.casefold() in others:
        errors[NAME.key] = f"There is a team called “{name}” already. Choose another name."
    if errors:
        raise InvalidValues(errors)
    return cleaned
