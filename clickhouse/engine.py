"""The ClickHouse engine in this process (chDB): statements, inserts and SQL functions written in Python.

One engine owns one data directory, and a process has one engine at most. `query` and `insert` share a few connections
and run outside Python's lock, so as many of them run in parallel as there are shared connections. Each stream, and
each caller of `connect`, has its own connection in addition.

The engine's error texts can quote the data that failed. They are discarded here: an `EngineError` has only the error's
number and name.
"""

import atexit
import contextlib
import os
import queue
import re
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import chdb
import orjson

from clickhouse.database import LOAD_SETTINGS
from clickhouse.leftovers import remove_leftovers
from clickhouse.pieces import Pieces
from clickhouse.quoting import Value, identifier, literal, parameter
from clickhouse.stream import Stream

CONFIG = Path(__file__).parent / "embedded.xml"
_STDERR: Final = 2
# Without what `clickhouse.store` leaves out of inserts, a view is altered in a third of the time.
_PLANNING: Final = "optimize_and_compare_chain = 0, query_plan_merge_expressions = 0"


class EngineError(Exception):
    """A statement failed. The text is the error's name and code only, as in `MEMORY_LIMIT_EXCEEDED (code 241)`."""

    def __init__(self, code: int, name: str) -> None:
        super().__init__(f"{name} (code {code})")
        self.code = code
        self.name = name


class EngineStartError(Exception):
    """The engine cannot open its data directory. The text has the remedy."""


class Engine:
    """An engine over `path`, or over memory alone when it is None. Raises EngineStartError."""

    def __init__(self, path: Path | None = None, connections: int = 2) -> None:
        target = ":memory:" if path is None else str(path)
        self._target = f"{target}?config-file={CONFIG}"
        self.path = path
        remove_leftovers()
        try:
            self._all = [self.connect() for _ in range(connections)]
        except (chdb.ChdbError, RuntimeError):
            raise EngineStartError(
                f"The engine cannot open {target}: stop the other process that has it open, or use another"
                " data directory."
            ) from None
        self._free: queue.LifoQueue[Any] = queue.LifoQueue()
        self._streams: list[Stream] = []
        for connection in self._all:
            self._free.put(connection)
        # The process would wait at its end for a stream that is still open.
        atexit.register(self._close_streams)

    def connect(self) -> Any:
        """Open another connection, with its own settings and temporary tables. The caller closes it."""
        connect: Any = chdb.connect
        with _no_terminal():
            return connect(self._target)

    def cancel(self, tag: str) -> None:
        """Stop the statements that run with this `log_comment`, on any connection."""
        connection = self.connect()
        try:
            with _engine_errors(connection):
                connection.query(
                    "KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC", params={"tag": tag}
                )
        finally:
            connection.close()

    def memory_bytes(self, tag: str) -> int:
        """Return the memory that the statements that run with this `log_comment` take, on any connection."""
        used = "SELECT sum(greatest(memory_usage, 0)) FROM system.processes"
        return int(self.rows(f"{used} WHERE Settings['log_comment'] = {{tag:String}}", {"tag": tag})[0][0])

    def query(
        self, sql: str, params: Mapping[str, Value] | None = None, output_format: str = "Native"
    ) -> bytes:
        """Run a statement with its parameters bound and return its result in `output_format`."""
        bound = {name: parameter(value) for name, value in (params or {}).items()}
        with self._connection() as connection, _engine_errors(connection):
            return connection.query(sql, output_format, params=bound).bytes()  # type: ignore[no-any-return]

    def stream(self, sql: str, params: Mapping[str, Value], sample: bytes) -> Stream:
        """Open a statement that returns a block for each message (see `Stream`). Closing the engine closes it."""
        bound = {name: parameter(value) for name, value in params.items()}
        made = Stream(self.connect(), sql, bound, sample, self._as_engine_error)
        self._streams.append(made)
        return made

    def drop(self, stream: Stream) -> None:
        """Close a stream before the engine is closed."""
        with contextlib.suppress(ValueError):  # closing the engine has removed it
            self._streams.remove(stream)
        stream.close()

    def command(self, sql: str, params: Mapping[str, Value] | None = None) -> None:
        """Run a statement that returns nothing."""
        self.query(sql, params, "Null")

    def rows(self, sql: str, params: Mapping[str, Value] | None = None) -> list[list[Any]]:
        """Run a small query and return its rows as Python values."""
        return [orjson.loads(line) for line in self.query(sql, params, "JSONCompactEachRow").splitlines()]

    def insert(self, table: str, block: Pieces, settings: Mapping[str, int | str]) -> None:
        """Insert a block in Native format; returns once the engine has committed it.

        `table` and the settings' names must be constants of the program.
        """
        # send_insert would report success even if its last step fails, such as a view or the commit.
        with memory_file(block) as path:
            self._insert_file(table, path, settings)

    def load(self, table: str, pieces: Iterable[bytes]) -> None:
        """Fill a table with data in Native format, which may be more than fits in memory. `table` is a quoted name.

        The data is gathered in a file without a name, beside the tables or, without tables, in the temporary folder.
        """
        with tempfile.TemporaryFile(dir=self.path) as file:
            file.writelines(pieces)
            file.flush()
            self._insert_file(table, f"/proc/self/fd/{file.fileno()}", LOAD_SETTINGS)

    def use(self, database: str) -> None:
        """Create the database if it does not exist, and make it the default of every shared connection."""
        for connection in self._all:
            with _engine_errors(connection):
                connection.query(f"SET {_PLANNING}")
                connection.query(f"CREATE DATABASE IF NOT EXISTS {identifier(database)}")
                connection.query(f"USE {identifier(database)}")

    def close(self) -> None:
        """Close every shared connection and stream; another process may then open the data directory."""
        self._close_streams()
        atexit.unregister(self._close_streams)
        for _ in self._all:
            self._free.get().close()
        self._all.clear()

    def _insert_file(self, table: str, path: str, settings: Mapping[str, int | str]) -> None:
        changes = ", ".join(f"{name} = {literal(value)}" for name, value in settings.items())
        # Not send_insert: it reports success even if its last step fails, such as a view or the commit.
        self.command(
            f"INSERT INTO {table} FROM INFILE {literal(path)} COMPRESSION 'none' SETTINGS {changes} FORMAT Native"
        )

    def _close_streams(self) -> None:
        while self._streams:
            self._streams.pop().close()

    def _as_engine_error(self, error: Exception) -> EngineError:
        with self._connection() as connection:
            return _as_engine_error(error, connection)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)


