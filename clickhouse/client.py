"""The one client of a ClickHouse's HTTP interface, embedded or a server: statements, streams out, streams in.

It connects at its first use and again after a failure, so it may be created while the server is away. Threads may share
it. Every failure is one of `clickhouse.client_errors`. A streamed result arrives as it was sent: it is not decoded, and
a cut is noticed. The time to connect and to wait for the next bytes is bounded; that of a whole answer is not.

Source: https://clickhouse.com/docs/interfaces/http
"""

import logging
import math
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from types import TracebackType
from typing import Any, Final, Self, cast

import clickhouse_connect
import orjson
from clickhouse_connect.driver.client import Client as Driver
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from clickhouse.client_errors import ClientError, OtherFormat, network_reason, refused, unreachable
from clickhouse.database import BESIDE, LOAD_SETTINGS
from clickhouse.endpoint import Endpoint
from clickhouse.quoting import Value

# The driver logs what it also raises.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())

Settings = Mapping[str, int | str]
_PIECE: Final = 1 << 20
# An exception's text has 16 KiB at most, and marks around it.
_TAIL: Final = 1 << 15
# At the very end of an answer, since rows may quote such a text anywhere.
_FAILED: Final = re.compile(
    rb"Code: \d+\. DB::Exception: [^\0]*(?:\(version [\w.]+(?: \([\w ]+\))?\)|__exception__)\s*\Z"
)
_FAILURES: Final = (ClickHouseError, HTTPError, OSError)
_QUOTED: Final = "output_format_json_quote_64bit_integers"


