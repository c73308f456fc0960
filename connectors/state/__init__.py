"""What is kept of connections and questions: in SQLite in the data directory, or in PostgreSQL.

SQLAlchemy and Alembic are imported by the modules of this package alone, which are imported when state is first needed.
"""
