"""PostgreSQL adds the words of new events to their index in batches."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# Kilobytes of words that wait outside of the index's tree, which a search reads too. Adding that much takes some 10 ms.
PENDING_LIMIT = 256


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        settings = f"fastupdate = on, gin_pending_list_limit = {PENDING_LIMIT}"
        op.execute(f"ALTER INDEX ix_change_events_words SET ({settings})")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX ix_change_events_words SET (fastupdate = off)")
        op.execute("ALTER INDEX ix_change_events_words RESET (gin_pending_list_limit)")
