"""Store where the server of an instance folder can be reached, so that other commands print links to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

FILE = "server.url"


@contextmanager
def stored(instance: Path, address: str) -> Iterator[None]:
    """Store the address of a server while it runs. In a folder that cannot be written, nothing is stored."""
    file = instance / FILE
    with suppress(OSError):
        file.write_text(f"{address}\n", encoding="utf-8")
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def read(instance: Path) -> str:
    """Return the stored address, such as ``http://127.0.0.1:8000``; an empty text if there is none."""
    try:
        address = (instance / FILE).read_text(encoding="utf-8").strip()
        parts = urlsplit(address)
        is_usable = parts.scheme == "http" and bool(parts.hostname and parts.port) and address.isprintable()
    except (OSError, ValueError):
        return ""
    return address if is_usable else ""
