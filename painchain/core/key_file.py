"""Where the root keys lie: in PainChain's own key file, or in a variable or a file that somebody else looks after."""

from __future__ import annotations

import base64
import contextlib
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from painchain.core.config import Settings
from painchain.core.crypto import Keyring, KeyUnusable, new_key, parse_key

DRAFT = ".secret.key-"  # what a crash leaves of a file that was being written

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeySource:
    """Where the keys are: `name` is what people are told, and never the key.

    Without a `file` they are the `text` of a variable. Only a file that is its `own` is made and changed by PainChain.
    """

    name: str
    file: Path | None = None
    text: str = field(default="", repr=False)
    own: bool = False


def key_source(settings: Settings) -> KeySource:
    """Return where the keys of a server are."""
    if settings.secret_key:
        return KeySource("PAINCHAIN_SECRET_KEY", text=settings.secret_key)
    if settings.secret_key_file:
        return KeySource(f"PAINCHAIN_SECRET_KEY_FILE ({settings.secret_key_file})", settings.secret_key_file)
    file = settings.instance / "secret.key"
    return KeySource(str(file), file, own=True)


def read_keys(where: KeySource) -> Keyring | None:
    """Return the keys, the newest first; None where PainChain's own file is not there.

    :raises KeyUnusable: when they cannot be read.
    """
    if where.file is None:
        return parse_key(where.text, where.name)
    try:
        text, mode = where.file.read_text(), stat.S_IMODE(where.file.stat().st_mode)
    except FileNotFoundError as error:
        if where.own:
            return None
        raise KeyUnusable(f"The key file {where.file} cannot be used: {error}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnusable(f"The key file {where.file} cannot be used: {error}.") from None
    keys = parse_key(text, where.name)
    _warn_of_others(where, mode)
    return keys


def load_keys(where: KeySource, is_new: Callable[[], bool]) -> Keyring:
    """Return the keys. PainChain's own file is made if there is none, for a database that is new and for no other.

    A fresh key beside a log that was written with another would open nothing of it.

    :raises KeyUnusable: when there is no key, or none that can be used.
    """
    keys = read_keys(where) or create_key(where, is_new)
    if keys is None:
        raise KeyUnusable(
            f"The key is missing: there is no {where.name}, and the log and the stored tokens were written with one. "
            "Put the right secret.key back from a backup, or copy it from the server that made it. "
            "If it is lost for good: painchain rotate-key --lost."
        )
    return keys


def create_key(where: KeySource, wanted: Callable[[], bool] = lambda: True) -> Keyring | None:
    """Make PainChain's own file with a fresh key if it is `wanted`, never in the place of another.

    Return what is in the file then. Servers that start together make the key before the database, so that whoever
    finds a database that is not new finds the key of it.

    :raises KeyUnusable: when it cannot be made.
    """
    assert where.file is not None  # noqa: S101  it is PainChain's own
    try:
        with _draft(where.file, new_key() + "\n") as draft:
            if wanted():
                with contextlib.suppress(FileExistsError):
                    os.link(draft, where.file)
                _sync_directory(where.file.parent)
    except OSError as error:
        raise KeyUnusable(f"The key file {where.file} cannot be made: {error}.") from None
    return read_keys(where)


def write_keys(where: KeySource, keys: Keyring) -> None:
    """Write these keys into PainChain's own file: whatever happens, the old ones are in it or the new ones.

    :raises KeyUnusable: when it cannot be written.
    """
    assert where.file is not None  # noqa: S101  it is PainChain's own
    file = where.file.resolve()
    try:
        with _draft(file, "".join(base64.urlsafe_b64encode(root).decode() + "\n" for root in keys.roots)) as draft:
            owner = file.stat()
            if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(draft, owner.st_uid, owner.st_gid)  # root rotates for the server's account
            draft.replace(file)
            for left in file.parent.glob(f"{DRAFT}*"):  # keys that a killed process was writing
                left.unlink(missing_ok=True)
        _sync_directory(file.parent)
    except OSError as error:
        raise KeyUnusable(f"The key file {where.file} cannot be written: {error}.") from None


@contextlib.contextmanager
def _draft(file: Path, text: str) -> Iterator[Path]:
    """Write a text beside a file, for its owner alone, and see to it that it is on the disk."""
    descriptor, draft = tempfile.mkstemp(dir=file.parent, prefix=DRAFT)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as new:
            new.write(text)
            new.flush()
            os.fsync(descriptor)
        yield Path(draft)
    finally:
        Path(draft).unlink(missing_ok=True)


def _sync_directory(folder: Path) -> None:
    """See to it that the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _warn_of_others(where: KeySource, mode: int) -> None:
    """Say it where others can read the keys. What hands out secrets often lets a group read them."""
    if mode & (0o077 if where.own else 0o007):
        log.warning("The key file %s can be read by others (mode %o). Do: chmod 600 %s", where.file, mode, where.file)
