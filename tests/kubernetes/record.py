"""Record what a real API server answers while the story happens: ``python -m tests.kubernetes.record BINARIES``."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path
from ssl import create_default_context
from typing import Any

from painchain.connectors.kubernetes.api import RESOURCES
from tests.kubernetes import story
from tests.kubernetes.cluster import ADMIN, Cluster, cluster, why_not

RECORDED = Path(__file__).parents[1] / "recorded" / "kubernetes.json"


def listed(running: Cluster) -> dict[str, Any]:
    """Return the lists of everything in the story's namespace, by path."""
    lists = {}
    for one in RESOURCES.values():
        path = "/" + one.path(one.apis[-1] if one.kind == "CronJob" else one.apis[0], "shop" if one.namespaced else "")
        lists[path] = running.ask("GET", f"{path}?limit=500")
    return lists


def watched(running: Cluster, lists: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the lines of every watch from the lists on, while the story goes on."""
    lines: dict[str, list[Any]] = {path: [] for path in lists}

    def listen(path: str) -> None:
        at = lists[path]["metadata"]["resourceVersion"]
        query = f"watch=true&resourceVersion={at}&allowWatchBookmarks=true&timeoutSeconds=20"
        request = urllib.request.Request(f"{running.url}{path}?{query}", headers={"Authorization": f"Bearer {ADMIN}"})
        trust = create_default_context(cadata=running.certificate)
        with urllib.request.urlopen(request, timeout=60, context=trust) as stream:
            lines[path].extend(json.loads(line) for line in stream)

    threads = [threading.Thread(target=listen, args=(path,)) for path in lists]
    for thread in threads:
        thread.start()
    story.changes(running)
    for thread in threads:
        thread.join()
    return lines


def main(binaries: Path) -> None:
    """Write the recording."""
    if why := why_not(binaries):
        sys.exit(why)
    with tempfile.TemporaryDirectory() as folder, cluster(binaries, Path(folder)) as running:
        story.begin(running)
        before = listed(running)
        lines = watched(running, before)
        recording = {"before": before, "watch": lines, "after": listed(running)}
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text(in_lines(recording) + "\n", encoding="utf-8")


def in_lines(recording: dict[str, Any]) -> str:
    """Return JSON with one line for each path, so that a new recording can be compared."""

    def one(value: Any) -> str:
        if not isinstance(value, dict):
            return json.dumps(value)
        return "{\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(value[key])}" for key in sorted(value)) + "\n }"

    return "{\n" + ",\n".join(f" {json.dumps(key)}: {one(value)}" for key, value in recording.items()) + "\n}"


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
