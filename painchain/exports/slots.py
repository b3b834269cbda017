"""Limit how many exports run at the same time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from threading import Lock

EXPORTS = 8
OF_ONE_ACCOUNT = 4


class TooManyExports(Exception):
    """So many exports are running that another one has to wait."""


class ExportSlots:
    """The exports that this server is sending, by account."""

    def __init__(self, total: int = EXPORTS, of_one_account: int = OF_ONE_ACCOUNT) -> None:
        self._total = total
        self._of_one_account = of_one_account
        self._running: Counter[Hashable] = Counter()
        self._lock = Lock()

    def take(self, account: Hashable) -> Callable[[], None]:
        """Count an export of an account, and return the function to call when it ends, at least once.

        :raises TooManyExports: when it would be one too many.
        """
        with self._lock:
            if self._running.total() >= self._total:
                raise TooManyExports(
                    f"This server is sending {self._total} exports, the most at a time. Try again when one has ended."
                )
            if self._running[account] >= self._of_one_account:
                raise TooManyExports(
                    f"{self._of_one_account} exports of yours are running, the most at a time. "
                    "Try again when one has ended."
                )
            self._running[account] += 1
        ended: list[bool] = []

        def end() -> None:
            with self._lock:
                if not ended:
                    ended.append(True)
                    self._running[account] -= 1

        return end
