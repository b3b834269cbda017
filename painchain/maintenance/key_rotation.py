"""Replace the key: re-encrypt every stored secret and continue the chain with the new key, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection, Row

from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.errors import ChangeRefused
from painchain.core import key_file, runtime
from painchain.core.crypto import Keyring, KeyUnusable, new_key, parse_key
from painchain.core.key_file import KeySource
from painchain.database import encrypted_columns
from painchain.database.models import ChangeEvent, LogHead, PrunedRun
from painchain.database.session import Base
from painchain.eventlog import pruned_ranges, writer
from painchain.eventlog.chain import FIELDS, START, Chain, canonical, chains
from painchain.eventlog.writer import EventLogWriter
from painchain.ingestion import webhooks
from painchain.integrity import checkpoints, latest_checkpoint
from painchain.integrity.checkpoints import BadCheckpoint
from painchain.maintenance import used_keys
from painchain.notifications import rules as notification_rules

STEP = 2000

_event = ChangeEvent.__table__.c
_events, _head, _runs = (Base.metadata.tables[model.__tablename__] for model in (ChangeEvent, LogHead, PrunedRun))


@dataclass(frozen=True)
class RotationResult:
    """What a rotation did: the IDs of the keys, the number of re-encrypted secrets, and the number of keys now."""

    old: str
    new: str
    sealed: int
    keys: int


@dataclass(frozen=True)
class ReplacementResult:
    """What replacing a lost key did: the number of events that can no longer be verified, and what was `dropped`."""

    unverified: int
    dropped: list[str]


def rotate(begin: Callable[[EventLogWriter], Trail]) -> RotationResult:
    """Rotate to a new key: the first one in the key file, or a generated one if that is already in use.

    The write lock is held throughout, so that of two rotations the second continues from the result of the first. The
    key is in its file before anything is encrypted with it. The commit decides which key is in use.

    :raises ChangeRefused: when the operator manages the keys and has not added a new one.
    :raises KeyUnusable: when the keys cannot be read or written.
    """
    old: Keyring = runtime.current().keys
    source: KeySource = runtime.current().key_source
    with writer.writing() as event_log:
        keys = _keys_with_new_first(source, old.id, used_keys.read(event_log.connection))
        count = encrypted_columns.reseal(event_log.connection, old.box(), keys.box())
        pruned_ranges.reseal(event_log.connection, Chain(keys), Chain(old))
        event_log.change_key(Chain(keys))
        used_keys.add(event_log.connection, [old.id])
        begin(event_log).record(
            "key_rotated",
            keys.id,
            "replaced",
            f"The key {old.id} was replaced by {keys.id}; {_counted(count, 'stored secret')} re-encrypted",
            {"old_key": old.id, "new_key": keys.id, "sealed": count},
        )
    return RotationResult(old.id, keys.id, count, len(keys.roots))


def _keys_with_new_first(source: KeySource, current: str, used: set[str]) -> Keyring:
    """Return the keys with an unused one first. A failed rotation may have left one."""
    keys = key_file.read_keys(source)
    if keys is None or current not in keys.ids:
        raise KeyUnusable(f"{source.name} no longer contains the key that is in use. Put that key back.")
    if keys.id not in {*used, current}:
        return keys
    if not source.own:
        raise ChangeRefused(
            f"There is no new key in {source.name}. Put one before the old key, separated by a space or a line break, "
            "and try again. To generate one, run: openssl rand -base64 32 | tr '+/' '-_'"
        )
    generated = parse_key(new_key(), "a new key")
    keys = Keyring((*generated.roots, *keys.roots))
    key_file.write_keys(source, keys)
    return keys


def drop_old() -> tuple[int, int]:
    """Remove the keys from the file that no event and no checkpoint in the checkpoint file needs.

    Return how many were removed and how many are left.

    :raises ChangeRefused: when the needed keys cannot be determined, or the keys are managed elsewhere.
    :raises KeyUnusable: when the keys cannot be read or written.
    """
    source: KeySource = runtime.current().key_source
    with writer.writing() as event_log:
        keys = key_file.read_keys(source)
        if keys is None:
            raise KeyUnusable(f"{source.name} no longer exists. Restore it.")
        needed = max(_oldest_needed(event_log.connection, keys), _oldest_of_checkpoints(keys))
        needed_roots = keys.roots[: needed + 1]
        dropped = len(keys.roots) - len(needed_roots)
        if dropped and not source.own:
            which = "last key is" if dropped == 1 else f"last {dropped} keys are"
            raise ChangeRefused(
                f"The {which} no longer needed. Remove {'it' if dropped == 1 else 'them'} from {source.name}."
            )
        if dropped:
            key_file.write_keys(source, Keyring(needed_roots))
    return dropped, len(needed_roots)


def _oldest_needed(connection: Connection, keys: Keyring) -> int:
    """Return the index of the key that the first event was chained with. Later events have the same or newer keys."""
    first = connection.execute(select(_events).order_by(_event.id).limit(1)).one()
    mac_before = connection.scalar(select(_runs.c.mac).where(_runs.c.last == first.id - 1))
    previous = START if first.id == 1 else mac_before
    for index, chain in enumerate(chains(keys)):
        mac = previous is not None and chain.link(previous, first.id, canonical(first._asdict()))
        if mac and compare_digest(mac, first.mac or b""):
            return index
    raise ChangeRefused(
        f"No key was removed: the first event of the log, event {first.id}, matches none of the keys. "
        "Run painchain verify."
    )


def _oldest_of_checkpoints(keys: Keyring) -> int:
    """Return the index of the oldest key that a checkpoint in the file was signed with."""
    try:
        readable, _ = checkpoints.read_with_known_key(latest_checkpoint.file())
    except BadCheckpoint as problem:
        raise ChangeRefused(
            f"No key was removed: the keys that the checkpoints need could not be determined. {problem}"
        ) from None
    return max((keys.ids.index(checkpoint.key_id) for checkpoint in readable), default=0)


def replace_lost(begin: Callable[[EventLogWriter], Trail]) -> ReplacementResult:
    """Continue with another key when the old one is permanently lost.

    The log is rechained as it is. The events so far can no longer be verified, and that is recorded. The stored secrets
    can no longer be decrypted. They are dropped, and the connectors that need them are disabled.

    :raises ChangeRefused: when the log is chained with this very key, and everything opens.
    """
    chain: Chain = runtime.current().chain
    lost_key = writer.key_id()
    with writer.writing(partial(_rechain, chain)) as event_log:
        trail, unverified = begin(event_log), event_log.last_event
        used_keys.add(event_log.connection, {lost_key} - {chain.key_id})
        connectors = [connector for connector in connector_store.list_all() if connector.secrets]
        hooked = [connector for connector in connector_store.list_all() if webhooks.webhook_of(connector)]
        rules = list(notification_rules.list_all())
        dropped = [
            *(f"secrets of {connector.name}" for connector in connectors),
            *(f"webhook of {connector.name}" for connector in hooked),
        ]
        dropped += [f"notify rule {connector.name}" for connector in rules]
        trail.record(
            "key_replaced",
            chain.key_id,
            "replaced",
            f"The key {lost_key} was lost and replaced by {chain.key_id}. The {_counted(unverified, 'event')} before "
            "this one can no longer be verified, and the stored secrets were deleted",
            {"old_key": lost_key, "new_key": chain.key_id, "unverified": unverified, "dropped": dropped},
        )
        for connector in connectors:
            connector_store.drop_secrets(connector, trail)
        for connector in hooked:
            webhooks.remove(connector, trail)
        for rule in rules:
            notification_rules.delete(rule, None, trail)
    return ReplacementResult(unverified, dropped)


def _rechain(chain: Chain, connection: Connection) -> None:
    """Chain the existing events from the first one, and seal the pruned ranges between them. Gaps remain gaps."""
    head = connection.execute(select(_head).with_for_update()).one()
    if head.key_id == chain.key_id:
        return  # an older log that was just chained for the first time
    pruned_ranges.reseal(connection, chain, None)
    runs = {run.last + 1: run.mac for run in connection.execute(select(_runs))}
    mac = START
    change = update(_events).where(_event.id == bindparam("number")).values(mac=bindparam("new_mac"))
    for rows in _event_batches(connection):
        changed = []
        for row in rows:
            mac = chain.link(runs.get(row.id, mac), row.id, canonical(row._asdict()))
            changed.append({"number": row.id, "new_mac": mac})
        connection.execute(change, changed)
    mac = runs.get(head.last_event + 1, mac)
    new = {"mac": mac, "seal": chain.seal_head(head.last_event, mac), "key_id": chain.key_id}
    connection.execute(update(_head).values(new))


def _event_batches(connection: Connection) -> Iterator[Sequence[Row[Any]]]:
    """Yield all events in the order of their numbers, in batches of ``STEP``."""
    last_id = 0
    columns = [_event.id, *(_event[name] for name in FIELDS)]
    while rows := connection.execute(select(*columns).where(_event.id > last_id).order_by(_event.id).limit(STEP)).all():
        yield rows
        last_id = rows[-1].id


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
