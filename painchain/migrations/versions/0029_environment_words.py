"""The search term of the environment, for the deployments that older versions recorded."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from painchain.migrations.frozen import environment_words_0029

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

BATCH = 1000
EVENTS = sa.table("change_events", sa.column("id"), sa.column("metadata", sa.JSON), sa.column("words"))
_SET = sa.update(EVENTS).where(EVENTS.c.id == sa.bindparam("number")).values(words=sa.bindparam("new_words"))
# The index on SQLite holds the events up to `counted`, and must be given the words that it holds to forget them.
_FORGET = sa.text(
    "INSERT INTO event_words (event_words, rowid, words) SELECT 'delete', id, words FROM change_events "
    "WHERE id = :number AND id <= (SELECT counted FROM log_head)"
)
_INDEX = sa.text(
    "INSERT INTO event_words (rowid, words) SELECT id, words FROM change_events "
    "WHERE id = :number AND id <= (SELECT counted FROM log_head)"
)


def upgrade() -> None:
    connection = op.get_bind()
    statements = (_FORGET, _SET, _INDEX) if connection.dialect.name == "sqlite" else (_SET,)
    last = 0
    while rows := _events_after(connection, last):
        words = {row.id: environment_words_0029.words_of(row.metadata, row.words) for row in rows}
        changed = [{"number": row.id, "new_words": words[row.id]} for row in rows if words[row.id] != row.words]
        for statement in statements if changed else ():
            connection.execute(statement, changed)
        last = rows[-1].id


def _events_after(connection: sa.Connection, number: int) -> Sequence[Any]:
    has_fact = sa.cast(EVENTS.c.metadata, sa.Text).like('%"environment"%')
    query = sa.select(EVENTS.c.id, EVENTS.c.metadata, EVENTS.c.words)
    return connection.execute(query.where(EVENTS.c.id > number, has_fact).order_by(EVENTS.c.id).limit(BATCH)).all()


def downgrade() -> None:
    """The term stays: an older version finds events by it too."""
