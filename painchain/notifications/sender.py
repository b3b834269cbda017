"""Send the messages of notification rules: those that are due, and test messages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from painchain.core import logs, runtime
from painchain.core.crypto import open_sealed
from painchain.database.models import NotifyRule
from painchain.database.session import db, write_transaction
from painchain.eventlog import outbox
from painchain.notifications import delivery, messages
from painchain.notifications.delivery import NotSent

log = logging.getLogger(__name__)


def send_test(rule: NotifyRule, now: datetime) -> str | None:
    """Send a test message and return an error message, or None if it was sent."""
    rule_id, name, sealed_url = rule.id, rule.name, rule.url
    db.session.remove()  # no database connection stays open while the message is sent
    text = messages.without_mentions(f"This is a test of the notification rule “{name}”.")
    error = _send(sealed_url, "PainChain: test", text)
    with write_transaction() as connection:
        outbox.store_result(connection, rule_id, now, error)
    return error


def send_due(clock: Callable[[], datetime]) -> bool:
    """Send due notices of one rule, in as few messages as the service allows. Return whether there were any.

    After a failure, or near the end of the lease, the messages that remain are left to the next call.
    """
    now = clock()
    claimed = outbox.claim(now)
    if claimed is None:
        return False
    db.session.remove()  # no database connection stays open while a message is sent
    waiting = {notice.id for notice in claimed.notices}
    with logs.context(rule=claimed.rule_id):
        limits = delivery.limits(open_sealed(runtime.current().box, claimed.sealed_url))
        for message in messages.compose(claimed.notices, limits):
            if clock() > now + outbox.LEASE - 2 * timedelta(seconds=delivery.SECONDS):
                break
            error = _send(claimed.sealed_url, message.title, message.text)
            given_up = outbox.settle(claimed, message.notices, clock(), error)
            waiting -= set(message.notices)
            if error:
                _log_failure(error, message, given_up)
                break
    if waiting:
        outbox.release(waiting)
    return True


def _log_failure(error: str, message: messages.Message, given_up: bool) -> None:
    if given_up:
        what = "Gave up a message of a notification rule after %d tries, with %d notices, “%s”: %s"
        log.error(what, outbox.MAX_TRIES, len(message.notices), message.title, error)
    else:
        log.warning("A message of a notification rule was not sent: %s", error)


def _send(sealed_url: str, title: str, text: str) -> str | None:
    try:
        delivery.send(open_sealed(runtime.current().box, sealed_url), title, text)
    except NotSent as problem:
        return str(problem)
    return None
