"""/openapi.json describes the API correctly."""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis.errors import HypothesisException
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.engine import events as news
from schemathesis.engine import from_schema
from schemathesis.generation.case import Case
from schemathesis.schemas import BaseSchema
from schemathesis.transport.wsgi import WSGITransport

from painchain import connectors
from painchain.accounts import api_tokens, users
from painchain.database.session import db
from painchain.web.api import openapi
from tests.support.accounts import add_person, audited_transaction
from tests.support.webhook_source import HOOK
from tests.web.api.flow import FLOW, PATH_VALUES, PERSON, RESTORE

pytestmark = pytest.mark.usefixtures("fake_sources")

# Schemathesis does not know preconditions: 412 and 428 are refusals like 422.
REFUSED = ["400", "403", "404", "405", "409", "412", "413", "415", "422", "428"]
FUZZ = bool(os.environ.get("PAINCHAIN_TEST_FUZZ"))
GENERATION = {"deterministic": True, "database": "none"}
# `make test` sends a few generated requests to operations for which the coverage phase makes hundreds, and only those
# of the coverage phase to the others. `make test-fuzz` does all for all. The bodies of the last two are those of
# `POST /api/connectors/test` and `POST /api/connectors/try`.
LARGE = [
    *("POST /api/painchain/log", "POST /api/events", "POST /api/export", "GET /api/annotations", "GET /api/changes"),
    *("GET /api/stats", "GET /api/timeline", "POST /api/connectors/test", "PATCH /api/connectors/{id}"),
    *("POST /api/connectors/{id}/test", "POST /api/connectors/{id}/webhook/try"),
]
BOUNDED = {
    "seed": 1,
    "continue-on-failure": True,
    # Do not guess values from error messages or from the source code: the test is of the description.
    "analysis": {"constants": {"enabled": FUZZ}},
    "phases": {
        "stateful": {"max-steps": 5},
        "examples": {"extra-data-sources": {"responses": FUZZ}},
        "coverage": {"extra-data-sources": {"responses": FUZZ}},
        "fuzzing": {"error-feedback": {"enabled": False}, "extra-data-sources": {"responses": FUZZ}},
    },
    "operations": []
    if FUZZ
    else [
        {"include-name": LARGE, "phases": {"coverage": {"enabled": False}}},
        {"exclude-name": LARGE, "phases": {"fuzzing": {"enabled": False}}},
    ],
    "checks": {
        "enabled": True,
        "negative_data_rejection": {"expected-statuses": REFUSED},
        "missing_required_header": {"expected-statuses": REFUSED},
    },
}
NETWORK_OPTIONS = ("max_redirects", "verify", "cert", "proxies")

# Reasons why a valid value may be refused: the stored state, or a combination of two values.
ALLOWED_REFUSALS = (
    "in the meantime",
    "A connector named",
    "A team named",
    "A view named",
    *("Unknown parameter", "Filter is not a query string", "Filter can have", "range must be", "Delete one first"),
    "An account named",
    "This address already belongs to",
    "This name is reserved for PainChain",
    "This is not a valid email address",
    "Use at least 12 characters",
    "too easy to guess",
    "contains a character that cannot be seen",
    "contains an invisible character",
    "No team is named",
    "The expression has a syntax error",
    "The expression is not complete",
    "The expression calls",
    "The expression nests",
    "The expression is not a valid",
    "was renamed to",
    "Unknown field. A ",
    "A rule named",
    "Apprise does not support this URL",
    "An Apprise URL",
    "machine",
    "kinds can be",
    "Choose only settings that this event changed",
    "end_date must be later than start_date",
    "must lie between 1970 and 9000",
    "Invalid cursor",
    "must be PEM text",
    "the stored one is not sent to a new address",
    "Unknown qualifier",
    "Unknown source",
    "not both",
    "Unknown event type",
    ": needs ",
    "is not a time.",
    "The time is more than five minutes in the future",
    "needs a duration of at most",
    "do not overlap",
    "words and qualifiers",
    "The reason can have",
    "visible characters",
    "A token named",
    "contains an unprintable character",
    "Must be an http or https URL",
    "end_time needs a time",
    "Must not be after the year 9999",
    "Must not be before 1990",
    "Must have a character that can be seen",
)