class Client:
    """A `clickhouse.database.LoadableDatabase` over HTTP.

    `seconds` bounds the wait for the next bytes of an answer. `pool` is a connection pool of the caller's own.
    """

    def __init__(
        self, endpoint: Endpoint, seconds: float = 300, *, connect_seconds: float = 10, pool: Any = None
    ) -> None:
        self.endpoint = endpoint
        self._seconds = seconds
        self._connect_seconds = connect_seconds
        self._pool = pool
        self._driver: Driver | None = None
        self._opening = threading.Lock()

    def open(self) -> None:
        """Connect, unless it is connected. Raises ClientError."""
        self._opened()

    @property
    def version(self) -> str:
        """Return the version of the server. Raises ClientError."""
        return self._opened().server_version or ""

    def use(self, database: str) -> None:
        """Use this database for all later statements."""
        self._opened().database = database

    def rows(self, sql: str, params: Mapping[str, Value] | None = None) -> list[list[Any]]:
        """Run a query whose result is small, and return its rows as JSON has them. Raises ClientError."""
        driver = self._opened()
        known = driver.server_settings.get(_QUOTED)
        # A read-only user may not set it, and newer servers do not need it.
        settings = {} if known and known.value == "0" else {_QUOTED: 0}
        pieces = self.stream(sql, params, "JSONCompactEachRow", settings)
        return [orjson.loads(line) for line in b"".join(pieces).splitlines()]

    def command(
        self, sql: str, params: Mapping[str, Value] | None = None, settings: Settings | None = None
    ) -> None:
        """Run a statement that returns nothing, and wait until it is done. Raises ClientError."""
        driver = self._opened()
        with self._errors():
            driver.command(sql, parameters=_bound(sql, params), settings=dict(settings or {}))

    def stream(
        self,
        sql: str,
        params: Mapping[str, Value] | None = None,
        output_format: str = "Native",
        settings: Settings | None = None,
        *,
        is_fixed: bool = False,
        is_beside: bool = False,
    ) -> Iterator[bytes]:
        """Run a query, and yield its result as it arrives, in one of ClickHouse's formats. Raises ClientError.

        A FORMAT in the statement itself wins, unless the format is fixed: then OtherFormat is raised before the first
        piece. A failure in the middle is raised after the pieces before it. One that `is_beside` another of the same
        answer takes little memory: in embedded mode it leaves the other as much as if it were alone.
        """
        driver = self._opened()
        tail = b""
        with self._errors():
            answer = cast(
                BaseHTTPResponse,
                driver.raw_stream(
                    sql,
                    _bound(sql, params),
                    dict(settings or {}),
                    transport_settings={"X-ClickHouse-Format": output_format}
                    | ({BESIDE: "1"} if is_beside else {}),
                ),
            )
        tag = answer.headers.get("X-ClickHouse-Exception-Tag")
        written = answer.headers.get("X-ClickHouse-Format", output_format)
        if is_fixed and written != output_format:
            answer.close()
            raise OtherFormat(written)
        with closing(answer), self._errors():
            try:
                for piece in answer.stream(_PIECE, decode_content=False):
                    tail = piece[-_TAIL:] if len(piece) >= _TAIL else (tail + piece)[-_TAIL:]
                    yield piece
            except HTTPError:
                # A server that fails in the middle of a result may write the error after it, and cut the answer off,
                if failure := _failure(tail, tag):
                    raise self._refused(*failure) from None
                raise
        # or end it as if all were well.
        if failure := _failure(tail, tag):
            raise self._refused(*failure)

    def load(self, table: str, pieces: Iterable[bytes]) -> None:
        """Fill a table with data in Native format, as it arrives. `table` is a quoted name. Raises ClientError."""
        self.insert(table, iter(pieces), LOAD_SETTINGS)

    def insert(
        self,
        table: str,
        body: Iterable[bytes | memoryview],
        settings: Settings,
        *,
        size: int | None = None,
        encoding: str | None = None,
    ) -> None:
        """Insert data in Native format; ClickHouse has committed it when this returns. Raises ClientError.

        With its size in bytes, a body is sent piece by piece without a copy; without it, in chunks that are copies.
        """
        driver = self._opened()
        with self._errors():
            block: Any = body
            summary = driver.raw_insert(
                table,
                insert_block=block,
                settings=dict(settings),
                fmt="Native",
                compression=encoding,
                transport_settings={} if size is None else {"Content-Length": str(size)},
            )
        # A proxy in between may answer 200 to any request while the server is away.
        if not summary.query_id():
            raise unreachable(self.endpoint.url, "NOT_CLICKHOUSE")

    def close(self) -> None:
        """Close the connections."""
        with self._opening:
            driver, self._driver = self._driver, None
        if driver is not None:
            driver.close()

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def _opened(self) -> Driver:
        with self._opening:
            if self._driver is None:
                with self._errors((Exception,)):  # an edge: any program may answer at that address
                    self._driver = self._connect()
            return self._driver

    def _connect(self) -> Driver:
        endpoint = self.endpoint
        own: dict[str, Any] = {"dedicated_pool": True}
        if endpoint.is_secure and endpoint.ca_file:
            own["ca_cert"] = str(endpoint.ca_file)
        return clickhouse_connect.get_client(
            host=endpoint.host,
            port=endpoint.port,
            username=endpoint.user,
            password=endpoint.password,
            database=endpoint.database or "__default__",
            secure=endpoint.is_secure,
            autogenerate_session_id=False,
            # The driver takes whole seconds, and 0 is not a valid timeout.
            connect_timeout=math.ceil(self._connect_seconds),
            send_receive_timeout=math.ceil(self._seconds),
            show_clickhouse_errors="scrub",
            **(own if self._pool is None else {"pool_mgr": self._pool}),
        )

    @contextmanager
    def _errors(self, kinds: tuple[type[Exception], ...] = _FAILURES) -> Iterator[None]:
        """Turn errors of the driver and the network into a ClientError, since theirs can quote data."""
        try:
            yield
        except ClientError:
            raise
        except kinds as error:
            code, name = getattr(error, "code", None), getattr(error, "name", None)
            if isinstance(code, int) and code:
                raise self._refused(code, name, str(error).partition("server response: ")[2]) from None
            raise unreachable(self.endpoint.url, network_reason(error)) from None

    def _refused(self, code: int, name: str | None, message: str) -> ClientError:
        endpoint = self.endpoint
        return refused(endpoint.url, endpoint.user, endpoint.password_setting, code, name, message)


def _bound(sql: str, params: Mapping[str, Value] | None) -> dict[str, Any]:
    """Return the parameters that the statement declares; the driver would write any others into its text."""
    named = {name: value for name, value in (params or {}).items() if re.search(rf"\{{\s*{name}\s*:", sql)}
    return {name: value if isinstance(value, str | int) else list(value) for name, value in named.items()}


def _failure(tail: bytes, tag: str | None) -> tuple[int, str | None, str] | None:
    """Return the number, the name and the text of the exception that ends an answer, if one does.

    `tag` is the random word with which the server announced the exception; older servers announce none.
    """
    if tag:
        text = tail.partition(f"\r\n__exception__\r\n{tag}\r\n".encode())[2]
    else:
        text = found[0] if (found := _FAILED.search(tail)) else b""
    code = re.search(rb"Code: (\d+)\. DB::Exception: ", text)
    if code is None:
        return None
    # The text is followed by its length, the tag and a mark.
    text = re.sub(rb"\s*(?:\d+ \S+\s*)?__exception__\s*\Z", b"", text).strip()
    # The name is at the end of the text: a name anywhere else may be data.
    name = re.search(rb"\(([A-Z][A-Z0-9_]+)\)\s*(?:\(version [^()]*(?:\([^()]*\))?\))?\Z", text)
    return int(code[1]), name[1].decode() if name else None, text.decode(errors="replace")
