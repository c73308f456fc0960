"""Requests that were sent before: known again by their content, for a bounded time.

A client that did not hear an answer sends the same bytes once more. They are answered as the first ones were, without
storing anything: while those are under way by waiting for their outcome, afterwards from memory, and after a restart
from a log that each batch's requests are appended to before the batch leaves the disk. The log is not synced: it
survives a kill, not a loss of power. It has both clocks of each request, since one may be set at any time and the
other starts again with the machine; a request that either calls young is young.

Two requests that are equal to the byte within that time count as one. Clients put times and ids into their records,
so that happens by resending alone; one that sends the same constant record twice on purpose has it stored once.
"""

import os
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from xxhash import xxh3_128_digest

from otlp.signals import Signal

# Name, seconds of the wall clock, seconds of the monotonic clock, which on one machine processes share.
_RECORD = struct.Struct("<16sdd")
_MOST = 100_000


class Resends:
    """What was stored within the last `seconds`, up to `most` requests; none when `seconds` is 0.

    `record` may be called from any thread, the rest from one.
    """

    def __init__(self, seconds: float, log: Path | None = None, most: int = _MOST) -> None:
        self._seconds = seconds
        self._log = log
        self._most = most
        self._stored: dict[bytes, float] = {}
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._logged = 0

    def open(self, found: Iterable[bytes] = ()) -> None:
        """Read the log, add what else was found to be stored, and begin to append. Raises OSError."""
        if self._log is None or not self._seconds:
            return
        now = time.monotonic()
        self._stored = {name: now - age for name, age in self._read()} | dict.fromkeys(found, now)
        self._forget_old()
        self._rewrite((name, now - at) for name, at in self._stored.items())

    def name(self, signal: Signal, body: bytes) -> bytes:
        """Name a request by its content: 16 bytes, or none when nothing is to be known again."""
        if not self._seconds:
            return b""
        return xxh3_128_digest(b"%s %d %s" % (signal.encode(), len(body), xxh3_128_digest(body)))

    def knows(self, name: bytes) -> bool:
        """Return whether the request's records are stored."""
        at = self._stored.get(name)
        return at is not None and time.monotonic() - at < self._seconds

    def learn(self, names: Iterable[bytes]) -> None:
        """Remember requests whose records are stored."""
        if not self._seconds:
            return
        now = time.monotonic()
        for name in names:
            self._stored.pop(name, None)
            self._stored[name] = now
        self._forget_old()

    def record(self, names: Sequence[bytes]) -> None:
        """Append requests whose records are stored to the log. Raises OSError."""
        with self._lock:
            if self._descriptor is None:
                return
            if self._logged > 2 * self._most:
                self._rewrite((name, age) for name, age in self._read()[-self._most :] if age < self._seconds)
            os.write(self._descriptor, _records((name, 0.0) for name in names))
            self._logged += len(names)

    def close(self) -> None:
        """Close the log."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _forget_old(self) -> None:
        since = time.monotonic() - self._seconds
        while self._stored:
            oldest = next(iter(self._stored))
            if len(self._stored) <= self._most and self._stored[oldest] >= since:
                break
            del self._stored[oldest]

    def _read(self) -> list[tuple[bytes, float]]:
        """Return the log's names, and how many seconds ago each was stored."""
        assert self._log is not None  # noqa: S101  for the type checker
        try:
            data = self._log.read_bytes()
        except FileNotFoundError:
            return []
        now, monotonic = time.time(), time.monotonic()
        return [
            (name, max(0.0, min(now - at, monotonic - monotonic_at)))
            for name, at, monotonic_at in _RECORD.iter_unpack(data[: len(data) - len(data) % _RECORD.size])
        ]

    def _rewrite(self, ages: Iterable[tuple[bytes, float]]) -> None:
        """Replace the log by these names and their ages, in one step."""
        assert self._log is not None  # noqa: S101  for the type checker
        new = self._log.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        with open(descriptor, "wb", closefd=False) as file:
            size = file.write(_records(ages))
        new.replace(self._log)
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._logged = descriptor, size // _RECORD.size


def _records(ages: Iterable[tuple[bytes, float]]) -> bytes:
    now, monotonic = time.time(), time.monotonic()
    return b"".join(_RECORD.pack(name, now - age, monotonic - age) for name, age in ages)
