"""How Alembic reaches the database and the schema: through the app that is running."""

from alembic import context
from flask import current_app

from painchain.database import models  # noqa: F401  the tables, for autogeneration
from painchain.database.session import migration_transaction
from painchain.migrations import is_before_chain

db = current_app.extensions["migrate"].db

with migration_transaction(db.engine) as connection:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_as_batch=True,
        compare_type=True,
        transactional_ddl=True,
    )
    revision = context.get_context().get_current_revision()
    with context.begin_transaction():
        context.run_migrations()
    if is_before_chain(revision):
        # In the same transaction: a kill leaves out neither the chain nor the event about it.
        context.config.attributes["record_chain_begun"](connection)
