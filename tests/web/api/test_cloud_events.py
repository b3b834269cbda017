"""POST /api/events takes CloudEvents in all modes, from SDKs that no one here wrote, and reads CDEvents."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1.conversion import to_binary as old_to_binary
from cloudevents.v1.http import CloudEvent as OldCloudEvent
from flask import Flask
from flask.testing import FlaskClient
from waitress.server import create_server
from werkzeug.test import TestResponse

from tests.counterparts.node import need
from tests.support.api import Events, problem

ADDRESS = "/api/events"
STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
ROOT = Path(__file__).parents[3]
CDEVENTS = ROOT / "tests" / "recorded" / "cdevents" / "examples.json"
TIME = "2026-11-03T10:00:00Z"
CHANGE = {"title": "Deployed shop 1.4", "kind": "deployment", "service": "shop", "status": "success"}
# Texts that SDKs write differently into headers, and a source that has an encoded character itself.
SUBJECTS = ["api 100% out", "50% off", "Zürich", 'say "hi"', "a%20b c", "pkg:oci/shop@sha256%3A0b31"]
SOURCE = "https://ci.example/job/My%20Job"
TEXT = 'Deployed "shop" to Zürich'  # which SDKs send without quotes in binary mode


def envelope(number: int | str, **members: Any) -> dict[str, Any]:
    """Return the attributes of a CloudEvent, and these members."""
    event = {"specversion": "1.0", "id": str(number), "source": SOURCE, "type": "com.example.built", "time": TIME}
    return {name: value for name, value in (event | members).items() if value is not None}


def headers_of(event: dict[str, Any], **headers: str) -> dict[str, str]:
    return {f"ce-{name}": value for name, value in event.items()} | headers


def post(client: FlaskClient, body: Any, media_type: str | None, headers: Any = None) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(ADDRESS, data=data, content_type=media_type, headers=headers)


def recorded(client: FlaskClient, response: TestResponse) -> dict[str, Any]:
    """Return the event that a response names."""
    assert response.status_code == 201, response.text
    event: dict[str, Any] = client.get(f"/api/changes/{response.get_json()['id']}").get_json()
    return event


@pytest.fixture
def served(app: Flask) -> Iterator[str]:
    """The address of the app, behind the server that `painchain serve` uses."""
    server = create_server(app, host="127.0.0.1", port=0, threads=1, map={})  # type: ignore[arg-type]
    thread = Thread(target=server.run)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}{ADDRESS}"
    server.close()
    thread.join()


def test_the_sdks_of_python_arrive_in_every_mode(client: FlaskClient) -> None:
    sent = [
        CloudEvent(envelope(number, subject=subject, time=datetime.fromisoformat(TIME)), {"ok": True})
        for number, subject in enumerate(SUBJECTS)
    ]
    bodies = [json.loads(to_structured_event(event).body) for event in sent]
    ids = [event["id"] for event in post(client, bodies, BATCH).get_json()]
    read = [client.get(f"/api/changes/{number}").get_json() for number in ids]
    assert [event["metadata"]["cloudevent_subject"] for event in read] == SUBJECTS
    assert {event["metadata"]["cloudevent_source"] for event in read} == {SOURCE}
    assert {event["timestamp"] for event in read} == {"2026-11-03T10:00:00.000000Z"}
    for event in sent:
        for message in (to_structured_event(event), to_binary_event(event)):
            response = post(client, message.body, None, message.headers)
            assert response.status_code == 200, (message, response.text)
            assert response.get_json()["created"] is False, message
    for number, subject in enumerate(SUBJECTS):
        old = OldCloudEvent(envelope(f"old {number}", subject=subject), {"ok": True})
        headers, body = old_to_binary(old)
        event = recorded(client, post(client, body, None, headers))
        assert event["metadata"]["cloudevent_subject"] == subject


def test_the_sdk_of_npm_arrives_in_both_of_its_modes(client: FlaskClient, served: str, tmp_path: Path) -> None:
    need("cloudevents")
    script = ROOT / "tests" / "node" / "cloud_events.mjs"
    events = [envelope(number, subject=subject, data=CHANGE) for number, subject in enumerate(SUBJECTS)]
    events.append(envelope("text", data=TEXT))
    file = tmp_path / "events.json"
    file.write_text(json.dumps([(mode, event) for event in events for mode in ("BINARY", "STRUCTURED")]))
    run = subprocess.run(["node", script, served, file], capture_output=True, text=True, timeout=60, check=False)
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [answer["created"] for answer in answers] == [True, False] * len(events), run.stdout + run.stderr
    *changes, text = answers[::2]
    assert client.get(f"/api/changes/{text['id']}").get_json()["metadata"]["data"] == TEXT
    for answer, subject in zip(changes, SUBJECTS, strict=True):
        event = client.get(f"/api/changes/{answer['id']}").get_json()
        metadata = event["metadata"]
        assert (metadata["cloudevent_subject"], metadata["cloudevent_source"]) == (subject, SOURCE)
        assert (event["title"], event["event_type"], metadata["service"]) == (CHANGE["title"], "Deployment", "shop")


def test_data_that_is_a_change_event_is_one_and_all_else_is_kept(client: FlaskClient) -> None:
    own = {"time": "2026-11-02T09:00:00Z", "external_id": "run 7"}
    for number, (data, expected) in enumerate(
        [
            (CHANGE, (CHANGE["title"], "Deployment", "2026-11-03T10:00:00.000000Z")),
            (CHANGE | own, (CHANGE["title"], "Deployment", "2026-11-02T09:00:00.000000Z")),
            ({"title": "An issue", "labels": 3}, ("com.example.built: main", "Other", "2026-11-03T10:00:00.000000Z")),
            ([1, None], ("com.example.built: main", "Other", "2026-11-03T10:00:00.000000Z")),
            ("plain text", ("com.example.built: main", "Other", "2026-11-03T10:00:00.000000Z")),
        ]
    ):
        event = recorded(client, post(client, envelope(number, subject="main", data=data), STRUCTURED))
        assert (event["title"], event["event_type"], event["timestamp"]) == expected
        metadata = event["metadata"]
        assert metadata["cloudevent_type"] == "com.example.built"
        assert metadata.get("data", data) == data
        assert metadata["external_id"] == (
            own["external_id"] if number == 1 else f"{SOURCE} com.example.built {number}"
        )
    encoded = b64encode(json.dumps(CHANGE).encode()).decode()
    for number, (media_type, title) in enumerate(
        [
            ("application/json; charset=utf-8", CHANGE["title"]),
            ("image/png", "com.example.built"),
            (None, "com.example.built"),
        ]
    ):
        body = envelope(f"binary {number}", data_base64=encoded, datacontenttype=media_type)
        event = recorded(client, post(client, body, STRUCTURED))
        assert event["title"] == title
        assert event["metadata"].get("data", encoded) == encoded
    secret = envelope("secret", source="https://ci:canary-4711@ci.example/", data={"api_key": "canary-4711"})
    assert "canary-4711" not in json.dumps(recorded(client, post(client, secret, STRUCTURED)))


def test_data_that_is_no_object_is_the_same_in_both_modes(client: FlaskClient) -> None:
    for number, data in enumerate([False, 0, "", "1.10", TEXT, ["a"]]):
        attributes = envelope(number)
        event = recorded(client, post(client, {**attributes, "data": data}, STRUCTURED))
        assert json.dumps(event["metadata"]["data"]) == json.dumps(data)  # 0 is not false
        assert post(client, data, "application/json", headers_of(attributes)).status_code == 200, data
    core = CloudEvent(envelope(4, time=datetime.fromisoformat(TIME), datacontenttype="application/json"), TEXT)
    message = to_binary_event(core)
    assert message.body == TEXT.encode()
    assert post(client, message.body, None, message.headers).status_code == 200


def test_the_same_cloud_event_is_one_event_in_every_mode(client: FlaskClient, events: Events) -> None:
    attributes = envelope(1, subject="main")
    event = {**attributes, "data": CHANGE}
    assert post(client, event, STRUCTURED).status_code == 201
    before = events()
    for body, media_type, headers in (
        (event, f"{STRUCTURED}; charset=UTF-8", {}),
        ([event, event], BATCH, {}),
        (CHANGE, "application/json", headers_of(attributes)),
        (CHANGE, "application/vnd.acme.change+json", headers_of(attributes, **{"ce-severity": "9"})),
    ):
        response = post(client, body, media_type, headers)
        assert response.status_code == 200, (media_type, response.text)
    conflict = post(client, [event | {"id": "2"}, event | {"data": {"title": "Other"}}], BATCH)
    assert [error["field"] for error in problem(conflict, 409)["errors"]] == ["1.id"]
    unset = dict.fromkeys(["subject", "time", "datacontenttype", "dataschema", "extension"])
    without = recorded(client, post(client, unset | envelope(4, time=None), STRUCTURED))
    assert "cloudevent_subject" not in without["metadata"]
    assert post(client, b"", None, headers_of(envelope(3))).status_code == 201
    assert len(events()) == len(before) + 2


def test_an_invalid_cloud_event_names_its_index_and_member_and_nothing_is_saved(
    client: FlaskClient, events: Events
) -> None:
    before = events()
    late = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    own = {"type": "com.painchain.change"}
    for change, field in (
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 7}, "id"),
        ({"source": "two words"}, "source"),
        ({"type": " "}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"time": late}, "time"),
        ({"data": "\0"}, "data"),
        ({"data": "x" * 70_000}, "data"),
        ({"data": 1, "data_base64": "AAAA"}, ""),
        ({"data_base64": "?"}, "data_base64"),
        (own, "data"),
        ({**own, "data": {"title": "x", "kind": "No"}}, "data.kind"),
        ({**own, "data": {"title": "x", "knd": "dns"}}, "data.knd"),
    ):
        event = envelope(1, **change)
        batch = problem(post(client, [envelope(0), event], BATCH), 422)["errors"]
        assert [error["field"] for error in batch] == [f"1.{field}".rstrip(".")], change
        one = problem(post(client, event, STRUCTURED), 422)["errors"]
        assert [error["field"] for error in one] == [field], change
        assert "x" * 1_000 not in json.dumps([batch, one])
    for changed, body, field in (
        ({"specversion": None}, b"{}", "specversion"),
        ({"id": "%C0%A0"}, b"{}", "id"),
        ({"time": "soon"}, b"{}", "time"),
        ({}, b"{", "data"),
        ({}, b" [1", "data"),
        ({}, b'"text', "data"),
        ({}, b" ", "data"),
        ({}, b"\xff", "data"),
        ({}, b"text\0", "data"),
        (own, b"text", "data"),
        (own, b'{"title": "x", "url": "javascript:"}', "data.url"),
    ):
        response = post(client, body, "application/json", headers_of(envelope(1, **changed)))
        assert [error["field"] for error in problem(response, 422)["errors"]] == [field], changed
    for body, media_type in (([], BATCH), ([envelope(1)] * 1_001, BATCH), ([], STRUCTURED), ({}, BATCH), (b"[", BATCH)):
        problem(post(client, body, media_type), 422)
    assert events() == before


def test_only_json_arrives_so_that_no_page_of_another_site_can_send_it(client: FlaskClient, events: Events) -> None:
    before = events()
    attributes = envelope(1)
    for media_type in (
        *(
            None,
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/cloudevents+xml",
        ),
        *(
            "text/plain; a/json",
            "text/plain;charset=a+json",
            "text/plain,application/json",
            "text/plain, a/json",
            "a/b/json",
        ),
    ):
        for headers in ({}, headers_of(attributes)):
            if media_type or not headers:
                problem(post(client, {**attributes, "data": CHANGE}, media_type, headers), 415)
    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        problem(post(client, attributes, STRUCTURED, headers), 403)
    assert events() == before
    assert "Access-Control-Allow-Origin" not in client.options(ADDRESS).headers


def test_cdevents_are_deployments_releases_incidents_and_runs(client: FlaskClient) -> None:
    digest = "sha256:0b31b1c02ff458ad9b7b81cbdf8f028bd54699fa151f221d1e8de6817db93427"
    deployed = {"service": "mySubject123", "environment": "test123", "digest": digest}
    incident = {"service": "myApp", "environment": "prod1"}
    expected: dict[str, tuple[str, str, str, dict[str, Any]]] = {
        "service_deployed": ("Deployed mySubject123 in test123", "Deployment", "good", deployed),
        "service_upgraded": ("Upgraded mySubject123 in test123", "Deployment", "good", deployed),
        "service_rolledback": ("Rolled back mySubject123 in test123", "Deployment", "neutral", deployed),
        "service_removed": ("Removed mySubject123 in test123", "Deployment", "neutral", {"service": "mySubject123"}),
        "service_published": ("Service published: mySubject123", "Other", "neutral", {"environment": "test123"}),
        "artifact_published": (
            *("Published mygit.com/myorg/myapp 234fd47e07d1004f0aed9c", "Release", "good"),
            {"version": "234fd47e07d1004f0aed9c", "actor": "mybot-myapp"},
        ),
        "incident_detected": ("Incident detected: Response time above threshold of 100ms", "Incident", "bad", incident),
        "incident_reported": ("Incident reported: Response time above threshold of 100ms", "Incident", "bad", incident),
        "incident_resolved": ("Incident resolved: Response time restored below 100ms", "Incident", "good", incident),
        "pipelinerun_finished": ("Pipeline myPipeline: failure", "Pipeline", "bad", {}),
        "pipelinerun_started": ("Pipelinerun started: myPipeline", "Other", "neutral", {}),
        "environment_modified": ("Environment modified: testEnv", "Other", "neutral", {"environment": "testEnv"}),
        "change_merged": ("Change merged: mySubject123", "Other", "neutral", {"repository": "TestRepo/TestOrg"}),
        "testsuiterun_finished": ("Testsuiterun finished: myTestSuiteRun123", "Other", "bad", {"environment": "dev"}),
    }
    examples = json.loads(CDEVENTS.read_text(encoding="utf-8"))
    assert examples.keys() == expected.keys()
    for name, (title, event_type, outcome, facts) in expected.items():
        data = examples[name]
        context = data["context"]
        attributes = envelope(
            context["id"],
            source=context["source"],
            type=context["type"],
            time=context["timestamp"],
            subject=data["subject"]["id"],
        )
        event = recorded(client, post(client, data, "application/json", headers_of(attributes)))
        assert (event["title"], event["event_type"]) == (title, event_type), name
        found = client.get("/api/changes", query_string={"outcome": outcome, "source": "api"}).get_json()
        assert event["id"] in [each["id"] for each in found], name
        metadata = event["metadata"]
        assert metadata | facts == metadata, name
        assert (metadata["data"], metadata["cloudevent_type"]) == (data, context["type"])
        assert event["url"] == data["subject"]["content"].get("uri", data["subject"]["content"].get("ticketURI")), name


def test_a_broken_cdevent_is_kept_as_other(client: FlaskClient) -> None:
    for number, data in enumerate(
        [
            None,
            {"subject": 1},
            {"subject": {"id": 7}},
            {"subject": {"id": "a", "content": [1]}},
            {"subject": {"id": "a" * 300, "content": {}}},
            {"subject": {"id": "a", "content": {"uri": "https://me:made-up@ci.example/1", "description": " "}}},
            {
                "subject": {
                    "id": "a",
                    "content": {"outcome": 1, "environment": "x", "uri": "javascript:1", "artifactId": 1},
                }
            },
        ]
    ):
        body = envelope(number, type="dev.cdevents.taskrun.finished.0.3.0", data=data)
        assert recorded(client, post(client, body, STRUCTURED))["event_type"] == "Other", data


def test_the_examples_of_the_document_work(client: FlaskClient) -> None:
    document = (ROOT / "docs" / "cloudevents.md").read_text(encoding="utf-8")
    examples = re.findall(r"^    curl .*\n(?:         .*\n)*", document, re.MULTILINE)
    titles = []
    for example in examples:
        words = shlex.split(example.replace("\\\n", " "))
        headers = dict(word.split(": ", 1) for option, word in pairwise(words) if option == "-H")
        del headers["Authorization"]
        [body] = (word for option, word in pairwise(words) if option == "-d")
        titles.append(recorded(client, post(client, body.encode(), None, headers))["title"])
    assert titles == ["Deployed shop 1.4.2", "com.example.flag.changed: new-checkout"]
