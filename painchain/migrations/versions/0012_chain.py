"""The chain of the events, its end, and the runs that retention has removed from it."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from painchain.core import runtime
from painchain.migrations.frozen.chain_0012 import FIELDS, START, Chain, canonical

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BATCH = 2000
JSON_FIELDS = ("description", "metadata", "tags")

event = sa.table(
    "change_events",
    *(sa.column("id", sa.BigInteger), sa.column("mac", sa.LargeBinary)),
    *(sa.column(name, sa.JSON if name in JSON_FIELDS else None) for name in FIELDS),
)
runs = sa.table("pruned_runs", *(sa.column(name) for name in ("first", "last", "mac", "seal")))
_LINK = sa.update(event).where(event.c.id == sa.bindparam("number")).values(mac=sa.bindparam("new_mac"))


def upgrade() -> None:
    op.add_column("change_events", sa.Column("mac", sa.LargeBinary(), nullable=True))
    op.add_column("prunings", sa.Column("boundary", sa.Text(), nullable=True))
    op.create_table(
        "pruned_runs",
        sa.Column("first", ROW_ID, autoincrement=False, nullable=False),
        sa.Column("last", ROW_ID, nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("seal", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("first", name="pk_pruned_runs"),
        sa.UniqueConstraint("last", name="uq_pruned_runs_last"),
    )
    for name, kind in (("mac", sa.LargeBinary()), ("seal", sa.LargeBinary()), ("key_id", sa.Text())):
        op.add_column("log_head", sa.Column(name, kind, nullable=True))
    keys = runtime.current().keys
    chain = Chain(keys.derive("chain of events"), keys.derive("seals of the log"))
    connection = op.get_bind()
    last = connection.execute(sa.text("SELECT last_event FROM log_head")).scalar_one()
    mac = link_old(connection, chain, last)
    connection.execute(
        sa.text("UPDATE log_head SET mac = :mac, seal = :seal, key_id = :key_id"),
        {"mac": mac, "seal": chain.head(last, mac), "key_id": keys.id},
    )
    with op.batch_alter_table("log_head") as log_head:
        for name in ("mac", "seal", "key_id"):
            log_head.alter_column(name, nullable=False)


def link_old(connection: sa.Connection, chain: Chain, last: int) -> bytes:
    """Link the events that are there already, and return the hash of the last number: those removed leave runs."""
    mac, reached = START, 0
    while some := _behind(connection, reached):
        linked = []
        for row in some:
            mac = _skip(connection, chain, mac, reached + 1, row.id - 1)
            mac, reached = chain.link(mac, row.id, canonical(dict(row._mapping))), row.id
            linked.append({"number": row.id, "new_mac": mac})
        connection.execute(_LINK, linked)
    return _skip(connection, chain, mac, reached + 1, last)


def _behind(connection: sa.Connection, number: int) -> Sequence[sa.Row[Any]]:
    return connection.execute(sa.select(event).where(event.c.id > number).order_by(event.c.id).limit(BATCH)).all()


def _skip(connection: sa.Connection, chain: Chain, mac: bytes, first: int, last: int) -> bytes:
    """Let a run stand for events that were removed before there was a chain."""
    if first > last:
        return mac
    mac = chain.link(mac, last, b"removed before the chain began")
    connection.execute(sa.insert(runs), {"first": first, "last": last, "mac": mac, "seal": chain.run(first, last, mac)})
    return mac


def downgrade() -> None:
    for name in ("key_id", "seal", "mac"):
        op.drop_column("log_head", name)
    op.drop_table("pruned_runs")
    op.drop_column("prunings", "boundary")
    op.drop_column("change_events", "mac")
