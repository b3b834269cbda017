"""Where the polling of each connector stands, and when nobody was looking."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "poll_states",
        sa.Column("connector_id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("taken_until", sa.BigInteger(), nullable=False),
        sa.Column("cursor", sa.JSON(), nullable=False),
        sa.Column("last_poll", sa.BigInteger(), nullable=True),
        sa.Column("last_success", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.BigInteger(), nullable=True),
        sa.Column("trouble", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("rate_limit", sa.Integer(), nullable=True),
        sa.Column("rate_remaining", sa.Integer(), nullable=True),
        sa.Column("rate_resets", sa.BigInteger(), nullable=True),
        sa.Column("watched_until", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["connector_id"], ["connectors.id"], name="fk_poll_states_connector_id_connectors", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connector_id", name="pk_poll_states"),
    )
    op.create_index("ix_poll_states_due", "poll_states", ["due"])
    op.create_table(
        "lapses",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("connector_id", ROW_ID, nullable=False),
        sa.Column("connector_name", sa.Text(), nullable=False),
        sa.Column("connector_type", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("words", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_lapses"),
    )
    op.create_index("ix_lapses_until", "lapses", ["until"])
    op.create_index("ix_lapses_connector_id_kind_until", "lapses", ["connector_id", "kind", "until"])


def downgrade() -> None:
    for table in ("lapses", "poll_states"):
        op.drop_table(table)
