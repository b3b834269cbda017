"""The JSON API of teams."""

from __future__ import annotations

from flask import request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration import teams
from painchain.configuration.errors import StaleRow
from painchain.core.validation import read
from painchain.database import models
from painchain.web.api.common import Editable, api_blueprint
from painchain.web.api.resources.base import answer, answer_list
from painchain.web.api.resources.settings import Team
from painchain.web.api.schemas import NewTeam, TeamPatch
from painchain.web.common.transaction import audited_transaction

blueprint = api_blueprint("teams_api")
RECORDS = Editable("team", teams.get, StaleRow, "team-")


@blueprint.get("/api/teams")
def all_teams() -> ResponseReturnValue:
    """List the teams."""
    return answer_list(Team.of(team) for team in teams.list_all())


@blueprint.post("/api/teams")
def create() -> ResponseReturnValue:
    """Add a team."""
    body = read(NewTeam, request.get_data())
    with audited_transaction() as trail:
        team = teams.create({"name": body.name, "tags": body.tags}, trail)
    return _answer(team, 201, Location=url_for(".team", team_id=team.id))


@blueprint.get("/api/teams/<int:team_id>")
def team(team_id: int) -> ResponseReturnValue:
    """Return one team with its ETag."""
    return _answer(RECORDS.get_or_404(team_id))


@blueprint.patch("/api/teams/<int:team_id>")
def patch(team_id: int) -> ResponseReturnValue:
    """Change some of a team's values."""
    body = read(TeamPatch, request.get_data())
    RECORDS.require_if_match(team_id)
    with audited_transaction() as trail:
        team = RECORDS.matching(team_id)
        teams.update(team, {key: getattr(body, key) for key in body.model_fields_set}, None, trail)
    return _answer(team)


@blueprint.delete("/api/teams/<int:team_id>")
def delete(team_id: int) -> ResponseReturnValue:
    """Delete a team; its tags stay on connectors and events."""
    with audited_transaction() as trail:
        teams.delete(RECORDS.matching(team_id), None, trail)
    return "", 204


def _answer(team: models.Team, status: int = 200, **headers: str) -> ResponseReturnValue:
    return answer(Team.of(team), status, RECORDS.etag(team) | headers)
