"""Connect to a cluster, and list the resources that are polled and watched."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from painchain.connectors.contract import ErrorKind, PollError

# Where Kubernetes mounts the service account of the pod that PainChain runs in.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
CACHED_CONTEXTS = 16  # for TLS: reading the trust store of the system takes 20 ms and 3 MB


@dataclass(frozen=True)
class Resource:
    """One kind of object. `apis` are its group versions, newest first: older servers have only an older one."""

    kind: str
    plural: str
    apis: tuple[str, ...]
    namespaced: bool = True

    def path(self, api: str, namespace: str) -> str:
        """Return the path of the list in one namespace, or in all with ""."""
        root = f"apis/{api}" if "/" in api else f"api/{api}"
        return f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"


RESOURCES = {
    resource.kind: resource
    for resource in (
        Resource("Deployment", "deployments", ("apps/v1",)),
        Resource("StatefulSet", "statefulsets", ("apps/v1",)),
        Resource("DaemonSet", "daemonsets", ("apps/v1",)),
        Resource("Service", "services", ("v1",)),
        Resource("ConfigMap", "configmaps", ("v1",)),
        Resource("Secret", "secrets", ("v1",)),
        Resource("Ingress", "ingresses", ("networking.k8s.io/v1", "networking.k8s.io/v1beta1")),
        Resource("Job", "jobs", ("batch/v1",)),
        Resource("CronJob", "cronjobs", ("batch/v1", "batch/v1beta1")),
        Resource("Node", "nodes", ("v1",), namespaced=False),
        Resource("Pod", "pods", ("v1",)),
        Resource("Role", "roles", ("rbac.authorization.k8s.io/v1",)),
        Resource("RoleBinding", "rolebindings", ("rbac.authorization.k8s.io/v1",)),
    )
}


@dataclass(frozen=True)
class ResourceStream:
    """One kind in one namespace, which is listed and watched together. "" is all namespaces, or none."""

    resource: Resource
    namespace: str

    @property
    def key(self) -> str:
        """The key in the cursor."""
        return f"{self.resource.kind}/{self.namespace}"

    @property
    def label(self) -> str:
        """The name in messages."""
        return f"{self.resource.kind} in {self.namespace}" if self.namespace else self.resource.kind


@dataclass(frozen=True)
class Cluster:
    """A cluster and how to connect to it. `headers` contain the token."""

    name: str
    base_url: str
    headers: Mapping[str, str]
    certificate: str | None
    verify_tls: bool
    namespaces: tuple[str, ...]

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS context for the server. Another certificate is another context.

        :raises PollError: if the CA certificate cannot be read.
        """
        return _ssl_context(self.certificate, self.verify_tls)

    def streams(self) -> Iterator[ResourceStream]:
        """Yield the streams to list and watch."""
        for resource in RESOURCES.values():
            for namespace in (self.namespaces or ("",)) if resource.namespaced else ("",):
                yield ResourceStream(resource, namespace)


@lru_cache(CACHED_CONTEXTS)
def _ssl_context(certificate: str | None, verify_tls: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=certificate if verify_tls else None)
    except (ssl.SSLError, ValueError):
        raise PollError(
            "The CA certificate cannot be read. Paste it as PEM text, from the BEGIN to the END line.",
            ErrorKind.SETTINGS,
        ) from None
    if not verify_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif certificate:
        # From Python 3.13 on a CA needs key identifiers (RFC 5280), which those of Amazon EKS do not have.
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def resolve_cluster(settings: Mapping[str, Any]) -> Cluster:
    """Return the cluster of a connector's settings; without an API server, the one that PainChain runs in.

    The service account of PainChain's pod is only sent to that cluster. Its files are read each time, because
    Kubernetes renews the token.

    :raises PollError: if a setting is missing.
    """
    own = not settings.get("api_server")
    base_url = _in_cluster_address() if own else str(settings["api_server"])
    token = settings.get("token") or (_in_cluster_file("token") if own else None)
    if not token:
        raise PollError(
            "Enter a service account token. Only the cluster that PainChain runs in can be polled without one.",
            ErrorKind.SETTINGS,
        )
    certificate = settings.get("ca_certificate") or (_in_cluster_file("ca.crt") if own else None)
    return Cluster(
        name=str(settings.get("cluster_name") or "default"),
        base_url=base_url,
        headers={"Authorization": f"Bearer {_token_text(token)}"},
        certificate=certificate or None,
        verify_tls=settings.get("verify_ssl") is not False,
        namespaces=tuple(dict.fromkeys(settings.get("namespaces") or ())),
    )


def _in_cluster_address() -> str:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise PollError(
            "PainChain is not running in a Kubernetes cluster (KUBERNETES_SERVICE_HOST is not set). "
            "Enter the API server URL.",
            ErrorKind.SETTINGS,
        )
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


def _in_cluster_file(name: str) -> str:
    try:
        return (SERVICE_ACCOUNT / name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError):
        raise PollError(
            f"The pod that PainChain runs in has no service account ({SERVICE_ACCOUNT / name} cannot be read). "
            "Give it one (automountServiceAccountToken), or enter API server URL, token and certificate.",
            ErrorKind.SETTINGS,
        ) from None


def _token_text(token: str) -> str:
    if not token.isascii() or not token.isprintable():
        raise PollError("The token contains invalid characters. Enter it again.", ErrorKind.SETTINGS)
    return token.strip()
