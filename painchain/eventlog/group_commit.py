"""Group commit: threads that append to the log at the same time share one transaction, and therefore one fsync."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Lock
from time import monotonic
from typing import Any, TypeVar, cast

from painchain.eventlog import writer
from painchain.eventlog.writer import EventLogWriter

MAX_MEMBERS = 64  # of one transaction
MAX_SECONDS = 0.05  # for which a transaction takes more members: the first ones wait for its commit

Result = TypeVar("Result")


class _Member:
    """A thread that waits until its events are stored."""

    def __init__(self, write: Callable[[EventLogWriter], Any]):
        self.write = write
        self.result: Any = None
        self.error: BaseException | None = None
        self.leads = False  # this thread writes the next transaction
        self.is_alone = False  # this thread writes its events in a transaction of their own
        self.woken = Lock()
        self.woken.acquire()


class GroupCommit:
    """Let the threads that wait to append join the transaction that is about to begin.

    The first thread leads: it opens the write transaction, runs the writes of all threads that wait by then, in the
    order in which they came, and commits once. No thread returns before that commit. Then the first of those that wait
    by now leads the next transaction.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[_Member] = deque()
        self._has_leader = False

    @property
    def has_leader(self) -> bool:
        """Whether a thread writes a transaction, or waits for the write lock."""
        return self._has_leader

    @property
    def waiting(self) -> int:
        """The number of threads that wait for a transaction that they can join."""
        return len(self._waiting)

    def append(self, write: Callable[[EventLogWriter], Result]) -> Result:
        """Run `write` in a write transaction that other threads may share. Return its result after the commit.

        `write` only appends events. It uses neither the session nor the request, because it may run in another thread.
        It may run twice: if one member of a group fails, nothing of the group is saved, and each member then gets a
        transaction of its own, so that it fails alone.

        :raises painchain.database.session.WriteBusy: when other writers held the database for too long.
        :raises painchain.database.session.WrongKey: when the log is written with a key other than this process's.
        :raises painchain.database.commit.OutcomeUnknown: when the events may be stored, and the database does not say.
        :raises sqlalchemy.exc.DBAPIError: when the database cannot write; nothing is changed.
        """
        member = _Member(write)
        with self._lock:
            member.leads = not self._has_leader
            self._has_leader = True
            if not member.leads:
                self._waiting.append(member)
        if not member.leads:
            member.woken.acquire()
        if member.leads:
            self._lead(member)
        if member.is_alone:
            with writer.writing() as event_log:
                return write(event_log)
        if member.error is not None:
            raise member.error
        return cast(Result, member.result)

    def _lead(self, leader: _Member) -> None:
        """Store the events of the leader and of the threads that wait, and wake these threads."""
        group = [leader]
        is_open = is_written = False
        try:
            with writer.writing() as event_log:
                is_open, end = True, monotonic() + MAX_SECONDS
                leader.result = leader.write(event_log)
                while monotonic() < end and (members := self._next(MAX_MEMBERS - len(group))):
                    group += members
                    for member in members:
                        member.result = member.write(event_log)
                event_log.flush()
                is_written = True
        except BaseException as error:
            if not is_open:  # the others would wait as long for the same error
                group += self._next(len(self._waiting))
            for member in group:
                member.error = error
                # Only before the commit is it certain that nothing was saved.
                member.is_alone = is_open and not is_written and len(group) > 1
            if not isinstance(error, Exception):
                raise
        finally:
            self._let_next_lead()
            for member in group:
                member.woken.release()

    def _next(self, count: int) -> list[_Member]:
        """Take up to `count` of the threads that wait, in the order in which they came."""
        with self._lock:
            return [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]

    def _let_next_lead(self) -> None:
        with self._lock:
            self._has_leader = bool(self._waiting)
            if self._waiting:
                leader = self._waiting.popleft()
                leader.leads = True
                leader.woken.release()
