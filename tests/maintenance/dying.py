"""A process that kills itself at a point of a key rotation."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from painchain.maintenance import key_rotation


def die_at(where: str, key: str) -> None:
    """Let this process die at a point of the rotation of the key in a file."""
    if where == "before the commit":
        event.listen(Engine, "commit", lambda connection: _die() if Path(key).read_text().count("=") > 1 else None)
    elif where == "after the commit":
        key_rotation.RotationResult = _die
    else:
        _die_when_the_file_is_replaced(is_before=where == "before the file")


def _die_when_the_file_is_replaced(is_before: bool) -> None:
    replace = Path.replace

    def replace_and_die(draft: Path, file: Path) -> Any:
        if not is_before:
            replace(draft, file)
        _die()

    Path.replace = replace_and_die


def _die(*of: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)
