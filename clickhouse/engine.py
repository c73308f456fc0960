"""The ClickHouse engine in this process (chDB): statements, inserts and functions of ours.

One engine owns one data directory, and a process has one engine at most. A statement runs on one of a few
connections and outside Python's lock, so as many run in parallel as there are connections.

The engine's error texts can quote the data that failed. They stop here: an `EngineError` carries the error's
number and its name, nothing else.
"""

import atexit
import contextlib
import os
import queue
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import chdb
import orjson

from clickhouse.pieces import Pieces
from clickhouse.stream import Stream

Value = str | int | bool | Sequence[str] | Sequence[int]

CONFIG = Path(__file__).parent / "embedded.xml"


class EngineError(Exception):
    """A statement failed. The text is the error's name only, for example `MEMORY_LIMIT_EXCEEDED`."""

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
        # A stream that is open at the end of the process would be waited for.
        atexit.register(self._close_streams)

    def connect(self) -> Any:
        """Open one more connection, with settings and temporary tables of its own; who asks closes it."""
        connect: Any = chdb.connect
        return connect(self._target)

    def cancel(self, tag: str) -> None:
        """Stop the statements that run with this `log_comment`, on whatever connection."""
        connection = self.connect()
        try:
            with _engine_errors(connection):
                connection.query(
                    "KILL QUERY WHERE Settings['log_comment'] = {tag:String} ASYNC", params={"tag": tag}
                )
        finally:
            connection.close()

    def query(
        self, sql: str, params: Mapping[str, Value] | None = None, output_format: str = "Native"
    ) -> bytes:
        """Run a statement with its parameters bound and return its result in `output_format`."""
        bound = {name: encode(value) for name, value in (params or {}).items()}
        with self._connection() as connection, _engine_errors(connection):
            return connection.query(sql, output_format, params=bound).bytes()  # type: ignore[no-any-return]

    def stream(self, sql: str, params: Mapping[str, Value], sample: bytes) -> Stream:
        """Open a statement that makes a block of each message (see `Stream`); closed with the engine at the latest."""
        bound = {name: encode(value) for name, value in params.items()}
        made = Stream(self.connect(), sql, bound, sample, self._understood)
        self._streams.append(made)
        return made

    def drop(self, stream: Stream) -> None:
        """Close a stream before the engine is."""
        with contextlib.suppress(ValueError):  # closed with the engine
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

        `table` and the settings' names must be constants of ours.
        """
        changes = ", ".join(f"{name} = {_quote(value)}" for name, value in settings.items())
        # Not send_insert: what fails in its last step, such as a view or the commit, it takes for success.
        with memory_file(block) as path:
            self.command(
                f"INSERT INTO {table} FROM INFILE '{path}' COMPRESSION 'none' SETTINGS {changes} FORMAT Native"
            )

    def use(self, database: str) -> None:
        """Create the database if need be and make it the default of every connection."""
        for connection in self._all:
            with _engine_errors(connection):
                connection.query(f"CREATE DATABASE IF NOT EXISTS {identifier(database)}")
                connection.query(f"USE {identifier(database)}")

    def close(self) -> None:
        """Close every connection; the data directory may then be opened by another process."""
        self._close_streams()
        atexit.unregister(self._close_streams)
        for _ in self._all:
            self._free.get().close()
        self._all.clear()

    def _close_streams(self) -> None:
        while self._streams:
            self._streams.pop().close()

    def _understood(self, error: Exception) -> EngineError:
        with self._connection() as connection:
            return _understood(error, connection)

    @contextmanager
    def _connection(self) -> Iterator[Any]:
        connection = self._free.get()
        try:
            yield connection
        finally:
            self._free.put(connection)


@contextmanager
def memory_file(pieces: Iterable[bytes | memoryview]) -> Iterator[str]:
    """Write bytes to a file that exists in memory only; give its path."""
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
    """Make a Python function callable from SQL, in place of one of that name. It must not raise.

    The engine gives its results the type Nullable(`returns`): wrap calls in assumeNotNull.
    """
    with contextlib.suppress(RuntimeError):  # there is none yet
        chdb.drop_function(name)
    chdb.create_function(name, function, list(arguments), returns)


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def encode(value: Value) -> str:
    """Write a value as ClickHouse reads the text of a query parameter."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
        case _:
            return f"[{', '.join(_quote(item) for item in value)}]"


def _quote(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@contextmanager
def _engine_errors(connection: Any) -> Iterator[None]:
    try:
        yield
    except (chdb.ChdbError, RuntimeError) as error:
        raise _understood(error, connection) from None


def _understood(error: Exception, connection: Any) -> EngineError:
    found = re.search(r"Code: (\d+)", str(error))
    code = int(found[1]) if found else 0
    name = connection.query(f"SELECT errorCodeToName({code})", "TSVRaw").bytes().decode().strip()
    return EngineError(code, name or "UNKNOWN")
