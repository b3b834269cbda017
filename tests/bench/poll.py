"""Measure polling: how fast events are stored, and how much 200 concurrent polls slow down the dashboard."""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

from flask import Flask
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from painchain import connectors
from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store
from painchain.connectors.contract import PollResult, SourceEvent
from painchain.core import config
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.ingestion import poll_results
from painchain.startup import create_app
from tests.bench import progress, servers
from tests.bench.servers import Server
from tests.support.sample_events import CLOCK

MANY, CONNECTORS, STRIKES, DELIVERIES = 10_000, 200, 20, 300
PER_SECOND, TIMES_BARE, TIMES_IDLE, ANSWER_MS = 5_000, 3.5, 2, 50
PIPELINE = servers.ROOT / "tests" / "recorded" / "gitlab" / "webhooks" / "pipeline.json"
# (case, bare, ours, ratio, target, whether the ratio has to be at least the target)
Row = tuple[str, str, str, float, float, bool]


def poll(folder: Path, rounds: int) -> Iterator[Row]:
    """Measure on SQLite and, where PAINCHAIN_TEST_POSTGRES names a server, on PostgreSQL."""
    connectors.TYPES[CLOCK.key] = CLOCK
    yield from measure_storing(folder / "sqlite", "", rounds)
    if server := os.environ.get("PAINCHAIN_TEST_POSTGRES", ""):
        with database(server) as url:
            yield from measure_storing(folder / "postgresql", url, rounds)
    yield from measure_concurrent_polls(folder / "many", rounds)
    yield from measure_deliveries(folder / "webhooks")


