"""Check that events can be written, after it failed."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from secrets import token_hex

from painchain.core import runtime
from painchain.eventlog import writer
from painchain.eventlog.writer import NewEvent

# More than SQLite keeps in memory (``database.sqlite.CACHED_KIB``), so it writes to the disk before the rollback.
# PostgreSQL takes space for the rows at once. Neither can compress random digits.
TRIED_BYTES = 1_500_000


class _NotKept(Exception):
    """Rolls the tried event back."""


def check() -> None:
    """If events could not be written last time, try to write a large one, and roll it back.

    A smaller write shows nothing: on a full disk, it fits into the space that the database already has.

    :raises painchain.database.session.WriteBusy: when other writers held the database for too long.
    :raises sqlalchemy.exc.DBAPIError: when the database still cannot write.
    """
    if not runtime.current().write_failed:
        return
    with suppress(_NotKept), writer.writing() as event_log:
        event_log.append(_large_event(datetime.now(UTC)))
        event_log.flush()
        raise _NotKept
    runtime.current().write_failed = False


def _large_event(now: datetime) -> NewEvent:
    return NewEvent(
        event_id=writer.new_request_id(now),
        source="painchain",
        event_type="WriteCheck",
        title="Write check",
        description={"text": token_hex(TRIED_BYTES // 2)},
        metadata={},
        author="system",
        request_id="",
        timestamp=now,
        recorded_at=now,
    )
