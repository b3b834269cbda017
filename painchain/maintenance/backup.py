"""Back up everything that is stored to one file, and restore such a file.

A backup leaves out derived data: rollups, sets, the full-text index, and the table of notes. It also leaves out
sessions, one-time links and failed attempts: a restored backup must not revive a session that was ended since.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Any, BinaryIO

from sqlalchemy import delete, func, select, update
from sqlalchemy.engine import Connection, Row

from painchain import __version__
from painchain.audit.trail import Trail
from painchain.configuration import secrets
from painchain.core import runtime
from painchain.core.crypto import Keyring
from painchain.database import dialects, encrypted_columns, session
from painchain.database.bulk import BulkInsert
from painchain.database.models import (
    Attempt,
    ChangeEvent,
    Connector,
    EventCount,
    EventNote,
    EventSet,
    LogHead,
    OneTimeLink,
    Person,
    SignIn,
)
from painchain.database.session import Base
from painchain.database.types import EPOCH, iso
from painchain.eventlog import pruned_ranges
from painchain.eventlog import writer as eventlog_writer
from painchain.eventlog.chain import Chain, chains
from painchain.eventlog.pruned_ranges import Run
from painchain.eventlog.writer import EventLogWriter
from painchain.indexes import fulltext, notes
from painchain.integrity import checkpoints, latest_checkpoint, verification
from painchain.integrity.checkpoints import BadCheckpoint
from painchain.maintenance import used_keys
from painchain.maintenance.backup_format import (
    BATCH,
    FORMAT,
    BackupWriter,
    BadBackup,
    Manifest,
    VerifiedBackup,
    batches,
)
from painchain.maintenance.backup_rows import binary_indexes, decode_rows, lines_of
from painchain.maintenance.restored_counts import RestoredCounts
from painchain.migrations import NEWEST

FIRST_START = 1  # only the event of the built-in connector

_tables = Base.metadata.tables
_head = _tables[LogHead.__tablename__]
_events = _tables[ChangeEvent.__tablename__]
_DERIVED = {model.__tablename__ for model in (EventCount, EventNote, EventSet)}
_OF_BROWSERS = {model.__tablename__ for model in (SignIn, OneTimeLink, Attempt)}
# Every writer waits for the head row. It is updated, never replaced.
BACKED_UP_TABLES = [
    table for table in Base.metadata.sorted_tables if table.name not in {*_DERIVED, *_OF_BROWSERS, _head.name}
]
_CLEARED = [table for table in reversed(Base.metadata.sorted_tables) if table is not _head]
# Leases of earlier processes are cleared. The restored log is checked soon.
_LEASES = {
    "poll_states": ("taken_until", "watched_until"),
    "notices": ("taken_until",),
    "pending_events": ("taken_until",),
    "prunings": ("beat",),
    "log_check": ("beat", "due"),
}

_NOTE_COLUMNS = ("id", "source", "event_type", "metadata")

Progress = Callable[[int], None]


class RestoreRefused(Exception):
    """A refused restore. The message says why and what to do."""


@dataclass(frozen=True)
class RestoreResult:
    """What was restored: the number of events, and the `time` of the backup. `broken` says where its chain is broken.

    `old_key` is the ID of the key that the backup is sealed with, if that key was replaced since.
    """

    events: int
    time: str
    broken: str
    tokens: int
    old_key: str


def count_rows() -> int:
    """Return the approximate number of rows of a backup, for its progress."""
    with session.read_transaction() as connection:
        return sum(_count(connection).values())


def create(file: BinaryIO, now: datetime, progress: Progress = lambda rows: None) -> Manifest:
    """Write a consistent snapshot of everything to `file`. At most ``BATCH`` rows are in memory at a time.

    :raises painchain.database.session.WrongKey: when the key was replaced, so that this process cannot seal it.
    """
    keys: Keyring = runtime.current().keys
    writer, written = BackupWriter(file), Counter[str]()
    with session.read_transaction() as connection:
        manifest = _manifest(connection, now)
        if manifest.key != keys.id:
            raise session.WrongKey
        writer.manifest(manifest)
        for saved_table in BACKED_UP_TABLES:
            writer.table(saved_table.name, saved_table.columns.keys())
            for lines in lines_of(connection, saved_table, BATCH):
                writer.lines(lines)
                written[saved_table.name] += len(lines)
                progress(len(lines))
    writer.seal(dict(written), keys)
    return manifest


def _manifest(connection: Connection, now: datetime) -> Manifest:
    head = connection.execute(select(_head)).one()
    return Manifest(
        format=FORMAT,
        schema=NEWEST,
        version=__version__,
        time=iso(now),
        database=connection.dialect.name,
        events=head.last_event,
        head=head.mac.hex(),
        seal=head.seal.hex(),
        key=head.key_id,
        stamp=head.last_stamp,
        revision=head.revision,
        rows=_count(connection),
        ids=dialects.current_sequence(connection, BACKED_UP_TABLES),
    )


def _count(connection: Connection) -> dict[str, int]:
    return {
        counted_table.name: connection.execute(select(func.count()).select_from(counted_table)).scalar_one()
        for counted_table in BACKED_UP_TABLES
    }


def is_in_use() -> bool:
    """Return whether the database contains more than a first start creates."""
    with session.read_transaction() as connection:
        last = connection.execute(select(_head.c.last_event)).scalar_one()
        connectors = connection.execute(select(func.count()).select_from(Connector)).scalar_one()
        people = connection.execute(select(func.count()).select_from(Person)).scalar_one()
    return last > FIRST_START or connectors > 1 or people > 0


def refuse_other_versions(manifest: Manifest) -> None:
    """Refuse a backup that this version cannot load.

    :raises RestoreRefused: when the backup is of another schema.
    """
    if manifest.schema != NEWEST:
        newer = manifest.schema > NEWEST
        then = "" if newer else ", then upgrade"
        raise RestoreRefused(
            f"This backup is from {'a newer' if newer else 'an older'} version of PainChain ({manifest.version}). Its "
            f"schema is {manifest.schema}; this version has {NEWEST}. Restore it with that version{then}."
        )


def restore(
    file: BinaryIO,
    checked: VerifiedBackup,
    record: Callable[[EventLogWriter], Trail],
    progress: Progress = lambda rows: None,
    even_broken: bool = False,
) -> RestoreResult:
    """Replace everything that is stored with a backup, in one transaction, and verify its chain before the commit.

    Other processes see all of it at once, or nothing. Numbers of events and rows that were used are not used again. A
    sealed range stands for the events that the restore discards.

    :raises RestoreRefused: when the chain of its log is broken, unless `even_broken`.
    :raises BadBackup: when the file is not what was checked.
    :raises painchain.core.crypto.KeyUnusable: when the keys do not open its stored tokens.
    """
    manifest = checked.manifest
    refuse_other_versions(manifest)
    with eventlog_writer.writing() as event_log:
        present = event_log.connection.execute(select(_head)).one()
        ids = dialects.current_sequence(event_log.connection, BACKED_UP_TABLES)
        replaced_keys = used_keys.read(event_log.connection)
        dialects.cache_more(event_log.connection)
        _clear(event_log.connection)
        with dialects.without_indexes(event_log.connection, _events):
            _load(event_log.connection, file, checked, progress)
        dialects.advance_sequence(
            event_log.connection,
            BACKED_UP_TABLES,
            {name: max(ids.get(name, 0), manifest.ids.get(name, 0)) for name in ids},
        )
        _encrypt_with_current_key(event_log, manifest)
        used_keys.add(event_log.connection, replaced_keys | {_old_key(manifest)} - {""})
        intact = _restore_head(event_log, manifest)
        counts = RestoredCounts(event_log.connection)
        broken = verification.verify_chain(use=counts.add).broken
        if broken and not even_broken:
            raise RestoreRefused(
                f"The log in this backup was tampered with before the backup: {broken.words} Nothing was restored. "
                "Use an older backup, or restore this one as it is with --even-broken."
            )
        secrets.check_key()
        _continue_log(event_log, manifest, present, intact)
        if broken:
            counts.discard()  # the events are then counted as new ones
        else:
            counts.finish()
            event_log.index(manifest.events)
        _record(record(event_log), manifest, present)
    return RestoreResult(
        manifest.rows[_events.name],
        manifest.time,
        broken.words if broken else "",
        manifest.rows["api_tokens"],
        _old_key(manifest),
    )


def _clear(connection: Connection) -> None:
    fulltext.clear(connection)
    for cleared_table in _CLEARED:
        connection.execute(delete(cleared_table))


def _load(connection: Connection, file: BinaryIO, checked: VerifiedBackup, progress: Progress) -> None:
    """Load the rows of a file, and derive the notes of its events."""
    targets = {table.name: (table, BulkInsert(table), binary_indexes(table)) for table in BACKED_UP_TABLES}
    for name, columns, rows in batches(file, checked):
        if name not in targets or list(columns) != targets[name][0].columns.keys():
            raise BadBackup(f"This backup lacks tables of this version ({name}). Use another backup.")
        _, insert, binary = targets[name]
        decode_rows(rows, binary)
        insert.run(connection, rows)
        if name == _events.name:
            notes.add(connection, notes.derived_from(_notes_among(rows)))
        progress(len(rows))
    for name, lease_columns in _LEASES.items():
        connection.execute(update(_tables[name]).values(dict.fromkeys(lease_columns, EPOCH)))


def _notes_among(rows: Sequence[list[Any]]) -> Iterator[tuple[int, str, str, Any]]:
    number, source, event_type, metadata = (_events.columns.keys().index(name) for name in _NOTE_COLUMNS)
    for row in rows:
        if row[event_type] == notes.EVENT_TYPE:
            yield row[number], row[source], row[event_type], json.loads(row[metadata])


def _encrypt_with_current_key(event_log: EventLogWriter, manifest: Manifest) -> None:
    """Encrypt and sign with the current key, if the backup was made before the key was replaced."""
    keys: Keyring = runtime.current().keys
    if manifest.key != keys.id:
        old = keys.led_by(manifest.key)
        encrypted_columns.reseal(event_log.connection, old.box(), keys.box())
        pruned_ranges.reseal(event_log.connection, event_log.chain, Chain(old))


def _restore_head(event_log: EventLogWriter, manifest: Manifest) -> bool:
    """Restore the head of the log from the backup. Return whether it matches its seal."""
    mac, seal = bytes.fromhex(manifest.head), bytes.fromhex(manifest.seal)
    log_chains = chains(runtime.current().keys)
    intact = any(compare_digest(seal, chain.seal_head(manifest.events, mac)) for chain in log_chains)
    if intact:
        seal = event_log.chain.seal_head(manifest.events, mac)  # with the current key
    event_log.connection.execute(update(_head).values(last_event=manifest.events, mac=mac, seal=seal, counted=0))
    return intact


def _continue_log(event_log: EventLogWriter, manifest: Manifest, present: Row[Any], intact: bool) -> None:
    """Make the next event follow the backup's last one and a sealed range for the discarded events."""
    mac = bytes.fromhex(manifest.head)
    event_log.last_event, event_log.counted = manifest.events, 0
    event_log.mac = mac if intact else event_log.chain.forked_head(mac)
    event_log.last_stamp = max(manifest.stamp, present.last_stamp)
    event_log.revision = max(manifest.revision, present.revision)
    # A head that was changed by hand does not show which numbers were used.
    if present.last_event > event_log.last_event and compare_digest(
        bytes(present.seal), event_log.chain.seal_head(present.last_event, present.mac)
    ):
        abandoned = Run(event_log.last_event + 1, present.last_event, bytes(present.mac))
        pruned_ranges.insert_runs(event_log.connection, [abandoned], event_log.chain)
        event_log.last_event, event_log.mac = abandoned.last, abandoned.mac


