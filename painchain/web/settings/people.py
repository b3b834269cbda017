"""Settings → People: accounts, roles and reset links."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.accounts import invitations, oidc_provisioning, password_links, users
from painchain.accounts.users import AccountRefused, InvalidAccount, LastAdmin, StaleAccount
from painchain.core import runtime
from painchain.core.roles import ROLE_DESCRIPTIONS
from painchain.database.models import Person
from painchain.web.common import auth, recent_sign_in, responses
from painchain.web.common.links import password_link
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.settings.connector_form import version_submitted

blueprint = Blueprint("people", __name__, url_prefix="/settings/people")

FIELDS = ("name", "role", "email")


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List the accounts."""
    last_seen = invitations.last_seen(auth.limits(), g.now)
    return responses.page("pages/settings/people.html", people=users.list_users(), seen=last_seen)


@blueprint.get("/new")
def new() -> ResponseReturnValue:
    """Show the empty form."""
    return _form(None, {"name": "", "role": invitations.first_role(), "email": "", **recent_sign_in.kept_values()})


@blueprint.post("/new")
def create() -> ResponseReturnValue:
    """Add an account; if it has no password, show its one-time link once."""
    values, first = _submitted(), not users.any_exist()
    try:
        with audited_transaction(shows_once="" if request.form.get("password") else "the reset link") as trail:
            invited = invitations.invite(**values, password=request.form.get("password", ""), trail=trail)
    except InvalidAccount as wrong:
        return _form(None, values, 422, wrong.errors)
    if invited.secret:
        return _show_link(invited.person, invited.secret, first)
    sign_in_note = " From now on, everyone must sign in." if first else ""
    return responses.go_to(
        url_for(".index"), Toast(f"Added {invited.person.name} as {invited.person.role}.{sign_in_note}")
    )


@blueprint.get("/<int:person_id>")
def person(person_id: int) -> ResponseReturnValue:
    """Show one account's form."""
    person = _get_or_404(person_id)
    stored = {name: getattr(person, name) or "" for name in FIELDS}
    return _form(person, {**stored, **recent_sign_in.kept_values()})


@blueprint.post("/<int:person_id>")
def update(person_id: int) -> ResponseReturnValue:
    """Save an account's name, role and email address."""
    values = _submitted()
    try:
        with audited_transaction() as trail:
            person = _get_or_404(person_id)
            changed = users.change(person, trail, version_submitted(), **values)
    except InvalidAccount as wrong:
        return _form(_get_or_404(person_id), values, 422, wrong.errors)
    except StaleAccount:
        return _form(_get_or_404(person_id), values, 409)
    except LastAdmin as refusal:
        return _form(_get_or_404(person_id), values, 409, {"role": str(refusal)})
    saved = Toast(f"Saved {person.name}.") if changed else Toast("No changes to save.", "info")
    return responses.go_to(url_for(".index"), saved)


@blueprint.post("/<int:person_id>/link")
def make_link(person_id: int) -> ResponseReturnValue:
    """Create a one-time link that sets a new password, and show it once."""
    try:
        with audited_transaction(shows_once="the reset link") as trail:
            person = _get_or_404(person_id)
            secret = invitations.new_link(person, trail)
    except AccountRefused as refusal:
        return _refused(refusal)
    return _show_link(person, secret)


@blueprint.post("/<int:person_id>/disable")
def disable(person_id: int) -> ResponseReturnValue:
    """Disable an account."""
    try:
        with audited_transaction() as trail:
            person = _get_or_404(person_id)
            users.disable(person, trail, version_submitted())
    except AccountRefused as refusal:
        return _refused(refusal)
    return responses.go_to(url_for(".index"), Toast(f"Disabled {person.name} and ended all their sessions."))


@blueprint.post("/<int:person_id>/enable")
def enable(person_id: int) -> ResponseReturnValue:
    """Enable an account."""
    try:
        with audited_transaction() as trail:
            person = _get_or_404(person_id)
            users.enable(person, trail, version_submitted())
    except AccountRefused as refusal:
        return _refused(refusal)
    return responses.go_to(url_for(".index"), Toast(f"Enabled {person.name}. They can sign in again."))


@blueprint.get("/<int:person_id>/remove")
def confirm_remove(person_id: int) -> ResponseReturnValue:
    """List what is deleted with an account, and ask for confirmation."""
    person = _get_or_404(person_id)
    tokens, views = invitations.tokens_of(person), users.views_of(person)
    return responses.page("pages/settings/person_remove.html", person=person, tokens=tokens, views=views)


@blueprint.post("/<int:person_id>/remove")
def remove(person_id: int) -> ResponseReturnValue:
    """Remove an account."""
    try:
        with audited_transaction() as trail:
            person = _get_or_404(person_id)
            name = person.name
            users.remove(person, trail, version_submitted())
    except AccountRefused as refusal:
        return _refused(refusal)
    return responses.go_to(url_for(".index"), Toast(f"Removed {name}. Their events stay on the timeline."))


@blueprint.get("/<int:person_id>/unlink")
def confirm_unlink(person_id: int) -> ResponseReturnValue:
    """Say what changes when an account is unlinked from its identity, and ask for confirmation."""
    person = _get_or_404(person_id)
    try:
        oidc_provisioning.refuse_unlinking(person, is_own=False, has_provider=runtime.current().oidc is not None)
    except AccountRefused as refusal:
        return _refused(refusal)
    return responses.page("pages/settings/person_unlink.html", person=person)


@blueprint.post("/<int:person_id>/unlink")
def unlink(person_id: int) -> ResponseReturnValue:
    """Unlink an account from its identity at the provider."""
    try:
        with audited_transaction() as trail:
            person = _get_or_404(person_id)
            oidc_provisioning.refuse_unlinking(person, is_own=False, has_provider=runtime.current().oidc is not None)
            oidc_provisioning.unlink(person, trail, version_submitted())
    except AccountRefused as refusal:
        return _refused(refusal)
    return responses.go_to(url_for(".person", person_id=person_id), Toast(f"Unlinked {person.name}."))


def _show_link(person: Person, secret: str, first: bool = False) -> ResponseReturnValue:
    hours = password_links.LINK_HOURS["reset"]
    return responses.page(
        "pages/settings/person_link.html", person=person, link=password_link(secret), hours=hours, first=first
    )


def _form(
    person: Person | None, entered: dict[str, Any], status: int = 200, errors: dict[str, str] | None = None
) -> ResponseReturnValue:
    """Show the form. After a conflict, show the account's current values as well."""
    conflict = person if status == 409 and not errors else None
    values = {
        "person": person,
        "entered": entered,
        "errors": errors or {},
        "conflict": conflict,
        "roles": ROLE_DESCRIPTIONS,
    }
    return responses.page("pages/settings/person_edit.html", status, **values)


def _submitted() -> dict[str, str]:
    return {name: request.form.get(name, "") for name in FIELDS}


def _refused(refusal: AccountRefused) -> ResponseReturnValue:
    return responses.error(409, "Not changed", str(refusal))


def _get_or_404(person_id: int) -> Person:
    person = users.get(person_id) if person_id < 2**63 else None
    if person is None:
        abort(404, "No account with this ID. If it was removed, the timeline shows when and by whom.")
    return person
