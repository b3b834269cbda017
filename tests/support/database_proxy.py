"""A TCP proxy in front of PostgreSQL, whose connections break or fall silent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy.engine import make_url

COMMIT, LOG = b"COMMIT\0", b"log_head"


@dataclass
class _Link:
    """One connection: its two ends, and whether its packets vanish."""

    client: socket.socket
    server: socket.socket
    is_silent: bool = False
    is_of_log: bool = False  # it has read or written the log: the driver commits on new connections, too
    loses: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def end(self) -> None:
        """Break the connection."""
        for side in (self.client, self.server):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


class DatabaseProxy:
    """A proxy to a database; `url` is the address of the database through it.

    `next_commit` says what happens to the next COMMIT of the log, once: its ``request`` is lost with the connection, or
    its ``answer`` is; or the answer vanishes and the connection is ``silent`` from then on.
    """

    def __init__(self, url: str):
        address = make_url(url)
        self._server_address = (address.host or "127.0.0.1", address.port or 5432)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.url = address.set(host="127.0.0.1", port=self.port).render_as_string(hide_password=False)
        self.next_commit = ""
        self.refuses_after_commit = False
        self._links: list[_Link] = []
        self._is_cut = False
        self._is_silent = False
        self._accepting = threading.Thread(target=self._accept, daemon=True)
        self._accepting.start()

    def cut(self, cut: bool) -> None:
        """Break all connections and refuse new ones, or accept new ones again."""
        self._is_cut = cut
        for link in self._links if cut else ():
            link.end()

    def silence(self, is_silent: bool) -> None:
        """Let all packets of all connections vanish, also of new ones; or break these and pass on new ones again."""
        self._is_silent = is_silent
        for link in self._links:
            link.is_silent = is_silent
            if not is_silent:
                link.end()

    def close(self) -> None:
        """Stop the proxy."""
        self.cut(True)
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._accepting.join()
        self._listening.close()
        for link in self._links:
            link.ended.wait()
            link.client.close()
            link.server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                if self._is_cut:
                    client.close()
                    continue
                link = _Link(client, socket.create_connection(self._server_address), self._is_silent)
                self._links.append(link)
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: _Link) -> None:
        answering = threading.Thread(target=self._answer, args=(link,), daemon=True)
        answering.start()
        with suppress(OSError):
            while chunk := link.client.recv(65536):
                link.is_of_log |= LOG in chunk
                if COMMIT in chunk and self.next_commit and link.is_of_log:
                    link.loses, self.next_commit = self.next_commit, ""
                    self._is_cut |= self.refuses_after_commit
                    if link.loses == "request":
                        break
                if not link.is_silent:
                    link.server.sendall(chunk)
        link.end()
        answering.join()
        link.ended.set()

    def _answer(self, link: _Link) -> None:
        with suppress(OSError):
            while chunk := link.server.recv(65536):
                if link.loses == "answer":
                    break
                link.is_silent |= link.loses == "silent"
                if not link.is_silent:
                    link.client.sendall(chunk)
        link.end()


@contextmanager
def proxy_to(url: str) -> Iterator[DatabaseProxy]:
    """Run a proxy to the database at `url`."""
    proxy = DatabaseProxy(url)
    try:
        yield proxy
    finally:
        proxy.close()
