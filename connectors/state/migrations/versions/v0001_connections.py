"""The tables of connections and of the history of questions."""

from typing import Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: Final = "0001"
down_revision: Final = None
branch_labels: Final = None
depends_on: Final = None

_JSON: Final = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Create them."""
    op.create_table(
        "observability_connections",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("backend_type", sa.String(50), nullable=False),
        sa.Column("config", _JSON, nullable=False),
        sa.Column("secrets", sa.LargeBinary, nullable=True),
        sa.Column("secrets_key_id", sa.String(16), nullable=True),
        sa.Column("is_enabled", sa.Boolean, nullable=False),
        sa.Column("is_default", sa.Boolean, nullable=False),
        sa.Column("tags", _JSON, nullable=False),
        sa.Column("last_health_check_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("health_status", sa.String(50), nullable=False),
        sa.Column("health_error", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    connections = "observability_connections"
    op.create_index(f"idx_{connections}_user_id", connections, ["user_id"])
    op.create_index(f"idx_{connections}_backend_type", connections, ["backend_type"])
    op.create_index(f"idx_{connections}_user_name", connections, ["user_id", "name"], unique=True)
    op.create_index(
        f"idx_{connections}_user_backend_default",
        connections,
        ["user_id", "backend_type"],
        unique=True,
        sqlite_where=sa.text("is_default"),
        postgresql_where=sa.text("is_default"),
    )
    op.create_table(
        "observability_query_history",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("connection_id", sa.String(36), nullable=False),
        sa.Column("connection_name", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("tool", sa.String(100), nullable=False),
        sa.Column("query_type", sa.String(50), nullable=False),
        sa.Column("query_text", sa.Text, nullable=False),
        sa.Column("query_params", _JSON, nullable=False),
        sa.Column("result_count", sa.Integer, nullable=True),
        sa.Column("result_sample", _JSON, nullable=True),
        sa.Column("error_code", sa.String(50), nullable=False),
        sa.Column("error_message", sa.Text, nullable=False),
        sa.Column("execution_time_ms", sa.Integer, nullable=False),
        sa.Column("was_cached", sa.Boolean, nullable=False),
        sa.Column("queried_at", sa.DateTime(timezone=True), nullable=False),
    )
    history = "observability_query_history"
    op.create_index(f"idx_{history}_session_id", history, ["session_id"])
    op.create_index(f"idx_{history}_user_queried", history, ["user_id", "queried_at", "id"])
    op.create_index(f"idx_{history}_connection_id", history, ["connection_id"])
    op.create_index(f"idx_{history}_queried_at", history, ["queried_at"])


def downgrade() -> None:
    """Drop them, with all that they hold."""
    op.drop_table("observability_query_history")
    op.drop_table("observability_connections")
