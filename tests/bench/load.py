"""Send the same request repeatedly on several persistent connections, in a separate, light process.

`python load.py PORT CLIENTS SECONDS STATUS <request` prints how many requests per second were answered with STATUS.
"""

from __future__ import annotations

import re
import selectors
import socket
import sys
import time

WARM_UP = 0.3
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection:
    """One client. It sends the request again as soon as the response is complete."""

    def __init__(self, port: int, request: bytes, status: bytes):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = request
        self.status = status
        self.received = b""

    def send(self) -> None:
        """Send the request."""
        self.received = b""
        self.socket.sendall(self.request)

    def receive(self) -> bool:
        """Read the received bytes, and return whether the response is complete."""
        arrived = self.socket.recv(1 << 20)
        if not arrived:
            raise SystemExit("the server closed a connection")
        self.received += arrived
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return False
        if self.received[9:12] != self.status:
            raise SystemExit(
                f"not answered with {self.status.decode()}: {self.received[:600].decode(errors='replace')}"
            )
        length = _LENGTH.search(self.received, 0, head)
        return len(self.received) >= head + 4 + (int(length[1]) if length else 0)


def measure_rate(port: int, clients: int, seconds: float, status: bytes, request: bytes) -> float:
    """Return the number of answered requests per second."""
    connections = [Connection(port, request, status) for _ in range(clients)]
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send()
        _run(selector, time.perf_counter() + WARM_UP)
        begin = time.perf_counter()
        count = _run(selector, begin + seconds)
        return count / (time.perf_counter() - begin)


def _run(selector: selectors.BaseSelector, end: float) -> int:
    count = 0
    while time.perf_counter() < end:
        ready = selector.select(30)
        if not ready:
            raise SystemExit("no answer within 30 s")
        for key, _ in ready:
            if key.data.receive():
                count += 1
                key.data.send()
    return count


if __name__ == "__main__":
    port, clients, seconds, status = sys.argv[1:]
    rate = measure_rate(int(port), int(clients), float(seconds), status.encode(), sys.stdin.buffer.read())
    sys.stdout.write(f"{rate}\n")
