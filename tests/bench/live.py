"""Compare two checkouts in turns: the load of an incident, dashboards opened at once, and pages after a write.

Each server has a log of its own with the same demo events. The ratios are this checkout's figures to the other's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from painchain.core import config
from tests.bench import events, incident, progress, servers
from tests.bench.servers import Request, Server

EVENTS, DASHBOARDS, WRITERS = 20_000, 30, 5
# The longest that steps may take, on a busy machine: the incident ends only with the last of its responses.
FILL_SECONDS, PAGES_SECONDS, LATE_SECONDS = 300, 180, 180
HTMX = {"HX-Request": "true"}
PAGES = {
    "dashboard": Request("/"),
    "feed": Request("/?range=90d", headers=HTMX),
    "event page": Request("/events/100"),
}
# The largest ratio to a25888c, the last version without shared work, and what is measured.
TARGETS = {
    "incident: news, p95": 1 / 5,
    "incident: edit, p95": 1 / 4,
    "incident: processor time": 1 / 3,
    "incident: processor time, 1,000 requests": 1 / 3,  # for a machine that is too busy to answer all in time
    "incident: export, median": 1 / 4,
    f"{DASHBOARDS} dashboards opened at once, p95": 1 / 5,
    **{f"{page} after a write, {what}": 1 / 4 for page in PAGES for what in ("time", "processor time")},
}
LIMITS = {"memory, fresh": 90.0, "memory, one reader": 105.0, "memory after the incident": 140.0}  # in MiB


def live(folder: Path, rounds: int, seconds: float, other: Path) -> Iterator[tuple[str, str, str, float, float]]:
    """Yield each case with the other checkout's figure, ours, the ratio or our MiB, and the target.

    :raises SystemExit: if a server does not start or answers with an error.
    """
    measured: dict[Path, dict[str, list[float]]] = {checkout: defaultdict(list) for checkout in (other, servers.ROOT)}
    for turn in range(rounds):
        for checkout, figures in measured.items():
            whose = f"turn {turn + 1} of {rounds}, {'this checkout' if checkout == servers.ROOT else 'the other one'}"
            instance = folder / whose.replace(" ", "-")
            progress.begin(f"{whose}: a log of {EVENTS:,} events", FILL_SECONDS)
            _fill(checkout, instance)
            with servers.running(["app.py"], instance, checkout=checkout) as server:
                for case, figure in _measure(server, seconds, whose):
                    figures[case].append(figure)
    theirs, ours = ({case: median(all) for case, all in figures.items()} for figures in measured.values())
    for case, target in TARGETS.items():
        yield case, f"{theirs[case]:.1f} ms", f"{ours[case]:.1f} ms", ours[case] / theirs[case], target
    for case, limit in LIMITS.items():
        yield case, f"{theirs[case]:.0f} MiB", f"{ours[case]:.0f} MiB", ours[case], limit


def _fill(checkout: Path, instance: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(config.PREFIX)}
    environ["PAINCHAIN_INSTANCE"] = str(instance)
    command = [str(Path(servers.python_of(checkout)).with_name("painchain")), "demo", "--events", str(EVENTS)]
    subprocess.run(command, cwd=checkout, env=environ, stdout=subprocess.DEVNULL, check=True)


def _measure(server: Server, seconds: float, whose: str) -> Iterator[tuple[str, float]]:
    yield "memory, fresh", server.resident
    progress.begin(f"{whose}: pages after a write", PAGES_SECONDS)
    yield from _pages(server)
    yield "memory, one reader", server.resident
    progress.begin(f"{whose}: {DASHBOARDS} dashboards opened at once", PAGES_SECONDS)
    _write(server)
    yield f"{DASHBOARDS} dashboards opened at once, p95", _p95(_load(server, 0)["page"])
    progress.begin(f"{whose}: an incident of {seconds:.0f} s", seconds + LATE_SECONDS)
    busy, begin = server.cpu_seconds, time.perf_counter()
    times = _load(server, seconds, WRITERS)
    busy, lasted = server.cpu_seconds - busy, time.perf_counter() - begin
    yield "incident: processor time", 1000 * busy / lasted
    yield "incident: processor time, 1,000 requests", 1_000_000 * busy / sum(map(len, times.values()))
    yield "memory after the incident", server.resident
    yield "incident: news, p95", _p95(times["news"])
    yield "incident: edit, p95", _p95(times["edit"])
    yield "incident: export, median", median(times["export"])


def _pages(server: Server, count: int = 20) -> Iterator[tuple[str, float]]:
    """Yield how long each page takes right after a write, and the processor time it takes."""
    events.add_connector().answer(server.port)
    for page, request in PAGES.items():
        request.answer(server.port)
        took, busy = [], 0.0
        for _ in range(count):
            _write(server)
            before, begin = server.cpu_seconds, time.perf_counter()
            request.answer(server.port)
            took.append(1000 * (time.perf_counter() - begin))
            busy += server.cpu_seconds - before
        yield f"{page} after a write, time", median(took)
        yield f"{page} after a write, processor time", 1000 * busy / count


def _write(server: Server) -> None:
    events.report(events.CHANGE).answer(server.port)


def _load(server: Server, seconds: float, writers: int = 0) -> dict[str, list[float]]:
    arguments = [str(argument) for argument in (server.port, seconds, DASHBOARDS, writers)]
    command = [sys.executable, "-I", incident.__file__, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    times: dict[str, list[float]] = json.loads(done.stdout)
    return times


def _p95(times: list[float]) -> float:
    return sorted(times)[len(times) * 95 // 100]
