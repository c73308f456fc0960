"""A statement that stays open: messages go in through a pipe, and for each a block of rows comes out.

To plan a statement costs the engine more than to run it over a small batch, so it is planned once and reads on.
A message is one row of its input, and `max_block_size = 1` makes the engine work on each as it comes.

A stream is used by one thread at a time. After an error it is of no use but to be closed.

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

# As much as a process without privileges may ask for. What fits is written without waiting for the engine.
_PIPE_BYTES = 1 << 20
_PARTS_AT_ONCE = os.sysconf("SC_IOV_MAX")
# What claims to go on after its end, or has no rows, would be waited for without an end.
_PATIENCE_SECONDS = 60.0
_SETTINGS = ", max_block_size = 1, storage_file_read_method = 'read'"


class StreamEndedError(Exception):
    """The engine made no block of a message: it has no rows, or goes on after its end."""


class Stream:
    """The statement `sql`, on a connection of its own, which reads from the path `{batch:String}`.

    `sample` is a first message, whose block is thrown away. `failed` makes of what the engine raises the error
    to raise.
    """

    def __init__(
        self,
        connection: Any,
        sql: str,
        params: Mapping[str, str],
        sample: bytes,
        failed: Callable[[Exception], Exception],
    ) -> None:
        self.opened = time.monotonic()
        self._connection = connection
        self._failed = failed
        self._result: Any = None
        self._closing = threading.Lock()
        source, self._sink = os.pipe()
        try:
            fcntl.fcntl(self._sink, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            bound = {**params, "batch": f"/proc/self/fd/{source}"}
            try:
                self._result = connection.send_query(sql + _SETTINGS, "Native", params=bound)
            except (chdb.ChdbError, RuntimeError) as error:
                raise failed(error) from None
            self.pass_through([sample])
        except BaseException:
            self.close()
            raise
        finally:
            # The engine has opened the pipe by its path. With no reader but the engine, a write to a statement
            # that has failed fails too, instead of waiting for ever.
            os.close(source)

    def pass_through(self, parts: Sequence[bytes]) -> Pieces:
        """Give the block, in Native format, that the statement makes of the message that `parts` are together.

        Raises StreamEndedError, or what `failed` makes of the engine's error.
        """
        watch = threading.Timer(_PATIENCE_SECONDS, self._end)
        watch.daemon = True
        try:
            with suppress(BrokenPipeError):  # then the statement has failed, and the result says why
                self._write([varint(sum(map(len, parts))), *parts])
            watch.start()
            block = self._result.fetch()
        except (chdb.ChdbError, RuntimeError) as error:
            raise self._failed(error) from None
        finally:
            watch.cancel()
        if block is None:
            raise StreamEndedError
        return Pieces.of(block)

    def close(self) -> None:
        """End the statement and give back the connection."""
        self._end()
        with suppress(chdb.ChdbError, RuntimeError):
            if self._result is not None:
                self._result.close()
        self._connection.close()

    def _write(self, parts: Sequence[bytes]) -> None:
        for first in range(0, len(parts), _PARTS_AT_ONCE):
            some = parts[first : first + _PARTS_AT_ONCE]
            written = os.writev(self._sink, some)
            if written < sum(map(len, some)):  # a signal came between
                rest = memoryview(b"".join(some))[written:]
                while rest:
                    rest = rest[os.write(self._sink, rest) :]

    def _end(self) -> None:
        with self._closing:
            if self._sink >= 0:
                os.close(self._sink)
            self._sink = -1
