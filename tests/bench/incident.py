"""Use a server as a team does during an incident, in a separate process.

`python incident.py PORT SECONDS DASHBOARDS WRITERS` keeps DASHBOARDS pages open that ask for news every two seconds,
edits WRITERS connectors once a second each, reads the feed and searches it as two people, and exports the log every 20
seconds. It prints one line of JSON: the milliseconds of every request by kind.

`python incident.py PORT 0 DASHBOARDS` only opens that many dashboards at once.
"""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import re
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing

HTMX = {"HX-Request": "true", "Accept-Encoding": "gzip"}
JSON = {"Content-Type": "application/json"}
NEWS_PAUSE, EDIT_PAUSE, READ_PAUSE, EXPORT_PAUSE = 2, 1, 1, 20
_NEWS = re.compile(rb'hx-get="(/news\?[^"]*)"')
READERS = 3  # two people, and an export
SEARCHES = ("poll%20inter", "deploy", "author:demo-alice", "-tag:test")


class Incident:
    """The load: the server's port, when it ends, and the milliseconds of the requests so far.

    `acknowledged` are the request IDs of the edits that the server answered.
    """

    def __init__(self, port: int, seconds: float):
        self.port = port
        self.end = time.monotonic() + seconds
        self.stopped = threading.Event()
        self.times: dict[str, list[float]] = defaultdict(list)
        self.acknowledged: list[str] = []

    @property
    def goes_on(self) -> bool:
        """Whether the load has not ended yet."""
        return time.monotonic() < self.end and not self.stopped.is_set()

    def pause(self, seconds: float) -> None:
        """Wait, but not longer than the load goes on."""
        self.stopped.wait(seconds)

    def dashboard(self, delay: float) -> None:
        """Open a dashboard and ask for news, as its page does."""
        with closing(Client(self)) as client:
            self.pause(delay)
            address = _news(client.send("page", "GET", "/", {"Accept-Encoding": "gzip"}))
            while address and self.goes_on:
                self.pause(NEWS_PAUSE)
                address = _news(client.send("news", "GET", address, HTMX)) or address

    def write(self, name: str) -> None:
        """Add a connector and edit it through the API."""
        with closing(Client(self)) as client:
            body = {"name": name, "type": "github", "enabled": False, "config": {"token": "made-up"}}
            address = (
                f"/api/connectors/{json.loads(client.send('create', 'POST', '/api/connectors', JSON, body))['id']}"
            )
            for edit in itertools.count(1):
                if not self.goes_on:
                    return
                self.pause(EDIT_PAUSE)
                client.send("get", "GET", address)
                change = {"config": {"poll_interval": 300 + edit % 600}}
                client.send("edit", "PATCH", address, {**JSON, "If-Match": "*"}, change)

    def read(self) -> None:
        """Read the feed and search it."""
        with closing(Client(self)) as client:
            for words in itertools.cycle(SEARCHES):
                client.send("feed", "GET", "/?range=90d", HTMX)
                client.send("search", "GET", f"/?range=90d&q={words}", HTMX)
                self.pause(READ_PAUSE)
                if not self.goes_on:
                    return

    def export(self) -> None:
        """Export the log as NDJSON."""
        with closing(Client(self)) as client:
            while self.goes_on:
                client.send("export", "POST", "/api/export?format=ndjson")
                self.pause(EXPORT_PAUSE)


class Client:
    """A persistent connection, which records how long each response takes."""

    def __init__(self, incident: Incident):
        self.incident = incident
        self.connection = http.client.HTTPConnection("127.0.0.1", incident.port, timeout=120)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    def send(
        self, kind: str, method: str, address: str, headers: dict[str, str] | None = None, body: object = None
    ) -> bytes:
        """Send a request and return the body of its response.

        :raises SystemExit: if the server answers with an error.
        """
        begin = time.perf_counter()
        self.connection.request(method, address, json.dumps(body) if body else None, headers or {})
        response = self.connection.getresponse()
        data = response.read()
        self.incident.times[kind].append(1000 * (time.perf_counter() - begin))
        if response.status >= 400:
            raise SystemExit(f"{method} {address} was answered with {response.status}: {data[:300]!r}")
        if kind in ("create", "edit"):
            self.incident.acknowledged.append(response.headers["X-Request-Id"])
        return gzip.decompress(data) if response.getheader("Content-Encoding") == "gzip" else data


def _news(page: bytes) -> str | None:
    found = _NEWS.search(page)
    return found[1].decode().replace("&amp;", "&") if found else None


def load(port: int, seconds: float, dashboards: int, writers: int) -> dict[str, list[float]]:
    """Put the load on a server, and return the milliseconds of its requests by kind."""
    incident = Incident(port, seconds)
    with ThreadPoolExecutor(dashboards + writers + READERS) as threads:
        for part in start(incident, threads, dashboards, writers):
            part.result()
    return incident.times


def start(incident: Incident, threads: ThreadPoolExecutor, dashboards: int, writers: int) -> list[Future[None]]:
    """Start the parts of the load, each in a thread, and return them."""
    names = [f"Incident {time.time_ns()} {number}" for number in range(writers)]
    spread = NEWS_PAUSE / dashboards if incident.goes_on else 0
    running = [threads.submit(incident.dashboard, number * spread) for number in range(dashboards)]
    running += [threads.submit(incident.write, name) for name in names]
    if incident.goes_on:
        running += [threads.submit(part) for part in (incident.read, incident.read, incident.export)]
    return running


if __name__ == "__main__":
    port, seconds, dashboards, *writers = sys.argv[1:]
    sys.stdout.write(json.dumps(load(int(port), float(seconds), int(dashboards), int(*writers or [0]))))
