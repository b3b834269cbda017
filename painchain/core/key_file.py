"""Read and write the root keys: in PainChain's own key file, or in a variable or file that the operator manages."""

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

DRAFT = ".secret.key-"  # prefix of temporary files; a crash may leave one

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class KeySource:
    """Where the keys are stored. `name` is shown in messages and never contains the key.

    Without a `file` the keys are the `text` of a variable. PainChain writes to the file only if it is its `own`.
    """

    name: str
    file: Path | None = None
    text: str = field(default="", repr=False)
    own: bool = False


def key_source(settings: Settings) -> KeySource:
    """Return where the keys of a server are stored."""
    if settings.secret_key:
        return KeySource("PAINCHAIN_SECRET_KEY", text=settings.secret_key)
    if settings.secret_key_file:
        return KeySource(f"PAINCHAIN_SECRET_KEY_FILE ({settings.secret_key_file})", settings.secret_key_file)
    file = settings.instance / "secret.key"
    return KeySource(str(file), file, own=True)


def read_keys(source: KeySource) -> Keyring | None:
    """Return the keys, the newest first, or None if PainChain's own file does not exist.

    :raises KeyUnusable: when they cannot be read.
    """
    if source.file is None:
        return parse_key(source.text, source.name)
    try:
        text, mode = source.file.read_text(), stat.S_IMODE(source.file.stat().st_mode)
    except FileNotFoundError as error:
        if source.own:
            return None
        raise KeyUnusable(f"The key file {source.file} cannot be used: {error.strerror}.") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise KeyUnusable(f"The key file {source.file} cannot be used: {reason}.") from None
    keys = parse_key(text, source.name)
    _warn_of_others(source, mode)
    return keys


def load_keys(source: KeySource, is_new: Callable[[], bool]) -> Keyring:
    """Return the keys. Create PainChain's own file if it does not exist and the database is new.

    With an existing database a new key would be useless: the log was written with another one.

    :raises KeyUnusable: when there is no usable key.
    """
    keys = read_keys(source) or create_key(source, is_new)
    if keys is None:
        raise KeyUnusable(
            f"The key is missing: {source.name} does not exist, but the log and the stored tokens need it. "
            "Restore secret.key from a backup, or copy it from the server that created it. "
            "If it is permanently lost, run: painchain rotate-key --lost."
        )
    return keys


def create_key(source: KeySource, is_needed: Callable[[], bool] = lambda: True) -> Keyring | None:
    """Create PainChain's own file with a new key if it `is_needed`. Never replace an existing file.

    Return the keys that are in the file afterwards. Servers that start together create the key before the database, so
    that a server that finds an existing database also finds its key.

    :raises KeyUnusable: when the file cannot be created.
    """
    assert source.file is not None  # noqa: S101  it is PainChain's own
    try:
        with _draft(source.file, new_key() + "\n") as draft:
            if is_needed():
                with contextlib.suppress(FileExistsError):
                    os.link(draft, source.file)
                _sync_directory(source.file.parent)
    except OSError as error:
        if is_needed():
            raise KeyUnusable(f"The key file {source.file} cannot be created: {error.strerror or error}.") from None
    return read_keys(source)


def write_keys(source: KeySource, keys: Keyring) -> None:
    """Replace the keys in PainChain's own file. After a crash it holds either the old or the new keys.

    :raises KeyUnusable: when it cannot be written.
    """
    assert source.file is not None  # noqa: S101  it is PainChain's own
    file = source.file.resolve()
    try:
        with _draft(file, "".join(base64.urlsafe_b64encode(root).decode() + "\n" for root in keys.roots)) as draft:
            owner = file.stat()
            if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                os.chown(draft, owner.st_uid, owner.st_gid)  # root may rotate the key of the server's account
            draft.replace(file)
            for leftover in file.parent.glob(f"{DRAFT}*"):  # left by a killed process
                leftover.unlink(missing_ok=True)
        _sync_directory(file.parent)
    except OSError as error:
        raise KeyUnusable(f"The key file {source.file} cannot be written: {error}.") from None


@contextlib.contextmanager
def _draft(file: Path, text: str) -> Iterator[Path]:
    """Write a text to a temporary file beside `file`, readable only by its owner, and flush it to disk."""
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
    """Flush the entries of a folder to disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _warn_of_others(source: KeySource, mode: int) -> None:
    """Warn if others can read the keys. Group access is allowed to a file that the operator manages."""
    if mode & (0o077 if source.own else 0o007):
        log.warning(
            "The key file %s can be read by others (mode %o). Run: chmod 600 %s", source.file, mode, source.file
        )
