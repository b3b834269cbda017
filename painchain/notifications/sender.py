"""Send the messages of notification rules: those that are due, and test messages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime

from painchain.core import logs, runtime
from painchain.core.crypto import open_sealed
from painchain.database.models import NotifyRule
from painchain.database.session import db, write_transaction
from painchain.eventlog import outbox
from painchain.notifications import delivery
from painchain.notifications.delivery import NotSent

log = logging.getLogger(__name__)


def send_test(rule: NotifyRule, now: datetime) -> str | None:
    """Send a test message and return an error message, or None if it was sent."""
    rule_id, name, sealed_url = rule.id, rule.name, rule.url
    db.session.remove()  # no database connection stays open while the message is sent
    error = _send(sealed_url, "PainChain: test", f"This is a test of the notification rule “{name}”.")
    with write_transaction() as connection:
        outbox.store_result(connection, rule_id, now, error)
    return error


def send_due(clock: Callable[[], datetime]) -> bool:
    """Send the due messages of one rule as one message. Return whether there were any."""
    claimed = outbox.claim(clock())
    if claimed is None:
        return False
    db.session.remove()  # no database connection stays open while the message is sent
    title, text = claimed.messages[0]
    if len(claimed.messages) > 1:
        title = f"PainChain: {len(claimed.messages)} events"
        text = "\n\n".join(text for _, text in claimed.messages)
    with logs.context(rule=claimed.rule_id):
        error = _send(claimed.sealed_url, title, text)
        if error:
            log.warning("A message of a notification rule was not sent: %s", error)
        outbox.settle(claimed, clock(), error)
    return True


def _send(sealed_url: str, title: str, text: str) -> str | None:
    try:
        delivery.send(open_sealed(runtime.current().box, sealed_url), title, text)
    except NotSent as problem:
        return str(problem)
    return None
