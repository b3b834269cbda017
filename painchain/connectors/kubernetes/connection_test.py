"""Test a connection to a cluster: its version, the account, and what the account can list and watch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from painchain.connectors.contract import ConnectionTestResult, ErrorKind, PollError
from painchain.connectors.http_client import HttpClient
from painchain.connectors.kubernetes.api import RESOURCES, Cluster, Resource, resolve_cluster
from painchain.connectors.kubernetes.json_values import as_dict

SECONDS = 8.0  # for all requests together
STEP_SECONDS = 5.0
REVIEWS = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WHOAMI = (
    "apis/authentication.k8s.io/v1/selfsubjectreviews",  # since Kubernetes 1.28
    "apis/authentication.k8s.io/v1beta1/selfsubjectreviews",
)


class ConnectionTest:
    """The requests of one test, with one deadline."""

    def __init__(self, client: HttpClient, deadline: float):
        self._client = client
        self._deadline = deadline

    @property
    def is_late(self) -> bool:
        """Whether the time of the test is over."""
        return time.monotonic() > self._deadline

    def version(self) -> str:
        """Return the version of Kubernetes that the API server runs."""
        answer = as_dict(self._client.get("version", deadline=self._deadline).value)
        return str(answer.get("gitVersion") or "of an unknown version")

    def identity(self) -> str:
        """Return the user name of the token; "" if the cluster is too old to return it."""
        for path in WHOAMI:
            try:
                answer = self._client.post(
                    path, {"kind": "SelfSubjectReview", "apiVersion": path[5:].rpartition("/")[0]}
                )
            except PollError as error:
                if error.kind in (ErrorKind.NOT_FOUND, ErrorKind.PERMISSION, ErrorKind.INVALID_RESPONSE):
                    continue
                raise
            user = as_dict(as_dict(as_dict(answer.value).get("status")).get("userInfo"))
            return str(user.get("username") or "")
        return ""

    def is_allowed(self, verb: str, resource: Resource, namespace: str) -> bool:
        """Ask the cluster whether the account may use a verb on a resource."""
        attributes = {"verb": verb, "resource": resource.plural, "group": _group(resource)}
        if namespace:
            attributes["namespace"] = namespace
        review = {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self._client.post(REVIEWS, review, deadline=self._deadline)
        return as_dict(as_dict(answer.value).get("status")).get("allowed") is True


def run_test(settings: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Return what the account of these settings can access, and what is missing.

    :raises PollError: if the cluster does not respond, or does not know the account.
    """
    deadline = time.monotonic() + SECONDS
    cluster = resolve_cluster(settings)
    with HttpClient(cluster.base_url, cluster.headers, now, cluster.ssl_context(), STEP_SECONDS) as client:
        test = ConnectionTest(client, deadline)
        version = test.version()
        identity = test.identity()
        listed: list[str] = []
        missing: list[str] = []
        for resource, namespace in _resources(cluster):
            if test.is_late:
                missing.append(
                    "The cluster responds too slowly to test every kind and namespace. The rest was not tested."
                )
                break
            _check_resource(test, resource, namespace, listed, missing)
    where = f"namespaces {', '.join(cluster.namespaces)}" if cluster.namespaces else "all namespaces"
    sees = [f"Kubernetes {version}", *([f"{', '.join(dict.fromkeys(listed))} in {where}"] if listed else [])]
    return ConnectionTestResult(bool(listed), identity, sees, missing)


def _resources(cluster: Cluster) -> Iterator[tuple[Resource, str]]:
    for resource in RESOURCES.values():
        for namespace in (cluster.namespaces or ("",)) if resource.namespaced else ("",):
            yield resource, namespace


def _check_resource(
    test: ConnectionTest, resource: Resource, namespace: str, listed: list[str], missing: list[str]
) -> None:
    where_ = f" in namespace {namespace}" if namespace else ""
    if not test.is_allowed("list", resource, namespace):
        missing.append(f"Cannot list {resource.plural}{where_}. Grant the account the verbs list and watch for them.")
        return
    listed.append(resource.kind)
    if not test.is_allowed("watch", resource, namespace):
        missing.append(
            f"Cannot watch {resource.plural}{where_}. Changes are only seen at the poll interval. "
            "Grant the account the verb watch for them."
        )


def _group(resource: Resource) -> str:
    group, slash, _ = resource.apis[0].partition("/")
    return group if slash else ""
