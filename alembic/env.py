"""The one Alembic environment; `shared.postgres.migrations` says which history runs, and on which connection."""

from alembic import context

config = context.config
history: str = config.attributes["history"]

if context.is_offline_mode():
    context.configure(
        dialect_name="postgresql",
        dialect_opts={"paramstyle": "named"},  # the default one writes each % twice
        version_table_schema=history,
        literal_binds=True,
        transactional_ddl=True,
        transaction_per_migration=True,
    )
    context.run_migrations()
else:
    connection = config.attributes["connection"]
    context.configure(
        connection=connection,
        version_table_schema=history,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
