"""How the tables came to be: Alembic applies what is missing when the state is opened."""
