#!/usr/bin/env bash
# Two Python clients of Kubernetes cannot list the events of a cluster through the API for events.
#
# Packages: kubernetes 37.0.2 (the official client), lightkube 1.0.1 with lightkube-models 1.37.0.8 (PyPI).
# Expected: the server offers each event through `v1` and through the newer `events.k8s.io/v1`, and clients read both.
# What happens: Kubernetes' OpenAPI description of the newer API requires the time `eventTime`, but the server writes
#   null for each event that was recorded through `v1`: a zero time is null (apimachinery, `meta/v1/micro_time.go`). The
#   controllers of Kubernetes 1.31 record theirs so: the stub below answers as the server did in
#   opentelemetry-helm-charts issue 1575. For one such event, both clients raise an error for the whole list. Through
#   `v1`, where the member is optional, they read it. For the official client it is kubernetes-client/python issue 1616,
#   open since 2021; now not even `client_side_validation = False` helps.
# Why it matters: a collector passes its tests with a stub that follows the description, and fails in a real cluster.
#   PainChain reads Kubernetes' JSON without a client, and lists no events.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
    kubernetes==37.0.2 lightkube==1.0.1 lightkube-models==1.37.0.8 2>/dev/null
venv/bin/python -W ignore - <<'PY'
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import lightkube
from kubernetes import client
from lightkube.config.models import Cluster, User
from lightkube.resources.core_v1 import Event as CoreEvent
from lightkube.resources.events_v1 import Event

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop", "namespace": "default"}
TIME, SOURCE = "2026-11-30T09:22:27Z", {"component": "deployment-controller"}


def events(is_v1):
    """Return a list of two events as the server writes it: recorded through v1, and through events.k8s.io/v1."""
    items = []
    for name, time, event_time in (("shop.18a1", TIME, None), ("shop.18a2", None, "2026-11-30T09:22:28.000000Z")):
        item = {"kind": "Event", "metadata": {"name": name, "namespace": "default", "creationTimestamp": TIME},
                "eventTime": event_time, "reason": "ScalingReplicaSet", "type": "Normal"}
        if is_v1:
            item |= {"apiVersion": "v1", "involvedObject": DEPLOYMENT, "message": "Scaled up", "source": SOURCE,
                     "firstTimestamp": time, "lastTimestamp": time, "reportingComponent": "", "reportingInstance": ""}
        else:
            item |= {"apiVersion": "events.k8s.io/v1", "regarding": DEPLOYMENT, "note": "Scaled up",
                     "deprecatedSource": SOURCE, "deprecatedFirstTimestamp": time, "deprecatedLastTimestamp": time}
        items.append(item)
    return {"apiVersion": items[0]["apiVersion"], "kind": "EventList", "metadata": {}, "items": items}


class Kubernetes(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(events(is_v1=self.path.startswith("/api/v1/"))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Kubernetes)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
official = client.ApiClient(client.Configuration(host=address))
config = lightkube.KubeConfig.from_one(cluster=Cluster(server=address), user=User(token="example"))
light = lightkube.Client(config, trust_env=False)
CALLS = {
    "kubernetes, v1": lambda: client.CoreV1Api(official).list_namespaced_event("default").items,
    "kubernetes, events.k8s.io/v1": lambda: client.EventsV1Api(official).list_namespaced_event("default").items,
    "lightkube, v1": lambda: list(light.list(CoreEvent, namespace="default")),
    "lightkube, events.k8s.io/v1": lambda: list(light.list(Event, namespace="default")),
}
print(", ".join(f"{name} {version(name)}" for name in ("kubernetes", "lightkube", "lightkube-models")))
seen = {}
for name, call in CALLS.items():
    try:
        seen[name] = f"{len(call())} events"
    except Exception as error:
        seen[name] = type(error).__name__
        print(*str(error).splitlines()[:3], sep="\n    ")
    print(f"{name}: {seen[name]}")
sys.exit(list(seen.values()) != ["2 events", "ValidationError"] * 2)
PY
