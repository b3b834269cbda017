"""Webhook events that wait for details from the source's API, and the number of requests of the last poll."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "pending_events",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("connector_id", ROW_ID, nullable=False),
        sa.Column("origin", sa.JSON(), nullable=False),
        sa.Column("event", sa.JSON(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("taken_until", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_pending_events"),
        sa.UniqueConstraint("event_id", name="uq_pending_events_event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_pending_events_due", "pending_events", ["due"])
    op.add_column("poll_states", sa.Column("requests", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("poll_states", "requests")
    op.drop_table("pending_events")
