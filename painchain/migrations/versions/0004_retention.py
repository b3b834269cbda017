"""How long events are kept, what is being removed, and whose turn it is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "retention",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("source", name="pk_retention"),
    )
    op.create_table(
        "prunings",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("removed", sa.BigInteger(), nullable=False),
        sa.Column("oldest", sa.BigInteger(), nullable=True),
        sa.Column("newest", sa.BigInteger(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prunings"),
        sa.UniqueConstraint("source", name="uq_prunings_source"),
    )
    turn = op.create_table(
        "prune_turn",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prune_turn"),
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    op.bulk_insert(turn, [{"id": 1, "due": 0}])


def downgrade() -> None:
    for table in ("prune_turn", "prunings", "retention"):
        op.drop_table(table)
