"""Measure long operations on a long log: the speed and memory of an export, and how long a prune blocks writers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from flask import Flask

from painchain.audit import trail as audit_trail
from painchain.cli.prune import clock, paced
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.retention import pruning
from painchain.retention import rules as retention_rules
from painchain.timeline import histogram
from painchain.timeline.filter import Filter

KEPT_DAYS, MOST_MS, GROWTH = 80, 100, 1.2
SOURCES = ("github", "gitlab", "kubernetes")
COMMAND = "import sys; from painchain.cli.main import main; sys.argv[0] = 'painchain'; main()"


def exported(database: str, instances: dict[int, tuple[Path, str]]) -> Iterator[str]:
    """Export the shortest and the longest log, and yield the speed and the memory."""
    peaks = []
    for size in (min(instances), max(instances)):
        instance, url = instances[size]
        environ = {**os.environ, "PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_DATABASE_URL": url}
        begin = time.perf_counter()
        command = [sys.executable, "-c", COMMAND, "export", "--format", "ndjson", "--range", "all"]
        process = subprocess.Popen(command, env=environ, stdout=subprocess.PIPE)
        assert process.stdout is not None
        events = sum(1 for _ in process.stdout)
        _, status, usage = os.wait4(process.pid, 0)
        peaks.append(usage.ru_maxrss / 1024)
        pace = events / (time.perf_counter() - begin)
        ok = status == 0 and events >= size and peaks[-1] <= peaks[0] * GROWTH
        yield f"{database}: export of {events:>9,}   {pace:>7,.0f}/s   {peaks[-1]:.0f} MiB   {'ok' if ok else 'miss'}"


def pruned(database: str, app: Flask) -> Iterator[str]:
    """Remove the oldest events, and yield how long the longest transaction blocked other writers."""
    seconds, removed = [], 0
    with app.app_context():
        rules = dict.fromkeys(SOURCES, KEPT_DAYS)
        now = beat = clock()
        with writer.writing() as event_log:
            trail = audit_trail.Trail(event_log, audit_trail.SYSTEM, writer.new_request_id(now), now)
            retention_rules.change(rules, {}, trail)
        prunable = retention_rules.prunable(rules, now)
        with writer.writing() as event_log:
            trail = audit_trail.Trail(event_log, audit_trail.SYSTEM, writer.new_request_id(now), now)
            orders = retention_rules.schedule_prune(prunable, retention_rules.ON_DEMAND, trail, beat)
        begin, before = time.perf_counter(), histogram.count(Filter())
        for number in orders:
            for step in paced(pruning.run(number, beat, clock)):
                seconds.append(step.seconds)
                removed += step.events
        pace = removed / (time.perf_counter() - begin)
        longest = 1000 * max(seconds)
        db.session.remove()
    verdict = "ok" if longest <= MOST_MS else "miss"
    yield f"{database}: prune of {removed:,} of {before:,}   {pace:,.0f}/s"
    yield f"{database}: prune, longest transaction   {longest:.0f} ms  ≤ {MOST_MS} {verdict}"
