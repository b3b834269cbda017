"""The recorded responses of a real API server (by `tests/kubernetes/record.py`) become the events that happened."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from painchain.connectors.contract import Cursor, PollContext, PollResult, SourceEvent
from painchain.connectors.kubernetes.api import ResourceStream, resolve_cluster
from painchain.connectors.kubernetes.json_values import fingerprinter, parse_time
from painchain.connectors.kubernetes.observation import observe
from painchain.connectors.kubernetes.poll import poll
from painchain.connectors.kubernetes.watch_update import WatchEvent, WatchUpdate
from tests.counterparts import FakeServer, ReceivedRequest, Reply, as_json, run_fake_server
from tests.kubernetes.story import CANARY, TITLES, by_kind
from tests.support.fake_cluster import status

RECORDING = json.loads((Path(__file__).parents[2] / "recorded" / "kubernetes.json").read_text(encoding="utf-8"))


def times() -> list[datetime]:
    """When things happened, as the recorded answers say."""
    text = json.dumps(RECORDING["watch"])
    return [at for part in text.split('"time": "')[1:] if (at := parse_time(part.partition('"')[0]))]


BEGAN, ENDED = min(times()) - timedelta(seconds=1), max(times()) + timedelta(seconds=5)


class Recorded:
    """Answers with the lists from before or after the story."""

    def __init__(self) -> None:
        self.lists = RECORDING["before"]

    def __call__(self, received: ReceivedRequest) -> Reply:
        parts = urlsplit(received.path)
        assert parse_qs(parts.query)["limit"] == ["500"]
        return as_json(self.lists[parts.path]) if parts.path in self.lists else status(404)


def poll_with(fake_server: FakeServer, cursor: Cursor, now: datetime) -> PollResult:
    settings = {"api_server": fake_server.url, "token": "made-up", "cluster_name": "prod", "namespaces": ["shop"]}
    return poll(PollContext(settings, cursor, now))


def lines(cursor: Cursor, fake_server: FakeServer) -> list[WatchEvent]:
    """The recorded lines of every watch, stream by stream."""
    streams = {
        stream.key: stream
        for stream in resolve_cluster({"api_server": fake_server.url, "token": "x", "namespaces": ["shop"]}).streams()
    }
    return [
        watch_event
        for key, stored in cursor["streams"].items()
        for line in RECORDING["watch"]["/" + streams[key].resource.path(stored["api"], streams[key].namespace)]
        if (watch_event := watch_event_of(streams[key], line, cursor["salt"]))
    ]


def watch_event_of(stream: ResourceStream, line: Any, salt: str) -> WatchEvent:
    item = line["object"]
    verb = "" if line["type"] == "BOOKMARK" else line["type"].lower()
    observed = observe(stream.resource.kind, item, fingerprinter(salt)) if verb else None
    return WatchEvent(stream, item["metadata"]["resourceVersion"], verb, observed)


@pytest.fixture
def first() -> Any:
    """The cursor of a first poll before the story, and the fake server."""
    recorded = Recorded()
    with run_fake_server(recorded) as fake_server:
        polled = poll_with(fake_server, {}, BEGAN)
        assert polled.events == []
        yield recorded, fake_server, polled.cursor


def test_a_watch_reports_each_change_of_each_kind_once(first: Any) -> None:
    recorded, fake_server, cursor = first
    result = WatchUpdate("prod", lines(cursor, fake_server), ENDED)(cursor)
    assert by_kind([event.title for event in result.events]) == TITLES
    again = WatchUpdate("prod", lines(cursor, fake_server), ENDED)(result.cursor)
    assert {event.event_id for event in again.events} <= {event.event_id for event in result.events}
    recorded.lists = RECORDING["after"]
    assert poll_with(fake_server, result.cursor, ENDED).events == []


def test_a_watch_and_a_poll_store_the_same_state(first: Any) -> None:
    recorded, fake_server, cursor = first
    watched = WatchUpdate("prod", lines(cursor, fake_server), ENDED)(cursor).cursor
    recorded.lists = RECORDING["after"]
    polled = poll_with(fake_server, cursor, ENDED).cursor
    states = [
        {uid: entry[3] for stream in one["streams"].values() for uid, entry in stream["known"].items()}
        for one in (watched, polled)
    ]
    assert states[0] == states[1]


def test_the_facts_match_the_recording_and_contain_no_values(first: Any) -> None:
    _, fake_server, cursor = first
    result = WatchUpdate("prod", lines(cursor, fake_server), ENDED)(cursor)
    assert CANARY in json.dumps(RECORDING)
    assert CANARY not in json.dumps(result.cursor) + repr(result.events)
    own = {"namespace": "shop", "cluster": "prod"}

    def of(title: str) -> SourceEvent:
        return [event for event in result.events if event.title == title][-1]

    web = of("[Deployment Updated] web")
    assert web.facts["images"] == [{"name": "web", "old": "shop/web:1", "new": "shop/web:2"}]
    assert web.text == "Changed: images, environment of web (PASSWORD)."
    assert (web.author, web.status) == ("kubectl-edit", "modified")
    assert BEGAN <= web.timestamp <= ENDED
    assert of("[ConfigMap Updated] settings").facts == {
        **own,
        "keys_added": ["shape"],
        "keys_removed": ["size"],
        "keys_modified": ["colour"],
    }
    assert of("[Secret Updated] password").facts == {**own, "keys_added": ["user"], "keys_modified": ["password"]}
    assert of("[Service Created] web").facts == {
        **own,
        "service_type": "ClusterIP",
        "cluster_ip": "10.0.0.77",
        "ports": ["80/TCP"],
    }
    assert of("[Ingress Created] web").facts == {**own, "ingress_class": "nginx", "hosts": ["shop.example"]}
    assert of("[Job Updated] migrate").facts == {
        **own,
        "workload": "Job/migrate",
        "status": "succeeded",
        "duration": 90,
    }
    assert of("[Node Updated] node-1").facts["conditions"] == ["Ready: True → Unknown"]
    assert of("[Pod Updated] worker").facts == {
        **own,
        "workload": "Pod/worker",
        "reason": "CrashLoopBackOff",
        "container": "app",
        "restarts": 4,
    }
    assert of("[RoleBinding Created] readers").facts == {**own, "role": "Role reader", "subjects": ["User ann"]}
