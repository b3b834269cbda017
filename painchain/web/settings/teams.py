"""Settings → Teams: see, add, change and delete named sets of tags."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import HiddenField, StringField

from painchain.configuration import teams
from painchain.configuration.errors import InvalidValues, StaleRow
from painchain.configuration.teams import FIELDS, NAME, TAGS
from painchain.database.models import Team
from painchain.timeline import queries
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.settings import connector_form
from painchain.web.settings.connector_form import Conflict

blueprint = Blueprint("teams", __name__, url_prefix="/settings/teams")


class TeamForm(FlaskForm):  # type: ignore[misc]
    """A team's name and tags as entered, with the version and values from when the form was opened."""

    name = StringField(NAME.caption)
    tags = StringField(TAGS.caption)
    version = HiddenField()
    base = HiddenField()


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List the teams."""
    return responses.page("pages/settings/teams.html", teams=teams.list_all(), offered=queries.filter_values().tags)


@blueprint.get("/new")
def new() -> ResponseReturnValue:
    """Show the empty form."""
    return _page(200, None, _form_of(None))


@blueprint.post("/new")
def create() -> ResponseReturnValue:
    """Add a team."""
    form = TeamForm()
    try:
        with audited_transaction() as trail:
            team = teams.create(_submitted(form), trail)
    except InvalidValues as invalid:
        connector_form.show_errors(form, invalid.errors, has_addresses=False)
        return _page(422, None, form)
    return responses.go_to(url_for(".index"), Toast(f"Added team “{team.name}”."))


@blueprint.get("/<int:team_id>")
def team(team_id: int) -> ResponseReturnValue:
    """Show one team's form."""
    team = _get_or_404(team_id)
    return _page(200, team, _form_of(team))


@blueprint.post("/<int:team_id>")
def update(team_id: int) -> ResponseReturnValue:
    """Save the form of a team."""
    form = TeamForm()
    try:
        with audited_transaction() as trail:
            team = _get_or_404(team_id)
            changes = teams.update(team, _submitted(form), connector_form.version_submitted(), trail)
    except InvalidValues as invalid:
        connector_form.show_errors(form, invalid.errors, has_addresses=False)
        return _page(422, _get_or_404(team_id), form)
    except StaleRow:
        team = _get_or_404(team_id)
        return _page(409, team, form, conflict=_conflict(form, team))
    saved = Toast(f"Saved team “{team.name}”. Changed: {', '.join(change.label for change in changes)}.")
    return responses.go_to(url_for(".index"), saved if changes else Toast("No changes to save.", "info"))


@blueprint.get("/<int:team_id>/delete")
def confirm_delete(team_id: int) -> ResponseReturnValue:
    """List what is deleted with a team, and ask for confirmation."""
    return responses.page("pages/settings/delete_team.html", team=_get_or_404(team_id))


@blueprint.post("/<int:team_id>/delete")
def delete(team_id: int) -> ResponseReturnValue:
    """Delete a team."""
    try:
        with audited_transaction() as trail:
            team = _get_or_404(team_id)
            name = team.name
            teams.delete(team, connector_form.version_submitted(), trail)
    except StaleRow as stale:
        return responses.error(409, "Someone else changed this first", str(stale))
    return responses.go_to(url_for(".index"), Toast(f"Deleted team “{name}”. Connectors and events keep its tags."))


def _get_or_404(team_id: int) -> Team:
    team = teams.get(team_id) if team_id < 2**63 else None
    if team is None:
        abort(404, "No team with this ID. If it was deleted, the timeline shows when and by whom.")
    return team


def _page(status: int, team: Team | None, form: TeamForm, conflict: Conflict | None = None) -> ResponseReturnValue:
    """Show a team's form; return only the form to htmx."""
    values: dict[str, Any] = {"team": team, "form": form, "type": {"all_fields": FIELDS}, "conflict": conflict}
    if responses.is_htmx() and request.method == "POST":
        return responses.fragment("settings/team", **values), status
    return responses.page("pages/settings/team.html", status, **values)


def _form_of(team: Team | None) -> TeamForm:
    current = teams.values(team)
    entered = {field.key: connector_form.as_entered(field, current[field.key]) for field in FIELDS}
    return TeamForm(formdata=None, data={**entered, **connector_form.origin(team, current)})


def _submitted(form: TeamForm) -> dict[str, Any]:
    return {field.key: form[field.key].data for field in FIELDS if field.key in request.form}


def _conflict(form: TeamForm, team: Team) -> Conflict:
    base, _ = teams.clean(connector_form.read_base(form.base.data))
    entered, _ = teams.clean(_submitted(form))
    now = teams.values(team)
    return connector_form.merged(form, team, FIELDS, base, now, entered, connector_form.origin(team, now))
