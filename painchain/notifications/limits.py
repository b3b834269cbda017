"""How long a message of an Apprise service can be."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

# Apprise sends longer text to some services that refuse it: ntfy takes 4,096 bytes, a block of Slack 3,000 characters.
LARGEST = 3_000
_TITLE_MARKUP = "<b></b><br />\r\n"  # what Apprise adds to a title that it writes into the text


@dataclass(frozen=True)
class Limits:
    """What an Apprise service takes in one message. Without a service, anything.

    Sizes are bytes of UTF-8 after conversion into the service's format. Services count bytes, UTF-16 units or
    characters; none of them counts more than the bytes.
    """

    service: Any

    def fits(self, title: str, text: str) -> bool:
        """Return whether the service takes this message."""
        if self.service is None:
            return True
        lines = self.service.body_max_line_count
        if lines and text.count("\n") >= lines:
            return False
        beside = self._converted(title) + _TITLE_MARKUP if self._title_is_in_text() else ""
        return bool(_size(self._converted(text) + beside) + self.service.overflow_buffer <= self._largest())

    def fits_title(self, title: str) -> bool:
        """Return whether the service takes this title, and leaves half of the message for the text."""
        if self.service is None:
            return True
        if 0 < self.service.title_maxlen < _size(title):
            return False
        return not self._title_is_in_text() or 2 * _size(self._converted(title)) <= self._largest()

    def _largest(self) -> int:
        return min(int(self.service.body_maxlen), LARGEST)

    def _title_is_in_text(self) -> bool:
        return bool(self.service.title_maxlen <= 0 or self.service.overflow_amalgamate_title)

    def _converted(self, text: str) -> str:
        conversion = importlib.import_module("apprise.conversion")  # with Apprise, only when it is needed
        target = self.service.resolve_format("text")
        return str(self.service.dialect_convert(conversion.convert_between("text", target, text), target))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
