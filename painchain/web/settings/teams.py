"""Settings → Teams: see, add, change and delete named sets of tags."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField

from painchain.audit.diff import diff
from painchain.configuration import teams
from painchain.configuration.errors import InvalidValues
from painchain.configuration.teams import FIELDS, NAME, TAGS, StaleTeam
from painchain.database.models import Team
from painchain.timeline import queries
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.settings import connector_form
from painchain.web.settings.connector_form import Conflict

blueprint = Blueprint("teams", __name__, url_prefix="/settings/teams")


class TeamForm(FlaskForm):  # type: ignore[misc]
    """A team's name and tags as they are typed, with the version and the values that the form began with."""

    name = StringField(NAME.caption)
    tags = StringField(TAGS.caption)
    version = HiddenField()
    base = HiddenField()


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List the teams."""
    return responses.page("pages/settings/teams.html", teams=teams.list_all(), offered=queries.tags())


@blueprint.get("/new")
def new() -> ResponseReturnValue:
    """Show the empty form."""
    return _page(200, None, _shown(None))


@blueprint.post("/new")
def create() -> ResponseReturnValue:
    """Add a team."""
    form = TeamForm()
    try:
        with audited_transaction() as trail:
            one = teams.create(_submitted(form), trail)
    except InvalidValues as invalid:
        connector_form.show_errors(form, invalid.errors)
        return _page(422, None, form)
    return responses.go_to(url_for(".index"), Toast(f"The team “{one.name}” is added."))


@blueprint.get("/<int:team_id>")
def team(team_id: int) -> ResponseReturnValue:
    """Show one team's form."""
    one = _get_or_404(team_id)
    return _page(200, one, _shown(one))


@blueprint.post("/<int:team_id>")
def update(team_id: int) -> ResponseReturnValue:
    """Save the form of a team."""
    form = TeamForm()
    try:
        with audited_transaction() as trail:
            one = _get_or_404(team_id)
            changes = teams.update(one, _submitted(form), connector_form.version_submitted(), trail)
    except InvalidValues as invalid:
        connector_form.show_errors(form, invalid.errors)
        return _page(422, _get_or_404(team_id), form)
    except StaleTeam:
        one = _get_or_404(team_id)
        return _page(409, one, form, conflict=_conflict(form, one))
    saved = Toast(f"Saved the team “{one.name}”: {', '.join(change.label for change in changes)}.")
    return responses.go_to(
        url_for(".index"), saved if changes else Toast("Nothing to save: everything is as it was.", "info")
    )


@blueprint.get("/<int:team_id>/delete")
def confirm_delete(team_id: int) -> ResponseReturnValue:
    """Name what goes with a team, and ask."""
    return responses.page("pages/settings/delete_team.html", team=_get_or_404(team_id))


@blueprint.post("/<int:team_id>/delete")
def delete(team_id: int) -> ResponseReturnValue:
    """Delete a team."""
    try:
        with audited_transaction() as trail:
            one = _get_or_404(team_id)
            name = one.name
            teams.delete(one, connector_form.version_submitted(), trail)
    except StaleTeam as stale:
        return responses.error(409, "Somebody else was first", f"{stale} Reload the page to see it as it is now.")
    return responses.go_to(url_for(".index"), Toast(f"The team “{name}” is deleted. Its tags stay where they are."))


def _get_or_404(team_id: int) -> Team:
    one = teams.get(team_id) if team_id < 2**63 else None
    if one is None:
        abort(404, "There is no team here any more. What became of it is on the timeline.")
    return one


def _page(status: int, one: Team | None, form: TeamForm, conflict: Conflict | None = None) -> ResponseReturnValue:
    """Show a team's form; to htmx the form alone."""
    values: dict[str, Any] = {"team": one, "form": form, "type": {"all_fields": FIELDS}, "conflict": conflict}
    if responses.is_htmx() and request.method == "POST":
        return responses.fragment("settings/team", **values), status
    return responses.page("pages/settings/team.html", status, **values)


def _shown(one: Team | None) -> TeamForm:
    current = teams.values(one)
    entered = {field.key: connector_form.as_entered(field, current[field.key]) for field in FIELDS}
    return TeamForm(formdata=None, data={**entered, **_origin(one)})


def _origin(one: Team | None) -> dict[str, str]:
    if one is None:
        return {"version": "", "base": ""}
    return {"version": str(one.version), "base": json.dumps(teams.values(one), ensure_ascii=False)}


def _submitted(form: TeamForm) -> dict[str, Any]:
    return {field.key: form[field.key].data for field in FIELDS if field.key in request.form}


def _conflict(form: TeamForm, one: Team) -> Conflict:
    """Compare what both people did since the form was opened, and bring the form up to date where only they did."""
    now = teams.values(one)
    base = {**now, **teams.clean(connector_form.read_base(form.base.data))[0]}
    mine_entered, _ = teams.clean(_submitted(form))
    theirs, mine = diff(FIELDS, base, now), diff(FIELDS, base, mine_entered)
    for change in theirs:
        if change.key not in {one.key for one in mine}:
            field = next(field for field in FIELDS if field.key == change.key)
            form[change.key].data = connector_form.as_entered(field, change.new)
    for key, value in _origin(one).items():
        form[key].data = value
    return Conflict(one, theirs, mine)
