"""A process that dies while it upgrades a database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from painchain.core import config
from painchain.startup import create_app

KILLED = 9  # the exit code


def upgrade(folder: Path, until: int) -> None:
    """Start a server with an old database; exit without any cleaning up before the statement number `until`."""
    count = 0

    def count_statement(*arguments: Any) -> None:
        nonlocal count
        count += 1
        if count == until:
            os._exit(KILLED)

    event.listen(Engine, "before_cursor_execute", count_statement)
    create_app(config.load({"PAINCHAIN_INSTANCE": str(folder)}))
    (folder / "statements").write_text(str(count))
