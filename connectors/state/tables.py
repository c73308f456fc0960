"""The tables, as the last migration leaves them. A test compares the two."""

from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


class UtcTime(sa.TypeDecorator[datetime]):
    """A moment. SQLite keeps no zone, so it is written in UTC and read as UTC."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        """Return the moment in UTC."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Any) -> datetime | None:
        """Return the moment with its zone."""
        del dialect
        if not isinstance(value, datetime):
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


JSON: Final = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
METADATA: Final = sa.MetaData()

CONNECTIONS: Final = sa.Table(
    "observability_connections",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("user_id", sa.String(128), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("backend_type", sa.String(50), nullable=False),
    sa.Column("config", JSON, nullable=False),
    sa.Column("secrets", sa.LargeBinary, nullable=True),
    sa.Column("secrets_key_id", sa.String(16), nullable=True),
    sa.Column("is_enabled", sa.Boolean, nullable=False),
    sa.Column("is_default", sa.Boolean, nullable=False),
    sa.Column("tags", JSON, nullable=False),
    sa.Column("last_health_check_at", UtcTime, nullable=True),
    sa.Column("health_status", sa.String(50), nullable=False),
    sa.Column("health_error", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Index("idx_observability_connections_user_id", "user_id"),
    sa.Index("idx_observability_connections_backend_type", "backend_type"),
    sa.Index("idx_observability_connections_user_name", "user_id", "name", unique=True),
    sa.Index(
        "idx_observability_connections_user_backend_default",
        "user_id",
        "backend_type",
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    ),
)

HISTORY: Final = sa.Table(
    "observability_query_history",
    METADATA,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("session_id", sa.String(255), nullable=False),
    # No foreign key: those of the file and this installation's store have no row.
    sa.Column("connection_id", sa.String(36), nullable=False),
    sa.Column("connection_name", sa.String(255), nullable=False),
    sa.Column("user_id", sa.String(128), nullable=False),
    sa.Column("tool", sa.String(100), nullable=False),
    sa.Column("query_type", sa.String(50), nullable=False),
    sa.Column("query_text", sa.Text, nullable=False),
    sa.Column("query_params", JSON, nullable=False),
    sa.Column("result_count", sa.Integer, nullable=True),
    sa.Column("result_sample", JSON, nullable=True),
    sa.Column("error_code", sa.String(50), nullable=False),
    sa.Column("error_message", sa.Text, nullable=False),
    sa.Column("execution_time_ms", sa.Integer, nullable=False),
    sa.Column("was_cached", sa.Boolean, nullable=False),
    sa.Column("queried_at", UtcTime, nullable=False),
    sa.Index("idx_observability_query_history_session_id", "session_id"),
    sa.Index("idx_observability_query_history_user_queried", "user_id", "queried_at", "id"),
    sa.Index("idx_observability_query_history_connection_id", "connection_id"),
    sa.Index("idx_observability_query_history_queried_at", "queried_at"),
)
