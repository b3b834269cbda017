"""The first poll of a cluster stores its objects, later ones report changes; connection tests report access."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from painchain.connectors.contract import Cursor, ErrorKind, PollContext, PollError, PollResult
from painchain.connectors.kubernetes import api
from painchain.connectors.kubernetes import poll as kubernetes_poll
from painchain.connectors.kubernetes.api import resolve_cluster
from painchain.connectors.kubernetes.connection_test import run_test
from painchain.connectors.kubernetes.poll import poll
from tests.counterparts import FakeServer, Reply, run_fake_server
from tests.support.certificates import MINUTE, certificate, certificate_of_plain_ca
from tests.support.fake_cluster import TOKEN, FakeCluster, status

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


def settings(fake_server: FakeServer, **more: Any) -> dict[str, Any]:
    return {
        "api_server": fake_server.url,
        "token": TOKEN,
        "cluster_name": "prod",
        "verify_ssl": True,
        "poll_interval": 300,
        **more,
    }


def poll_with(fake_server: FakeServer, cursor: Cursor | None = None, now: datetime = NOW, **more: Any) -> PollResult:
    result = poll(PollContext(settings(fake_server, **more), cursor or {}, now))
    return PollResult(result.events, json.loads(json.dumps(result.cursor)), result.has_more, result.note, result.gap)


def titles(result: PollResult) -> list[str]:
    return [event.title for event in result.events]


def test_the_first_poll_stores_all_objects_and_the_next_reports_changes(
    fake_server: FakeServer, cluster: FakeCluster
) -> None:
    cluster.put("Deployment", "web", spec={"replicas": 1})
    cluster.put("ConfigMap", "old")
    first = poll_with(fake_server)
    assert titles(first) == []
    assert titles(poll_with(fake_server, first.cursor)) == []
    cluster.put("Deployment", "web", spec={"replicas": 2})
    cluster.put("Secret", "new", data={"password": "canary"})
    cluster.remove("ConfigMap", "old")
    second = poll_with(fake_server, first.cursor, NOW + MINUTE)
    assert titles(second) == ["[Deployment Updated] web", "[ConfigMap Deleted] old", "[Secret Created] new"]
    assert second.events[0].event_id == "prod:shop:Deployment:web:uid-Deployment-shop-web:103:modified"
    assert "canary" not in json.dumps(second.cursor)
    assert titles(poll_with(fake_server, second.cursor)) == []


def test_all_configured_namespaces_are_polled_and_an_added_one_starts_without_events(
    fake_server: FakeServer, cluster: FakeCluster
) -> None:
    cluster.put("Service", "api", "one")
    first = poll_with(fake_server, namespaces=["one", "two"])
    for namespace in ("one", "two", "three"):
        cluster.put("Service", "new", namespace)
    cluster.put("Node", "node-1", "")
    assert {path.partition("?")[0] for path in fake_server.paths if "services" in path} == {
        "/api/v1/namespaces/one/services",
        "/api/v1/namespaces/two/services",
    }
    second = poll_with(fake_server, first.cursor, namespaces=["one", "two", "three"])
    assert [(event.facts.get("namespace"), event.title) for event in second.events] == [
        ("one", "[Service Created] new"),
        ("two", "[Service Created] new"),
        (None, "[Node Created] node-1"),
    ]
    third = poll_with(fake_server, second.cursor, namespaces=["three"])
    assert titles(third) == []
    assert {key.partition("/")[2] for key in third.cursor["streams"]} == {"three", ""}


def test_a_list_is_read_by_page_and_restarted_when_it_expires(
    fake_server: FakeServer, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_poll, "PAGES", (2,))
    for number in range(5):
        cluster.put("Role", f"role-{number}")
    cluster.too_old = 1
    assert len(poll_with(fake_server).cursor["streams"]["Role/"]["known"]) == 5
    assert len([path for path in fake_server.paths if "/roles" in path]) == 2 + 3
    before = len(fake_server.paths)
    result = poll(PollContext(settings(fake_server), {}, NOW))
    assert result.requests == len(fake_server.paths) - before == len(api.RESOURCES) + 2


def test_pages_that_are_too_large_are_requested_smaller(
    fake_server: FakeServer, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubernetes_poll, "PAGE_BYTES", 5_000)
    for number in range(20):
        cluster.put("Secret", f"big-{number}", data={"key": "x" * 500})
    assert len(poll_with(fake_server).cursor["streams"]["Secret/"]["known"]) == 20
    assert "limit=5" in fake_server.paths[-1] or any("secrets?limit=5" in path for path in fake_server.paths)


def test_older_servers_are_polled_with_their_api_version(fake_server: FakeServer, cluster: FakeCluster) -> None:
    cluster.unknown_apis = {"batch/v1"}
    cluster.put("CronJob", "nightly", spec={"schedule": "0 1 * * *"})
    first = poll_with(fake_server)
    assert first.cursor["streams"]["CronJob/"]["api"] == "batch/v1beta1"
    assert "Job/" not in first.cursor["streams"]


def test_forbidden_lists_are_noted_and_the_others_are_polled(fake_server: FakeServer, cluster: FakeCluster) -> None:
    cluster.put("Secret", "password")
    first = poll_with(fake_server)
    cluster.forbidden = {"Secret", "Role"}
    cluster.put("Service", "api")
    second = poll_with(fake_server, first.cursor)
    assert titles(second) == ["[Service Created] api"]
    assert second.note.startswith("The account cannot list Secret, Role, so their changes are not seen.")
    cluster.forbidden = set()
    cluster.remove("Secret", "password")
    assert titles(poll_with(fake_server, second.cursor)) == ["[Secret Deleted] password"]


def test_an_account_that_may_list_nothing_is_an_error(fake_server: FakeServer, cluster: FakeCluster) -> None:
    cluster.forbidden = set(api.RESOURCES)
    with pytest.raises(PollError, match="cannot list any") as caught:
        poll_with(fake_server)
    assert caught.value.kind is ErrorKind.PERMISSION


FAULTS = {
    "401": (status(401), ErrorKind.AUTHENTICATION, "rejected the token"),
    "404": (status(404), ErrorKind.NOT_FOUND, "No Kubernetes API"),
    "429": (Reply(429, headers={"Retry-After": "7"}), ErrorKind.RATE_LIMITED, "Polling resumes at 12:00:07"),
    "500": (status(500), ErrorKind.SERVER_ERROR, "server error"),
    "truncated": (
        Reply(200, b'{"kind": "List", "items": [{'),
        ErrorKind.INVALID_RESPONSE,
        "invalid or incomplete JSON",
    ),
    "something else": (Reply(200, b'{"hello": 1}'), ErrorKind.INVALID_RESPONSE, "is not a list of Deployment"),
    "another host": (
        Reply(302, headers={"Location": "http://other.example/"}),
        ErrorKind.SETTINGS,
        "redirects to another address",
    ),
    "410 again and again": (status(410), ErrorKind.NOT_FOUND, "410"),
}


@pytest.mark.parametrize(("reply", "error_kind", "words"), FAULTS.values(), ids=FAULTS)
def test_every_failure_is_explained(reply: Reply, error_kind: ErrorKind, words: str) -> None:
    with run_fake_server(reply) as fake_server, pytest.raises(PollError, match=words) as caught:
        poll_with(fake_server)
    assert caught.value.kind is error_kind
    assert TOKEN not in str(caught.value)


def test_what_exceeds_one_poll_is_read_by_the_next(
    fake_server: FakeServer, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = poll_with(fake_server)
    for number in range(5):
        cluster.put("ConfigMap", f"map-{number}")
    cluster.put("Role", "reader")
    monkeypatch.setattr(kubernetes_poll, "MAX_EVENTS", 3)
    second = poll_with(fake_server, first.cursor)
    assert (len(second.events), second.has_more) == (3, True)
    third = poll_with(fake_server, second.cursor)
    assert [event.title for event in (*second.events, *third.events)] == [
        *(f"[ConfigMap Created] map-{number}" for number in range(5)),
        "[Role Created] reader",
    ]


def test_another_cluster_at_the_same_address_starts_over(fake_server: FakeServer, cluster: FakeCluster) -> None:
    cluster.put("Role", "reader")
    first = poll_with(fake_server)
    with run_fake_server(FakeCluster()) as other:
        assert titles(poll_with(other, first.cursor)) == []


def test_a_long_time_without_polls_is_a_coverage_gap(fake_server: FakeServer) -> None:
    first = poll_with(fake_server)
    assert poll_with(fake_server, first.cursor, NOW + 10 * MINUTE).gap is None
    gap = poll_with(fake_server, first.cursor, NOW + 12 * MINUTE).gap
    assert gap is not None
    assert (gap.start, gap.end) == (NOW, NOW + 12 * MINUTE)


def test_a_stopped_poll_keeps_the_state_of_unread_lists(fake_server: FakeServer, cluster: FakeCluster) -> None:
    cluster.put("Role", "reader")
    first = poll_with(fake_server)
    cluster.put("Role", "writer")
    stopped = poll(PollContext(settings(fake_server), first.cursor, NOW, lambda: True))
    assert (stopped.events, stopped.has_more) == ([], True)
    assert titles(poll_with(fake_server, stopped.cursor)) == ["[Role Created] writer"]


def test_in_a_cluster_the_service_account_is_used_and_read_for_each_poll(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SERVICE_ACCOUNT", tmp_path)
    with pytest.raises(PollError, match="is not running in a Kubernetes cluster"):
        resolve_cluster({})
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(PollError, match="has no service account"):
        resolve_cluster({})
    (tmp_path / "ca.crt").write_text("")
    for token in ("first", "second"):
        (tmp_path / "token").write_text(f"{token}\n")
        assert resolve_cluster({}).headers == {"Authorization": f"Bearer {token}"}
    assert resolve_cluster({}).base_url == "https://10.0.0.1:443"
    with pytest.raises(PollError, match="Enter a service account token"):  # the own token goes nowhere else
        resolve_cluster({"api_server": "https://elsewhere.example"})


def test_certificates_are_verified_unless_verification_is_off(cluster: FakeCluster, tmp_path: Path) -> None:
    pem, context = certificate(tmp_path)
    with run_fake_server(cluster, context) as fake_server:
        assert poll_with(fake_server, ca_certificate=pem).cursor["streams"]
        assert poll_with(fake_server, verify_ssl=False).cursor["streams"]
        sent = len(fake_server.requests)
        with pytest.raises(PollError, match=r"certificate of 127\.0\.0\.1 could not be verified") as caught:
            poll_with(fake_server)
        assert caught.value.kind is ErrorKind.TLS
        assert len(fake_server.requests) == sent  # the token has not left
        with pytest.raises(PollError, match="CA certificate cannot be read"):
            poll_with(fake_server, ca_certificate="-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----")


def test_polls_share_a_tls_context_until_the_certificate_changes(fake_server: FakeServer, tmp_path: Path) -> None:
    def context(**changes: object) -> ssl.SSLContext:
        return resolve_cluster(settings(fake_server, **changes)).ssl_context()

    first, second = (certificate(tmp_path)[0] for _ in range(2))
    assert context() is context()
    assert context(ca_certificate=first) is context(ca_certificate=first)
    contexts = {context(), context(verify_ssl=False), context(ca_certificate=first), context(ca_certificate=second)}
    assert len(contexts) == 4
    assert context(ca_certificate=first, verify_ssl=False).verify_mode is ssl.CERT_NONE


def test_a_ca_without_key_identifiers_is_accepted_if_a_person_entered_it(cluster: FakeCluster, tmp_path: Path) -> None:
    """Python 3.13 and newer refuse such a CA unless they are told otherwise."""
    pem, context = certificate_of_plain_ca(tmp_path, "127.0.0.1")
    with run_fake_server(cluster, context) as fake_server:
        assert poll_with(fake_server, ca_certificate=pem).cursor["streams"]
        with pytest.raises(PollError, match="could not be verified"):
            poll_with(fake_server)
        with pytest.raises(PollError, match="could not be verified"):
            poll_with(fake_server, ca_certificate=certificate(tmp_path)[0])
    pem, context = certificate_of_plain_ca(tmp_path, "10.0.0.5")
    with run_fake_server(cluster, context) as fake_server, pytest.raises(PollError, match="could not be verified"):
        poll_with(fake_server, ca_certificate=pem)
    strict = resolve_cluster(settings(fake_server)).ssl_context().verify_flags & ssl.VERIFY_X509_STRICT
    assert strict == ssl.create_default_context().verify_flags & ssl.VERIFY_X509_STRICT


def test_a_connection_test_reports_identity_access_and_what_is_missing(
    fake_server: FakeServer, cluster: FakeCluster
) -> None:
    result = run_test(settings(fake_server), NOW)
    assert (result.ok, result.identity) == (True, "system:serviceaccount:ops:painchain")
    assert result.sees[0] == "Kubernetes v1.33.1"
    assert result.sees[1].endswith("Role, RoleBinding in all namespaces")
    assert result.missing == []
    cluster.forbidden, cluster.unwatched, cluster.identity = {"Secret"}, {"Pod"}, ""
    result = run_test(settings(fake_server, namespaces=["shop"]), NOW)
    assert (result.ok, result.identity) == (True, "")
    assert result.missing == [
        "Cannot list secrets in namespace shop. Grant the account the verbs list and watch for them.",
        "Cannot watch pods in namespace shop. Changes are only seen at the poll interval. "
        "Grant the account the verb watch for them.",
    ]
    with pytest.raises(PollError, match="rejected the token"):
        run_test(settings(fake_server, token="wrong"), NOW)
