"""Replace the key: seal every stored secret anew and chain the log on with another, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hmac import compare_digest
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection, Row

from painchain.audit.trail import SOURCE, Trail
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
from painchain.notifications import rules as notification_rules

STEP = 2000
ROTATED, RESTORED = "KeyRotated", "BackupRestored"

_event = ChangeEvent.__table__.c
_events, _head, _runs = (Base.metadata.tables[one.__tablename__] for one in (ChangeEvent, LogHead, PrunedRun))


@dataclass(frozen=True)
class RotationResult:
    """What a rotation did: names of the keys, how many texts were sealed anew, and how many keys there are now."""

    old: str
    new: str
    sealed: int
    keys: int


@dataclass(frozen=True)
class ReplacementResult:
    """What became of a log whose key was lost: so many events nobody can verify, and what was `dropped`, in words."""

    unverified: int
    dropped: list[str]


def rotate(begin: Callable[[EventLogWriter], Trail]) -> RotationResult:
    """Put a new key to use: the first one of its place, or where that is in use already a fresh one of PainChain's own.

    The write lock is held all along, so that of two who rotate one waits, and works upon what the other has done. The
    key lies in its file before anything is sealed with it; which key counts is decided by the commit alone.

    :raises ChangeRefused: when the keys are looked after elsewhere and no new one is there.
    :raises KeyUnusable: when the keys cannot be read or written.
    """
    old: Keyring = runtime.current().keys
    where: KeySource = runtime.current().key_place
    with writer.writing() as event_log:
        keys = _keys_with_new_first(where, old.id, _used_key_ids(event_log.connection))
        count = encrypted_columns.reseal(event_log.connection, old.box(), keys.box())
        pruned_ranges.reseal(event_log.connection, Chain(keys), Chain(old))
        event_log.change_key(Chain(keys))
        begin(event_log).record(
            "key_rotated",
            keys.id,
            "replaced",
            f"The key {old.id} was replaced by {keys.id}; {_counted(count, 'stored secret')} sealed anew",
            {"old_key": old.id, "new_key": keys.id, "sealed": count},
        )
    return RotationResult(old.id, keys.id, count, len(keys.roots))


def _keys_with_new_first(where: KeySource, current: str, used: set[str]) -> Keyring:
    """Return the keys with one in front that never was in use: a rotation that came to nothing may have left it."""
    keys = key_file.read_keys(where)
    if keys is None or current not in keys.ids:
        raise KeyUnusable(f"{where.name} has changed: the key that is in use is not there any more. Put it back.")
    if keys.id not in {*used, current}:
        return keys
    if not where.own:
        raise ChangeRefused(
            f"There is no new key in {where.name}. Put one in front of the old key, with a space or a line break "
            "between, and do this again. This makes one: openssl rand -base64 32 | tr '+/' '-_'"
        )
    fresh = parse_key(new_key(), "a new key")
    keys = Keyring((*fresh.roots, *keys.roots))
    key_file.write_keys(where, keys)
    return keys


def _used_key_ids(connection: Connection) -> set[str]:
    """Return the names of the keys that were in use once: the chain goes from key to key and never back.

    A backup from before a rotation takes that away; what says that it was restored says of which key it was.
    """
    mine = (_event.source == SOURCE, _event.event_type.in_((ROTATED, RESTORED)))
    return {str(told.get("old_key")) for told in connection.scalars(select(_event.metadata).where(*mine))}


def drop_old() -> tuple[int, int]:
    """Take the keys out of the file that no event and no checkpoint in the file of checkpoints needs any more.

    Return how many are dropped and how many are left.

    :raises ChangeRefused: when it cannot be told which are needed, or the keys are looked after elsewhere.
    :raises KeyUnusable: when the keys cannot be read or written.
    """
    where: KeySource = runtime.current().key_place
    with writer.writing() as event_log:
        keys = key_file.read_keys(where)
        if keys is None:
            raise KeyUnusable(f"{where.name} is not there any more. Put it back.")
        needed = max(_oldest_needed(event_log.connection, keys), _oldest_of_checkpoints(keys))
        kept = keys.roots[: needed + 1]
        dropped = len(keys.roots) - len(kept)
        if dropped and not where.own:
            which = "last key" if dropped == 1 else f"last {dropped} keys"
            raise ChangeRefused(f"Nothing needs the {which} in {where.name} any more: take it out there.")
        if dropped:
            key_file.write_keys(where, Keyring(kept))
    return dropped, len(kept)


def _oldest_needed(connection: Connection, keys: Keyring) -> int:
    """Return the place of the key that the first event was chained with: from there on they only became newer."""
    first = connection.execute(select(_events).order_by(_event.id).limit(1)).one()
    before = connection.scalar(select(_runs.c.mac).where(_runs.c.last == first.id - 1))
    previous = START if first.id == 1 else before
    for place, chain in enumerate(chains(keys)):
        made = previous is not None and chain.link(previous, first.id, canonical(first._asdict()))
        if made and compare_digest(made, first.mac or b""):
            return place
    raise ChangeRefused(
        f"The beginning of the log, event {first.id}, does not fit any of the keys, so none is dropped. "
        "See painchain verify."
    )


def _oldest_of_checkpoints(keys: Keyring) -> int:
    """Return the place of the oldest key that a checkpoint in the file was signed with."""
    try:
        here, _ = checkpoints.read_with_known_key(latest_checkpoint.file())
    except BadCheckpoint as problem:
        raise ChangeRefused(
            f"It cannot be told which keys the checkpoints need, so none is dropped. {problem}"
        ) from None
    return max((keys.ids.index(one.key_id) for one in here), default=0)


def replace_lost(begin: Callable[[EventLogWriter], Trail]) -> ReplacementResult:
    """Go on with another key where the one before is lost for good.

    The log is chained anew as it is found: what came before can be verified no more, and it says so on the record. No
    key opens the stored secrets any more: they are dropped, and the connectors that need them disabled.

    :raises ChangeRefused: when the log is chained with this very key, and everything opens.
    """
    chain: Chain = runtime.current().chain
    lost = writer.key_id()
    with writer.writing(partial(_rechain, chain)) as event_log:
        trail, unverified = begin(event_log), event_log.last_event
        connectors = [one for one in connector_store.list_all() if one.secrets]
        hooked = [one for one in connector_store.list_all() if webhooks.webhook_of(one)]
        rules = list(notification_rules.list_all())
        dropped = [*(f"secrets of {one.name}" for one in connectors), *(f"webhook of {one.name}" for one in hooked)]
        dropped += [f"notify rule {one.name}" for one in rules]
        trail.record(
            "key_replaced",
            chain.key_id,
            "replaced",
            f"The key {lost} was lost and replaced by {chain.key_id}: nobody can verify the "
            f"{_counted(unverified, 'event')} before this one, and the stored secrets are dropped",
            {"old_key": lost, "new_key": chain.key_id, "unverified": unverified, "dropped": dropped},
        )
        for connector in connectors:
            connector_store.drop_secrets(connector, trail)
        for connector in hooked:
            webhooks.remove(connector, trail)
        for rule in rules:
            notification_rules.delete(rule, None, trail)
    return ReplacementResult(unverified, dropped)


def _rechain(chain: Chain, connection: Connection) -> None:
    """Chain the events that are there from the first on, and seal the runs between them; gaps stay gaps."""
    head = connection.execute(select(_head).with_for_update()).one()
    if head.key_id == chain.key_id:
        return  # an older log, which has just been chained for the first time
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
    """Yield all events in the order of their numbers, so many at a time."""
    reached = 0
    columns = [_event.id, *(_event[name] for name in FIELDS)]
    while rows := connection.execute(select(*columns).where(_event.id > reached).order_by(_event.id).limit(STEP)).all():
        yield rows
        reached = rows[-1].id


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
