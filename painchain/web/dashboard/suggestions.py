"""Suggest how to complete a search while it is typed, and explain the search language."""

from __future__ import annotations

from flask import Blueprint, g, request
from flask.typing import ResponseReturnValue

from painchain.timeline import suggestions
from painchain.web.common import responses

blueprint = Blueprint("searching", __name__)


@blueprint.get("/search/suggestions")
def suggest() -> ResponseReturnValue:
    """Return a list of completions for the search text before the caret."""
    text = request.args.get("q", "").replace("\0", "")
    completions = suggestions.suggest(text, g.now, responses.zone())
    return responses.fragment("dashboard/suggestions", suggestions=completions, typed=suggestions.last_term(text))


@blueprint.get("/search/help")
def help_page() -> ResponseReturnValue:
    """Explain the search language: as a page, or as the panel beside the search box to htmx."""
    if responses.is_htmx():
        return responses.fragment("dashboard/search_help")
    return responses.page("pages/dashboard/search_help.html")
