"""Lines of the log, and texts that must not break them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Lines = list[dict[str, Any]]
Logged = Callable[[], Lines]
Make = Callable[..., int]
LIST = "/settings/integrations"
CANARY = "c4nary-5e7"
HOSTILE = f'{CANARY}\r\n{{"level":"error","message":"forged"}}\r\n2026-01-31 ERROR forged\x1b[2J\x7f\u2028\u202e'
PATIENCE = 20


def lines_of(lines: Lines, logger: str) -> Lines:
    return [line for line in lines if line["logger"] == logger]


def events_of(lines: Lines) -> list[str]:
    return [line["event"] for line in lines_of(lines, "painchain.security")]
