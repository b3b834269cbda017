"""Wait for sockets that are registered once, so that connections without a request cost nothing.

waitress's own loop asks every connection what to wait for, twice for each request of any of them.
"""

from __future__ import annotations

from collections import deque
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Any

from waitress import wasyncore

from painchain.web.serving.processor import SharedProcessor


class EventLoop(dict[int, Any]):
    """The sockets of a server by file descriptor, which waitress adds and removes, and the loop that serves them.

    A connection stays registered for reading while its request is answered. If more arrives meanwhile, it is *parked*:
    not registered until it can be read or written again.
    """

    def __init__(self, processor: SharedProcessor) -> None:
        super().__init__()
        self._processor = processor
        self.listeners: list[Any] = []
        self._selector = DefaultSelector()
        self._registered: dict[int, int] = {}
        self._changed: deque[Any] = deque()

    def __setitem__(self, descriptor: int, each: Any) -> None:
        """Add a socket."""
        super().__setitem__(descriptor, each)
        each.is_parked = False
        self._register(descriptor, EVENT_READ, each)

    def __delitem__(self, descriptor: int) -> None:
        """Remove a socket that is about to be closed."""
        each = self.pop(descriptor)
        self._register(descriptor, 0, each)

    def changed(self, connection: Any) -> None:
        """Look at a connection again: another thread has answered its request, or it is to be closed."""
        self._changed.append(connection)

    def run(self, seconds: float) -> None:
        """Serve until all sockets are closed. Look at the listeners at least every `seconds`."""
        with self._processor.shared():
            while self:
                self._processor.look()
                for listener in self.listeners:
                    self._update(listener)
                while self._changed:
                    self._update(self._changed.popleft())
                for key, events in self._selector.select(seconds):
                    if self.get(key.fd) is key.data:
                        self._serve(key.data, events)

    def _serve(self, each: Any, events: int) -> None:
        if events & EVENT_WRITE:
            wasyncore.write(each)
        elif each.readable():
            wasyncore.read(each)
        else:
            # The thread that answers the request may just be writing: until it is done, this one would try in vain.
            each.is_parked = True
            if each.readable():  # what ended before it was parked did not wake up this thread
                each.is_parked = False
            else:
                self._register(each._fileno, 0, each)
            return
        self._update(each)

    def _update(self, each: Any) -> None:
        """Register what to wait for, unless the socket is closed."""
        descriptor: int = each._fileno
        if descriptor not in self or self[descriptor] is not each:
            return
        events = _wanted(each)
        if not events and self._registered[descriptor] != EVENT_READ:
            each.is_parked = True
        if not events and each.is_parked:
            events = _wanted(each)  # what ended before it was parked did not wake up this thread
        if events:
            each.is_parked = False
        if events or each.is_parked:
            self._register(descriptor, events, each)

    def _register(self, descriptor: int, events: int, each: Any) -> None:
        before = self._registered.get(descriptor, 0)
        self._registered[descriptor] = events
        if not before and events:
            self._selector.register(descriptor, events, each)
        elif before and not events:
            self._selector.unregister(descriptor)
        elif before != events:
            self._selector.modify(descriptor, events, each)


def _wanted(each: Any) -> int:
    """Return what a socket waits for; 0 while its request is answered."""
    if each.writable() and not each.accepting:
        return EVENT_WRITE
    return EVENT_READ if each.readable() else 0
