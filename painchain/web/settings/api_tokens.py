"""Settings → API tokens: list, create and revoke tokens for scripts."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.accounts import api_tokens, users
from painchain.accounts.api_tokens import DAYS
from painchain.accounts.users import InvalidAccount
from painchain.core.roles import ROLE_DESCRIPTIONS, VIEWER
from painchain.database.models import ApiToken
from painchain.web.common import recent_sign_in, responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("tokens", __name__, url_prefix="/settings/tokens")

NEW: dict[str, Any] = {"name": "", "role": VIEWER, "days": 90}


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List the tokens."""
    return responses.page(
        "pages/settings/tokens.html", tokens=api_tokens.list_all(g.now), may_add=g.who.person_id is not None
    )


@blueprint.get("/new")
def new() -> ResponseReturnValue:
    """Show the empty form."""
    kept: dict[str, Any] = recent_sign_in.kept_values()
    if "days" in kept:
        kept["days"] = days_of(kept["days"])
    return _form({**NEW, **kept})


@blueprint.post("/new")
def create() -> ResponseReturnValue:
    """Create a token and show it once."""
    entered: dict[str, Any] = {
        "name": request.form.get("name", ""),
        "role": request.form.get("role", ""),
        "days": days_of(request.form.get("days", "")),
    }
    try:
        with audited_transaction(shows_once="the token") as trail:
            owner = users.get(g.who.person_id) if g.who.person_id else None
            if owner is None:
                return responses.error(409, "Token not created", api_tokens.NO_ACCOUNT)
            token, secret = api_tokens.create(**entered, owner=owner, trail=trail)
    except InvalidAccount as wrong:
        return _form(entered, 422, wrong.errors)
    return responses.page("pages/settings/token_made.html", token=token, secret=secret, address=request.url_root)


@blueprint.get("/<int:token_id>/revoke")
def confirm_revoke(token_id: int) -> ResponseReturnValue:
    """Ask for confirmation before revoking a token."""
    return responses.page("pages/settings/token_revoke.html", token=_get_or_404(token_id))


@blueprint.post("/<int:token_id>/revoke")
def revoke(token_id: int) -> ResponseReturnValue:
    """Revoke a token."""
    with audited_transaction() as trail:
        token = _get_or_404(token_id)
        name = token.name
        api_tokens.revoke(token, trail)
    return responses.go_to(url_for(".index"), Toast(f"Token “{name}” revoked. It no longer works."))


def days_of(text: str) -> int:
    """Return a token's lifetime in days; -1, which is never valid, if the text is not a number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else -1


def _form(entered: dict[str, Any], status: int = 200, errors: dict[str, str] | None = None) -> ResponseReturnValue:
    values = {"entered": entered, "errors": errors or {}, "roles": ROLE_DESCRIPTIONS, "days": (*DAYS, 0)}
    return responses.page("pages/settings/token_new.html", status, **values, may_add=g.who.person_id is not None)


def _get_or_404(token_id: int) -> ApiToken:
    token = api_tokens.get(token_id) if token_id < 2**63 else None
    if token is None:
        abort(404, "No token with this ID. If it was revoked, the timeline shows when and by whom.")
    return token
