"""The position of an event in the feed, as it appears in the address of a page."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime

from painchain.database.types import microseconds, moment
from painchain.indexes.search_query import BadFilter


@dataclass(frozen=True)
class Cursor:
    """The position of one event in the feed, which is ordered by time and then by id, both descending."""

    timestamp: datetime
    id: int

    def __str__(self) -> str:
        raw = f"{microseconds(self.timestamp)}.{self.id}".encode()
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Cursor:
        """Parse a cursor that ``str`` wrote.

        :raises BadFilter: when `text` is not a cursor.
        """
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
            stamp, _, number = raw.partition(".")
            return cls(moment(int(stamp)), _fits(int(number)))
        except (ValueError, OverflowError, binascii.Error):
            raise BadFilter("cursor", "Invalid cursor. Start again without one.") from None


def _fits(number: int) -> int:
    if not 0 <= number < 2**63:
        raise ValueError(number)
    return number
