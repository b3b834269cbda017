"""The door of the search box: what it suggests while somebody types."""

from __future__ import annotations

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from painchain.timeline import suggestions
from painchain.web.common import responses

blueprint = Blueprint("searching", __name__)


@blueprint.get("/search/suggestions")
def suggest() -> ResponseReturnValue:
    """Return how the search up to the caret could go on, as a list to choose from."""
    text = request.args.get("q", "").replace("\0", "")
    found = suggestions.suggest(text, g.now, responses.zone())
    return responses.fragment("dashboard/suggestions", suggestions=found, typed=suggestions.last_term(text))
