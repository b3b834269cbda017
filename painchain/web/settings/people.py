"""Settings → People: who may sign in, as what, and the links by which they set their passwords."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.accounts import invitations, password_links, users
from painchain.accounts.users import AccountRefused, InvalidAccount, LastAdmin, StaleAccount
from painchain.core.roles import MAY
from painchain.database.account_models import Person
from painchain.web.common import auth, responses
from painchain.web.common.links import password_link
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.settings.connector_form import version_submitted

blueprint = Blueprint("people", __name__, url_prefix="/settings/people")

FIELDS = ("name", "role", "email")


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List the accounts."""
    seen = invitations.last_seen(auth.limits(), g.now)
    return responses.page("pages/settings/people.html", people=users.list_users(), seen=seen)


@blueprint.get("/new")
def new() -> ResponseReturnValue:
    """Show the empty form."""
    return _form(None, {"name": "", "role": invitations.first_role(), "email": ""})


@blueprint.post("/new")
def create() -> ResponseReturnValue:
    """Add an account; without a password show its link, this once."""
    values, first = _submitted(), not users.any_exist()
    try:
        with audited_transaction() as trail:
            invited = invitations.invite(**values, password=request.form.get("password", ""), trail=trail)
    except InvalidAccount as wrong:
        return _form(None, values, 422, wrong.errors)
    if invited.secret:
        return _show_link(invited.person, invited.secret, first)
    said = " From now on everybody signs in." if first else ""
    return responses.go_to(url_for(".index"), Toast(f"{invited.person.name} is added as {invited.person.role}.{said}"))


@blueprint.get("/<int:person_id>")
def person(person_id: int) -> ResponseReturnValue:
    """Show one account's form."""
    one = _get_or_404(person_id)
    return _form(one, {name: getattr(one, name) or "" for name in FIELDS})


@blueprint.post("/<int:person_id>")
def update(person_id: int) -> ResponseReturnValue:
    """Save name, role and address of an account."""
    values = _submitted()
    try:
        with audited_transaction() as trail:
            one = _get_or_404(person_id)
            changed = users.change(one, trail, version_submitted(), **values)
    except InvalidAccount as wrong:
        return _form(_get_or_404(person_id), values, 422, wrong.errors)
    except StaleAccount:
        return _form(_get_or_404(person_id), values, 409)
    except LastAdmin as refusal:
        return _form(_get_or_404(person_id), values, 409, {"role": str(refusal)})
    saved = Toast(f"Saved {one.name}.") if changed else Toast("Nothing to save: everything is as it was.", "info")
    return responses.go_to(url_for(".index"), saved)


@blueprint.post("/<int:person_id>/link")
def make_link(person_id: int) -> ResponseReturnValue:
    """Make a link that sets the password anew, and show it, this once."""
    try:
        with audited_transaction() as trail:
            one = _get_or_404(person_id)
            secret = invitations.new_link(one, trail)
    except AccountRefused as refusal:
        return _refused(refusal)
    return _show_link(one, secret)


@blueprint.post("/<int:person_id>/disable")
def disable(person_id: int) -> ResponseReturnValue:
    """Keep somebody out from now on."""
    try:
        with audited_transaction() as trail:
            one = _get_or_404(person_id)
            users.disable(one, trail, version_submitted())
    except AccountRefused as refusal:
        return _refused(refusal)
    return responses.go_to(url_for(".index"), Toast(f"{one.name} is disabled, and signed out everywhere."))


@blueprint.post("/<int:person_id>/enable")
def enable(person_id: int) -> ResponseReturnValue:
    """Let somebody in again."""
    try:
        with audited_transaction() as trail:
            one = _get_or_404(person_id)
            users.enable(one, trail, version_submitted())
    except AccountRefused as refusal:
        return _refused(refusal)
    return responses.go_to(url_for(".index"), Toast(f"{one.name} is enabled and can sign in again."))


@blueprint.get("/<int:person_id>/remove")
def confirm_remove(person_id: int) -> ResponseReturnValue:
    """Name what goes with an account, and ask."""
    one = _get_or_404(person_id)
    return responses.page("pages/settings/person_remove.html", person=one, tokens=invitations.tokens_of(one))


@blueprint.post("/<int:person_id>/remove")
def remove(person_id: int) -> ResponseReturnValue:
    """Remove an account."""
    try:
        with audited_transaction() as trail:
            one = _get_or_404(person_id)
            name = one.name
            users.remove(one, trail, version_submitted())
    except AccountRefused as refusal:
        return _refused(refusal)
    return responses.go_to(url_for(".index"), Toast(f"{name} is removed. What they changed stays on the timeline."))


def _show_link(one: Person, secret: str, first: bool = False) -> ResponseReturnValue:
    hours = password_links.LINK_HOURS["reset"]
    return responses.page(
        "pages/settings/person_link.html", person=one, link=password_link(secret), hours=hours, first=first
    )


def _form(
    one: Person | None, entered: dict[str, Any], status: int = 200, errors: dict[str, str] | None = None
) -> ResponseReturnValue:
    """Show the form. After a conflict it goes on from the account as it is now, and says what that is."""
    conflict = one if status == 409 and not errors else None
    values = {"person": one, "entered": entered, "errors": errors or {}, "conflict": conflict, "roles": MAY}
    return responses.page("pages/settings/person_edit.html", status, **values)


def _submitted() -> dict[str, str]:
    return {name: request.form.get(name, "") for name in FIELDS}


def _refused(refusal: AccountRefused) -> ResponseReturnValue:
    return responses.error(409, "Nothing was changed", str(refusal))


def _get_or_404(person_id: int) -> Person:
    one = users.get(person_id) if person_id < 2**63 else None
    if one is None:
        abort(404, "There is no account here any more. What became of it is on the timeline.")
    return one
