"""Objects with every field that configures them, and what a change of one is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from painchain.connectors.contract import SourceEvent
from painchain.connectors.kubernetes.changes import compare
from painchain.connectors.kubernetes.json_values import fingerprinter
from painchain.connectors.kubernetes.observation import ObjectType, ObservedObject, observe

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
SINCE = NOW - timedelta(minutes=5)
MARK = fingerprinter("salt")
CANARY = "canary-value-3b7a"


def resource(metadata: dict[str, Any] | None = None, **parts: Any) -> dict[str, Any]:
    """An object as the API server sends it."""
    base = {"name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"}
    return {"metadata": {**base, **(metadata or {})}, **parts}


def observed(kind: str, value: Any) -> ObservedObject:
    found = observe(kind, value, MARK)
    assert found is not None
    return found


def change(kind: str, old: Any, new: Any) -> SourceEvent | None:
    """The event when an object changes from old to new."""
    return compare(ObjectType("prod", kind), observed(kind, old), observed(kind, new), NOW, SINCE)[0]


def changed(kind: str, old: Any, new: Any) -> SourceEvent:
    event = change(kind, old, new)
    assert event is not None
    return event


PROBE = {"httpGet": {"path": "/health", "port": 8080}, "periodSeconds": 10}
CONTAINER = {
    "name": "web",
    "image": "shop/web:1",
    "command": ["web"],
    "args": ["--port", "8080"],
    "ports": [{"containerPort": 8080, "name": "http"}],
    "env": [{"name": "MODE", "value": "production"}, {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "a"}}}],
    "envFrom": [{"configMapRef": {"name": "settings"}}],
    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "startupProbe": PROBE,
    "lifecycle": {"preStop": {"exec": {"command": ["sleep"]}}},
    "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True}],
    "securityContext": {"runAsUser": 1000, "privileged": False},
    "imagePullPolicy": "Always",
}
POD_TEMPLATE = {
    "metadata": {"labels": {"app": "web"}, "annotations": {"prometheus.io/scrape": "true"}},
    "spec": {
        "containers": [CONTAINER, {"name": "proxy", "image": "proxy:2"}],
        "initContainers": [{"name": "migrate", "image": "shop/web:1", "args": ["migrate"]}],
        "volumes": [{"name": "data", "secret": {"secretName": "password", "items": [{"key": "a", "path": "b"}]}}],
        "serviceAccountName": "web",
        "nodeSelector": {"pool": "web"},
        "tolerations": [{"key": "dedicated", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}},
        "imagePullSecrets": [{"name": "registry"}],
        "hostNetwork": True,
        "securityContext": {"fsGroup": 2000},
        "terminationGracePeriodSeconds": 30,
        "priorityClassName": "high",
        "topologySpreadConstraints": [{"maxSkew": 1}],
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}]},
    },
}
SPECIFICATIONS: dict[str, dict[str, Any]] = {
    "Deployment": {
        "spec": {
            "replicas": 3,
            "minReadySeconds": 5,
            "paused": True,
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}},
            "template": POD_TEMPLATE,
        }
    },
    "StatefulSet": {
        "spec": {
            "replicas": 3,
            "serviceName": "web",
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
            "volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": "1Gi"}}}}],
            "template": POD_TEMPLATE,
        }
    },
    "DaemonSet": {"spec": {"updateStrategy": {"type": "OnDelete"}, "template": POD_TEMPLATE}},
    "Service": {
        "spec": {
            "type": "LoadBalancer",
            "clusterIP": "10.0.0.7",
            "clusterIPs": ["10.0.0.7", "fd00::7"],
            "externalIPs": ["192.0.2.7"],
            "externalName": "web.example",
            "externalTrafficPolicy": "Local",
            "healthCheckNodePort": 31000,
            "internalTrafficPolicy": "Local",
            "ipFamilies": ["IPv4", "IPv6"],
            "ipFamilyPolicy": "RequireDualStack",
            "allocateLoadBalancerNodePorts": False,
            "loadBalancerClass": "example.com/internal",
            "loadBalancerIP": "192.0.2.8",
            "loadBalancerSourceRanges": ["192.0.2.0/24"],
            "ports": [{"name": "web", "port": 80, "targetPort": 8080, "nodePort": 30080, "appProtocol": "http"}],
            "publishNotReadyAddresses": True,
            "selector": {"app": "web"},
            "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}},
            "trafficDistribution": "PreferClose",
        }
    },
    "Ingress": {
        "spec": {
            "ingressClassName": "nginx",
            "defaultBackend": {"service": {"name": "web", "port": {"number": 80}}},
            "tls": [{"hosts": ["shop.example"], "secretName": "tls"}],
            "rules": [
                {
                    "host": "shop.example",
                    "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "web"}}}]},
                }
            ],
        }
    },
    "Job": {"spec": {"backoffLimit": 3, "completions": 1, "suspend": True, "template": POD_TEMPLATE}},
    "CronJob": {
        "spec": {
            "schedule": "0 3 * * *",
            "timeZone": "Europe/Berlin",
            "suspend": True,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 60,
            "successfulJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": {"labels": {"app": "web"}, "annotations": {"team": "shop"}},
                "spec": {"backoffLimit": 3, "activeDeadlineSeconds": 600, "template": POD_TEMPLATE},
            },
        }
    },
    "ConfigMap": {"data": {"a": "1"}, "binaryData": {"b": "AAAA"}, "immutable": True},
    "Secret": {"data": {"a": "MQ=="}, "type": "Opaque", "immutable": True},
    "Node": {
        "metadata": {"labels": {"pool": "web"}, "namespace": None},
        "spec": {"unschedulable": True, "taints": [{"key": "dedicated", "value": "web", "effect": "NoSchedule"}]},
    },
    "Role": {
        "rules": [{"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"]}]
    },
    "RoleBinding": {
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": "shop"}],
    },
}
