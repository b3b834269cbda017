"""The setup checklist: whether it is hidden, and of which root key a copy is stored elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "onboarding",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("hidden_at", sa.BigInteger(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("key_copied_at", sa.BigInteger(), nullable=True),
        sa.Column("key_copied_by", sa.Text(), nullable=True),
        sa.CheckConstraint("id = 1", name="one_row"),
        sa.PrimaryKeyConstraint("id", name="pk_onboarding"),
    )


def downgrade() -> None:
    op.drop_table("onboarding")
