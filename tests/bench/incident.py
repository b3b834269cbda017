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
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

HTMX = {"HX-Request": "true", "Accept-Encoding": "gzip"}
JSON = {"Content-Type": "application/json"}
NEWS_PAUSE, EDIT_PAUSE, READ_PAUSE, EXPORT_PAUSE = 2, 1, 1, 20
_NEWS = re.compile(rb'hx-get="(/news\?[^"]*)"')
SEARCHES = ("poll%20inter", "deploy", "author:demo-alice", "-tag:test")


class Incident:
    """The load: the server's port, when it ends, and the milliseconds of the requests so far."""

    def __init__(self, port: int, seconds: float):
        self.port = port
        self.end = time.monotonic() + seconds
        self.times: dict[str, list[float]] = defaultdict(list)

    @property
    def goes_on(self) -> bool:
        """Whether the load has not ended yet."""
        return time.monotonic() < self.end

    def dashboard(self, delay: float) -> None:
        """Open a dashboard and ask for news, as its page does."""
        client = Client(self)
        time.sleep(delay)
        address = _news(client.send("page", "GET", "/", {"Accept-Encoding": "gzip"}))
        while address and self.goes_on:
            time.sleep(NEWS_PAUSE)
            address = _news(client.send("news", "GET", address, HTMX)) or address

    def write(self, name: str) -> None:
        """Add a connector and edit it through the API."""
        client = Client(self)
        body = {"name": name, "type": "github", "enabled": False, "config": {"token": "made-up"}}
        address = f"/api/connectors/{json.loads(client.send('create', 'POST', '/api/connectors', JSON, body))['id']}"
        for edit in itertools.count(1):
            if not self.goes_on:
                return
            time.sleep(EDIT_PAUSE)
            client.send("get", "GET", address)
            change = {"config": {"poll_interval": 300 + edit % 600}}
            client.send("edit", "PATCH", address, {**JSON, "If-Match": "*"}, change)

    def read(self) -> None:
        """Read the feed and search it."""
        client = Client(self)
        for words in itertools.cycle(SEARCHES):
            client.send("feed", "GET", "/?range=90d", HTMX)
            client.send("search", "GET", f"/?range=90d&q={words}", HTMX)
            time.sleep(READ_PAUSE)
            if not self.goes_on:
                return

    def export(self) -> None:
        """Export the log as NDJSON."""
        client = Client(self)
        while self.goes_on:
            client.send("export", "POST", "/api/export?format=ndjson")
            time.sleep(EXPORT_PAUSE)


class Client:
    """A persistent connection, which records how long each response takes."""

    def __init__(self, incident: Incident):
        self.incident = incident
        self.connection = http.client.HTTPConnection("127.0.0.1", incident.port, timeout=120)

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
        return gzip.decompress(data) if response.getheader("Content-Encoding") == "gzip" else data


def _news(page: bytes) -> str | None:
    found = _NEWS.search(page)
    return found[1].decode().replace("&amp;", "&") if found else None


def load(port: int, seconds: float, dashboards: int, writers: int) -> dict[str, list[float]]:
    """Put the load on a server, and return the milliseconds of its requests by kind."""
    incident = Incident(port, seconds)
    spread = NEWS_PAUSE / dashboards if seconds else 0
    names = [f"Incident {time.time_ns()} {number}" for number in range(writers)]
    with ThreadPoolExecutor(dashboards + writers + 3) as threads:
        running = [threads.submit(incident.dashboard, number * spread) for number in range(dashboards)]
        running += [threads.submit(incident.write, name) for name in names]
        if seconds:
            running += [threads.submit(part) for part in (incident.read, incident.read, incident.export)]
        for part in running:
            part.result()
    return incident.times


if __name__ == "__main__":
    port, seconds, dashboards, *writers = sys.argv[1:]
    sys.stdout.write(json.dumps(load(int(port), float(seconds), int(dashboards), int(*writers or [0]))))
