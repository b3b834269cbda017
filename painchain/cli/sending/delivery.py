"""Send one event and then the kept ones, within a limited time; keep the event if PainChain is away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import click

from painchain.cli.messages import count_noun, plain
from painchain.cli.sending.server import Refused, Server, Unavailable, send
from painchain.cli.sending.spool import Spool, SpoolUnusable

OWN_ID = "painchain-cli:"  # how the IDs begin that the commands make


class NotKept(Exception):
    """An event could neither be sent nor kept."""


def warn(message: str) -> None:
    """Print a message to standard error, if anybody reads it."""
    with suppress(OSError):
        click.echo(plain(f"painchain: {message}"), err=True)


def deliver(server: Server, event: Mapping[str, Any], seconds: float, spool: Spool | None) -> str | None:
    """Send an event and return its ID, or None if PainChain is away and the event is kept.

    Wait at most `seconds` for the answer, and then as long for those of the kept events.

    :raises Refused: if PainChain refuses the event.
    :raises NotKept: if PainChain is away and the event is not kept.
    """
    sender = _Sender(server, event, seconds, spool)
    sender.start()
    if not sender.has_answer.wait(seconds):
        sender.problem = Unavailable(f"{server.host} did not answer in time.")
    if isinstance(sender.problem, Unavailable):
        keep(event, spool, str(sender.problem))
        return None
    sender.join(seconds)
    for note in sender.notes:
        warn(note)
    if sender.problem:
        raise sender.problem
    return sender.event_id


def keep(event: Mapping[str, Any], spool: Spool | None, problem: str) -> None:
    """Keep an event with its time, and say so.

    :raises NotKept: if that is not possible.
    """
    if spool is None:
        raise NotKept(f"{problem} The event was not recorded.")
    try:
        spool.keep({"time": datetime.now(UTC).isoformat(), **event})
    except SpoolUnusable as unusable:
        raise NotKept(f"{problem} The event was not recorded and is not kept. {unusable}.") from None
    warn(f"{problem} The event is kept in {spool.folder}. The next painchain event or painchain run sends it.")


class _Sender(threading.Thread):
    """A thread that sends an event. The process can end before it: looking up a host name can take a minute."""

    def __init__(self, server: Server, event: Mapping[str, Any], seconds: float, spool: Spool | None):
        super().__init__(daemon=True)
        self.event_id: str | None = None
        self.problem: Refused | Unavailable | None = None
        self.notes: list[str] = []
        self.has_answer = threading.Event()
        self._server, self._event, self._seconds, self._spool = server, event, seconds, spool

    def run(self) -> None:
        """Send the event, and then the kept ones if PainChain accepts the token."""
        try:
            self.event_id = send(self._server, json.dumps(self._event).encode(), self._seconds)
        except (Refused, Unavailable) as problem:
            self.problem = problem
        finally:
            self.has_answer.set()
        is_accepted = self.event_id or (isinstance(self.problem, Refused) and not self.problem.is_denied)
        if self._spool and is_accepted:
            try:
                self._send_kept(self._spool, time.monotonic() + self._seconds)
            except SpoolUnusable as unusable:
                self.notes.append(f"{unusable}.")

    def _send_kept(self, spool: Spool, end: float) -> None:
        sent = 0
        with spool.locked() as files:
            for file in files:
                if time.monotonic() > end:
                    break
                content = file.read_bytes()
                try:
                    send(self._server, content, self._seconds)
                    sent += 1
                except Refused as refused:
                    if refused.is_denied:
                        break
                    # It got its time when it was kept: the same event may be recorded without, if the answer was lost.
                    if not (refused.is_recorded and OWN_ID.encode() in content):
                        self.notes.append(f"A kept event was refused. {refused} It was: {content[:500]!r}")
                except Unavailable:
                    continue
                file.unlink()
        if sent:
            self.notes.append(f"{count_noun(sent, 'kept event')} sent.")
