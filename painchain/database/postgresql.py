"""Connections to PostgreSQL that end when the server falls silent, instead of waiting for it.

A server can fall silent without closing its connections: its processes are stopped, its machine hangs, or a firewall
drops the packets. Keepalives notice only that the machine is gone, so the client has its own clock (`deadlines`).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from time import monotonic
from types import ModuleType
from typing import Any, TypeVar, cast

import psycopg

from painchain.database import deadlines, name_lookup

CONNECT_SECONDS, MIN_CONNECT_SECONDS = 5, 2  # the second is the driver's own minimum
PROBE_SECONDS = 2.0  # for which the one thread waits that asks a silent server
RECEIVED = 1  # a bit of what the driver is told: that the server has sent something

# The client notices that the server's machine is gone, and the server that the client's is.
KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
SESSION = {
    "lock_timeout": f"{deadlines.LOCK_SECONDS}s",
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
    is_pooled: bool

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


@dataclass
class Server:
    """What is known of a server: whether it is silent, and whether a pooler such as PgBouncer is in front of it."""

    silence: Silence = field(default_factory=Silence)
    is_pooled: bool = False


def driver() -> ModuleType:
    """Return the driver, with bounded connections, for an engine."""
    bounded = ModuleType(psycopg.__name__)
    vars(bounded).update(vars(psycopg), connect=partial(_connect, Server()))
    return bounded


def _connect(server: Server, **parameters: Any) -> BoundedConnection:
    asks = server.silence.ask()
    try:
        connection = _open(server, parameters, PROBE_SECONDS if asks else CONNECT_SECONDS)
    finally:
        if asks:
            server.silence.stop_asking()
    connection.silence = server.silence
    if not server.is_pooled:
        server.is_pooled = _has_lost_settings(connection)
    connection.is_pooled = server.is_pooled
    if server.is_pooled:  # the pooler has answered, not the server
        connection.prepare_threshold = None  # the next statement may reach another session of the server
    return connection


def _open(server: Server, parameters: dict[str, Any], limit: float) -> BoundedConnection:
    """Open a connection. If a pooler refuses the settings of the session, open it without them."""
    began = monotonic()
    parameters = _with_addresses(server, parameters, limit)
    attempts = str(parameters.get("host", "")).count(",") + 1  # the driver tries one after the other
    seconds = min(limit, (deadlines.expiry() - monotonic()) / attempts)
    if seconds < MIN_CONNECT_SECONDS / 2:
        raise NotAsked("no time is left to connect to the server")
    given = {**KEEPALIVES, **parameters, "connect_timeout": max(MIN_CONNECT_SECONDS, int(seconds))}
    settings = {} if server.is_pooled else {"options": f"{parameters.get('options', '')} {_options()}".strip()}
    try:
        return BoundedConnection.connect(**given | settings)
    except psycopg.errors.ConnectionTimeout:
        server.silence.expired(began)
        deadlines.give_up()
        raise
    except psycopg.OperationalError as error:
        if server.is_pooled or "startup parameter" not in str(error):
            raise
        server.is_pooled = True
        return BoundedConnection.connect(**given)


def _with_addresses(server: Server, parameters: dict[str, Any], limit: float) -> dict[str, Any]:
    """Look up the addresses of the server. The driver itself would wait for the resolver without a limit."""
    began = monotonic()
    seconds = min(limit, deadlines.expiry() - began)
    if seconds < MIN_CONNECT_SECONDS / 2:
        raise NotAsked("no time is left to connect to the server")
    try:
        return name_lookup.with_addresses(parameters, seconds)
    except TimeoutError as error:
        server.silence.expired(began)
        deadlines.give_up()
        raise psycopg.errors.ConnectionTimeout(str(error)) from None
    except OSError as error:
        raise psycopg.OperationalError(f"failed to resolve host {parameters['host']!r}: {error}") from None


def _options() -> str:
    """Return the settings of a session. The server ends a statement that nobody waits for any more."""
    limits = {"statement_timeout": f"{deadlines.STATEMENT_SECONDS:.0f}s"} if deadlines.are_statements_limited() else {}
    return " ".join(f"-c {name}={value}" for name, value in {**SESSION, **limits}.items())


def _has_lost_settings(connection: BoundedConnection) -> bool:
    """Return whether the session does not have the settings that it was opened with: a pooler ignored them."""
    connection.autocommit = True
    [lock_timeout] = connection.execute("SHOW lock_timeout").fetchone() or [""]
    connection.autocommit = False
    return bool(lock_timeout != SESSION["lock_timeout"])
