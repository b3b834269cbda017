"""Which events have a value or happened in a slot of time: sets of their numbers, to count any combination."""

import sqlalchemy as sa
from alembic import op

from painchain.migrations.frozen import sets_0005 as sets

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_sets",
        sa.Column("facet", sa.Text(), nullable=False),
        sa.Column("grain", sa.Integer(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("chunk", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("bits", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("facet", "grain", "slot", "chunk", "value", name="pk_event_sets"),
    )
    sets.fill(op.get_bind())


def downgrade() -> None:
    op.drop_table("event_sets")
