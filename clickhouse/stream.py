"""A statement that stays open: it reads messages, or blocks of rows, from a pipe and returns a block of rows for each.

The engine takes longer to plan a statement than to run it over a small batch, so a stream is planned once and goes on
reading. A message is one row of its input, and `max_block_size = 1` makes the engine process each as it arrives. A
block in Native format is processed as a whole.

A stream is used by one thread at a time. After an error it can only be closed.

Source: https://man7.org/linux/man-pages/man7/pipe.7.html
"""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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


def message(parts: Sequence[bytes]) -> list[bytes]:
    """Return a message as a stream of such reads it: its bytes, `parts` joined, after their number."""
    return [varint(sum(map(len, parts))), *parts]


class Stream:
    """The statement `sql`, on a connection of its own, which reads from the path `{batch:String}`.

    `sample` is a first input, whose block is discarded. `as_engine_error` turns an exception of the engine into the
    error that is raised.
    """

    def __init__(
        self,
        connection: Any,
        sql: str,
        params: Mapping[str, str],
        sample: Sequence[bytes],
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
            self.pass_through(sample)
        except BaseException:
            self.close()
            raise
        finally:
            # The engine has opened the pipe by its path. Once the engine is the only reader, a write to a statement
            # that has failed also fails, instead of waiting for ever.
            os.close(source)

    def pass_through(self, parts: Sequence[bytes | memoryview]) -> Pieces:
        """Return the statement's block, in Native format, for an input whose bytes are `parts` joined.

        Raises StreamEndedError, or the engine's error as `as_engine_error` returns it.
        """
        self._write(self._sink, parts)
        with self._watched():
            return self._next()

    def pass_blocks(
        self, parts: Sequence[bytes | memoryview], is_last: Callable[[memoryview], bool]
    ) -> list[Pieces]:
        """Return the statement's blocks for an input of many, up to the one of which `is_last` is true, without that.

        Raises as `pass_through` does.
        """
        writing = None
        if sum(map(len, parts)) <= _PIPE_BYTES:
            self._write(self._sink, parts)
        else:
            # The engine stops reading while blocks that it has made are not fetched.
            writing = threading.Thread(
                target=self._write_apart, args=(os.dup(self._sink), parts), daemon=True
            )
            writing.start()
        blocks: list[Pieces] = []
        with self._watched():
            while not is_last(next(iter(block := self._next()))):
                blocks.append(block)
        if writing is not None:
            writing.join()
        return blocks

    def close(self) -> None:
        """End the statement and close its connection."""
        self._end()
        with suppress(chdb.ChdbError, RuntimeError):
            if self._result is not None:
                self._result.close()
        self._connection.close()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """End the statement when it takes too long; turn the engine's exceptions into its errors."""
        watch = threading.Timer(_TIMEOUT_SECONDS, self._end)
        watch.daemon = True
        watch.start()
        try:
            yield
        except (chdb.ChdbError, RuntimeError) as error:
            raise self._as_engine_error(error) from None
        finally:
            watch.cancel()

    def _next(self) -> Pieces:
        block = self._result.fetch()
        if block is None:
            raise StreamEndedError
        return Pieces.of(block)

    def _write_apart(self, sink: int, parts: Sequence[bytes | memoryview]) -> None:
        """Write to a descriptor of this thread's own, since the stream may be closed meanwhile."""
        try:
            self._write(sink, parts)
        finally:
            os.close(sink)

    def _write(self, sink: int, parts: Sequence[bytes | memoryview]) -> None:
        with suppress(BrokenPipeError):  # the statement has failed; fetch() raises the reason
            for first in range(0, len(parts), _PARTS_AT_ONCE):
                some = parts[first : first + _PARTS_AT_ONCE]
                written = os.writev(sink, some)
                if written < sum(map(len, some)):  # a signal interrupted the write
                    rest = memoryview(b"".join(some))[written:]
                    while rest:
                        rest = rest[os.write(sink, rest) :]

    def _end(self) -> None:
        with self._closing:
            if self._sink >= 0:
                os.close(self._sink)
            self._sink = -1
