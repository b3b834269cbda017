"""The JSON API of teams; the same guards and refusals as the rest of the API."""

from __future__ import annotations

from typing import Any

from flask import abort, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.configuration import teams
from painchain.configuration.errors import ChangeRefused
from painchain.configuration.teams import StaleTeam
from painchain.core.validation import read
from painchain.database.models import Team
from painchain.database.types import iso
from painchain.web.api import events
from painchain.web.api.schemas import NewTeam, TeamPatch
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = events.guarded("teams_api")
blueprint.register_error_handler(ChangeRefused, events.refused)


@blueprint.errorhandler(StaleTeam)
def stale(problem: StaleTeam) -> Response:
    """Answer a change made upon an older version."""
    return json_error(412, f"{problem} Read it again and repeat the change.", headers=_etag(problem.team))


@blueprint.get("/api/teams")
def all_teams() -> ResponseReturnValue:
    """List the teams."""
    return jsonify([team_json(one) for one in teams.list_all()])


@blueprint.post("/api/teams")
def create() -> ResponseReturnValue:
    """Add a team."""
    body = read(NewTeam, request.get_data())
    with audited_transaction() as trail:
        one = teams.create({"name": body.name, "tags": body.tags}, trail)
    return _answer(one, 201, Location=url_for(".team", team_id=one.id))


@blueprint.get("/api/teams/<int:team_id>")
def team(team_id: int) -> ResponseReturnValue:
    """Return one team with its ETag."""
    return _answer(_get_or_404(team_id))


@blueprint.patch("/api/teams/<int:team_id>")
def patch(team_id: int) -> ResponseReturnValue:
    """Change some of a team's values."""
    body = read(TeamPatch, request.get_data())
    if "If-Match" not in request.headers:
        _get_or_404(team_id)
        return json_error(428, "Send the ETag of the team you read as If-Match, so that no one's change is lost.")
    with audited_transaction() as trail:
        one = _matched_or_412(team_id)
        teams.update(one, {key: getattr(body, key) for key in body.model_fields_set}, None, trail)
    return _answer(one)


@blueprint.delete("/api/teams/<int:team_id>")
def delete(team_id: int) -> ResponseReturnValue:
    """Delete a team; its tags stay where they are."""
    with audited_transaction() as trail:
        teams.delete(_matched_or_412(team_id), None, trail)
    return "", 204


def team_json(one: Team) -> dict[str, Any]:
    """Return a team as the API gives it."""
    return {
        "id": one.id,
        "name": one.name,
        "tags": one.tags,
        "version": one.version,
        "created_at": iso(one.created_at),
        "created_by": one.created_by,
        "updated_at": iso(one.updated_at),
        "updated_by": one.updated_by,
    }


def _answer(one: Team, status: int = 200, **headers: str) -> ResponseReturnValue:
    return jsonify(team_json(one)), status, {**_etag(one), **headers}


def _etag(one: Team) -> dict[str, str]:
    return {"ETag": f'"team-{one.id}-{one.version}"'}


def _get_or_404(team_id: int) -> Team:
    one = teams.get(team_id) if team_id < 2**63 else None
    if one is None:
        abort(404, "There is no team of this id.")
    return one


def _matched_or_412(team_id: int) -> Team:
    """Return the team, if it is still the version that If-Match names or there is no such header.

    :raises Stale: when it is another version.
    """
    one = _get_or_404(team_id)
    if "If-Match" in request.headers and not request.if_match.contains(f"team-{one.id}-{one.version}"):
        raise StaleTeam(one)
    return one
