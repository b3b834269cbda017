"""The JSON API of API tokens."""

from __future__ import annotations

from flask import g, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.accounts import api_tokens, users
from painchain.accounts.api_tokens import TokenView
from painchain.accounts.users import InvalidAccount
from painchain.core.validation import read
from painchain.web.api.common import api_blueprint, field_errors, found_or_404
from painchain.web.api.resources.base import answer, answer_list
from painchain.web.api.resources.settings import NewTokenMade, Token
from painchain.web.api.schemas import NewToken
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = api_blueprint("tokens_api")


@blueprint.errorhandler(InvalidAccount)
def handle_invalid_token(problem: InvalidAccount) -> Response:
    """Return the error response for invalid token values."""
    return json_error(422, f"Nothing was saved. {' '.join(problem.errors.values())}", field_errors(problem.errors))


@blueprint.get("/api/tokens")
def tokens() -> ResponseReturnValue:
    """List the tokens, without their secrets."""
    return answer_list(Token.of(token) for token in api_tokens.list_all(g.now))


@blueprint.post("/api/tokens")
def create() -> ResponseReturnValue:
    """Create a token; the response contains its secret, only this once."""
    body = read(NewToken, request.get_data())
    with audited_transaction(shows_once="the token") as trail:
        owner = users.get(g.who.person_id) if g.who.person_id else None
        if owner is None:
            return json_error(409, f"No token was created. {api_tokens.NO_ACCOUNT}")
        token, secret = api_tokens.create(body.name, body.role, body.days, owner, trail)
    members = Token.members(_get_or_404(token.id))
    return answer(NewTokenMade(**members, token=secret), 201, {"Location": url_for(".token", token_id=token.id)})


@blueprint.get("/api/tokens/<int:token_id>")
def token(token_id: int) -> ResponseReturnValue:
    """Return one token, without its secret."""
    return answer(Token.of(_get_or_404(token_id)))


@blueprint.delete("/api/tokens/<int:token_id>")
def revoke(token_id: int) -> ResponseReturnValue:
    """Revoke a token: it never works again."""
    with audited_transaction() as trail:
        api_tokens.revoke(found_or_404("token", token_id, api_tokens.get), trail)
    return "", 204


def _get_or_404(token_id: int) -> TokenView:
    return found_or_404("token", token_id, lambda number: api_tokens.find(number, g.now))