def _old_key(manifest: Manifest) -> str:
    """Return the ID of the key that a backup was sealed with, if it was replaced since."""
    keys: Keyring = runtime.current().keys
    return "" if manifest.key == keys.id else manifest.key


def _record(trail: Trail, manifest: Manifest, present: Row[Any]) -> None:
    events = manifest.rows[_events.name]
    text = (
        f"Restored the backup of {manifest.time}: {_events_of(events)}, up to number {manifest.events:,}. What was "
        f"stored here before is abandoned, with a log that ended at number {present.last_event:,}"
    )
    metadata = {
        "backup_time": manifest.time,
        "backup_size": manifest.events,
        "backup_head": manifest.head,
        "events": events,
        "abandoned_size": present.last_event,
        "abandoned_head": present.mac.hex(),
    }
    if old := _old_key(manifest):
        metadata["old_key"] = old
        text += f". It was sealed with the key {old}, which was replaced since"
    if (newest := _newest_checkpoint()) and newest > trail.now:  # the clock was set back, or another one was fast
        metadata["newest_checkpoint"] = iso(newest)
    trail.record("backup_restored", manifest.time, "restored", text, metadata)


def _newest_checkpoint() -> datetime | None:
    """Return the time of the newest checkpoint in the checkpoint file, if there is a readable one."""
    with suppress(BadCheckpoint):
        newest = checkpoints.newest(latest_checkpoint.file())
        return newest.time if newest else None
    return None


def _events_of(number: int) -> str:
    return f"{number:,} event{'' if number == 1 else 's'}"
