"""Turn exceptions during a poll or test into messages for people."""

from __future__ import annotations

import logging

from sqlalchemy.exc import OperationalError

from painchain.connectors.contract import ErrorKind, PollError
from painchain.core import logs
from painchain.core.crypto import KeyUnusable
from painchain.database import edited_json
from painchain.database.commit import OutcomeUnknown
from painchain.database.session import WriteBusy

log = logging.getLogger(__name__)


def as_poll_error(problem: Exception, what: str) -> PollError:
    """Return an exception as an error that people can read.

    An unexpected exception is logged by its kind and place, never by its message. `what` says in the log what failed.
    """
    if isinstance(problem, PollError):
        return problem
    if isinstance(problem, KeyUnusable):
        return PollError(str(problem), ErrorKind.SETTINGS)
    if isinstance(problem, OutcomeUnknown):
        words = "The database did not confirm that the events are stored. Nothing was lost: the next poll checks it."
        return PollError(words, ErrorKind.INTERNAL)
    if isinstance(problem, WriteBusy | OperationalError):
        words = "The database could not store the events. Nothing was lost: the next poll reads them again."
        return PollError(words, ErrorKind.INTERNAL)
    logs.log_failure(log, what, problem)
    if edited := edited_json.first():
        return PollError(str(edited), ErrorKind.INTERNAL)
    return PollError(
        "PainChain could not read the response. "
        "This is a bug in PainChain: please report it, with the details from the server log.",
        ErrorKind.INTERNAL,
    )
