"""Count the requests, events and polls of one app since it started, for Prometheus."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from painchain import __version__

SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 10)
BUSY, DATABASE = "busy", "database"  # why a write was refused
NO_ROUTE = "none"  # the label of requests without a route: input is never a label

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that is not needed


class Metrics:
    """The counters of one app. Labels come from the code, never from input, so their number is limited."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "painchain_http_requests",
            "Requests by route, method and status class.",
            ("route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "painchain_http_request_duration_seconds",
            "Time from the request to the start of the response.",
            ("route", "method"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self._events = Counter(
            "painchain_events_written",
            "Events that this server wrote, by source.",
            ("source",),
            registry=self.registry,
        )
        self._refused = Counter(
            "painchain_writes_refused",
            "Write requests that failed because the database was busy (busy) or had an error (database).",
            ("reason",),
            registry=self.registry,
        )
        self._polls = Counter(
            "painchain_polls",
            "Polls that this server made, by type of connector and outcome.",
            ("type", "outcome"),
            registry=self.registry,
        )
        self._request_counters: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        for reason in (BUSY, DATABASE):
            self._refused.labels(reason)
        build = Gauge(
            "painchain_build_info", "Version of PainChain and of Python.", ("version", "python"), registry=self.registry
        )
        build.labels(__version__, platform.python_version()).set(1)
        ProcessCollector(registry=self.registry)

    def count_request(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """Count a request. Its counters are looked up once and cached."""
        key = (route or NO_ROUTE, method, status // 100)
        counters = self._request_counters.get(key)
        if counters is None:
            named = (key[0], key[1])
            counters = (self._requests.labels(*named, f"{key[2]}xx"), self._seconds.labels(*named))
            self._request_counters[key] = counters
        counters[0].inc()
        counters[1].observe(seconds)

    def count_events(self, events: Mapping[str, int]) -> None:
        """Count committed events, by source."""
        for source, number in events.items():
            self._events.labels(source).inc(number)

    def count_refused_write(self, reason: str) -> None:
        """Count a request that could not write."""
        self._refused.labels(reason).inc()

    def count_poll(self, connector_type: str, outcome: str) -> None:
        """Count a poll."""
        self._polls.labels(connector_type, outcome).inc()