_OPENING: Final = threading.Lock()


@contextmanager
def _no_terminal() -> Iterator[None]:
    """Let a connection that is opened meanwhile find no terminal, whose bell it rings after each long statement."""
    if not os.isatty(_STDERR):
        yield
        return
    with _OPENING, Path(os.devnull).open("wb") as nowhere:
        terminal = os.dup(_STDERR)
        try:
            os.dup2(nowhere.fileno(), _STDERR)
            yield
        finally:
            os.dup2(terminal, _STDERR)
            os.close(terminal)


@contextmanager
def memory_file(pieces: Iterable[bytes | memoryview]) -> Iterator[str]:
    """Write bytes to a file that exists in memory only, and yield its path."""
    descriptor = os.memfd_create("telemetry")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.writelines(pieces)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def register(
    name: str, function: Callable[..., Any], arguments: Sequence[str], returns: Literal["String", "UInt64"]
) -> None:
    """Make a Python function callable from SQL, in place of an earlier one of that name. It must not raise.

    The engine gives its results the type Nullable(`returns`): wrap calls in assumeNotNull.
    """
    with contextlib.suppress(RuntimeError):  # there is no function of that name yet
        chdb.drop_function(name)
    chdb.create_function(name, function, list(arguments), returns)


@contextmanager
def _engine_errors(connection: Any) -> Iterator[None]:
    try:
        yield
    except (chdb.ChdbError, RuntimeError) as error:
        raise _as_engine_error(error, connection) from None


def _as_engine_error(error: Exception, connection: Any) -> EngineError:
    found = re.search(r"Code: (\d+)", str(error))
    code = int(found[1]) if found else 0
    name = connection.query(f"SELECT errorCodeToName({code})", "TSVRaw").bytes().decode().strip()
    return EngineError(code, name or "UNKNOWN")
