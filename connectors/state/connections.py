"""The connections of all users in the state, with their credentials encrypted beside them.

A user sees their own only: another's is not found. The first of a change and a rotation of the keys that takes the lock
is done before the other begins, so that no credential stays under a key that is removed.
"""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from access.refusal import Code, Refusal
from connectors.configuration import Parts, Secret
from connectors.contract import Health
from connectors.entry import Checked, Draft, Entry, taken
from connectors.state.database import Database
from connectors.state.keys import Keys
from connectors.state.tables import CONNECTIONS as T

MOST: Final = 500
"""Connections of one user."""


class Connections:
    """The table. Its methods block and raise StateError."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys

    def listed(self, user: str | None = None) -> list[Entry]:
        """Return a user's entries by name, or those of all users."""
        query = sa.select(T).order_by(T.c.user_id, T.c.name)
        if user is not None:
            query = query.where(T.c.user_id == user)
        with self._database.transaction() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def secrets(self, entry: Entry) -> tuple[Secret, ...]:
        """Return an entry's credentials; of one that is gone, none."""
        query = sa.select(T.c.secrets, T.c.secrets_key_id).where(T.c.id == entry.id)
        with self._database.transaction() as connection:
            row = connection.execute(query).one_or_none()
        if row is None or row.secrets is None:
            return ()
        return _read(self._keys.decrypt(row.secrets_key_id, row.secrets, entry.id))

    def add(self, user: str, draft: Draft, parts: Parts) -> Entry:
        """Add an entry. Raises Refusal for a name that is taken, and past MOST."""
        now = datetime.now(UTC)
        made = str(uuid.uuid4())
        with self._database.transaction(locks=True) as connection:
            count = connection.scalar(sa.select(sa.func.count()).select_from(T).where(T.c.user_id == user))
            if (count or 0) >= MOST:
                raise Refusal(Code.INVALID_ARGUMENT, f"A user has {MOST} connections at most: remove some.")
            self._make_default(connection, user, draft, made)
            values = {
                "id": made,
                "user_id": user,
                "health_status": Health.UNKNOWN.value,
                "health_error": "",
                "created_at": now,
                "updated_at": now,
                **self._values(made, draft, parts),
            }
            try:
                connection.execute(sa.insert(T).values(values))
            except IntegrityError:
                raise taken(draft.name) from None
            return _entry(connection.execute(sa.select(T).where(T.c.id == made)).one())

    def replace(self, entry: Entry, draft: Draft, parts: Parts) -> Entry | None:
        """Write an entry again under its id; None when it is gone meanwhile. Raises Refusal for a name taken."""
        with self._database.transaction(locks=True) as connection:
            self._make_default(connection, entry.user, draft, entry.id)
            values = {
                "updated_at": datetime.now(UTC),
                "health_status": Health.UNKNOWN.value,
                "health_error": "",
                "last_health_check_at": None,
                **self._values(entry.id, draft, parts),
            }
            where = sa.and_(T.c.id == entry.id, T.c.user_id == entry.user)
            try:
                connection.execute(sa.update(T).where(where).values(values))
            except IntegrityError:
                raise taken(draft.name) from None
            row = connection.execute(sa.select(T).where(where)).one_or_none()
            return None if row is None else _entry(row)

    def remove(self, entry: Entry) -> bool:
        """Remove an entry with its credentials; whether it was there."""
        where = sa.and_(T.c.id == entry.id, T.c.user_id == entry.user)
        with self._database.transaction(locks=True) as connection:
            return bool(connection.execute(sa.delete(T).where(where)).rowcount)

    def record(self, entry: Entry, checked: Checked) -> None:
        """Keep what a health check found, unless the entry was changed meanwhile."""
        values = {
            "last_health_check_at": checked.at,
            "health_status": checked.health.value,
            "health_error": checked.reason,
        }
        with self._database.transaction() as connection:
            where = sa.and_(T.c.id == entry.id, T.c.updated_at == entry.updated_at)
            connection.execute(sa.update(T).where(where).values(values))

    def rotate(self) -> int:
        """Encrypt all credentials with the first key, and return how many were under another. Raises StateError."""
        count = 0
        with self._database.transaction(locks=True) as connection:
            query = sa.select(T.c.id, T.c.secrets, T.c.secrets_key_id).where(T.c.secrets.is_not(None))
            for row in connection.execute(query).all():
                if row.secrets_key_id == self._keys.current():
                    continue
                text = self._keys.decrypt(row.secrets_key_id, row.secrets, row.id)
                key_id, ciphertext = self._keys.encrypt(text, row.id)
                values = {"secrets": ciphertext, "secrets_key_id": key_id}
                connection.execute(sa.update(T).where(T.c.id == row.id).values(values))
                count += 1
        return count

    def _values(self, entry_id: str, draft: Draft, parts: Parts) -> dict[str, Any]:
        key_id, ciphertext = None, None
        if parts.secrets:
            key_id, ciphertext = self._keys.encrypt(_written(parts.secrets), entry_id)
        return {
            "name": draft.name,
            "description": draft.description,
            "backend_type": draft.backend_type,
            "config": dict(parts.public),
            "secrets": ciphertext,
            "secrets_key_id": key_id,
            "is_enabled": draft.is_enabled,
            "is_default": draft.is_default,
            "tags": list(draft.tags),
        }

    @staticmethod
    def _make_default(connection: sa.Connection, user: str, draft: Draft, entry_id: str) -> None:
        """Let the one that becomes the default take the place of the one before."""
        if draft.is_default:
            where = sa.and_(
                T.c.user_id == user,
                T.c.backend_type == draft.backend_type,
                T.c.is_default,
                T.c.id != entry_id,
            )
            connection.execute(sa.update(T).where(where).values(is_default=False))


def _entry(row: sa.Row[Any]) -> Entry:
    return Entry(
        row.id,
        row.user_id,
        row.name,
        row.backend_type,
        row.config,
        row.description,
        row.is_enabled,
        row.is_default,
        tuple(row.tags),
        Checked(Health(row.health_status), row.health_error, row.last_health_check_at),
        row.created_at,
        row.updated_at,
    )


def _written(secrets: Sequence[Secret]) -> bytes:
    return orjson.dumps([[list(secret.path), secret.value, secret.is_entry] for secret in secrets])


def _read(text: bytes) -> tuple[Secret, ...]:
    return tuple(Secret(tuple(path), value, is_entry) for path, value, is_entry in orjson.loads(text))
