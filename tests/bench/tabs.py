"""Keep many dashboards open without new events, in a separate, light process.

`python tabs.py PORT TABS SECONDS PAUSE AFTER` sends the requests of TABS browser tabs, evenly spread: each tab asks for
new events every PAUSE seconds and for the chart once a minute.
"""

from __future__ import annotations

import http.client
import sys
import time
from heapq import heappop, heappush

CHART_PAUSE = 60
HEADERS = {"HX-Request": "true", "Cookie": "zone=Europe/Zurich"}


def get(connection: http.client.HTTPConnection, address: str) -> bytes:
    """Send a request as htmx does. Like a browser, reopen a closed connection."""
    connection.request("GET", address, headers=HEADERS)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status not in (200, 204):
        raise SystemExit(f"{address} was answered with {answer.status}: {body[:300]!r}")
    return body


def keep_open(port: int, tabs: int, seconds: float, pause: float, after: str) -> None:
    """Send the requests of all tabs, evenly spread, for `seconds`."""
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=30) for _ in range(tabs)]
    begin = time.monotonic()
    due: list[tuple[float, int, str, float]] = []
    for number in range(tabs):
        heappush(due, (begin + pause * number / tabs, number, f"/news?after={after}", pause))
        heappush(due, (begin + CHART_PAUSE * number / tabs, number, "/timeline", CHART_PAUSE))
    while due[0][0] < begin + seconds:
        when, number, address, again = heappop(due)
        time.sleep(max(0.0, when - time.monotonic()))
        get(connections[number], address)
        heappush(due, (when + again, number, address, again))


if __name__ == "__main__":
    port, tabs, seconds, pause, after = sys.argv[1:]
    keep_open(int(port), int(tabs), float(seconds), float(pause), after)
