"""Look up what a team stands for in a filter: its tags, by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from painchain.database.models import Team
from painchain.database.session import db
from painchain.indexes.search_query import BadFilter

# A filter asks for so many tags at most, by however many teams.
MOST = 500
NAMED = 20

_team = Team.__table__.c


class UnknownTeam(BadFilter):
    """A filter names a team that is not there, or not there any more."""


@dataclass(frozen=True)
class TeamTags:
    """One team as a filter knows it."""

    name: str
    tags: tuple[str, ...]
    former_names: tuple[str, ...] = ()


def all_teams() -> list[TeamTags]:
    """Return every team, in the order of the page."""
    rows = db.session.execute(
        select(_team.name, _team.tags, _team.former_names).order_by(func.lower(_team.name), _team.id)
    )
    return [TeamTags(name, tuple(tags), tuple(former)) for name, tags, former in rows]


def find_teams(names: Sequence[str], parameter: str) -> dict[str, TeamTags]:
    """Return the teams of these names, whatever their case: each by the name that was asked for.

    :raises UnknownTeam: when there is none of a name; `parameter` asked for it.
    :raises BadFilter: when they have too many tags together.
    """
    if not names:
        return {}
    there = all_teams()
    by_name = {one.name.casefold(): one for one in there}
    for name in names:
        if name.casefold() not in by_name:
            raise UnknownTeam(parameter, _unknown(name, there))
    found = {name: by_name[name.casefold()] for name in names}
    if len({tag for one in found.values() for tag in one.tags}) > MOST:
        raise BadFilter(parameter, f"These teams have more than {MOST} tags together; ask for fewer of them.")
    return found


def _unknown(name: str, there: Sequence[TeamTags]) -> str:
    """Say that there is no team of a name, how it is called now if it was renamed, or which there are."""
    for one in there:
        if name.casefold() in (former.casefold() for former in one.former_names):
            return f"There is no team “{name}” any more: it is called “{one.name}” now."
    if not there:
        return f"There is no team “{name}”. There are none yet; Settings → Teams is where they are made."
    names = ", ".join(one.name for one in there[:NAMED])
    more = f" and {len(there) - NAMED} more" if len(there) > NAMED else ""
    return f"There is no team “{name}”. There {'is' if len(there) == 1 else 'are'} {names}{more}."
