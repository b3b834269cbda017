"""The last deliveries of webhooks whose mapping can be changed, to try a mapping with."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "kept_deliveries",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("connector_id", ROW_ID, nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connector_id"],
            ["connectors.id"],
            name="fk_kept_deliveries_connector_id_connectors",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_kept_deliveries"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_kept_deliveries_connector_id_id", "kept_deliveries", ["connector_id", "id"])


def downgrade() -> None:
    op.drop_table("kept_deliveries")
