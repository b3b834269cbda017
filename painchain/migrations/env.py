"""How Alembic reaches the database and the schema: through the app that is running."""

from alembic import context
from flask import current_app

from painchain.database import models  # noqa: F401  the tables, for autogeneration
from painchain.database.session import migration_transaction

db = current_app.extensions["migrate"].db

with migration_transaction(db.engine) as connection:
    context.configure(
        connection=connection,
        target_metadata=db.metadata,
        render_as_batch=True,
        compare_type=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()
