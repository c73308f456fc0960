"""A connection to the engine with settings of its own, whose statements can be cancelled.

A streamed statement writes its result to a pipe, in any format, compressed if requested. The engine writes it as for
`INTO OUTFILE`, and waits when the reader is slow.
"""

import asyncio
import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import chdb

from clickhouse.engine import Engine, memory_file
from clickhouse.quoting import identifier, literal
from gateway.errors import QueryError

# The Values format would run SQL in the data, which the policy has not checked.
_ALWAYS: Final = {
    "input_format_values_interpret_expressions": "0",
    "input_format_values_deduce_templates_of_expressions": "0",
}
_INFLATED_BYTES: Final = 128 << 20
_PATH: Final = re.compile(r"/proc/self/fd/\d+")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a statement read and wrote, for `X-ClickHouse-Summary`; the elapsed time in seconds."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed: float = 0.0

    def header(self) -> str:
        """Return the header as a server writes it: JSON whose numbers are strings."""
        return json.dumps(
            {
                "read_rows": str(self.read_rows),
                "read_bytes": str(self.read_bytes),
                "written_rows": str(self.written_rows),
                "written_bytes": str(self.written_bytes),
                "total_rows_to_read": "0",
                "result_rows": str(self.result_rows),
                "result_bytes": str(self.result_bytes),
                "elapsed_ns": str(int(self.elapsed * 1e9)),
            },
            separators=(",", ":"),
        )


class EngineSession:
    """A connection with settings of its own. Runs one statement at a time, and blocks: call it in a thread."""

    def __init__(self, engine: Engine, tag: str = "") -> None:
        self._engine = engine
        self._tag = tag
        self._connection: Any = engine.connect()
        self._given: set[str] = set()
        self.work: asyncio.Future[Any] | None = None
        """The statement that runs on although it was cancelled; the session is closed when it ends."""

    def settle(self, database: str, settings: Mapping[str, str], *, read_only: int = 0) -> None:
        """Apply a database and settings.

        `read_only` is the engine's setting `readonly`. With 1 a session can neither write nor change settings; with 2
        it cannot write. https://clickhouse.com/docs/operations/settings/permissions-for-queries
        """
        self._command(f"USE {identifier(database)}")
        # A request's settings end with the request; a SET statement's change stays in a named session.
        if over := self._given - settings.keys():
            self._command(f"SET {', '.join(f'{identifier(name)} = DEFAULT' for name in over)}")
        self._given = set(settings)
        wanted = {**settings, **_ALWAYS, "log_comment": self._tag}
        changes = ", ".join(f"{identifier(name)} = {literal(value)}" for name, value in wanted.items())
        self._command(f"SET {changes}")
        if read_only:
            self._command(f"SET readonly = {read_only}")

    def value(self, sql: str, params: Mapping[str, str]) -> str:
        """Run a query and return its one column as text."""
        return self.fetch(sql, "TSVRaw", params)[0].decode("utf-8", "replace").removesuffix("\n")

    def statements(self, sql: str) -> int:
        """Count the statements in a text, without running them."""
        return int(self._connection._conn.classify_query(sql)["statement_count"])  # noqa: SLF001

    def fetch(self, sql: str, output_format: str, params: Mapping[str, str]) -> tuple[bytes, Summary]:
        """Run a statement whose result is small. Raises QueryError."""
        result = self._run(sql, output_format, params)
        data = bytes(result.bytes())
        return data, _summary(result, len(data))

    def stream(self, sql: str, target: int, params: Mapping[str, str]) -> Summary:
        """Run a statement that writes to `/proc/self/fd/<target>`, then close `target`. Raises QueryError."""
        try:
            return _summary(self._run(sql, "Null", params), 0)
        finally:
            os.close(target)

    def inflate(self, body: bytes) -> bytes:
        """Decompress bytes in Brotli. Raises QueryError, also when they become far more than a statement."""
        sql = "SELECT content FROM file({path:String}, 'RawBLOB', 'content String', 'br') SETTINGS max_memory_usage = "
        with memory_file([body]) as path:
            return self.fetch(f"{sql}{_INFLATED_BYTES}", "RawBLOB", {"path": path})[0]

    def insert(self, sql: Callable[[str], str]) -> "Insert":
        """Begin an insert of data that arrives in pieces; `sql(path)` returns the statement that reads the file."""

        def run(path: str) -> Summary:
            result = self._run(sql(path), "Null", {})
            return Summary(
                written_rows=result.rows_written(),
                written_bytes=result.bytes_written(),
                elapsed=result.elapsed(),
            )

        return Insert(self._engine.path, run)

    def cancel(self) -> None:
        """Stop the running statement, from another thread; does nothing if it has not begun or has ended."""
        self._engine.cancel(self._tag)

    def memory_bytes(self) -> int:
        """Return the memory that the running statement takes, from another thread."""
        return self._engine.memory_bytes(self._tag)

    def close(self) -> None:
        """Close the connection, and drop its temporary tables."""
        self._connection.close()

    def _command(self, sql: str) -> None:
        self._run(sql, "Null", {})

    def _run(self, sql: str, output_format: str, params: Mapping[str, str]) -> Any:
        with _query_errors(self._engine.path):
            return self._connection.query(sql, output_format, params=dict(params))


class Insert:
    """An insert whose data is collected in an unnamed file beside the tables.

    The engine could take the data as it arrives, but would then report success when the last step fails, such as a
    view or the commit.
    """

    def __init__(self, folder: Path | None, run: Callable[[str], Summary]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  finish or abandon closes it
        self._run = run

    def append(self, data: bytes) -> None:
        """Add the next bytes. Raises QueryError."""
        try:
            self._file.write(data)
        except OSError as error:
            raise QueryError.of(
                243, "NOT_ENOUGH_SPACE", f"The data cannot be collected on the disk ({error.strerror})."
            ) from None

    def finish(self) -> Summary:
        """Commit; the rows are stored when this returns. Raises QueryError."""
        with self._file:
            self._file.flush()
            return self._run(f"/proc/self/fd/{self._file.fileno()}")

    def abandon(self) -> None:
        """Discard the data; nothing is stored."""
        self._file.close()


@contextmanager
def _query_errors(data: Path | None) -> Iterator[None]:
    """Raise the engine's errors as QueryError, without the pipe's path and the path of the tables."""
    try:
        yield
    except (chdb.ChdbError, RuntimeError) as error:
        text = _PATH.sub("the result", str(error))
        for path in (data, data.resolve()) if data else ():
            text = text.replace(str(path), "the data directory")
        raise QueryError(text) from None


def _summary(result: Any, size: int) -> Summary:
    return Summary(
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        result_rows=result.rows_read(),
        result_bytes=size or result.bytes_read(),
        elapsed=result.elapsed(),
    )


def ask_read_only(engine: Engine, database: str, sql: str, seconds: int) -> bytes:
    """Run one of the server's own queries, read-only and at a lower priority than ingest; return JSONCompactEachRow."""
    session = EngineSession(engine, "usage metrics")
    try:
        limits = {
            "max_execution_time": str(seconds),
            "max_threads": "1",
            "os_threads_nice_value_query": "10",
            "output_format_json_quote_64bit_integers": "0",
        }
        session.settle(database, limits, read_only=1)
        data, _ = session.fetch(sql, "JSONCompactEachRow", {})
    finally:
        session.close()
    return data
