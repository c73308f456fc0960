"""Where Alembic begins: it runs this file under the name of its own below, on the connection that it is handed.

Imported by any other name, it does nothing.
"""

from alembic import context


def migrate() -> None:
    """Apply the migrations in the transaction that the connection is in."""
    context.configure(connection=context.config.attributes["connection"])
    context.run_migrations()


if __name__ == "env_py":
    migrate()
