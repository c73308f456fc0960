"""A ClickHouse over HTTP, as the user who writes: statements, tables read out and tables filled, in streams.

The same for the embedded tables and for a server, with the standard library alone, since what is streamed must arrive
as it was sent: neither decoded nor cut short unnoticed.
"""

import http.client
import json
import re
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from clickhouse.engine import Value, encode
from telemetry.upkeep.errors import UpkeepError

_PIECE: Final = 1 << 20
_TIMEOUT_SECONDS: Final = 600
_TAIL: Final = 1 << 14
# At the very end of what was sent, since rows may quote such a text anywhere.
_FAILED: Final = re.compile(
    rb"Code: \d+\. DB::Exception: [^\0]*(?:\(version [\w.]+(?: \([\w ]+\))?\)|__exception__)\s*\Z"
)
_LOAD: Final[Mapping[str, str]] = {
    # What is put back is put back whole: blocks that look alike are not repeats.
    "insert_deduplicate": "0",
    "max_partitions_per_insert_block": "0",
    "input_format_skip_unknown_fields": "0",
}


class Door:
    """A ClickHouse's HTTP interface and one of its users. Every failure is an UpkeepError."""

    def __init__(
        self, url: str, user: str, password: str, database: str, ca_file: Path | None = None
    ) -> None:
        """`ca_file` has the certificates (PEM) to trust for https; None: those of the system."""
        self.url = url
        self.user = user
        self.database = database
        self._ca_file = ca_file
        self._headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}

    def rows(self, sql: str, params: Mapping[str, Value] | None = None) -> list[list[Any]]:
        """Run a query whose result is small; give its rows."""
        lines = b"".join(self._run(f"{sql}\nFORMAT JSONCompactEachRow", params or {})).splitlines()
        return [json.loads(line) for line in lines]

    def command(self, sql: str, params: Mapping[str, Value] | None = None) -> None:
        """Run a statement that returns nothing."""
        for _ in self._run(sql, params or {}):
            pass

    def read(self, sql: str, params: Mapping[str, Value] | None = None) -> Iterator[bytes]:
        """Run a query and yield its result in Native format as it comes."""
        return self._run(f"{sql}\nFORMAT Native", params or {})

    def load(self, table: str, pieces: Iterable[bytes]) -> None:
        """Fill a table with data in Native format. `table` must be a name of ours."""
        query = {"query": f"INSERT INTO {table} FORMAT Native", **_LOAD}
        for _ in self._send(query, pieces):
            pass

    def _run(self, sql: str, params: Mapping[str, Value]) -> Iterator[bytes]:
        values = {f"param_{name}": encode(value) for name, value in params.items()}
        return self._send({**values, "output_format_json_quote_64bit_integers": "0"}, sql.encode())

    def _send(self, query: Mapping[str, str], body: bytes | Iterable[bytes]) -> Iterator[bytes]:
        path = f"/?{urlencode({'database': self.database, **query})}"
        with closing(_connect(self.url, self._ca_file)) as connection:
            try:
                connection.request("POST", path, body, self._headers)
                answer = connection.getresponse()
                if answer.status != http.HTTPStatus.OK:
                    raise self._refusal(answer.read(_TAIL))
                tail = b""
                while piece := answer.read(_PIECE):
                    tail = (tail + piece)[-_TAIL:]
                    yield piece
            except (OSError, http.client.HTTPException) as error:
                raise UpkeepError(
                    f"ClickHouse at {self.url} did not answer, or not to the end ({type(error).__name__}):"
                    " start the server, or wait until it is ready; TELEMETRY_CLICKHOUSE_HTTP_PORT or CLICKHOUSE_URL"
                    " say where it is."
                ) from None
        # A server that fails in the middle of a result may write so behind it and end as if all were well.
        if _FAILED.search(tail):
            raise UpkeepError(f"ClickHouse failed while it answered: {_error(tail)}.")

    def _refusal(self, body: bytes) -> UpkeepError:
        failure = _error(body)
        if "AUTHENTICATION_FAILED" in failure or "REQUIRED_PASSWORD" in failure:
            return UpkeepError(
                f"{self.url} does not know {self.user} with this password: set CLICKHOUSE_PASSWORD, or run this where"
                " the server's data directory is (TELEMETRY_DATA_DIR)."
            )
        return UpkeepError(f"ClickHouse at {self.url} refused a statement: {failure or 'no reason given'}.")


def _connect(url: str, ca_file: Path | None) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    host = parts.hostname or "localhost"
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        return http.client.HTTPSConnection(
            host, parts.port or 8443, timeout=_TIMEOUT_SECONDS, context=context
        )
    return http.client.HTTPConnection(host, parts.port or 8123, timeout=_TIMEOUT_SECONDS)


def _error(text: bytes) -> str:
    """Give a ClickHouse error's number and name; its text may quote data."""
    code = re.search(rb"Code: (\d+)\. DB::Exception: ", text)
    names = re.findall(rb"\(([A-Z][A-Z0-9_]{3,})\)", text)
    if not code:
        return ""
    return f"code {code[1].decode()}" + (f" ({names[-1].decode()})" if names else "")
