"""Test the connection to a cluster: which one it is, whose token it is, and what the account may list and watch."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from painchain.connectors.contract import ConnectionTestResult, ErrorKind, PollError
from painchain.connectors.http_client import Client
from painchain.connectors.kubernetes.api import RESOURCES, Cluster, Resource, reach
from painchain.connectors.kubernetes.object_state import mapping

SECONDS = 8.0  # for all questions together
ONE_SECONDS = 5.0
REVIEWS = "apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
WHOAMI = (
    "apis/authentication.k8s.io/v1/selfsubjectreviews",  # since Kubernetes 1.28
    "apis/authentication.k8s.io/v1beta1/selfsubjectreviews",
)


class _ApiClient:
    """The questions of one test, each within what is left of the time."""

    def __init__(self, client: Client, deadline: float):
        self._client = client
        self._deadline = deadline

    @property
    def late(self) -> bool:
        return time.monotonic() > self._deadline

    def version(self) -> str:
        answer = mapping(self._client.get("version", deadline=self._deadline).value)
        return str(answer.get("gitVersion") or "of an unknown version")

    def identity(self) -> str:
        """Return whose token it is; "" where the cluster is too old to say."""
        for path in WHOAMI:
            try:
                answer = self._client.post(
                    path, {"kind": "SelfSubjectReview", "apiVersion": path[5:].rpartition("/")[0]}
                )
            except PollError as error:
                if error.trouble in (ErrorKind.MISSING, ErrorKind.PERMISSION, ErrorKind.BAD_ANSWER):
                    continue
                raise
            user = mapping(mapping(mapping(answer.value).get("status")).get("userInfo"))
            return str(user.get("username") or "")
        return ""

    def may(self, verb: str, resource: Resource, namespace: str) -> bool:
        """Say whether the account may do this, by what the cluster itself says."""
        wanted = {"verb": verb, "resource": resource.plural, "group": _group(resource)}
        if namespace:
            wanted["namespace"] = namespace
        review = {
            "kind": "SelfSubjectAccessReview",
            "apiVersion": "authorization.k8s.io/v1",
            "spec": {"resourceAttributes": wanted},
        }
        answer = self._client.post(REVIEWS, review, deadline=self._deadline)
        return mapping(mapping(answer.value).get("status")).get("allowed") is True


def check(settings: Mapping[str, Any], now: datetime) -> ConnectionTestResult:
    """Return what the account of these settings can see, and what is missing.

    :raises PollError: when the cluster does not answer, or does not know the account.
    """
    deadline = time.monotonic() + SECONDS
    cluster = reach(settings)
    with Client(cluster.base_url, cluster.headers, now, cluster.trust(), ONE_SECONDS) as client:
        asking = _ApiClient(client, deadline)
        version = asking.version()
        identity = asking.identity()
        listed: list[str] = []
        missing: list[str] = []
        for resource, namespace in _places(cluster):
            if asking.late:
                missing.append(
                    "The cluster answers too slowly to test every kind and namespace; the rest is not tested."
                )
                break
            _ask(asking, resource, namespace, listed, missing)
    where = f"namespaces {', '.join(cluster.namespaces)}" if cluster.namespaces else "all namespaces"
    sees = [f"Kubernetes {version}", *([f"{', '.join(dict.fromkeys(listed))} in {where}"] if listed else [])]
    return ConnectionTestResult(bool(listed), identity, sees, missing)


def _places(cluster: Cluster) -> Iterator[tuple[Resource, str]]:
    for resource in RESOURCES.values():
        for namespace in (cluster.namespaces or ("",)) if resource.namespaced else ("",):
            yield resource, namespace


def _ask(asking: _ApiClient, resource: Resource, namespace: str, listed: list[str], missing: list[str]) -> None:
    place = f" in namespace {namespace}" if namespace else ""
    if not asking.may("list", resource, namespace):
        missing.append(f"May not list {resource.plural}{place}: give the account the verbs list and watch for them.")
        return
    listed.append(resource.kind)
    if not asking.may("watch", resource, namespace):
        missing.append(
            f"May not watch {resource.plural}{place}: their changes are seen at the poll interval only. "
            "Give the account the verb watch for them."
        )


def _group(resource: Resource) -> str:
    group, slash, _ = resource.apis[0].partition("/")
    return group if slash else ""
