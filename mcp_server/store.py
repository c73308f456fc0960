"""The tables as this process asks them: over ClickHouse's interface, as the user who only reads.

It connects when it is first needed, and again after a failure. A server that is away when this process starts is
reported to the caller who asks, and stops nothing else.
"""

import threading
from collections.abc import Iterator, Mapping

from access.store import ClientStore, Rows, reader_store
from config.settings import Settings


class LazyStore:
    """An `access.store.Store` that connects late. `url` is the ClickHouse to ask, None: the settings' own."""

    def __init__(self, settings: Settings, url: str | None) -> None:
        self._settings = settings
        self._url = url
        self._lock = threading.Lock()
        self._store: ClientStore | None = None

    def rows(
        self,
        sql: str,
        values: Mapping[str, str] | None = None,
        *,
        at_most: int | None = None,
        max_bytes: int | None = None,
        is_beside: bool = False,
    ) -> Rows:
        """Return the answer; see Store."""
        return self._connected().rows(sql, values, at_most=at_most, max_bytes=max_bytes, is_beside=is_beside)

    def stream(self, sql: str, values: Mapping[str, str] | None, output_format: str) -> Iterator[bytes]:
        """Yield the answer in one of ClickHouse's formats; see Store."""
        yield from self._connected().stream(sql, values, output_format)

    def _connected(self) -> ClientStore:
        with self._lock:
            if self._store is None:
                # The password is read for each attempt: the server's first start generates it.
                store = reader_store(self._settings, self._url)
                store.open()
                self._store = store
            return self._store
