"""Find out whether a transaction was saved when the answer to its COMMIT was lost."""

from __future__ import annotations

import logging
import time
from typing import Any

from sqlalchemy import Text, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from painchain.database import deadlines

LOOKUP_SECONDS = 1.5
RETRY_SECONDS = 0.05

log = logging.getLogger(__name__)

_STATUS = text("SELECT pg_xact_status(CAST(:transaction_id AS xid8))")


class OutcomeUnknown(SQLAlchemyError):
    """The answer to a COMMIT was lost: the changes are saved, or they are not. The error of the driver is the cause.

    `advice` says what else to do, for example if a new secret was to be shown.
    """

    advice = ""

    def __str__(self) -> str:
        return "it is not known whether this was saved; see the timeline"


class transaction_id(FunctionElement[str]):
    """The id of the open transaction, by which PostgreSQL tells later whether it was committed; NULL on SQLite."""

    type = Text()
    inherit_cache = True


@compiles(transaction_id)
def _none(element: Any, compiler: Any, **more: Any) -> str:
    return "NULL"


@compiles(transaction_id, "postgresql")
def _current(element: Any, compiler: Any, **more: Any) -> str:
    return "CAST(pg_current_xact_id() AS TEXT)"


def is_outcome_unknown(error: DBAPIError) -> bool:
    """Return whether a COMMIT that failed with `error` may have been carried out.

    PostgreSQL refuses a COMMIT with an ERROR and keeps the connection. Whatever ends the connection, such as FATAL,
    can happen before or after the commit. SQLite knows what it did.
    """
    diagnostics = getattr(error.orig, "diag", None)
    if diagnostics is None or not getattr(error.orig, "was_sent", True):
        return False
    state = diagnostics.sqlstate or "08"
    return diagnostics.severity_nonlocalized != "ERROR" or state.startswith("08") or state == "40003"


def settle(unknown: OutcomeUnknown, engine: Engine, transaction_id: str | None) -> None:
    """Ask the database about the transaction whose COMMIT was not answered. Return if it was saved.

    :raises sqlalchemy.exc.DBAPIError: the error of the driver, when nothing was saved.
    :raises OutcomeUnknown: `unknown`, when the database does not answer in time.
    """
    is_committed = transaction_id and _is_committed(engine, transaction_id)
    if is_committed is None or not transaction_id:
        log.error("The answer to a COMMIT was lost. It is not known whether the changes were saved.")
        raise unknown
    deadlines.extend()
    log.warning("The answer to a COMMIT was lost. The changes were %s.", "saved" if is_committed else "not saved")
    if not is_committed:
        raise unknown.__cause__ or unknown


def _is_committed(engine: Engine, transaction_id: str) -> bool | None:
    """Return whether a transaction was committed or rolled back; None if that is not known in time."""
    end = time.monotonic() + LOOKUP_SECONDS
    while time.monotonic() < end:
        try:
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                status = connection.execute(_STATUS, {"transaction_id": transaction_id}).scalar()
        except SQLAlchemyError:
            status = None
        if status in ("committed", "aborted"):
            return bool(status == "committed")
        time.sleep(RETRY_SECONDS)
    return None
