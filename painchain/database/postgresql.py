"""Connections to PostgreSQL that end when the server falls silent, instead of waiting for it.

A server can fall silent without closing its connections: its processes are stopped, its machine hangs, or a firewall
drops the packets. Keepalives notice only that the machine is gone, so the client has its own clock (`deadlines`).
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from threading import Lock
from time import monotonic
from types import ModuleType
from typing import Any, TypeVar, cast

import psycopg

from painchain.database import deadlines

LOCK_SECONDS = 7  # for which a statement waits for a lock: less than a request has

CONNECT_SECONDS, MIN_CONNECT_SECONDS = 5, 2  # the second is the driver's own minimum
PROBE_SECONDS = 2.0  # for which the one thread waits that asks a silent server
RECEIVED = 1  # a bit of what the driver is told: that the server has sent something

# The client notices that the server's machine is gone, and the server that the client's is.
KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
SESSION = {
    "lock_timeout": f"{LOCK_SECONDS}s",
    "tcp_keepalives_idle": "10s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
}

Value = TypeVar("Value")


class ServerSilent(psycopg.OperationalError):
    """The server did not answer in time."""

    was_sent = True


class NotAsked(ServerSilent):
    """The server is silent, and another thread is asking it, or no time is left. Nothing was sent."""

    was_sent = False


class Silence:
    """Whether the server is silent. While it is, one thread at a time asks it, and the others fail at once.

    Otherwise the requests of a few open pages would soon occupy every thread of the web server, and none would be left
    to say that the database does not answer.
    """

    def __init__(self) -> None:
        self._is_silent = False
        self._answered = monotonic()
        self._asking = Lock()

    def answered(self) -> None:
        """Note that the server has answered."""
        self._answered = monotonic()
        self._is_silent = False

    def expired(self, began: float) -> None:
        """Note that a wait that began then has expired. If others were answered since, the server is not silent."""
        if self._answered < began:
            self._is_silent = True

    def ask(self) -> bool:
        """Return whether the server is silent, so that this thread asks it and calls `stop_asking` in the end.

        :raises NotAsked: when the server is silent, and another thread is asking it.
        """
        if not self._is_silent:
            return False
        if not self._asking.acquire(blocking=False):
            raise NotAsked("the server does not answer")
        return True

    def stop_asking(self) -> None:
        """Let another thread ask."""
        self._asking.release()


class BoundedConnection(psycopg.Connection[Any]):
    """A connection whose waits end at the deadline of the thread."""

    silence: Silence

    def wait(self, gen: Generator[Any, Any, Value], *arguments: Any, **more: Any) -> Value:
        """Wait until the driver's `gen` has its answer. A connection whose answer is late is closed.

        :raises ServerSilent: when the server does not answer in time.
        """
        try:
            return super().wait(self._bounded(gen), *arguments, **more)
        except ServerSilent:
            self.close()
            raise

    def _bounded(self, gen: Generator[Any, Any, Value]) -> Generator[Any, Any, Value]:
        """Run `gen` until the deadline. The driver resumes it at least ten times a second."""
        silence, began, until, received = self.silence, monotonic(), deadlines.expiry(), 0
        asks = silence.ask()
        if asks:
            until = min(until, began + PROBE_SECONDS)
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                received |= ready or 0
                wanted = gen.send(ready)
                if monotonic() >= until:
                    raise ServerSilent("the server did not answer in time")
        except StopIteration as end:
            return cast(Value, end.value)
        except ServerSilent:
            silence.expired(began)
            deadlines.give_up()
            raise
        finally:
            if received & RECEIVED:
                silence.answered()
            if asks:
                silence.stop_asking()


def driver() -> ModuleType:
    """Return the driver, with bounded connections, for an engine."""
    bounded = ModuleType(psycopg.__name__)
    vars(bounded).update(vars(psycopg), connect=partial(_connect, Silence()))
    return bounded


def _connect(silence: Silence, **parameters: Any) -> BoundedConnection:
    asks = silence.ask()
    try:
        connection = _open(silence, parameters, PROBE_SECONDS if asks else CONNECT_SECONDS)
    finally:
        if asks:
            silence.stop_asking()
    silence.answered()
    return connection


def _open(silence: Silence, parameters: dict[str, Any], limit: float) -> BoundedConnection:
    began = monotonic()
    hosts = str(parameters.get("host", "")).count(",") + 1  # the driver tries one after the other
    seconds = min(limit, (deadlines.expiry() - began) / hosts)
    if seconds < MIN_CONNECT_SECONDS / 2:
        raise NotAsked("no time is left to connect to the server")
    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    given = {**KEEPALIVES, **parameters, "options": f"{options} {parameters.get('options', '')}".rstrip()}
    try:
        connection = BoundedConnection.connect(**given, connect_timeout=max(MIN_CONNECT_SECONDS, int(seconds)))
    except psycopg.errors.ConnectionTimeout:
        silence.expired(began)
        deadlines.give_up()
        raise
    connection.silence = silence
    return connection