@contextmanager
def database(server: str) -> Iterator[str]:
    """Make a PostgreSQL database, and drop it at the end."""
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    name = f"painchain_bench_{os.getpid()}_poll"
    try:
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield make_url(server).set(database=name).render_as_string(False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
        engine.dispose()


def measure_storing(instance: Path, url: str, rounds: int) -> Iterator[Row]:
    """Compare storing the events of one poll with a bare executemany of the same rows into a similar table."""
    kind = "PostgreSQL" if url else "SQLite"
    progress.begin(f"{kind}: {MANY:,} events of a poll", 60 * (rounds + 1))
    app = create_server_app(instance, url)
    with app.app_context():
        number = add("Clock", "http://127.0.0.1:9")
        ours, again, bare, longest = [], [], [], []
        for round_number in range(max(rounds, 2)):
            result = PollResult([pull_request(round_number, index) for index in range(MANY)], {"last": round_number})
            now = datetime.now(UTC)
            held: list[float] = []
            with length_of_writes(held):
                ours.append(seconds(lambda result=result, now=now: poll_results.store(number, result, now)))
            longest.append(max(held))
            again.append(seconds(lambda result=result, now=now: poll_results.store(number, result, now)))
            bare.append(bare_insert(round_number))
        db.session.remove()
        db.engine.dispose()
    case = f"{MANY:,} polled events, {kind}"
    # The fastest round: other processes on the machine can only slow it down.
    rates = [f"{MANY / min(times):.0f}/s" for times in (bare, ours)]
    yield f"{case}: bare and ours", rates[0], rates[1], min(ours) / min(bare), TIMES_BARE, False
    yield f"{case}: events a second", "", rates[1], MANY / min(ours), PER_SECOND, True
    yield f"{case}: longest write, ms", "", f"{min(longest) * 1000:.0f} ms", min(longest) * 1000, 100, False
    yield f"the same again, {kind}: seconds", "", f"{min(again):.2f} s", min(again), 0.5, False


def measure_concurrent_polls(instance: Path, rounds: int) -> Iterator[Row]:
    """Compare the response times of a dashboard during 200 concurrent polls and without polls."""
    with run_fake_server() as port:
        app = create_server_app(instance, "")
        with app.app_context():
            for number in range(CONNECTORS):
                add(f"Clock {number}", f"http://127.0.0.1:{port}")
            db.session.remove()
            db.engine.dispose()
        with servers.running(["-m", "tests.bench.clocks"], instance) as server:
            wait_for_polls(instance, 0)
            for event_count in (0, STRIKES):
                progress.begin(f"{CONNECTORS} polls of {event_count} events", 120 * (rounds + 1))
                idle, polling, took = [], [], []
                for _ in range(max(rounds, 2)):
                    idle.append(p95(server, lambda times: len(times) < 150))
                    begin = make_due(instance, port, event_count)
                    polling.append(p95(server, lambda times, begin=begin: not all_polled(instance, begin)))
                    took.append(time.time() - begin)
                case = f"dashboard p95, {CONNECTORS} polls of {event_count} events ({median(took):.1f} s)"
                ratio = median(polling) / median(idle)
                yield (
                    case,
                    f"{median(idle) * 1000:.1f} ms",
                    f"{median(polling) * 1000:.1f} ms",
                    ratio,
                    TIMES_IDLE,
                    False,
                )


def measure_deliveries(instance: Path) -> Iterator[Row]:
    """Measure the response times of webhook deliveries, each with a new event."""
    progress.begin(f"{DELIVERIES} webhook deliveries", 120)
    gitlab = {"type": "gitlab", "name": "GitLab", "config": {"token": "made-up-token"}}
    with servers.painchain(instance) as server:
        connector_id = json.loads(post_request("/api/connectors", gitlab, 201).answer(server.port))["id"]
        post_request(f"/api/connectors/{connector_id}/enable", {}, 200).answer(server.port)
        hook = json.loads(post_request(f"/api/connectors/{connector_id}/webhook", {}, 201).answer(server.port))
        payload, took = json.loads(PIPELINE.read_text()), []
        for number in range(DELIVERIES):
            payload["object_attributes"]["id"] = number + 1
            headers = {"X-Gitlab-Token": hook["secret"], "X-Gitlab-Event-UUID": f"bench-{number}"}
            delivery = post_request(
                f"/hooks/gitlab/{connector_id}", payload, 202, {"X-Gitlab-Event": "Pipeline Hook", **headers}
            )
            begin = time.perf_counter()
            delivery.answer(server.port)
            took.append((time.perf_counter() - begin) * 1000)
    for case, milliseconds in ("median", median(took)), ("p99", quantiles(took, n=100)[-1]):
        yield f"a webhook is answered, {case}, ms", "", f"{milliseconds:.1f} ms", milliseconds, ANSWER_MS, False


def post_request(address: str, value: object, status: int, headers: dict[str, str] | None = None) -> servers.Request:
    """Return a request that posts JSON."""
    own = {"Content-Type": "application/json", **(headers or {})}
    return servers.Request(address, json.dumps(value).encode(), own, status)


def create_server_app(instance: Path, url: str) -> Flask:
    """Return an app on a fresh database."""
    environ = {"PAINCHAIN_INSTANCE": str(instance), "PAINCHAIN_DATABASE_URL": url, "PAINCHAIN_LOG_LEVEL": "error"}
    environ["PAINCHAIN_ALLOW_PRIVATE_ADDRESSES"] = "yes"
    return create_app(config.load(environ))


def add(name: str, url: str) -> int:
    """Add an enabled connector."""
    now = datetime.now(UTC)
    values = {"name": name, "base_url": url, "token": "made-up-token", "tags": "backend,tower"}
    with writer.writing() as event_log:
        return connector_store.create(CLOCK, values, True, Trail(event_log, SYSTEM, writer.new_request_id(now), now)).id


def pull_request(round_number: int, number: int) -> SourceEvent:
    """Return the event of a pull request, as a poll returns it."""
    return SourceEvent(
        event_id=f"pr-acme/api-{round_number}-{number}-opened",
        event_type="PullRequest",
        title=f"[PR] Retry the flaky upload {number}",
        timestamp=datetime.now(UTC) - timedelta(seconds=8 * number),
        author=f"dev{number % 40}",
        status="open",
        url=f"https://git.example/acme/api/pull/{number}",
        text="Retries the upload three times before it gives up",
        facts={
            "branches": {"head": f"retry-{number}", "base": "main"},
            "changes": {"additions": number % 99, "deletions": 3, "files": 2},
            "reviewers": ["ann", "bob"],
            "approvals": 1,
            "comments": 3,
            "merged": False,
            "files_changed": ["src/upload.py", "tests/test_upload.py"],
        },
    )


def bare_insert(round_number: int) -> float:
    """Return the seconds that a bare executemany takes for the rows of one round, with the same indexes as ours.

    Like ours, it starts with Python values: encoding the JSON counts.
    """
    sqlite = db.engine.dialect.name == "sqlite"
    with db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS bare")
        if sqlite:
            connection.exec_driver_sql("CREATE TABLE bare AS SELECT * FROM change_events WHERE 0")
            connection.exec_driver_sql("CREATE UNIQUE INDEX bare_id ON bare (id)")
            connection.exec_driver_sql("CREATE UNIQUE INDEX bare_event_id ON bare (event_id)")
            indexes = "SELECT sql FROM sqlite_master WHERE tbl_name = 'change_events' AND sql LIKE 'CREATE INDEX %'"
            for (statement,) in connection.exec_driver_sql(indexes).all():
                connection.exec_driver_sql(
                    statement.replace("INDEX ", "INDEX bare_").replace("change_events (", "bare (")
                )
        else:
            connection.exec_driver_sql("CREATE TABLE bare (LIKE change_events INCLUDING ALL)")
    with closing(db.engine.raw_connection()) as connection:
        cursor = connection.cursor()
        cursor.execute(f"SELECT * FROM change_events WHERE event_id LIKE 'pr-acme/api-{round_number}-%'")
        names = [name for name, *_ in cursor.description]
        in_json = [names.index(name) for name in ("description", "metadata", "tags")]
        rows = [list(row) for row in cursor.fetchall()]
        for row in rows if sqlite else ():
            for column in in_json:
                row[column] = json.loads(row[column])
        placeholder = "?" if sqlite else "%s"
        placeholders = ", ".join([placeholder] * len(names))
        if sqlite:
            cursor.execute("BEGIN IMMEDIATE")
        statement = f"INSERT INTO bare ({', '.join(names)}) VALUES ({placeholders})"

        def insert() -> None:
            for row in rows:
                for column in in_json:
                    row[column] = json.dumps(row[column])
            cursor.executemany(statement, rows)
            connection.commit()

        return seconds(insert)


def seconds(act: Callable[[], object]) -> float:
    """Return how many seconds a call takes."""
    begin = clock()
    act()
    return clock() - begin


def clock() -> float:
    """Return the time in seconds: for SQLite the processor time of this thread, because SQLite works in it."""
    return time.thread_time() if db.engine.dialect.name == "sqlite" else time.perf_counter()


@contextmanager
def length_of_writes(held: list[float]) -> Iterator[None]:
    """Append to `held` the seconds for which each write transaction blocks other writers."""
    writing = writer.writing

    @contextmanager
    def timed() -> Iterator[writer.EventLogWriter]:
        with writing() as event_log:
            begin = clock()
            yield event_log
        held.append(clock() - begin)  # with the commit

    writer.writing = timed
    try:
        yield
    finally:
        writer.writing = writing


@contextmanager
def run_fake_server() -> Iterator[int]:
    """Run the fake source that all connectors poll in a separate process, and yield its port."""
    port = next(servers.ports)
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.strikes", str(port)], cwd=servers.ROOT)
    try:
        wait(lambda: answers(port))
        yield port
    finally:
        process.terminate()
        process.wait(10)


def answers(port: int, path: str = "/strikes?after=0") -> bool:
    """Return whether a server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read() is not None
    except OSError:
        return False
    finally:
        connection.close()


def make_due(instance: Path, port: int, event_count: int) -> float:
    """Set how many events the source returns per poll, make all connectors due, and return the present time."""
    answers(port, f"/tell/{event_count}")
    now = time.time()
    with closing(sqlite3.connect(instance / "painchain.db", timeout=10)) as connection, connection:
        connection.execute("UPDATE poll_states SET due = ?", [int(now * 1e6)])
    return now


def all_polled(instance: Path, since: float) -> bool:
    """Return whether every connector has been polled since then."""
    with closing(sqlite3.connect(instance / "painchain.db", timeout=10)) as connection:
        query = "SELECT count(*) FROM poll_states WHERE last_success >= ?"
        return connection.execute(query, [int(since * 1e6)]).fetchone()[0] >= CONNECTORS


def wait_for_polls(instance: Path, since: float) -> None:
    """Wait until every connector has been polled."""
    wait(lambda: all_polled(instance, since))


def wait(done: Callable[[], bool]) -> None:
    """Wait until `done` returns true.

    :raises SystemExit: if that takes more than a minute.
    """
    pause = threading.Event()
    for _ in range(600):
        if done():
            return
        pause.wait(0.1)
    raise SystemExit("timed out after a minute")


def p95(server: Server, more: Callable[[list[float]], bool]) -> float:
    """Request an uncached dashboard while `more` returns true, and return the 95th percentile of the response times."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    times: list[float] = []
    while more(times) or len(times) < 20:
        begin = time.perf_counter()
        connection.request("GET", f"/?range=24h&n={time.monotonic_ns()}")
        connection.getresponse().read()
        times.append(time.perf_counter() - begin)
        time.sleep(0.005)
    connection.close()
    return quantiles(times, n=20)[-1]
