"""Look up the tags of teams by their names, for filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from painchain.database.models import Team
from painchain.database.session import db
from painchain.indexes.search_query import BadFilter

# The most tags that the teams of a filter can have together.
MAX_TAGS = 500
NAMED = 20  # teams that the message about an unknown one lists

_team = Team.__table__.c


class UnknownTeam(BadFilter):
    """A filter names a team that does not exist, or no longer."""


@dataclass(frozen=True)
class TeamTags:
    """The names and the tags of one team."""

    name: str
    tags: tuple[str, ...]
    former_names: tuple[str, ...] = ()


def all_teams() -> list[TeamTags]:
    """Return every team, sorted by name."""
    rows = db.session.execute(
        select(_team.name, _team.tags, _team.former_names).order_by(func.lower(_team.name), _team.id)
    )
    return [TeamTags(name, tuple(tags), tuple(former)) for name, tags, former in rows]


def find_teams(names: Sequence[str], parameter: str) -> dict[str, TeamTags]:
    """Return the teams with these names, ignoring case, by the name as it was given.

    :raises UnknownTeam: when no team has a name; the error is that of `parameter`.
    :raises BadFilter: when the teams have too many tags together.
    """
    if not names:
        return {}
    teams = all_teams()
    by_name = {team.name.casefold(): team for team in teams}
    for name in names:
        if name.casefold() not in by_name:
            raise UnknownTeam(parameter, _unknown(name, teams))
    chosen = {name: by_name[name.casefold()] for name in names}
    if len({tag for team in chosen.values() for tag in team.tags}) > MAX_TAGS:
        raise BadFilter(parameter, f"These teams have more than {MAX_TAGS} tags together. Choose fewer teams.")
    return chosen


def _unknown(name: str, teams: Sequence[TeamTags]) -> str:
    """Return the message that no team has this name: with its new name if it was renamed, or with the teams' names."""
    for team in teams:
        if name.casefold() in (former.casefold() for former in team.former_names):
            return f"Team “{name}” was renamed to “{team.name}”."
    if not teams:
        return f"No team is named “{name}”. There are no teams yet; add one under Settings → Teams."
    names = ", ".join(team.name for team in teams[:NAMED])
    suffix = f" and {len(teams) - NAMED} more" if len(teams) > NAMED else ""
    return f"No team is named “{name}”. {'The only team is' if len(teams) == 1 else 'Teams:'} {names}{suffix}."
