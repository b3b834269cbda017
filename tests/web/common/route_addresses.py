"""Addresses of pages and of the API, as routes have them."""

from __future__ import annotations

from collections.abc import Callable

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

HTMX = {"HX-Request": "true"}
MUTATING = {"POST", "PUT", "PATCH", "DELETE"}
LIST = "/settings/integrations"
CONNECTOR = f"{LIST}/<int:connector_id>"
API_CONNECTOR = "/api/connectors/<int:connector_id>"
RETENTION, TOKENS, LOG = "/settings/retention", "/settings/tokens", "/settings/audit-log"
TEAMS = "/settings/teams"
TEAM, API_TEAM = f"{TEAMS}/<int:team_id>", "/api/teams/<int:team_id>"
VIEWS = "/settings/views"
VIEW, API_VIEW = f"{VIEWS}/<int:view_id>", "/api/views/<int:view_id>"
WEBHOOK = f"{CONNECTOR}/webhook"
RULES = "/settings/notifications"
RULE = f"{RULES}/<int:rule_id>"
API_RULE = "/api/notify-rules/<int:rule_id>"
PEOPLE = "/settings/people"
PERSON, API_PERSON = f"{PEOPLE}/<int:person_id>", "/api/people/<int:person_id>"
SYSTEM = 1
Route = tuple[str, str]
Recipe = Callable[[FlaskClient, int], TestResponse]