@pytest.fixture(autouse=True)
def webhooks_everywhere(monkeypatch: pytest.MonkeyPatch, fake_sources: None) -> None:
    """Let every connector type support webhooks, even that of the connector whose id is the documented example."""
    for key, connector_type in connectors.TYPES.items():
        monkeypatch.setitem(connectors.TYPES, key, replace(connector_type, webhook=HOOK))


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let schemathesis work with a WSGI app: 4.32.5 passes network options on, and reads no compressed body."""
    send = WSGITransport.send

    def offline(transport: WSGITransport, case: Case, **arguments: Any) -> Any:
        arguments = {key: value for key, value in arguments.items() if key not in NETWORK_OPTIONS}
        arguments["headers"] = {**(arguments.get("headers") or {}), "Accept-Encoding": "identity"}
        return send(transport, case, **arguments)

    monkeypatch.setattr(WSGITransport, "send", offline)


@pytest.fixture(autouse=True)
def bearer(app: Flask) -> dict[str, str]:
    """The header of a token for API and metrics. Token and owner have id -1, so that no request removes them."""
    add_person(app, "owner")
    with audited_transaction(app) as trail:
        db.session.execute(db.text("UPDATE people SET id = -1"))
        owner = users.get(-1)
        assert owner is not None
        _, secret = api_tokens.create("tests", "admin", 7, owner, trail)
        db.session.execute(db.text("UPDATE api_tokens SET id = -1"))
    app.extensions["painchain"].settings = replace(app.extensions["painchain"].settings, metrics_token=secret)
    return {"Authorization": f"Bearer {secret}"}


class Findings:
    """The failures that schemathesis finds in all phases, and the number of successes of each operation."""

    def __init__(self, schema: BaseSchema) -> None:
        self.successes: Counter[str] = Counter()
        self.failures: list[str] = []
        self.checks: set[str] = set()
        for event in from_schema(schema).execute():
            if isinstance(event, news.FatalError):
                self.failures.append(str(event))
            # Hypothesis may run out of examples. That every operation was answered is asserted below.
            if isinstance(event, news.NonFatalError) and not isinstance(event.value, HypothesisException):
                self.failures.append(repr(event.value))
            if isinstance(event, news.ScenarioFinished):
                self.read(event.recorder)

    def read(self, scenario: Any) -> None:
        for key, interaction in scenario.interactions.items():
            answer = interaction.response
            self.successes[scenario.cases[key].value.operation.label] += answer.status_code < 300
            for check in scenario.checks.get(key, ()):
                self.checks.add(check.name)
                if check.failure_info and not is_excused(check.name, answer, answer.request.path_url):
                    words = (
                        check.name,
                        check.failure_info.failure.message,
                        check.failure_info.code_sample,
                        answer.text,
                    )
                    self.failures.append("\n".join(words))


def is_excused(check: str, answer: Any, path: str) -> bool:
    if check == "allow_header_conformance":
        return path.endswith("/restore")  # may also be the end of an event id, which is read with GET
    refused = check == "positive_data_acceptance" and answer.status_code in (412, 422)
    return refused and any(reason in answer.text for reason in ALLOWED_REFUSALS)


def load_schema(app: Flask, bearer: dict[str, str]) -> BaseSchema:
    # Each example is a request, so only a few are made, except in `make test-fuzz`.
    generation = {**GENERATION, "max-examples": 25 if FUZZ else 2}
    config = SchemathesisConfig.from_dict({**BOUNDED, "generation": generation, "headers": bearer})
    return schemathesis.openapi.from_wsgi("/openapi.json", app, config=config, headers=dict(bearer))


def test_schemathesis_finds_nothing(app: Flask, bearer: dict[str, str]) -> None:
    findings = Findings(load_schema(app, bearer))
    assert findings.failures == []
    assert findings.checks == set(CHECKS.get_all_names())  # no check is skipped; exceptions are only in `is_excused`
    never_answered = {f"{route.method} {route.path}" for route in openapi.ROUTES} - set(+findings.successes)
    # Schemathesis reads the description itself first, finds a revertible event, a connector that was just added and
    # values that fit its type only by luck, and can link no account.
    by_luck = {f"POST {RESTORE}", "DELETE /api/connectors/{id}"}
    by_luck |= {"POST /api/connectors/{id}/test", "POST /api/connectors/{id}/webhook/try"}
    assert never_answered - by_luck - {f"POST {PERSON}/unlink"} == {"GET /openapi.json"}


def test_every_address_of_the_api_is_described_with_its_methods_and_no_other(
    app: Flask, bearer: dict[str, str]
) -> None:
    served = {
        (method, re.sub(r"<[^>]+>", "{}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/health", "/metrics", "/openapi.json"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    document = app.test_client().get("/openapi.json", headers=bearer).get_json()
    documented = {
        (method.upper(), re.sub(r"{\w+}", "{}", path))
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert documented == served


def test_the_description_is_openapi_3_1_and_every_operation_has_its_own_id(
    client: FlaskClient, bearer: dict[str, str]
) -> None:
    document = client.get("/openapi.json", headers=bearer).get_json()
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert document["openapi"].startswith("3.1.")
    assert len(set(ids)) == len(ids) == len(openapi.ROUTES)


def test_every_default_is_one_of_the_values_that_are_allowed() -> None:
    checked = 0
    for name, schema in openapi.document()["components"]["schemas"].items():
        for member, described in schema.get("properties", {}).items():
            if "default" in described and "enum" in described:
                assert described["default"] in described["enum"], (name, member)
                checked += 1
    assert checked


def test_actual_responses_match_the_description(app: Flask, client: FlaskClient, bearer: dict[str, str]) -> None:
    schema = load_schema(app, bearer)
    for method, path, arguments, status in FLOW:
        headers = bearer | arguments.get("headers", {})
        response = client.open(path.format(**PATH_VALUES), method=method, **(arguments | {"headers": headers}))
        assert response.status_code == status, f"{method} {path}: {response.get_data(as_text=True)}"
        assert str(status) in schema.raw_schema["paths"][path][method.lower()]["responses"]
        schema[path][method].validate_response(response)
    assert {(method, path) for method, path, *_ in FLOW} == {(route.method, route.path) for route in openapi.ROUTES}


@pytest.mark.parametrize(
    ("method", "path", "url", "accepted"),
    [("POST", "/api/notify-rules", "", False), ("PATCH", "/api/notify-rules/1", "", True)],
    ids=["new", "kept"],
)
def test_a_blank_notification_url_is_described_as_it_is_taken(
    client: FlaskClient, bearer: dict[str, str], method: str, path: str, url: str, accepted: bool
) -> None:
    new = {"name": "Pager", "url": "json://127.0.0.1:9/", "kinds": ["connector_deleted"]}
    etag = client.post("/api/notify-rules", json=new, headers=bearer).headers["ETag"]
    body = {**new, "name": "On call", "url": url}
    response = client.open(path, method=method, json=body, headers={**bearer, "If-Match": etag})
    assert (response.status_code < 300) == accepted
    schemas = client.get("/openapi.json", headers=bearer).get_json()["components"]["schemas"]
    described = schemas["NewNotifyRule" if method == "POST" else "NotifyRulePatch"]["properties"]["url"]
    assert bool(re.search(described["pattern"], url)) == accepted


def test_a_wrong_response_is_detected(app: Flask, client: FlaskClient, bearer: dict[str, str]) -> None:
    connector = client.get("/api/connectors/1", headers=bearer)
    with pytest.raises(FailureGroup):
        load_schema(app, bearer)["/api/changes/{event}"]["GET"].validate_response(connector)
