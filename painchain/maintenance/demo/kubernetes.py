"""What happens in the demo's clusters: made-up states of objects, compared by the code that compares real ones."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from painchain.connectors.contract import SourceEvent
from painchain.connectors.kubernetes import changes, helm
from painchain.connectors.kubernetes.object_state import FORMAT
from painchain.connectors.kubernetes.observation import ObjectType, ObservedObject, StoredObject
from painchain.maintenance.demo.company import CLUSTERS, GITLAB, NAMESPACE, Company

BY_CI, BY_HAND, BY_MACHINE = "demo-deployer", "kubectl-edit", "kubelet"  # field managers, as clusters record them
MACHINES = (BY_CI, BY_HAND, BY_MACHINE, "helm", "kube-controller-manager")
RECENT = timedelta(minutes=1)
PLATFORM_NAMESPACE = "platform"
Key = tuple[str, str, str]
State = dict[str, Any]


class Cluster:
    """One cluster, with the state of each object that has changed in it."""

    def __init__(self, company: Company, connector: str):
        self._company = company
        self.connector = connector
        self.name = CLUSTERS[connector]
        self._objects: dict[Key, StoredObject] = {}

    def state(self, kind: str, name: str) -> State:
        """Return the state of an object; its usual one if it never changed."""
        old = self._objects.get((kind, self._namespace(kind, name), name))
        return old.state if old else self._usual(kind, name)

    def update(self, kind: str, name: str, at: datetime, author: str, **new: Any) -> SourceEvent:
        """Return the event that an object has these values now. An object that never changed has its usual state."""
        key = (kind, self._namespace(kind, name), name)
        old = self._objects.get(key) or self._stored(key, self._usual(kind, name))
        return self._seen(key, old, {**old.state, **new, "generation": old.state["generation"] + 1}, at, author)

    def create(self, kind: str, name: str, at: datetime, author: str, **new: Any) -> SourceEvent:
        """Return the event that an object was created."""
        state = {**self._usual(kind, name), **new}
        return self._seen((kind, self._namespace(kind, name), name), None, state, at, author)

    def delete(self, kind: str, name: str, at: datetime) -> SourceEvent:
        """Return the event that an object was deleted."""
        key = (kind, self._namespace(kind, name), name)
        old = self._objects.pop(key, None) or self._stored(key, self._usual(kind, name))
        last = ObservedObject(old.uid, *key[1:], self._version(), old.state, changed_at=at)
        event = changes.deletion(ObjectType(self.name, kind), old, last, at, at - RECENT)
        assert event is not None  # noqa: S101  it is no pod and not left out
        return event

    def trouble(self, workload: str, at: datetime, reason: str, restarts: int) -> SourceEvent:
        """Return the event that a pod of a deployment is in trouble."""
        digest = self._company.digest()
        key = ("Pod", self._namespace("Pod", workload), f"{workload}-{digest[:10]}-{digest[10:15]}")
        state = {"troubles": [[reason, workload, restarts]], "workload": f"Deployment/{workload}"}
        return self._seen(key, None, state, at, BY_MACHINE)

    def upgraded(self, release: str, at: datetime, status: str = "deployed") -> SourceEvent:
        """Return the event of a new revision of a release of Helm."""
        number = self._company.next(f"{self.name} {release}", 11)
        state = {"v": FORMAT, "helm": status, "began": at.isoformat()}
        key = ("Secret", PLATFORM_NAMESPACE, f"sh.helm.release.v1.{release}.v{number}")
        event = self._seen(key, None, state, at, "helm")
        del self._objects[key]
        made_by = {"release": f"{PLATFORM_NAMESPACE}/{release}", "chart": f"{release}-4.{number}.0"}
        return helm.add_charts([event], [{"known": {"": [PLATFORM_NAMESPACE, release, "1", made_by]}}])[0]

    def mark(self) -> str:
        """Return the mark of a value that no object had before."""
        return self._company.digest()[:8]

    def _seen(self, key: Key, old: StoredObject | None, state: State, at: datetime, author: str) -> SourceEvent:
        kind, namespace, name = key
        uid = old.uid if old else self._uid()
        new = ObservedObject(uid, namespace, name, self._version(), state, author, at)
        event, stored = changes.compare(ObjectType(self.name, kind), old, new, at, at - RECENT)
        assert event is not None and stored is not None  # noqa: S101, PT018  something has changed
        if kind != "Pod":
            self._objects[key] = stored
        return event

    def _stored(self, key: Key, state: State) -> StoredObject:
        return StoredObject(self._uid(), *key[1:], self._version(), state)

    def _uid(self) -> str:
        return str(UUID(self._company.digest()[:32]))

    def _version(self) -> str:
        return str(self._company.next(f"version in {self.name}", 48_120_000))

    def _namespace(self, kind: str, name: str) -> str:
        if kind == "Node":
            return ""
        is_platform = any(service.name == name and service.host == GITLAB for service in self._company.services)
        return PLATFORM_NAMESPACE if is_platform or name in _PLATFORM else NAMESPACE

    def _usual(self, kind: str, name: str) -> State:
        state = {key: value(name) if callable(value) else value for key, value in _USUAL[kind].items()}
        service = next((service for service in self._company.services if service.name == name), None)
        if service and "images" in state:
            state["images"] = {name: f"{service.image}:1.{service.first_minor}.0"}
        if kind in ("Service", "ConfigMap", "Secret", "Ingress") and service:
            state["workload"] = name
        return {"v": FORMAT, "generation": 4, **state}


_PLATFORM = ("node-exporter", "log-shipper", "postgres", "redis", "ingress-nginx", "deployer", "oncall", "backup")
_REGISTRY = "registry.gitlab.demo.invalid/platform"
_USUAL: dict[str, State] = {
    "Deployment": {
        "images": lambda name: {name: f"{_REGISTRY}/{name}:1.0.0"},
        "replicas": 3,
        "strategy": "RollingUpdate",
    },
    "StatefulSet": {"images": lambda name: {name: f"{_REGISTRY}/{name}:16.3"}, "replicas": 2},
    "DaemonSet": {"images": lambda name: {name: f"{_REGISTRY}/{name}:1.7"}, "strategy": "RollingUpdate"},
    "Service": {"service_type": "ClusterIP", "cluster_ip": "10.96.14.7", "ports": ["80/TCP → 8080 (http)"]},
    "ConfigMap": {"keys": {"LOG_LEVEL": "a", "PAYMENT_TIMEOUT": "b", "proxy-read-timeout": "c", "FEATURES": "d"}},
    "Secret": {"keys": {"DATABASE_PASSWORD": "a", "API_TOKEN": "b"}},
    "Ingress": {
        "ingress_class": "nginx",
        "hosts": lambda name: [f"{name}.demo.invalid"],
        "annotations": {"cert-manager.io/cluster-issuer": "a", "nginx.ingress.kubernetes.io/proxy-body-size": "b"},
    },
    "Job": {"images": lambda name: {"migrate": f"{_REGISTRY}/migrate:2.4.0"}},
    "CronJob": {
        "images": lambda name: {name: f"{_REGISTRY}/{name}:3.1.0"},
        "schedule": "15 3 * * *",
        "suspended": False,
    },
    "Node": {
        "conditions": {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False"},
        "unschedulable": False,
    },
    "Role": {"rules": ["get, list, watch: pods, configmaps"]},
    "RoleBinding": {"role": "Role deployer", "subjects": ["ServiceAccount platform/deployer"]},
}
