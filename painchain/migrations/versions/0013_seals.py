"""The checks of the log, and its newest checkpoint: one row each."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    check = op.create_table(
        "log_check",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("asked", sa.Boolean(), nullable=False),
        sa.Column("daily", sa.Boolean(), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=True),
        sa.Column("beat", sa.BigInteger(), nullable=False),
        sa.Column("reached", sa.BigInteger(), nullable=False),
        sa.Column("whole", sa.BigInteger(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("found", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("told", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_log_check"),
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    last = op.create_table(
        "last_checkpoint",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made", sa.JSON(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("problem_at", sa.BigInteger(), nullable=True),
        sa.Column("posting", sa.JSON(), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("posted_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("failed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_last_checkpoint"),
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    begun = {"id": 1, "due": 0, "asked": False, "daily": False, "beat": 0, "reached": 0, "whole": 0}
    op.bulk_insert(check, [begun])
    op.bulk_insert(last, [{"id": 1, "tries": 0, "due": 0}])


def downgrade() -> None:
    for table in ("last_checkpoint", "log_check"):
        op.drop_table(table)
