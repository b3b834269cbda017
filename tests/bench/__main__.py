"""Measure PainChain, mostly compared with bare Flask: `python -m tests.bench [PART]…`, each of ``PARTS`` or all."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median

import click

from tests.bench import events, load, progress, servers, tabs
from tests.bench.checking import check as measure_checking
from tests.bench.live import live as measure_live
from tests.bench.poll import poll as measure_polling
from tests.bench.scale import scale as measure_scale
from tests.bench.servers import Request, Server
from tests.bench.walk import walk as measure_walk

DAY = timedelta(hours=23)
CLIENTS = (1, 8, 32)
LOG_RATIOS = {1: 0.6, 8: 1.0, 32: 1.5}  # by the number of concurrent requests, which share commits
MEMORY_MIB, START_SECONDS, MANY = 120, 1.5, 1_000_000
TABS, PAUSE_SECONDS, TABS_PERCENT = 50, 1.9, 5  # the pause is that of static/live.js
RATE_SECONDS, IDLE_SECONDS, INCIDENT_SECONDS = 1.0, 10.0, 60.0  # for which these are measured by default
PART_SECONDS = 1_200  # for a part whose steps are not shown


@dataclass(frozen=True)
class Line:
    """One line of the table. The target is met when `ratio` is at least, or at most, `target`."""

    case: str
    bare: str
    ours: str
    ratio: float
    target: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        return self.ratio >= self.target if self.at_least else self.ratio <= self.target

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        verdict = "ok" if self.met else "miss"
        figures = f"{self.bare:>12} {self.ours:>12} {self.ratio:>8.2f}"
        return f"{self.case:<50} {figures}  {sign} {self.target:<5.3g} {verdict}"


@dataclass(frozen=True)
class Bench:
    """How often and how long to measure, if not as long as usual, and the folder for instances and templates."""

    folder: Path
    rounds: int
    seconds: float | None = None
    against: Path | None = None

    def rates(self, clients: int, contenders: Iterable[tuple[Server, Request]]) -> list[float]:
        """Return the requests per second of each contender: the median of rounds in which they take turns."""
        contenders = list(contenders)
        seconds = self.seconds or RATE_SECONDS
        progress.begin(f"{clients} at a time", len(contenders) * self.rounds * (seconds + 60))
        rates_by_round = [[_rate(clients, seconds, *contender) for contender in contenders] for _ in range(self.rounds)]
        return [median(rates) for rates in zip(*rates_by_round, strict=True)]

    def instance(self, name: str, number: int = 0, span: timedelta = DAY) -> Path:
        """Return an instance folder with that many events in its database."""
        folder = self.folder / name
        progress.begin(f"a log of {number:,} events", 60 + number / 1000)
        with servers.painchain(folder) as server:
            for request in (events.add_connector(), *map(events.report, events.SAMPLES)):
                request.answer(server.port)
        if number:
            events.fill(folder, number, span)
        return folder

    def log(self) -> Iterator[Line]:
        """Compare logging an event with a single INSERT, for an empty log and for a long one."""
        insert, report = replace(events.report(events.CHANGE), address="/insert"), events.report(events.CHANGE)
        empty, full = self.instance("empty"), self.instance("full", MANY, timedelta(days=90))
        with servers.bare(self.bare_folder) as bare, servers.painchain(empty) as few, servers.painchain(full) as many:
            for clients in CLIENTS:
                raw, *ours = self.rates(clients, [(bare, insert), (few, report), (many, report)])
                for rate, state in zip(ours, ("no events", f"{MANY:,} events"), strict=True):
                    case = f"POST log, {clients} at a time, {state}"
                    yield Line(case, f"{raw:.0f}/s", f"{rate:.0f}/s", rate / raw, LOG_RATIOS[clients], at_least=True)
            yield self.memory("after logging, no events", few)
            yield self.memory(f"after logging, {MANY:,} events", many)

    def pages(self) -> Iterator[Line]:
        """Compare pages and fragments with a static template of the same bytes."""
        number = 10_000
        htmx = {"HX-Request": "true"}
        cases = {
            "dashboard": Request("/"),
            "dashboard fragment": Request("/", headers=htmx),
            "chart": Request("/timeline", headers=htmx),
        }
        instance = self.instance("day", number)
        with servers.bare(self.bare_folder) as bare, servers.painchain(instance) as ours:
            for name, request in cases.items():
                body = request.answer(ours.port)
                still = replace(request, address=f"/page/{self.template(name, body)}")
                for clients in CLIENTS[:2]:
                    raw, rate = self.rates(clients, [(bare, still), (ours, request)])
                    case = f"GET {name} ({len(body) / 1024:.0f} KiB), {clients} at a time"
                    yield Line(case, f"{1000 / raw:.2f} ms", f"{1000 / rate:.2f} ms", raw / rate, 3)
            yield self.memory(f"after pages, {number:,} events", ours)

    def start(self) -> Iterator[Line]:
        """Time the first response of a new instance and of one that was started before."""
        seconds: dict[str, list[float]] = {"first start": [], "second start": []}
        for number in range(self.rounds):
            for case, times in seconds.items():
                progress.begin(case, 60)
                with servers.painchain(self.folder / f"start-{number}", Request("/")) as server:
                    times.append(server.first_answer)
        for case, times in seconds.items():
            yield Line(f"{case}: first answer", "", f"{median(times):.2f} s", median(times), START_SECONDS)

    def idle(self) -> Iterator[Line]:
        """Measure what share of one core the server uses for open dashboards without new events."""
        with servers.painchain(self.instance("tabs", 10_000)) as server:
            page = Request("/").answer(server.port).decode()
            match = re.search(r"/news\?after=(\d+)", page)
            after = match[1] if match else ""
            percents, seconds = [], self.seconds or IDLE_SECONDS
            progress.begin(f"{TABS} open dashboards", self.rounds * (seconds + 60) + 60)
            self._keep_open(server, after, 2)
            for _ in range(self.rounds):
                before, begin = server.cpu_seconds, time.perf_counter()
                self._keep_open(server, after, seconds)
                percents.append(100 * (server.cpu_seconds - before) / (time.perf_counter() - begin))
        case = f"{TABS} open dashboards, no new events: share of one core"
        yield Line(case, "", f"{median(percents):.1f} %", median(percents), TABS_PERCENT)

    def _keep_open(self, server: Server, after: str, seconds: float) -> None:
        arguments = [str(argument) for argument in (server.port, TABS, seconds, PAUSE_SECONDS, after)]
        subprocess.run([sys.executable, "-I", tabs.__file__, *arguments], check=True)

    def live(self) -> Iterator[Line]:
        """Compare the load of an incident with another checkout."""
        if self.against is None:
            raise click.UsageError("live needs another checkout, set up by `make run`: --against PATH")
        for row in measure_live(self.folder, min(self.rounds, 3), self.seconds or INCIDENT_SECONDS, self.against):
            yield Line(*row)

    def scale(self) -> Iterator[str]:
        """Measure how read times grow with the log."""
        yield from measure_scale(self.folder / "scale", self.rounds)

    def poll(self) -> Iterator[Line]:
        """Measure how fast polled events are stored, and how much polls slow down the dashboard."""
        for row in measure_polling(self.folder / "poll", self.rounds):
            yield Line(*row)

    def verify(self) -> Iterator[Line]:
        """Measure how long it takes to verify a long log."""
        for row in measure_walk(self.folder / "verify"):
            yield Line(*row)

    def check(self) -> Iterator[Line]:
        """Measure how much the check of a long log slows down the dashboard."""
        for row in measure_checking(self.folder / "check", self.rounds):
            yield Line(*row)

    def memory(self, when: str, server: Server) -> Line:
        """Measure how much memory a server uses."""
        return Line(f"memory {when}", "", f"{server.resident:.0f} MiB", server.resident, MEMORY_MIB)

    def template(self, name: str, body: bytes) -> str:
        """Write a template that renders to exactly these bytes, and return its name."""
        file = self.bare_folder / f"{name.replace(' ', '-')}.html"
        file.write_bytes(b"{% raw %}" + body + b"{% endraw %}")
        return file.name

    @property
    def bare_folder(self) -> Path:
        """The folder of the bare app."""
        folder = self.folder / "bare"
        folder.mkdir(exist_ok=True)
        return folder


PARTS = {
    "log": Bench.log,
    "pages": Bench.pages,
    "start": Bench.start,
    "idle": Bench.idle,
    "live": Bench.live,
    "scale": Bench.scale,
    "poll": Bench.poll,
    "verify": Bench.verify,
    "check": Bench.check,
}


def _rate(clients: int, seconds: float, server: Server, request: Request) -> float:
    arguments = [str(server.port), str(clients), str(seconds), str(request.status)]
    command = [sys.executable, "-I", load.__file__, *arguments]
    done = subprocess.run(command, input=request.raw, stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"{request.method} {request.address} could not be measured")
    return float(done.stdout)


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--rounds", default=5, help="How often each contender is measured; the median counts.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0.1),
    help=f"How long each measurement takes: by default {RATE_SECONDS:.0f}, of idle dashboards {IDLE_SECONDS:.0f}, "
    f"of an incident {INCIDENT_SECONDS:.0f}.",
)
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="The checkout that `live` compares with.",
)
def main(parts: tuple[str, ...], rounds: int, seconds: float | None, against: Path | None) -> None:
    """Measure PARTS and print the ratios.

    PARTS are log, pages, start, idle, live, scale, poll, verify, check; by default all, and live only with --against.
    The steps are shown on standard error. The bench ends if one of them takes too long.
    """
    click.echo(f"{'case':<50} {'bare':>12} {'ours':>12} {'ratio':>8}  target")
    with tempfile.TemporaryDirectory(prefix="painchain-bench-") as folder:
        bench = Bench(Path(folder), rounds, seconds, against)
        for part in parts or [part for part in PARTS if part != "live" or against]:
            progress.begin(part, PART_SECONDS)
            for line in PARTS[part](bench):
                click.echo(line)


if __name__ == "__main__":
    main()
