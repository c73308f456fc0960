"""The history of questions: by whom, to which connection, what, how long it took, and the beginning of the answer.

All texts are redacted and bounded before they come here. The number of rows is bounded: the oldest go first.
"""

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from connectors.remembered import Past
from connectors.state.database import Database
from connectors.state.tables import HISTORY as T

MOST: Final = 100_000
"""Rows of all users."""
_EVERY: Final = 500
"""Rows that are added between two removals of old ones."""


class History:
    """The table. Its methods block and raise StateError."""

    def __init__(self, database: Database, most: int = MOST, every: int = _EVERY) -> None:
        self._database = database
        self._most = most
        self._every = every
        self._added = 0

    def add(self, past: Past) -> None:
        """Keep a question, and now and then remove the oldest past the bound."""
        values = {name: getattr(past, name) for name in T.c.keys() if name != "user_id"}  # noqa: SIM118
        with self._database.transaction() as connection:
            connection.execute(sa.insert(T).values({**values, "user_id": past.user}))
            self._added += 1
            if self._added % self._every == 1:
                old = sa.select(T.c.id).order_by(T.c.queried_at.desc(), T.c.id).offset(self._most)
                if self._database.is_shared:
                    connection.execute(sa.delete(T).where(T.c.id.in_(old)))
                else:
                    # SQLite takes no OFFSET without a LIMIT.
                    connection.execute(sa.delete(T).where(T.c.id.in_(old.limit(-1))))

    def listed(
        self, user: str, session_id: str = "", after: tuple[datetime, str] | None = None, limit: int = 50
    ) -> list[Past]:
        """Return a user's questions, newest first, those after a place; one more than `limit` where there are more."""
        query = sa.select(T).where(T.c.user_id == user)
        if session_id:
            query = query.where(T.c.session_id == session_id)
        if after is not None:
            at, last = after
            query = query.where(sa.or_(T.c.queried_at < at, sa.and_(T.c.queried_at == at, T.c.id < last)))
        query = query.order_by(T.c.queried_at.desc(), T.c.id.desc()).limit(limit + 1)
        with self._database.transaction() as connection:
            return [_past(row) for row in connection.execute(query)]

    def found(self, user: str, query_id: str) -> Past | None:
        """Return one question of a user's."""
        query = sa.select(T).where(T.c.user_id == user, T.c.id == query_id)
        with self._database.transaction() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _past(row)


def _past(row: sa.Row[Any]) -> Past:
    found: dict[str, Any] = dict(zip(T.c.keys(), row, strict=True))
    return Past(user=found.pop("user_id"), **found)
