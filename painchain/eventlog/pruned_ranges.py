"""Replace pruned events in the chain by sealed runs of their numbers, so that the chain still verifies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.engine import Connection, Row

from painchain.database.models import ChangeEvent, PrunedRun
from painchain.database.session import Base
from painchain.eventlog.chain import Chain

_event = ChangeEvent.__table__.c
_runs = Base.metadata.tables[PrunedRun.__tablename__]


@dataclass(frozen=True)
class Run:
    """The pruned events `first` to `last`, and the hash of the last.

    `genuine` is False if the run was inserted by hand.
    """

    first: int
    last: int
    mac: bytes
    genuine: bool = True


def replace_events(connection: Connection, ids: Sequence[int], chain: Chain) -> bytes | None:
    """Insert runs for these events, which are about to be deleted. Return the hash of the last of them.

    Adjacent runs are merged, so that there is at most one run more than there are remaining events.
    """
    removed = connection.execute(select(_event.id, _event.mac).where(_event.id.in_(ids)).order_by(_event.id)).all()
    if not removed:
        return None
    runs = [Run(number, number, mac or b"") for number, mac in removed]
    insert_runs(connection, runs, chain)
    return runs[-1].mac


def insert_runs(connection: Connection, runs: Sequence[Run], chain: Chain) -> None:
    """Insert runs into the chain and merge adjacent ones. A run merged with a forged one gets no seal."""
    firsts = {number for run in runs for number in (run.first, run.last + 1)}
    lasts = {number for run in runs for number in (run.last, run.first - 1)}
    touching = connection.execute(select(_runs).where(or_(_runs.c.last.in_(lasts), _runs.c.first.in_(firsts)))).all()
    connection.execute(delete(_runs).where(_runs.c.first.in_([run.first for run in touching])))
    merged = _merged([*runs, *(Run(run.first, run.last, run.mac, _is_sealed(run, chain)) for run in touching)])
    connection.execute(insert(_runs), [_row(run, chain) for run in merged])


def _is_sealed(run: Row[Any], chain: Chain) -> bool:
    return 0 < run.first <= run.last and compare_digest(run.seal, chain.seal_run(run.first, run.last, run.mac))


def _row(run: Run, chain: Chain) -> dict[str, Any]:
    seal = chain.seal_run(run.first, run.last, run.mac) if run.genuine else b""
    return {"first": run.first, "last": run.last, "mac": run.mac, "seal": seal}


def reseal(connection: Connection, chain: Chain, old: Chain | None) -> None:
    """Seal every run with the key of `chain`; seals of other keys are no longer valid.

    A run without a valid seal of the `old` key is forged and stays unchanged. If `old` is None, all runs are sealed.
    """
    for run in connection.execute(select(_runs)).all():
        if old is None or _is_sealed(run, old):
            new = chain.seal_run(run.first, run.last, run.mac)
            connection.execute(update(_runs).where(_runs.c.first == run.first).values(seal=new))


def _merged(runs: Iterable[Run]) -> list[Run]:
    """Merge adjacent runs. Overlapping runs are forged, and so is the result of merging them.

    >>> [(run.first, run.last) for run in _merged([Run(4, 4, b""), Run(1, 2, b""), Run(3, 3, b""), Run(6, 9, b"")])]
    [(1, 4), (6, 9)]
    """
    merged: list[Run] = []
    for run in sorted(runs, key=lambda run: run.first):
        previous = merged[-1] if merged else None
        if previous and previous.last + 1 >= run.first:
            genuine = previous.genuine and run.genuine and previous.last + 1 == run.first
            merged[-1] = Run(previous.first, max(previous.last, run.last), run.mac, genuine)
        else:
            merged.append(run)
    return merged
