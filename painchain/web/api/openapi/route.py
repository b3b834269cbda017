"""What the API's description says about one route, and what several routes have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from painchain.core.validation import Body
from painchain.web.api.openapi.parameters import Parameters


@dataclass(frozen=True)
class Route:
    """One method of one path: its parameters, responses and errors. Clients use the operation ID; never change it."""

    summary: str
    operation_id: str
    method: str
    path: str
    answer: Any  # a resource, a list of one, a dict of anything, or None for no JSON
    refusals: tuple[int, ...]
    body: type[Body] | None = None
    status: int = 200
    headers: tuple[str, ...] = ()
    query: Parameters | None = None
    also: tuple[str, ...] = ()  # other media types of the answer
    optional_body: bool = False
    # The body and the answer are one object or a list of them. The status is 200 if they were recorded before.
    takes_batches: bool = False
    other_bodies: tuple[tuple[str, Any], ...] = ()  # other media types of the body, each with a model or a list of one


# What each kind of route refuses.
READ = (400, 422, 503)
WRITE = (400, 403, 415, 422, 503)
CHANGE = (*WRITE, 404, 412)
CONNECTOR_PATH = "/api/connectors/{id}"
EVENT_PATH = "/api/changes/{event}"
NOTES = f"{EVENT_PATH}/notes"
TEAM_PATH = "/api/teams/{team}"
VIEW_PATH = "/api/views/{view}"
TOGGLE = f"{CONNECTOR_PATH}/visibility/{{event_type}}/{{field}}"
DO = (*WRITE, 409)
RULE_PATH = "/api/notify-rules/{rule}"
PERSON_PATH = "/api/people/{person}"
TOKENS = "/api/tokens"
ETAG, LOCATION = ("ETag",), ("Location",)
NEW_ETAG = ETAG + LOCATION
REVERT = (*WRITE, 404, 409, 413)
