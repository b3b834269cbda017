"""Keep connections to SQLite ready: to take one from the pool costs several times as much as a short statement."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

MOST = 2  # connections kept for each option


class KeepingPool(QueuePool):
    """A pool that also holds the connections that are kept, by their execution option."""

    def __init__(self, *arguments: object, **more: object):
        super().__init__(*arguments, **more)  # type: ignore[arg-type]
        self.logger = logging.getLogger("sqlalchemy.pool")  # otherwise one of PainChain's, which logs more
        self.kept: dict[str, list[Connection]] = defaultdict(list)

    def dispose(self) -> None:
        """Close all connections that are not in use."""
        for connections in self.kept.values():
            while connections:
                connections.pop().close()
        super().dispose()


@contextmanager
def kept_connection(engine: Engine, option: str) -> Iterator[Connection]:
    """Lend a connection with an execution option. After an error, it is not kept."""
    pool = engine.pool
    assert isinstance(pool, KeepingPool)  # noqa: S101  see `engine_options`
    kept = pool.kept[option]
    try:
        connection = kept.pop()
    except IndexError:
        connection = engine.connect().execution_options(**{option: True})
    try:
        yield connection
    except BaseException:
        connection.close()
        raise
    if connection.in_transaction():
        connection.rollback()
    if len(kept) < MOST and engine.pool is pool:
        kept.append(connection)
    else:
        connection.close()
