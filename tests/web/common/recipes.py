"""A successful request to each writing route, what it needs, and which events it writes."""

from __future__ import annotations

from collections.abc import Callable

from flask.testing import FlaskClient

from tests.support.accounts import add_person, sign_in
from tests.web.common.api_recipes import API_RECIPES
from tests.web.common.page_recipes import PAGE_RECIPES
from tests.web.common.recipe_steps import (
    add_admin,
    make_checkpoint,
    make_mapped,
    make_people,
    make_rule,
    make_token,
    make_webhook,
)
from tests.web.common.route_addresses import (
    API_CONNECTOR,
    API_RULE,
    CONNECTOR,
    LIST,
    LOG,
    PEOPLE,
    RETENTION,
    RULE,
    TOKENS,
    WEBHOOK,
    Route,
)

RECIPES = {**PAGE_RECIPES, **API_RECIPES}

# The preparations of routes that need more.
PREPARATIONS: dict[Route, Callable[[FlaskClient, int], object]] = {
    ("POST", f"{WEBHOOK}/remove"): make_webhook,
    ("DELETE", f"{API_CONNECTOR}/webhook"): make_webhook,
    ("POST", f"{CONNECTOR}/try"): make_mapped,
    ("POST", f"{API_CONNECTOR}/webhook/try"): make_mapped,
    ("POST", f"{LOG}/compare"): make_checkpoint,
    ("POST", "/hooks/<key>/<int:connector_id>"): make_webhook,
    **dict.fromkeys(
        [
            *(
                ("POST", address)
                for address in (RULE, f"{RULE}/test", f"{RULE}/seen", f"{RULE}/delete", f"{API_RULE}/test")
            ),
            *((method, API_RULE) for method in ("PATCH", "DELETE")),
        ],
        make_rule,
    ),
    **dict.fromkeys(
        [route for route in RECIPES if route[1].startswith((PEOPLE, "/api/people", "/account"))], make_people
    ),
    **dict.fromkeys([("POST", f"{TOKENS}/new"), ("POST", "/api/tokens")], add_admin),
    **dict.fromkeys(
        [("POST", f"{TOKENS}/<int:token_id>/revoke"), ("DELETE", "/api/tokens/<int:token_id>")], make_token
    ),
    ("POST", "/sign-in"): lambda client, number: add_person(client.application),
    ("POST", "/sign-out"): lambda client, number: add_person(client.application) and sign_in(client),
}

# Writing routes that record no event, each with the reason.
WITHOUT_EVENT: dict[Route, str] = {
    ("POST", f"{RETENTION}/prune"): "it schedules a removal, which records its own event (test_pruning)",
    ("POST", f"{LOG}/check"): "it starts a check of the log, and changes nothing",
    ("POST", f"{LOG}/compare"): "the same",
    ("POST", f"{CONNECTOR}/sync"): "it polls a source earlier, and changes no configuration",
    ("POST", f"{API_CONNECTOR}/sync"): "the same",
    ("POST", f"{CONNECTOR}/test"): "it tests a connection, and saves nothing",
    ("POST", f"{LIST}/new/<key>/test"): "the same",
    ("POST", f"{API_CONNECTOR}/test"): "the same",
    ("POST", "/api/connectors/test"): "the same",
    ("POST", f"{CONNECTOR}/try"): "it tries a mapping, and saves nothing",
    ("POST", f"{LIST}/new/<key>/try"): "the same",
    ("POST", f"{API_CONNECTOR}/webhook/try"): "the same",
    ("POST", "/api/connectors/try"): "the same",
    **dict.fromkeys([("POST", f"{RULE}/test"), ("POST", f"{API_RULE}/test")], "it sends a message and changes nothing"),
    ("POST", f"{RULE}/seen"): "it hides a failure, and changes no configuration",
}
