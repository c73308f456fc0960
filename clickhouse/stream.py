"""A statement that stays open: it reads messages from a pipe and returns a block of rows for each.

The engine takes longer to plan a statement than to run it over a small batch, so a stream is planned once and goes on
reading. A message is one row of its input, and `max_block_size = 1` makes the engine process each as it arrives.

A stream is used by one thread at a time. After an error it can only be closed.

Source: https://man7.org/linux/man-pages/man7/pipe.7.html
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import chdb

from clickhouse.pieces import Pieces
from clickhouse.varint import varint

# The largest pipe of a process without privileges. A message that fits is written without waiting for the engine.
_PIPE_BYTES = 1 << 20
_PARTS_AT_ONCE = os.sysconf("SC_IOV_MAX")
# The engine returns nothing for a message without rows, or whose length exceeds its content.
_TIMEOUT_SECONDS = 60.0
_SETTINGS = ", max_block_size = 1, storage_file_read_method = 'read'"


class StreamEndedError(Exception):
    """The engine returned no block for a message: the message has no rows, or is shorter than its length says."""


class Stream:
    """The statement `sql`, on a connection of its own, which reads from the path `{batch:String}`.

    `sample` is a first message, whose block is discarded. `as_engine_error` turns an exception of the engine into
    the error that is raised.
    """

    def __init__(
        self,
        connection: Any,
        sql: str,
        params: Mapping[str, str],
        sample: bytes,
        as_engine_error: Callable[[Exception], Exception],
    ) -> None:
        self.opened = time.monotonic()
        self._connection = connection
        self._as_engine_error = as_engine_error
        self._result: Any = None
        self._closing = threading.Lock()
        source, self._sink = os.pipe()
        try:
            fcntl.fcntl(self._sink, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            bound = {**params, "batch": f"/proc/self/fd/{source}"}
            try:
                self._result = connection.send_query(sql + _SETTINGS, "Native", params=bound)
            except (chdb.ChdbError, RuntimeError) as error:
                raise as_engine_error(error) from None
            self.pass_through([sample])
        except BaseException:
            self.close()
            raise
        finally:
            # The engine has opened the pipe by its path. Once the engine is the only reader, a write to a statement
            # that has failed also fails, instead of waiting for ever.
            os.close(source)

    def pass_through(self, parts: Sequence[bytes]) -> Pieces:
        """Return the statement's block, in Native format, for the message whose bytes are `parts` joined.

        Raises StreamEndedError, or the engine's error as `as_engine_error` returns it.
        """
        watch = threading.Timer(_TIMEOUT_SECONDS, self._end)
        watch.daemon = True
        try:
            with suppress(BrokenPipeError):  # the statement has failed; fetch() raises the reason
                self._write([varint(sum(map(len, parts))), *parts])
            watch.start()
            block = self._result.fetch()
        except (chdb.ChdbError, RuntimeError) as error:
            raise self._as_engine_error(error) from None
        finally:
            watch.cancel()
        if block is None:
            raise StreamEndedError
        return Pieces.of(block)

    def close(self) -> None:
        """End the statement and close its connection."""
        self._end()
        with suppress(chdb.ChdbError, RuntimeError):
            if self._result is not None:
                self._result.close()
        self._connection.close()

    def _write(self, parts: Sequence[bytes]) -> None:
        for first in range(0, len(parts), _PARTS_AT_ONCE):
            some = parts[first : first + _PARTS_AT_ONCE]
            written = os.writev(self._sink, some)
            if written < sum(map(len, some)):  # a signal interrupted the write
                rest = memoryview(b"".join(some))[written:]
                while rest:
                    rest = rest[os.write(self._sink, rest) :]

    def _end(self) -> None:
        with self._closing:
            if self._sink >= 0:
                os.close(self._sink)
            self._sink = -1
