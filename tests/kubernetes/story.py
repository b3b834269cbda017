"""Change a real cluster while it is observed: create, change and delete one object of each kind."""

from __future__ import annotations

from typing import Any

from tests.kubernetes.cluster import Cluster

CANARY = "canary-value-7fd21"
SHOP = "namespaces/shop"


def workload(image: str, **container: Any) -> dict[str, Any]:
    """The specification of a workload with one container."""
    labels = {"app": "web"}
    pod = {"containers": [{"name": "web", "image": image, **container}]}
    return {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}


def pod(image: str, policy: str = "Always") -> dict[str, Any]:
    """The specification of a pod."""
    return {"restartPolicy": policy, "containers": [{"name": "app", "image": image}]}


def job(image: str) -> dict[str, Any]:
    """The specification of a job."""
    return {"template": {"spec": pod(image, "Never")}}


def begin(cluster: Cluster) -> None:
    """Create the objects that exist before the first poll."""
    cluster.make("/api/v1/namespaces", "shop")
    env = [{"name": "PASSWORD", "value": CANARY}]
    cluster.make(f"/apis/apps/v1/{SHOP}/deployments", "web", spec={"replicas": 1, **workload("shop/web:1", env=env)})
    cluster.make(f"/apis/apps/v1/{SHOP}/statefulsets", "db", spec={"serviceName": "db", **workload("shop/db:1")})
    cluster.make(f"/apis/apps/v1/{SHOP}/daemonsets", "agent", spec=workload("shop/agent:1"))
    cluster.make(f"/api/v1/{SHOP}/configmaps", "settings", data={"colour": CANARY, "size": "1"})
    cluster.make(f"/api/v1/{SHOP}/secrets", "password", stringData={"password": CANARY})
    cluster.make(f"/api/v1/{SHOP}/pods", "worker", spec=pod("shop/worker:1"))
    cluster.make("/api/v1/nodes", "node-1")


def changes(cluster: Cluster) -> None:
    """Change, create and delete objects, with updates in between that are no changes to a person."""
    apps, core = f"/apis/apps/v1/{SHOP}", f"/api/v1/{SHOP}"
    batch, rbac = "/apis/batch", f"/apis/rbac.authorization.k8s.io/v1/{SHOP}"
    cluster.patch(f"{apps}/deployments/web", {"spec": {"replicas": 3}})
    cluster.set_status(f"{apps}/deployments/web", {"replicas": 3, "readyReplicas": 1})
    note = {"kubectl.kubernetes.io/last-applied-configuration": CANARY}
    cluster.patch(f"{apps}/deployments/web", {"metadata": {"annotations": note}})
    env = [{"name": "PASSWORD", "value": CANARY * 2}]
    cluster.patch(f"{apps}/deployments/web", {"spec": workload("shop/web:2", env=env)})
    cluster.patch(f"{apps}/statefulsets/db", {"spec": {"replicas": 2}})
    cluster.patch(f"{apps}/daemonsets/agent", {"spec": workload("shop/agent:2")})
    cluster.make(f"{core}/services", "web", spec={"ports": [{"port": 80}], "clusterIP": "10.0.0.77"})
    cluster.patch(f"{core}/configmaps/settings", {"data": {"colour": CANARY * 2, "size": None, "shape": "round"}})
    cluster.patch(f"{core}/secrets/password", {"stringData": {"password": CANARY * 2, "user": "shop"}})
    rules = [{"host": "shop.example", "http": {"paths": [path("web")]}}]
    spec = {"ingressClassName": "nginx", "rules": rules}
    cluster.make(f"/apis/networking.k8s.io/v1/{SHOP}/ingresses", "web", spec=spec)
    cluster.make(f"{batch}/v1/{SHOP}/jobs", "migrate", spec=job("shop/migrate:1"))
    ended = {"startTime": "2026-03-10T11:00:00Z", "completionTime": "2026-03-10T11:01:30Z", "succeeded": 1}
    done = {"type": "Complete", "status": "True"}
    cluster.set_status(f"{batch}/v1/{SHOP}/jobs/migrate", {**ended, "conditions": [done]})
    nightly = {"schedule": "0 3 * * *", "jobTemplate": {"spec": job("shop/nightly:1")}}
    cluster.make(f"{batch}/v1beta1/{SHOP}/cronjobs", "nightly", spec=nightly)
    cluster.set_status("/api/v1/nodes/node-1", {"conditions": [{"type": "Ready", "status": "True"}]})
    cluster.set_status("/api/v1/nodes/node-1", {"conditions": [{"type": "Ready", "status": "Unknown"}]})
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    status = {"name": "app", "restartCount": 4, "image": "x", "imageID": "", "ready": False, "state": waiting}
    cluster.set_status(f"{core}/pods/worker", {"phase": "Running", "containerStatuses": [status]})
    cluster.set_status(f"{core}/pods/worker", {"containerStatuses": [{**status, "restartCount": 5}]})
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    cluster.make(f"{rbac}/roles", "reader", rules=[rule])
    to = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    ann = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}
    cluster.make(f"{rbac}/rolebindings", "readers", roleRef=to, subjects=[ann])
    cluster.remove(f"{core}/configmaps/settings")
    cluster.remove(f"{core}/pods/worker")
    cluster.remove(f"{apps}/daemonsets/agent")


def path(service: str) -> dict[str, Any]:
    """One path of an ingress."""
    return {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": service, "port": {"number": 80}}}}


# The titles of a watch's events by kind, in their order. A poll afterwards finds only what differs.
TITLES = {
    "Deployment": ["[Deployment Updated] web", "[Deployment Updated] web"],
    "StatefulSet": ["[StatefulSet Updated] db"],
    "DaemonSet": ["[DaemonSet Updated] agent", "[DaemonSet Deleted] agent"],
    "Service": ["[Service Created] web"],
    "ConfigMap": ["[ConfigMap Updated] settings", "[ConfigMap Deleted] settings"],
    "Secret": ["[Secret Updated] password"],
    "Ingress": ["[Ingress Created] web"],
    "Job": ["[Job Created] migrate", "[Job Updated] migrate"],
    "CronJob": ["[CronJob Created] nightly"],
    "Node": ["[Node Updated] node-1", "[Node Updated] node-1"],
    "Pod": ["[Pod Updated] worker"],
    "Role": ["[Role Created] reader"],
    "RoleBinding": ["[RoleBinding Created] readers"],
}


def by_kind(titles: list[str]) -> dict[str, list[str]]:
    """Return titles by kind, each kind's in their order."""
    grouped: dict[str, list[str]] = {}
    for title in titles:
        grouped.setdefault(title[1:].split(" ")[0], []).append(title)
    return grouped
