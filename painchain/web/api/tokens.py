"""The JSON API of tokens; the same guards and refusals as the rest of the API."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import abort, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.accounts import api_tokens, users
from painchain.accounts.api_tokens import Listed
from painchain.accounts.users import InvalidAccount
from painchain.core.validation import read
from painchain.database.types import iso
from painchain.web.api import events
from painchain.web.api.schemas import NewToken
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = events.guarded("tokens_api")


@blueprint.errorhandler(InvalidAccount)
def wrong(problem: InvalidAccount) -> Response:
    """Answer values that a token cannot have."""
    errors = [{"field": field, "message": message} for field, message in problem.errors.items()]
    return json_error(422, f"Nothing was saved. {' '.join(problem.errors.values())}", errors)


@blueprint.get("/api/tokens")
def tokens() -> ResponseReturnValue:
    """List the tokens, without their secrets."""
    return jsonify([token_json(one) for one in api_tokens.listed(g.now)])


@blueprint.post("/api/tokens")
def create() -> ResponseReturnValue:
    """Make a token; the answer has its secret, this once."""
    body = read(NewToken, request.get_data())
    with audited_transaction() as trail:
        owner = users.get(g.who.person_id) if g.who.person_id else None
        if owner is None:
            return json_error(409, f"No token was made. {api_tokens.NOBODY}")
        one, secret = api_tokens.create(body.name, body.role, body.days, owner, trail)
    made = token_json(api_tokens.one(one.id, g.now))
    return jsonify({**made, "token": secret}), 201, {"Location": url_for(".token", token_id=one.id)}


@blueprint.get("/api/tokens/<int:token_id>")
def token(token_id: int) -> ResponseReturnValue:
    """Return one token, without its secret."""
    return jsonify(token_json(_get_or_404(token_id)))


@blueprint.delete("/api/tokens/<int:token_id>")
def revoke(token_id: int) -> ResponseReturnValue:
    """Revoke a token: it never works again."""
    with audited_transaction() as trail:
        one = api_tokens.get(_get_or_404(token_id).id)
        assert one is not None  # noqa: S101  it has just been read, in the same transaction
        api_tokens.revoke(one, trail)
    return "", 204


def token_json(one: Listed | None) -> dict[str, Any]:
    """Return a token as the API gives it."""
    if one is None:
        abort(404, "There is no token of this id.")
    told = {name: value for name, value in asdict(one).items() if name != "ended"}
    moments = {name: iso(told[name]) if told[name] else None for name in ("created_at", "expires", "last_used")}
    return {**told, **moments}


def _get_or_404(token_id: int) -> Listed:
    found = api_tokens.one(token_id, g.now) if token_id < 2**63 else None
    if found is None:
        abort(404, "There is no token of this id.")
    return found
