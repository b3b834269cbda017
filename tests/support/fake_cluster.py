"""A fake Kubernetes API server: it lists in pages, streams changes, denies access and expires old versions."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from painchain.connectors.kubernetes.api import RESOURCES
from tests.counterparts import ReceivedRequest, Reply, as_json

TOKEN = "canary-token-5c1e77"


class FakeCluster:
    """A fake API server. Every change has the next resourceVersion."""

    def __init__(self) -> None:
        self.version = 100
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.lines: list[tuple[int, str, str, dict[str, Any]]] = []
        self.forgotten = 0
        self.forbidden: set[str] = set()
        self.unwatched: set[str] = set()
        self.unknown_apis: set[str] = set()
        self.too_old = 0  # how many of the next continuations get status 410
        self.watched: list[str] = []
        self.identity = "system:serviceaccount:ops:painchain"
        self._changed = threading.Condition()
        self._closed = False

    def put(self, kind: str, name: str, namespace: str = "shop", **more: Any) -> None:
        """Create or change an object."""
        key = (kind, namespace, name)
        with self._changed:
            self.version += 1
            verb = "MODIFIED" if key in self.objects else "ADDED"
            meta = {"name": name, "uid": f"uid-{kind}-{namespace}-{name}", "resourceVersion": str(self.version)}
            self.objects[key] = {**more, "metadata": {**meta, "namespace": namespace, **more.get("metadata", {})}}
            self._stream_change(verb, key, self.objects[key])

    def remove(self, kind: str, name: str, namespace: str = "shop") -> None:
        """Delete an object."""
        key = (kind, namespace, name)
        with self._changed:
            self.version += 1
            last = self.objects.pop(key)
            last["metadata"] = {**last["metadata"], "resourceVersion": str(self.version)}
            self._stream_change("DELETED", key, last)

    def bookmark(self) -> None:
        """Send a bookmark to every stream."""
        with self._changed:
            for kind in RESOURCES:
                bookmark = {"kind": kind, "metadata": {"resourceVersion": str(self.version)}}
                self._stream_change("BOOKMARK", (kind, "", ""), bookmark)

    def say(self, kind: str, line: dict[str, Any]) -> None:
        """Send a raw line to the streams of a kind."""
        with self._changed:
            self.version += 1
            self.lines.append((self.version, kind, "", line))
            self._changed.notify_all()

    def forget(self) -> None:
        """Discard older versions (compaction): streams that are behind end."""
        with self._changed:
            self.version += 1
            self.forgotten = self.version

    def close(self) -> None:
        """End all streams."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _stream_change(self, verb: str, key: tuple[str, str, str], manifest: dict[str, Any]) -> None:
        line = {"type": verb, "object": json.loads(json.dumps(manifest))}
        self.lines.append((self.version, key[0], key[1] if verb != "BOOKMARK" else "", line))
        self._changed.notify_all()

    def __call__(self, request: ReceivedRequest) -> Reply:
        parts = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return status(401)
        if parts.path == "/version":
            return as_json({"gitVersion": "v1.33.1"})
        if request.body:
            return self._review(parts.path, json.loads(request.body))
        api, namespace, plural = _resource_of(parts.path)
        kinds = [kind for kind, resource in RESOURCES.items() if resource.plural == plural]
        if not kinds or api.partition("/")[2] in self.unknown_apis:
            return status(404)
        kind = kinds[0]
        if kind in self.forbidden or (kind in self.unwatched and "watch" in query):
            return status(403)
        return self._watch(kind, namespace, query) if "watch" in query else self._list(kind, namespace, query)

    def _list(self, kind: str, namespace: str, query: dict[str, str]) -> Reply:
        if "continue" in query and self.too_old:
            self.too_old -= 1
            return status(410)
        with self._changed:
            listed = [
                manifest for key, manifest in self.objects.items() if key[0] == kind and namespace in ("", key[1])
            ]
            start, limit = int(query.get("continue", 0)), int(query["limit"])
            meta = {"resourceVersion": str(self.version)}
            if start + limit < len(listed):
                meta["continue"] = str(start + limit)
            return as_json({"kind": f"{kind}List", "metadata": meta, "items": listed[start : start + limit]})

    def _watch(self, kind: str, namespace: str, query: dict[str, str]) -> Reply:
        if int(query["resourceVersion"]) < self.forgotten:
            return status(410)
        self.watched.append(f"{kind}/{namespace}")
        return Reply(parts=self._stream(kind, namespace, int(query["resourceVersion"])))

    def _stream(self, kind: str, namespace: str, after: int) -> Iterator[bytes]:
        position = 0
        yield b""
        while True:
            with self._changed:
                while len(self.lines) == position and not self._closed:
                    self._changed.wait(0.5)
                if self._closed:
                    return
                new, position = self.lines[position:], len(self.lines)
            for version, of, where, line in new:
                if of == kind and version > after and (where == "" or namespace in ("", where)):
                    yield json.dumps(line).encode() + b"\n"

    def _review(self, path: str, review: dict[str, Any]) -> Reply:
        if path.endswith("/selfsubjectreviews"):
            name = {"username": self.identity}
            return as_json({"status": {"userInfo": name}}, 201) if self.identity else status(404)
        attributes = review["spec"]["resourceAttributes"]
        kind = next(kind for kind, resource in RESOURCES.items() if resource.plural == attributes["resource"])
        denied = self.forbidden | (self.unwatched if attributes["verb"] == "watch" else set())
        return as_json({"status": {"allowed": kind not in denied}}, 201)


def _resource_of(path: str) -> tuple[str, str, str]:
    """Return API, namespace and plural of a path."""
    parts = path.strip("/").split("/")
    if "namespaces" in parts:
        return "/".join(parts[:-3]), parts[-2], parts[-1]
    return "/".join(parts[:-1]), "", parts[-1]


def status(code: int) -> Reply:
    """Return an error as Kubernetes sends it."""
    return as_json({"kind": "Status", "status": "Failure", "code": code, "message": "no"}, code)
