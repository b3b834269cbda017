"""Keep the events that could not be sent, one file each, until a later command sends them."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, TextIO

from painchain.cli.sending.server import Server

MAX_EVENTS = 1_000
MAX_BYTES = 16 * 1024 * 1024
MAX_AGE = 30 * 24 * 3600  # seconds

_NAME = re.compile(r"[0-9]{20}-[0-9a-f]{16}-[0-9a-f]{8}\.(json|part)")


class SpoolUnusable(Exception):
    """The events that could not be sent cannot be kept in the folder."""


def find_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of the kept events: PAINCHAIN_SPOOL, or else one below the user's state folder.

    :raises SpoolUnusable: if the user has no home folder.
    """
    if named := environ.get("PAINCHAIN_SPOOL"):
        return Path(named)
    state = Path(environ.get("XDG_STATE_HOME") or "")
    try:
        return (state if state.is_absolute() else Path.home() / ".local" / "state") / "painchain" / "events"
    except RuntimeError:
        raise SpoolUnusable("This user has no home folder. Set PAINCHAIN_SPOOL to a folder for unsent events") from None


class Spool:
    """The kept events of one token. Those of another token stay, so that no event gets another author."""

    def __init__(self, folder: Path, server: Server):
        self.folder = folder
        self._token = sha256((server.token or server.url).encode()).hexdigest()[:16]

    def keep(self, event: Mapping[str, Any]) -> None:
        """Write an event to the disk.

        :raises SpoolUnusable: if the folder is full, or cannot be written.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._require_private()
            content = json.dumps(event).encode()
            sizes = list(self._sizes())
            if len(sizes) >= MAX_EVENTS or sum(sizes) + len(content) > MAX_BYTES:
                raise SpoolUnusable(f"{self.folder} is full")
            self._write(content)
        except OSError as error:
            raise SpoolUnusable(f"Cannot write to {self.folder}: {error.strerror or error}") from None

    def _sizes(self) -> Iterator[int]:
        """Yield the sizes of the files, without those that another process deletes meanwhile."""
        for file in self._files():
            with suppress(FileNotFoundError):
                yield file.stat().st_size

    def _files(self) -> list[Path]:
        """Return the files of all kept events, oldest first. Whatever else is in the folder is left alone.

        A link in the folder, such as one from a restored cache, could lead to a file whose content nobody may see.
        """
        with os.scandir(self.folder) as entries:
            return sorted(
                Path(entry) for entry in entries if _NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            )

    def _write(self, content: bytes) -> None:
        """Write a file that has its name only when it is whole and on the disk."""
        name = f"{time.time_ns():020}-{self._token}-{token_hex(4)}"
        partial = self.folder / f"{name}.part"
        try:
            with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.rename(self.folder / f"{name}.json")
        except BaseException:
            with suppress(OSError):
                partial.unlink()
            raise

    def _require_private(self) -> None:
        """Raise SpoolUnusable if others could put events into the folder: they would be sent with this token."""
        status = self.folder.stat()
        if status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise SpoolUnusable(f"{self.folder} must belong to this user, and nobody else may write to it")

    @contextmanager
    def locked(self) -> Iterator[list[Path]]:
        """Yield the files of the kept events, oldest first; none while another process sends them.

        :raises SpoolUnusable: if the folder cannot be used.
        """
        try:
            lock = self._lock()
            with lock or nullcontext():
                yield self._own_files() if lock else []
        except OSError as error:
            raise SpoolUnusable(f"Cannot use {self.folder}: {error.strerror or error}") from None

    def _lock(self) -> TextIO | None:
        """Return the locked file, or None if there is no folder or another process has the lock."""
        if not self.folder.is_dir():
            return None
        self._require_private()
        lock = os.fdopen(os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException as error:
            lock.close()
            if isinstance(error, BlockingIOError):
                return None
            raise
        return lock

    def _own_files(self) -> list[Path]:
        self._delete_old()
        return [file for file in self._files() if f"-{self._token}-" in file.name and file.suffix == ".json"]

    def _delete_old(self) -> None:
        """Delete events that no command has sent for long, such as those of a token that is no longer used."""
        for file in self._files():
            with suppress(FileNotFoundError):
                if file.stat().st_mtime < time.time() - MAX_AGE:
                    file.unlink()
