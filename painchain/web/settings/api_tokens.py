"""Settings → API tokens: see, make and revoke the tokens of scripts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.accounts import api_tokens, users
from painchain.accounts.api_tokens import DAYS
from painchain.accounts.users import InvalidAccount
from painchain.core.roles import MAY, VIEWER
from painchain.database.account_models import ApiToken
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("tokens", __name__, url_prefix="/settings/tokens")

NEW: dict[str, Any] = {"name": "", "role": VIEWER, "days": 90}


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List the tokens."""
    return responses.page(
        "pages/settings/tokens.html", tokens=api_tokens.listed(g.now), may_add=g.who.person_id is not None
    )


@blueprint.get("/new")
def new() -> ResponseReturnValue:
    """Show the empty form."""
    return _form(NEW)


@blueprint.post("/new")
def create() -> ResponseReturnValue:
    """Make a token and show it, this once."""
    entered: dict[str, Any] = {
        "name": request.form.get("name", ""),
        "role": request.form.get("role", ""),
        "days": days_of(request.form.get("days", "")),
    }
    try:
        with audited_transaction() as trail:
            owner = users.get(g.who.person_id) if g.who.person_id else None
            if owner is None:
                return responses.error(409, "No token was made", api_tokens.NOBODY)
            token, secret = api_tokens.create(**entered, owner=owner, trail=trail)
    except InvalidAccount as wrong:
        return _form(entered, 422, wrong.errors)
    return responses.page("pages/settings/token_made.html", token=token, secret=secret, address=request.url_root)


@blueprint.get("/<int:token_id>/revoke")
def confirm_revoke(token_id: int) -> ResponseReturnValue:
    """Say what stops, and ask."""
    return responses.page("pages/settings/token_revoke.html", token=_get_or_404(token_id))


@blueprint.post("/<int:token_id>/revoke")
def revoke(token_id: int) -> ResponseReturnValue:
    """Revoke a token."""
    with audited_transaction() as trail:
        one = _get_or_404(token_id)
        name = one.name
        api_tokens.revoke(one, trail)
    return responses.go_to(url_for(".index"), Toast(f"The token “{name}” is revoked: it opens nothing any more."))


def days_of(text: str) -> int:
    """Return for how many days a token is to last; -1, which nothing lasts, for what is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else -1


def _form(entered: dict[str, Any], status: int = 200, errors: dict[str, str] | None = None) -> ResponseReturnValue:
    values = {"entered": entered, "errors": errors or {}, "roles": MAY, "days": (*DAYS, 0)}
    return responses.page("pages/settings/token_new.html", status, **values, may_add=g.who.person_id is not None)


def _get_or_404(token_id: int) -> ApiToken:
    one = api_tokens.get(token_id) if token_id < 2**63 else None
    if one is None:
        abort(404, "There is no token here any more. What became of it is on the timeline.")
    return one
