"""One request's own connection to the engine: nothing it sets outlives it, and what it runs can be cancelled.

A streamed statement writes its result, in any format and compressed if asked, through a pipe: the engine does what
`INTO OUTFILE` does, and waits when the reader is slow.
"""

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

from clickhouse.engine import Engine, identifier
from clickhouse.http.errors import QueryError

# Data is data: the Values format would take SQL in it, which nobody has judged.
_ALWAYS: Final = {
    "input_format_values_interpret_expressions": "0",
    "input_format_values_deduce_templates_of_expressions": "0",
}
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
        """Write it as a server does: JSON whose numbers are strings."""
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


class Session:
    """A connection with settings of its own. Runs one statement at a time, each until it ends: call it in a thread."""

    def __init__(self, engine: Engine, tag: str = "") -> None:
        self._engine = engine
        self._tag = tag
        self._connection: Any = engine.connect()
        self._given: set[str] = set()

    def settle(self, database: str, settings: Mapping[str, str], *, read_only: bool) -> None:
        """Use a database and settings. A read-only session can neither write nor change settings afterwards."""
        self._command(f"USE {identifier(database)}")
        # A request's settings end with it; what a SET statement changed in a kept session stays.
        if over := self._given - settings.keys():
            self._command(f"SET {', '.join(f'{identifier(name)} = DEFAULT' for name in over)}")
        self._given = set(settings)
        wanted = {**settings, **_ALWAYS, "log_comment": self._tag}
        changes = ", ".join(f"{identifier(name)} = {_literal(value)}" for name, value in wanted.items())
        self._command(f"SET {changes}")
        if read_only:
            self._command("SET readonly = 1")

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
        """Run a statement that writes to `/proc/self/fd/<target>`, and close that. Raises QueryError."""
        try:
            return _summary(self._run(sql, "Null", params), 0)
        finally:
            os.close(target)

    def insert(self, sql: Callable[[str], str]) -> "Insert":
        """Begin to insert data that comes in pieces; `sql` writes the statement that reads it from a file."""

        def run(path: str) -> Summary:
            result = self._run(sql(path), "Null", {})
            return Summary(
                written_rows=result.rows_written(),
                written_bytes=result.bytes_written(),
                elapsed=result.elapsed(),
            )

        return Insert(self._engine.path, run)

    def cancel(self) -> None:
        """Stop what runs here, from another thread; nothing if it has not begun or has ended."""
        self._engine.cancel(self._tag)

    def close(self) -> None:
        """Close the connection, and drop its temporary tables."""
        self._connection.close()

    def _command(self, sql: str) -> None:
        self._run(sql, "Null", {})

    def _run(self, sql: str, output_format: str, params: Mapping[str, str]) -> Any:
        with _query_errors():
            return self._connection.query(sql, output_format, params=dict(params))


class Insert:
    """Data on its way into a table.

    It is gathered in a file without a name, beside the tables. The engine could take it as it comes, but takes what
    fails in that way's last step, such as a view or the commit, for success.
    """

    def __init__(self, folder: Path | None, run: Callable[[str], Summary]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  finish or abandon closes it
        self._run = run

    def append(self, data: bytes) -> None:
        """Take the next bytes. Raises QueryError."""
        try:
            self._file.write(data)
        except OSError as error:
            raise QueryError.of(
                243, "NOT_ENOUGH_SPACE", f"The data cannot be gathered on the disk ({error.strerror})."
            ) from None

    def finish(self) -> Summary:
        """Commit; the rows are stored when this returns. Raises QueryError."""
        with self._file:
            self._file.flush()
            return self._run(f"/proc/self/fd/{self._file.fileno()}")

    def abandon(self) -> None:
        """Store nothing."""
        self._file.close()


@contextmanager
def _query_errors() -> Iterator[None]:
    """Raise the engine's errors as QueryError; a pipe's path in them says nothing to a client."""
    try:
        yield
    except (chdb.ChdbError, RuntimeError) as error:
        raise QueryError(_PATH.sub("the result", str(error))) from None


def _summary(result: Any, size: int) -> Summary:
    return Summary(
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        result_rows=result.rows_read(),
        result_bytes=size or result.bytes_read(),
        elapsed=result.elapsed(),
    )


def _literal(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
