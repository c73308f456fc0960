"""ClickHouse's HTTP interface as clients that others made see it.

First ClickHouse's own Python driver, which is asked what its published integration tests ask of a ClickHouse server.
Then the requests that a JDBC driver, Grafana's data source and DBeaver make, where the bytes are looked at.
"""

import gzip
import json
import math
import re
import struct
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from ipaddress import IPv4Address, IPv6Address
from itertools import count
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import clickhouse_connect
import httpx
import lz4.block
import lz4.frame
import numpy as np
import pyarrow as pa
import pytest
import zstandard
from clickhouse_cityhash.cityhash import CityHash128
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    DataError,
    ProgrammingError,
    StreamClosedError,
    StreamFailureError,
)
from clickhouse_connect.driver.external import ExternalData
from clickhouse_connect.driver.summary import QuerySummary
from clickhouse_connect.driver.tools import insert_file
from pyarrow import parquet

from tests.server import NO_TLS, Server, eventually

BERLIN: Final = ZoneInfo("Europe/Berlin")
KOLKATA: Final = ZoneInfo("Asia/Kolkata")
CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "lz4": lz4.frame.compress,
    "zstd": zstandard.compress,
    "gzip": gzip.compress,
}
AWKWARD: Final = (
    "",
    "it's",
    'a "quoted" one',
    "`tick`",
    "back\\slash \\' \\n \\t \\\\",
    "new\nline\r\nand\ttab",
    "nul\0inside",
    "100% %s %(x)s {x:String} $1 ?",
    "naïve 空 🎉",
    "-- no comment /* here */ ;",
    "\\N",
    "NULL",
)
"""Texts that a client or a server which quotes wrongly changes."""
_NUMBER: Final = count()
_MANY: Final = 10_000_000


def passwords(server: Server) -> dict[str, str]:
    """Read the passwords that the server made."""
    lines = (server.data / "credentials.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


@contextmanager
def connected(server: Server, user: str = "telemetry_user", **options: Any) -> Iterator[Client]:
    """Connect with the driver, and close at the end."""
    host, _, port = server.listening["clickhouse_http"].rpartition(":")
    name = "CLICKHOUSE_PASSWORD" if user == "telemetry_user" else "TELEMETRY_READER_PASSWORD"
    arguments = {"password": passwords(server)[name], "dedicated_pool": True, **options}
    client = clickhouse_connect.get_client(host=host, port=int(port), username=user, **arguments)
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    """Connect as the user who writes."""
    with connected(server) as client:
        yield client


@pytest.fixture(scope="module")
def reader(server: Server) -> Iterator[Client]:
    """Connect as the user who only reads."""
    with connected(server, "telemetry_reader") as client:
        yield client


@contextmanager
def table(client: Client, columns: str, engine: str = "Memory", **settings: Any) -> Iterator[str]:
    """Make a table, and drop it at the end."""
    name = f"connect_{next(_NUMBER)}"
    client.command(f"CREATE TABLE {name} ({columns}) ENGINE = {engine}", settings=settings or None)
    try:
        yield name
    finally:
        client.command(f"DROP TABLE {name}")


def failed(client: Client, sql: str, **options: Any) -> DatabaseError:
    """Run a query that must fail, and give the driver's error."""
    with pytest.raises(DatabaseError) as caught:
        client.query(sql, **options)
    return caught.value


INTEGERS: Final = [
    (f"{sign}Int{bits}", low, high)
    for bits in (8, 16, 32, 64, 128, 256)
    for sign, low, high in (("", -(1 << bits - 1), (1 << bits - 1) - 1), ("U", 0, (1 << bits) - 1))
]


class TestTypes:
    """Each type is written by the driver, read by it, and read as the engine's own text, which tells a double error."""

    @pytest.mark.parametrize(("name", "low", "high"), INTEGERS)
    def test_integers_of_every_width(self, client: Client, name: str, low: int, high: int) -> None:
        """The least and the greatest."""
        with table(client, f"v {name}, n Nullable({name}), a Array({name})") as made:
            client.insert(made, [[low, None, [low, high]], [high, high, []]])
            result = client.query(f"SELECT *, toString(v) FROM {made} ORDER BY v")
            assert result.result_rows == [(low, None, [low, high], str(low)), (high, high, [], str(high))]
            assert result.column_types[0].name == name

    @pytest.mark.parametrize(
        ("name", "values", "texts"),
        [
            ("Float32", [1.5, -0.25, 0.0, math.inf, -math.inf], ["1.5", "-0.25", "0", "inf", "-inf"]),
            ("Float64", [0.1, 1.7976931348623157e308, 5e-324], ["0.1", "1.7976931348623157e308", "5e-324"]),
            ("BFloat16", [1.5, -2.0], ["1.5", "-2"]),
            ("Bool", [True, False], ["true", "false"]),
            ("Decimal(9, 2)", [Decimal("-9999999.99"), Decimal("0.01")], ["-9999999.99", "0.01"]),
            ("Decimal(18, 4)", [Decimal("99999999999999.9999")], ["99999999999999.9999"]),
            ("Decimal(38, 10)", [Decimal("-1.0000000001")], ["-1.0000000001"]),
            ("Decimal(76, 20)", [Decimal("3.00000000000000000001")], ["3.00000000000000000001"]),
            ("String", list(AWKWARD), list(AWKWARD)),
            ("Date", [date(1970, 1, 1), date(2149, 6, 6)], ["1970-01-01", "2149-06-06"]),
            ("Date32", [date(1900, 1, 1), date(2299, 12, 31)], ["1900-01-01", "2299-12-31"]),
            (
                "DateTime",
                [datetime(1970, 1, 1), datetime(2106, 2, 7, 6, 28, 15)],  # noqa: DTZ001
                ["1970-01-01 00:00:00", "2106-02-07 06:28:15"],
            ),
            (
                "DateTime64(3)",
                [datetime(2024, 7, 1, 12, 0, 0, 123000)],  # noqa: DTZ001
                ["2024-07-01 12:00:00.123"],
            ),
            (
                "DateTime64(6, 'Asia/Kolkata')",
                [datetime(2024, 7, 1, 12, 0, 0, 123456, tzinfo=KOLKATA)],
                ["2024-07-01 12:00:00.123456"],
            ),
            (
                "DateTime64(9, 'Europe/Berlin')",
                [datetime(1969, 12, 31, 12, 0, 0, 500000, tzinfo=BERLIN)],
                ["1969-12-31 12:00:00.500000000"],
            ),
            ("Time", [timedelta(hours=5), timedelta(hours=-1)], ["05:00:00", "-01:00:00"]),
            ("Time64(6)", [timedelta(hours=5, microseconds=7)], ["05:00:00.000007"]),
            ("UUID", [uuid.UUID(int=0), uuid.UUID("0f0e0d0c-0b0a-4908-8706-050403020100")], None),
            ("IPv4", [IPv4Address("0.0.0.0"), IPv4Address("255.1.2.3")], None),
            ("IPv6", [IPv6Address("::1"), IPv6Address("2001:db8::ff00:42:8329")], None),
            ("Enum8('a' = -128, 'it\\'s' = 127)", ["a", "it's"], None),
            ("Enum16('x y' = -32768, '空' = 1000)", ["x y", "空"], None),
            ("Nullable(String)", ["a", None, ""], ["a", None, ""]),
            ("Nullable(DateTime64(3))", [None, datetime(2024, 1, 1)], [None, "2024-01-01 00:00:00.000"]),  # noqa: DTZ001
            ("LowCardinality(String)", ["a", "b", "a", ""], None),
            ("LowCardinality(Nullable(String))", ["a", None, "a"], None),
            ("LowCardinality(Int32)", [-5, 7, -5], ["-5", "7", "-5"]),
            ("Array(Array(Nullable(String)))", [[["a", None], []], []], ["[['a',NULL],[]]", "[]"]),
            ("Array(LowCardinality(String))", [["x", "y", "x"], []], ["['x','y','x']", "[]"]),
            ("Tuple(Int32, String)", [(1, "a"), (-2, "it's")], ["(1,'a')", "(-2,'it\\'s')"]),
            ("Tuple(a Int32, b Array(String))", [{"a": 1, "b": ["x"]}], ["(1,['x'])"]),
            ("Map(String, UInt64)", [{"a": 1, "b": 2**63}, {}], ["{'a':1,'b':9223372036854775808}", "{}"]),
            ("Map(LowCardinality(String), Array(Nullable(Int8)))", [{"a": [1, None]}], ["{'a':[1,NULL]}"]),
            ("Nested(a Int32, b String)", [[{"a": 1, "b": "x"}, {"a": 2, "b": "y"}], []], ["[(1,'x'),(2,'y')]", "[]"]),
            ("SimpleAggregateFunction(sum, UInt64)", [3], ["3"]),
            ("Point", [(1.0, -2.5)], ["(1,-2.5)"]),
            ("Polygon", [[[(1.0, 2.0), (3.0, 4.0)]]], ["[[(1,2),(3,4)]]"]),
            ("Variant(Int64, String, Array(Int64))", [1, "x", None, [1, 2]], None),
            ("JSON", [{"a": 1, "b": {"c": [1, 2], "d e": "it's"}}, {}], None),
        ],
    )  # fmt: skip
    def test_a_type_goes_both_ways(
        self, client: Client, name: str, values: list[Any], texts: list[str | None] | None
    ) -> None:
        """What was inserted comes back equal, and the engine reads it the same."""
        settings = {"flatten_nested": 0, "allow_suspicious_low_cardinality_types": 1}
        with table(client, f"n UInt32, v {name}", **settings) as made:
            client.insert(made, [[at, value] for at, value in enumerate(values)])
            result = client.query(f"SELECT v FROM {made} ORDER BY n")
            assert [row[0] for row in result.result_rows] == values
            if texts is None and all(isinstance(value, str | uuid.UUID | IPv4Address) for value in values):
                texts = [str(value) for value in values]
            if texts is not None:
                read = client.query(f"SELECT toString(v) FROM {made} ORDER BY n").result_columns[0]
                assert list(read) == texts

    def test_not_a_number_comes_back(self, client: Client) -> None:
        """In both widths; it equals nothing, so it is asked what it is."""
        with table(client, "a Float32, b Float64") as made:
            client.insert(made, [[math.nan, math.nan]])
            (row,) = client.query(f"SELECT a, b, isNaN(a), isNaN(b) FROM {made}").result_rows
            assert math.isnan(row[0])
            assert math.isnan(row[1])
            assert row[2:] == (1, 1)

    def test_strings_hold_any_bytes(self, client: Client) -> None:
        """All 256, in String and FixedString, with trailing zeros kept."""
        every = bytes(range(256))
        with table(client, "s String, f FixedString(256), short FixedString(4)") as made:
            client.insert(made, [[every, every[::-1], b"\xff\0\x01\0"]])
            result = client.query(
                f"SELECT s, f, short, hex(s), length(f), hex(short) FROM {made}",
                query_formats={"String": "bytes"},
            )
            (row,) = result.result_rows
            assert row[:3] == (every, every[::-1], b"\xff\0\x01\0")
            assert row[3:] == (every.hex().upper().encode(), 256, b"FF000100")

    def test_a_time_knows_its_zone(self, client: Client) -> None:
        """The column's, the query's, or UTC, which the driver gives naive unless asked."""
        sql = "SELECT toDateTime64('2024-07-01 10:00:00', 0, 'UTC') AS t, toDateTime64(t, 0, 'Europe/Berlin') AS b"
        instant = datetime(2024, 7, 1, 10, tzinfo=UTC)
        assert client.query(sql).result_rows == [(instant.replace(tzinfo=None), instant.astimezone(BERLIN))]
        assert client.query(sql, tz_mode="aware").result_rows == [(instant, instant)]
        (row,) = client.query("SELECT toDateTime(1719828000)", query_tz="Asia/Kolkata").result_rows
        assert row[0] == instant
        assert row[0].utcoffset() == timedelta(hours=5, minutes=30)

    def test_the_session_time_zone_is_a_setting(self, client: Client) -> None:
        """The engine reads and writes local times in it."""
        zone = {"session_timezone": "Asia/Kolkata"}
        text = client.command("SELECT toString(toDateTime(0))", settings=zone)
        assert text == "1970-01-01 05:30:00"

    def test_json_is_read_and_written(self, client: Client) -> None:
        """Objects and texts go in; objects and paths in them come out."""
        with table(client, "k Int32, v JSON, n Nullable(JSON)") as made:
            special = {"key1": 337, "HKD@spéçiäl": "Special K", "deep": {"list": [1, 2], "none": None}}
            client.insert(made, [[1, special, {"x": 1.5}]])
            client.insert(made, [[2, '{"key1": 5}', None]])
            result = client.query(f"SELECT * FROM {made} ORDER BY k").result_rows
            assert result[0][1:] == (
                {"key1": 337, "HKD@spéçiäl": "Special K", "deep": {"list": [1, 2]}},
                {"x": 1.5},
            )
            assert result[1][1:] == ({"key1": 5}, None)
            assert client.query(f"SELECT v.key1 FROM {made} ORDER BY k").result_columns == [[337, 5]]

    def test_dynamic_columns_keep_each_values_type(self, client: Client) -> None:
        """What SQL puts in is read back by its type; the driver itself sends texts."""
        with table(client, "n Int32, v Dynamic") as made:
            client.command(f"INSERT INTO {made} SELECT 1, 5::Int64")
            client.command(f"INSERT INTO {made} SELECT 2, [1, 2]::Array(UInt8)")
            client.insert(made, [[3, "text"]])
            client.command(f"INSERT INTO {made} (n) SELECT 4")
            rows = client.query(f"SELECT v, dynamicType(v) FROM {made} ORDER BY n").result_rows
            assert rows == [(5, "Int64"), ([1, 2], "Array(UInt8)"), ("text", "String"), (None, "None")]

    def test_read_formats_change_what_is_read(self, client: Client) -> None:
        """By type, for one query alone."""
        sql = "SELECT toIPv4('10.0.0.1') AS ip, toUUID('0f0e0d0c-0b0a-4908-8706-050403020100') AS id"
        formats = {"IP*": "string", "UUID": "string"}
        as_text = client.query(sql, query_formats=formats).result_rows
        assert as_text == [("10.0.0.1", "0f0e0d0c-0b0a-4908-8706-050403020100")]
        assert client.query(sql).first_item["ip"] == IPv4Address("10.0.0.1")

    def test_low_cardinality_and_zones_are_named(self, client: Client) -> None:
        """The columns' types are those of the statement, not what an old client could read."""
        sql = "SELECT toLowCardinality('a') AS l, toDateTime64(0, 3, 'Europe/Berlin') AS t, 1::Nullable(Int8) AS n"
        names = [kind.name for kind in client.query(sql).column_types]
        assert names == ["LowCardinality(String)", "DateTime64(3, 'Europe/Berlin')", "Nullable(Int8)"]

    def test_the_protocol_version_is_honoured(self, client: Client) -> None:
        """Native has block information and the columns' zones for a client that says it can read them."""
        sql = "SELECT toDateTime(1676369730, 'Asia/Shanghai') AS dt FORMAT Native"
        assert client.raw_query(sql).hex() == "0101026474084461746554696d65425feb63"
        newer = client.raw_query(sql, settings={"client_protocol_version": 54460})
        assert newer[:8].hex() == "010002ffffffff00"
        assert newer[14:39] == b"DateTime('Asia/Shanghai')"


class TestQueries:
    """What the driver's query methods give."""

    def test_ping_and_what_the_server_is(self, client: Client) -> None:
        """The version is the engine's, and the driver finds the server's zone and settings."""
        assert client.ping()
        assert client.server_version == client.command("SELECT version()")
        assert client.min_version("24.3")
        assert client.server_tz == UTC or str(client.server_tz) == "Etc/UTC"
        assert client.server_settings["max_threads"].readonly == 0
        assert client.command("SELECT currentDatabase()") == "telemetry"

    def test_nobody_there_is_no_ping(self, server: Server) -> None:
        """A closed door is not reported as an open one."""
        with connected(server) as client:
            client.url = "http://127.0.0.1:1"
            client._backend.url = client.url
            assert not client.ping()

    def test_a_result_has_rows_columns_and_names(self, client: Client) -> None:
        """All views of one result agree."""
        result = client.query("SELECT number AS n, toString(number) AS s FROM numbers(3)")
        assert result.column_names == ("n", "s")
        assert [kind.name for kind in result.column_types] == ["UInt64", "String"]
        assert result.result_rows == [(0, "0"), (1, "1"), (2, "2")]
        assert [list(column) for column in result.result_columns] == [[0, 1, 2], ["0", "1", "2"]]
        assert list(result.named_results())[2] == {"n": 2, "s": "2"}
        assert (result.first_row, result.first_item, result.row_count) == ((0, "0"), {"n": 0, "s": "0"}, 3)

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT 13;",
            "SELECT 13;\n",
            "SELECT 13;\u00a0",
            "SELECT 13; /* trailing */",
            "SELECT 13; /* inner; */ ;",
            "SELECT 13 -- a comment",
            "SELECT\n/* a\ncomment */\n13 # and another",
            "WITH insert AS (SELECT 13 AS n) SELECT * FROM insert",
            "WITH 13 AS insert SELECT insert",
            "(SELECT 13)",
            "SELECT 13 UNION ALL SELECT 1 WHERE 0",
            "SELECT 13 SETTINGS max_threads = 1",
        ],
    )
    def test_statements_end_as_people_end_them(self, client: Client, sql: str) -> None:
        """With semicolons and comments, before the driver's own FORMAT."""
        assert client.query(sql).result_rows == [(13,)]
        assert client.raw_query(sql, fmt="TabSeparated") == b"13\n"

    def test_no_rows(self, client: Client) -> None:
        """LIMIT 0 gives names and types; a condition that nothing meets gives no rows."""
        empty = client.query("SELECT number AS a, now() AS b FROM numbers(3) LIMIT 0")
        assert empty.column_names == ("a", "b")
        assert [kind.name for kind in empty.column_types] == ["UInt64", "DateTime"]
        assert empty.result_rows == []
        assert client.query("SELECT number FROM numbers(3) WHERE number > 5").result_rows == []

    def test_commands_give_values(self, client: Client) -> None:
        """A number, a text, a list, nothing; and a summary for what has no result."""
        assert client.command("SELECT 79") == 79
        assert client.command("SELECT 'a text'") == "a text"
        assert client.command("SELECT 'a', 2, 'c d'") == ["a", "2", "c d"]
        assert client.command("SELECT 13 WHERE 0") == ""
        assert client.command("SELECT", data="17") == 17

    def test_commands_without_a_result_give_a_summary(self, client: Client) -> None:
        """The driver tells them by the header that names a result's format, which they do not have."""
        for sql in ("DROP TABLE IF EXISTS connect_no_such_table", "SET max_block_size = 65409"):
            summary = client.command(sql)
            assert isinstance(summary, QuerySummary)
            assert uuid.UUID(summary.query_id())

    def test_a_context_is_used_again(self, client: Client) -> None:
        """With other parameters each time."""
        context = client.create_query_context(
            query="SELECT {k:Int32} + number FROM numbers(2)", parameters={"k": 10}
        )
        assert client.query(context=context).result_columns == [[10, 11]]
        assert client.query(context=context, parameters={"k": 20}).result_columns == [[20, 21]]
        assert client.query(context=context).result_columns == [[10, 11]]

    def test_rows_stream(self, client: Client) -> None:
        """Each once, in order; a stream is used up."""
        with client.query_rows_stream("SELECT number, toString(number) FROM numbers(100000)") as stream:
            assert all(row == (at, str(at)) for at, row in enumerate(stream))
        with pytest.raises(StreamClosedError), stream:
            pass

    def test_blocks_stream_by_row_and_by_column(self, client: Client) -> None:
        """In several blocks, of no more rows than the query's setting says."""
        sql, settings = "SELECT number FROM numbers(10000)", {"max_block_size": 4000}
        with client.query_row_block_stream(sql, settings=settings) as stream:
            rows = [[row[0] for row in block] for block in stream]
        with client.query_column_block_stream(sql, settings=settings) as stream:
            columns = [list(block[0]) for block in stream]
        for blocks in (rows, columns):
            assert len(blocks) > 1
            assert max(map(len, blocks)) <= 4000
            assert [value for block in blocks for value in block] == list(range(10000))

    def test_raw_queries_are_the_bytes_of_a_format(self, client: Client) -> None:
        """As the format is defined."""
        sql = "SELECT number AS n, concat('it\\'s ', toString(number)) AS s FROM numbers(2)"
        assert client.raw_query(sql, fmt="CSVWithNames") == b'"n","s"\n0,"it\'s 0"\n1,"it\'s 1"\n'
        assert client.raw_query(sql, fmt="TSV") == b"0\tit\\'s 0\n1\tit\\'s 1\n"
        lines = client.raw_query(sql, fmt="JSONEachRow").splitlines()
        assert [json.loads(line)["s"] for line in lines] == ["it's 0", "it's 1"]
        assert client.raw_query("SELECT 258::UInt16", fmt="RowBinary") == b"\x02\x01"

    def test_raw_streams_come_in_pieces(self, client: Client) -> None:
        """Which together are the whole."""
        with client.raw_stream("SELECT number FROM numbers(500000)", fmt="TabSeparated") as stream:
            pieces = list(stream)
        assert len(pieces) > 1
        assert b"".join(pieces) == b"".join(b"%d\n" % number for number in range(500000))

    def test_numpy_arrays(self, client: Client) -> None:
        """Of one type as a matrix, of several as records."""
        matrix = client.query_np("SELECT number, number * 2 FROM numbers(1000)")
        assert (matrix.shape, matrix.dtype) == ((1000, 2), np.uint64)
        assert matrix[:, 1].sum() == 999000
        records = client.query_np("SELECT toFloat32(number) AS f, toDate('2024-01-02') AS d FROM numbers(2)")
        assert records["f"].tolist() == [0.0, 1.0]
        assert records["d"].astype("datetime64[D]").tolist() == [date(2024, 1, 2)] * 2

    def test_arrow_tables(self, client: Client) -> None:
        """Read whole, in a stream, and as the file and stream formats' own bytes."""
        sql = "SELECT number AS n, toString(number) AS s FROM numbers(100000)"
        whole = client.query_arrow(sql)
        assert whole.schema.names == ["n", "s"]
        assert whole.column("n").to_pylist() == list(range(100000))
        with client.query_arrow_stream(sql) as stream:
            assert pa.concat_tables([pa.table(block) for block in stream]).equals(whole)
        stream_bytes = client.raw_query(sql, fmt="ArrowStream")
        assert pa.ipc.open_stream(stream_bytes).read_all().num_rows == 100000
        file_bytes = client.raw_query(sql, fmt="Arrow")
        assert pa.ipc.open_file(file_bytes).read_all().column("s")[99999].as_py() == "99999"
        packed = client.raw_query(sql, fmt="Parquet")
        assert parquet.read_table(BytesIO(packed)).column("n").to_pylist() == list(range(100000))

    def test_summaries_count_what_was_read(self, client: Client) -> None:
        """Rows, bytes and time, as numbers in texts."""
        summary = client.query("SELECT number FROM numbers(1000)").summary
        assert summary["read_rows"] == "1000"
        assert summary["result_rows"] == "1000"
        assert int(summary["read_bytes"]) == 8000
        assert int(summary["elapsed_ns"]) > 0

    def test_query_ids_are_the_clients_or_made(self, client: Client) -> None:
        """The one that was sent comes back; without one each query has its own."""
        given = f"mine-{uuid.uuid4()}"
        assert client.query("SELECT 1", settings={"query_id": given}).query_id == given
        first, second = (client.query("SELECT 1").query_id for _ in range(2))
        assert uuid.UUID(first) != uuid.UUID(second)

    @pytest.mark.parametrize("compress", [True, False, *CODINGS, "deflate"])
    def test_results_come_in_each_coding(self, server: Server, *, compress: bool | str) -> None:
        """Which the driver asks for and takes apart."""
        with connected(server, compress=compress) as client:
            result = client.query("SELECT number, repeat('x', 100) AS s FROM numbers(50000)")
            assert (result.row_count, result.result_rows[-1]) == (50000, (49999, "x" * 100))

    def test_one_client_serves_many_threads(self, server: Server) -> None:
        """Without a session, queries run side by side and keep their results apart."""
        with connected(server, autogenerate_session_id=False) as client, ThreadPoolExecutor(4) as threads:
            sums = threads.map(
                lambda k: client.query(f"SELECT sum(number) * {k} FROM numbers(10000)").first_row[0],
                range(12),
            )
            assert list(sums) == [49995000 * k for k in range(12)]


class TestLargeStreams:
    """Ten million rows pass through without being kept."""

    def test_ten_million_numbers_pass_in_bounded_memory(self, server: Server) -> None:
        """The server's memory grows by far less than the 160 MB that it sends."""
        sql = f"SELECT number AS a, number * 3 AS b FROM numbers({_MANY})"
        with connected(server, compress=False) as client:
            client.query("SELECT number FROM numbers(1000000)")  # what it takes at first, it keeps
            before = peak = resident(server)
            total = rows = 0
            with client.query_np_stream(sql) as stream:
                for block in stream:
                    rows += len(block)
                    total += int(block[:, 1].sum())
                    peak = max(peak, resident(server))
        assert (rows, total) == (_MANY, 3 * _MANY * (_MANY - 1) // 2)
        assert peak - before < 80 << 20

    def test_a_stream_that_is_left_early_stops(self, server: Server, client: Client) -> None:
        """An endless query ends with its client's connection, and the server goes on to answer."""
        before = server.metric("telemetry_queries_total", user="telemetry_user", outcome="cancelled")
        url, auth = (
            f"http://{server.listening['clickhouse_http']}/",
            ("telemetry_user", client_password(server)),
        )
        with httpx.stream(
            "POST", url, content="SELECT number FROM system.numbers", auth=auth, verify=NO_TLS
        ) as answer:
            assert next(answer.iter_raw(65536))
        eventually(
            lambda: (
                server.metric("telemetry_queries_total", user="telemetry_user", outcome="cancelled") > before
            )
        )
        assert client.command("SELECT 1") == 1


def resident(server: Server) -> int:
    """Give the bytes of memory that the server holds."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) << 10


def client_password(server: Server) -> str:
    return passwords(server)["CLICKHOUSE_PASSWORD"]


class TestInserts:
    """What the driver puts in is there, once."""

    def test_rows_and_columns(self, client: Client) -> None:
        """Either way round, in any order of columns, with defaults for those left out."""
        with table(client, "a UInt32, b String, c Int32 DEFAULT 7") as made:
            summary = client.insert(made, [[1, "one"], [2, "two"]], column_names=["a", "b"])
            assert summary.written_rows == 2
            client.insert(made, [["three", "four"], [3, 4]], column_names=["b", "a"], column_oriented=True)
            client.insert(made, [[5, "five", 55]], database="telemetry")
            rows = client.query(f"SELECT * FROM {made} ORDER BY a").result_rows
            assert rows == [(1, "one", 7), (2, "two", 7), (3, "three", 7), (4, "four", 7), (5, "five", 55)]

    def test_an_empty_insert_is_none(self, client: Client) -> None:
        """No rows are no error."""
        with table(client, "a UInt32") as made:
            assert client.insert(made, []).written_rows == 0
            client.command(f"INSERT INTO {made} SELECT 1 LIMIT 0")
            assert client.command(f"SELECT count() FROM {made}") == 0

    def test_types_are_given_or_looked_up(self, client: Client) -> None:
        """DESCRIBE is asked unless the caller says them."""
        with table(client, "a UInt32, b Nullable(String)") as made:
            client.insert(
                made, [[1, None]], column_names=["a", "b"], column_type_names=["UInt32", "Nullable(String)"]
            )
            context = client.create_insert_context(made, ["a", "b"])
            for at in (2, 3):
                context.data = [[at, str(at)]]
                assert client.insert(context=context).written_rows == 1
            assert client.query(f"SELECT * FROM {made} ORDER BY a").result_rows == [
                (1, None),
                (2, "2"),
                (3, "3"),
            ]

    def test_settings_go_with_an_insert(self, client: Client) -> None:
        """A token says twice the same, which a table that looks back stores once."""
        engine = "MergeTree ORDER BY a SETTINGS non_replicated_deduplication_window = 10"
        with table(client, "a UInt32", engine) as made:
            for token in ("one", "one", "two"):
                client.insert(made, [[1]], settings={"insert_deduplication_token": token})
            assert client.command(f"SELECT count() FROM {made}") == 2

    def test_many_rows(self, client: Client) -> None:
        """A quarter of a million, in several blocks."""
        rows = 250_000
        with table(client, "a UInt64, s String") as made:
            summary = client.insert(made, [list(range(rows)), ["x"] * rows], column_oriented=True)
            assert summary.written_rows == rows
            assert client.query(f"SELECT count(), sum(a), uniqExact(a) FROM {made}").first_row == (
                rows,
                rows * (rows - 1) // 2,
                rows,
            )

    def test_bad_data_is_refused_and_nothing_stored(self, client: Client) -> None:
        """By the driver for a wrong value, by the server for a wrong column."""
        with table(client, "a Int32, f Float64") as made:
            with pytest.raises(DataError):
                client.insert(made, [[1, 3.5], [2, "nope"]])
            with pytest.raises(ProgrammingError, match="Unrecognized column"):
                client.insert(made, [[1]], column_names=["zzz"])
            with pytest.raises(DatabaseError) as caught:
                client.raw_insert(made, ["a", "f"], "1,2\nx,y\n", fmt="CSV")
            assert caught.value.code == 27
            assert client.command(f"SELECT count() FROM {made}") == 0
            assert client.ping()

    @pytest.mark.parametrize("coding", [None, *CODINGS])
    @pytest.mark.parametrize("fmt", ["CSV", "JSONEachRow", "Native"])
    def test_raw_inserts(self, client: Client, fmt: str, coding: str | None) -> None:
        """In each format and coding, from bytes and from a stream of pieces."""
        rows = [(1, 'it\'s, "quoted"\nand 空'), (2, "")]
        source = " UNION ALL ".join(f"SELECT {a}::UInt32 AS a, {{s{a}:String}} AS s" for a, _ in rows)
        parameters = {f"s{a}": text for a, text in rows}
        block = client.raw_query(source, parameters=parameters, fmt=fmt)
        sent = CODINGS[coding](block) if coding else block
        with table(client, "a UInt32, s String") as made:
            client.raw_insert(made, ["a", "s"], sent, fmt=fmt, compression=coding)
            client.raw_insert(
                made, None, (sent[at : at + 5] for at in range(0, len(sent), 5)), None, fmt, coding
            )
            assert client.query(f"SELECT * FROM {made} ORDER BY a").result_rows == sorted(rows * 2)

    def test_files_are_inserted(self, client: Client, tmp_path: Path) -> None:
        """With names in their first line, and packed."""
        path = tmp_path / "films.csv.gz"
        path.write_bytes(gzip.compress(b'title,year\nThe Third Man,1949\n"M, a city",1931\n'))
        with table(client, "title String, year UInt16") as made:
            insert_file(client, made, str(path))
            rows = client.query(f"SELECT * FROM {made} ORDER BY year").result_rows
            assert rows == [("M, a city", 1931), ("The Third Man", 1949)]

    def test_arrow_is_inserted(self, client: Client) -> None:
        """As a table of pyarrow's."""
        with table(client, "n UInt64, s Nullable(String)") as made:
            given = pa.table({"n": pa.array([1, 2], pa.uint64()), "s": pa.array(["a", None])})
            client.insert_arrow(made, given)
            assert client.query(f"SELECT * FROM {made} ORDER BY n").result_rows == [(1, "a"), (2, None)]

    def test_data_stands_behind_a_statement(self, client: Client) -> None:
        """With semicolons that are the data's."""
        with table(client, "s String") as made:
            client.command(f"INSERT INTO {made} (s) FORMAT TabSeparated\nvalue_1;\n")
            client.query(f"INSERT INTO {made} (s) FORMAT TabSeparated\nvalue_2;\n")
            client.command(f"INSERT INTO {made} VALUES ('value_3;'), ('it''s')")
            client.command(f"INSERT INTO {made} FORMAT CSV", data='"value,4"\n')
            values = client.query(f"SELECT s FROM {made} ORDER BY s").result_columns[0]
            assert list(values) == ["it's", "value,4", "value_1;", "value_2;", "value_3;"]


class TestParameters:
    """A value is a value, whatever is in it."""

    @pytest.mark.parametrize("text", AWKWARD)
    def test_texts_go_unchanged(self, client: Client, text: str) -> None:
        """Bound by the server and by the driver, alone and in arrays."""
        for sql in ("SELECT {x:String}, hex({x:String})", "SELECT %(x)s, hex(%(x)s)"):
            row = client.query(sql, parameters={"x": text}).first_row
            assert row == (text, text.encode().hex().upper())
        nested = [[text], [], [text, "other"]]
        assert client.query("SELECT {x:Array(Array(String))}", parameters={"x": nested}).first_row == (
            nested,
        )

    def test_null_is_not_a_text(self, client: Client) -> None:
        """It is null by itself and in an array, and the word is a word."""
        sql = "SELECT {x:Nullable(String)} IS NULL"
        assert client.command(sql, parameters={"x": None}) == 1
        assert client.command(sql, parameters={"x": "NULL"}) == 0
        assert client.command(sql, parameters={"x": ""}) == 0
        assert client.query("SELECT {x:Array(Nullable(Int8))}", parameters={"x": [1, None]}).first_row == (
            [1, None],
        )
        assert client.query("SELECT %(x)s", parameters={"x": None}).first_row == (None,)

    @pytest.mark.parametrize(
        ("name", "value", "text"),
        [
            ("Int256", -(1 << 255), str(-(1 << 255))),
            ("Float64", 0.1, "0.1"),
            ("Bool", True, "true"),
            ("Decimal(38, 10)", Decimal("-1.0000000001"), "-1.0000000001"),
            ("Date", date(2024, 2, 29), "2024-02-29"),
            ("DateTime", datetime(2024, 2, 29, 1, 2, 3, tzinfo=UTC), "2024-02-29 01:02:03"),
            ("DateTime64(6)", datetime(2024, 2, 29, 1, 2, 3, 456789, tzinfo=UTC), "2024-02-29 01:02:03.456789"),
            ("UUID", uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
            ("IPv4", IPv4Address("10.0.0.1"), "10.0.0.1"),
            ("Array(Date)", [date(2024, 2, 29)], "['2024-02-29']"),
            ("Tuple(Int8, String)", (1, "a'b"), "(1,'a\\'b')"),
        ],
    )  # fmt: skip
    def test_values_of_other_types(self, client: Client, name: str, value: Any, text: str) -> None:
        """Bound by the server, which reads them as what they are."""
        key = "x_64" if name.startswith("DateTime64") else "x"
        sql = f"SELECT toString({{x:{name}}}), toTypeName({{x:{name}}})"
        row = client.query(sql, parameters={key: value}).first_row
        assert row == (text, name)

    def test_names_are_bound_as_identifiers(self, client: Client) -> None:
        """A table's and a column's; a wrong one is unknown, never more SQL."""
        with table(client, "`a column` UInt8, b UInt8") as made:
            client.insert(made, [[4, 5]])
            sql = "SELECT {c:Identifier} FROM {t:Identifier}"
            assert client.query(sql, parameters={"c": "a column", "t": made}).first_row == (4,)
            with pytest.raises(DatabaseError) as caught:
                client.query(sql, parameters={"c": "b", "t": f"{made} WHERE 0 UNION ALL SELECT 1"})
            assert caught.value.code == 60

    def test_a_parameter_that_is_missing_or_wrong_is_an_error(self, client: Client) -> None:
        """Which names it."""
        assert failed(client, "SELECT {x:Int8}").code == 456
        assert failed(client, "SELECT {x:Int8}", parameters={"x": "1; DROP"}).code in {27, 457}

    def test_long_parameters(self, client: Client) -> None:
        """The driver sends those that a URL cannot hold as a form."""
        value = "it's long " * 10_000
        assert client.query("SELECT {x:String}", parameters={"x": value}).first_row == (value,)

    def test_a_form_carries_the_query_too(self, server: Server) -> None:
        """When the driver is told to send forms."""
        with connected(server, form_encode_query_params=True) as client:
            assert client.query("SELECT {x:String}", parameters={"x": "it's\t空"}).first_row == ("it's\t空",)

    def test_external_tables_are_refused_with_a_reason(self, client: Client) -> None:
        """Data in a form, which only a table would hold, is not taken and said so."""
        data = ExternalData(file_name="extra", data=b"1\n2\n", fmt="CSV", structure="a Int8")
        error = failed(client, "SELECT sum(a) FROM extra", external_data=data)
        assert (error.code, error.name) == (48, "NOT_IMPLEMENTED")

    def test_bytes_stand_in_a_query(self, client: Client) -> None:
        """The driver puts them there as they are."""
        assert client.raw_query("SELECT upper($data$)", parameters={"$data$": b"a,\tb"}) == b"A,\\tB\n"
        assert client.query("SELECT length($x$), %(y)s", parameters={"$x$": b"foo", "y": 1}).first_row == (
            3,
            1,
        )


class TestSessions:
    """What a session keeps, and for whom."""

    def test_temporary_tables_last_as_long_as_the_session(self, client: Client, server: Server) -> None:
        """And nobody else sees them."""
        client.command("CREATE TEMPORARY TABLE connect_temporary (a Int8, b String)")
        try:
            client.command("INSERT INTO connect_temporary VALUES (1, 'one')")
            assert client.insert("connect_temporary", [[2, "two"]]).written_rows == 1
            rows = client.query("SELECT * FROM connect_temporary ORDER BY a").result_rows
            assert rows == [(1, "one"), (2, "two")]
            with connected(server) as other:
                assert failed(other, "SELECT * FROM connect_temporary").code == 60
        finally:
            client.command("DROP TABLE connect_temporary")

    def test_set_lasts_as_long_as_the_session(self, server: Server) -> None:
        """And only there."""
        asked = "SELECT getSetting('max_block_size')"
        with connected(server) as first, connected(server) as second:
            usual = first.command(asked)
            first.command("SET max_block_size = 4321")
            assert first.command(asked) == 4321
            assert second.command(asked) == usual

    def test_a_querys_settings_end_with_it(self, server: Server) -> None:
        """They are not the session's, which only SET changes."""
        asked = "SELECT getSetting('max_block_size')"
        with connected(server) as client:
            usual = client.command(asked)
            assert client.command(asked, settings={"max_block_size": 99}) == 99
            assert client.command(asked) == usual

    def test_a_session_runs_one_query_at_a_time(self, server: Server) -> None:
        """The second is told so, and may come again when the first is done."""
        name = str(uuid.uuid4())
        with (
            connected(server, session_id=name, compress=False) as first,
            connected(server) as second,
        ):
            second.set_client_setting("session_id", name)
            with first.query_row_block_stream(f"SELECT number FROM numbers({_MANY // 2})") as stream:
                assert next(iter(stream))[0] == (0,)
                error = failed(second, "SELECT 1")
                assert (error.code, error.name) == (373, "SESSION_IS_LOCKED")
            eventually(lambda: answers(second))

    def test_a_session_that_must_exist_does_or_not(self, client: Client) -> None:
        """With `session_check`."""
        wanted = {"session_id": f"none-{uuid.uuid4()}", "session_check": "1"}
        assert failed(client, "SELECT 1", settings=wanted).code == 372

    def test_sessions_are_generated_given_or_left_out(self, server: Server) -> None:
        """As the driver is told."""
        with connected(server) as client:
            assert uuid.UUID(client.get_client_setting("session_id"))
        with connected(server, session_id="mine") as client:
            assert client.get_client_setting("session_id") == "mine"
        with connected(server, autogenerate_session_id=False) as client:
            assert client.get_client_setting("session_id") is None
            client.command("CREATE TEMPORARY TABLE connect_gone (a Int8)")
            assert failed(client, "SELECT * FROM connect_gone").code == 60


def answers(client: Client) -> bool:
    """Tell whether a query is answered now."""
    try:
        return client.command("SELECT 1") == 1
    except DatabaseError:
        return False


class TestSettings:
    """The driver looks settings up before it sends them."""

    def test_settings_go_with_a_query(self, server: Server) -> None:
        """And change its result."""
        with connected(server, autogenerate_session_id=False) as client:
            limit = {"max_result_rows": 10, "max_block_size": 5}
            assert failed(client, "SELECT number FROM numbers(100)", settings=limit).code == 396
            broken = {**limit, "result_overflow_mode": "break"}
            assert client.query("SELECT number FROM numbers(100)", settings=broken).row_count < 100
            assert client.query("SELECT number FROM numbers(100)").row_count == 100

    def test_unknown_settings_are_refused(self, server: Server, client: Client) -> None:
        """By the server as a server does, since the driver sends what it does not know."""
        error = failed(client, "SELECT 1", settings={"no_such_setting": 1})
        assert error.code in {115, 452}
        with pytest.raises(DatabaseError), connected(server, settings={"no_such_setting": 1}) as strange:
            strange.query("SELECT 1")

    def test_a_clients_settings_go_with_each_query(self, server: Server) -> None:
        """From its beginning, and when they are set later."""
        with connected(server, settings={"max_block_size": 7}) as client:
            assert client.command("SELECT getSetting('max_block_size')") == 7
            client.set_client_setting("max_block_size", 8)
            assert client.command("SELECT getSetting('max_block_size')") == 8

    def test_a_dsn_says_all_of_it(self, server: Server) -> None:
        """Who, where, which database and which session."""
        address = f"telemetry_user:{client_password(server)}@{server.listening['clickhouse_http']}"
        dsn = f"clickhousedb://{address}/telemetry?session_id=by-dsn"
        client = clickhouse_connect.get_client(dsn=dsn, dedicated_pool=True)
        try:
            assert client.database == "telemetry"
            assert client.get_client_setting("session_id") == "by-dsn"
            assert client.command("SELECT count() FROM system.tables WHERE database = currentDatabase()") > 5
        finally:
            client.close()

    def test_another_database_is_used(self, server: Server) -> None:
        """`default` may be, which is empty; one that is not there may not."""
        with connected(server, database="default") as client:
            assert client.command("SELECT currentDatabase()") == "telemetry"
        with pytest.raises(DatabaseError), connected(server, database="elsewhere") as client:
            client.query("SELECT 1")


class TestErrors:
    """An error is raised, with its code and name, and never taken for a short result."""

    @pytest.mark.parametrize(
        ("sql", "code", "name"),
        [
            ("SELEC 1", 62, "SYNTAX_ERROR"),
            ("SELECT 1 FROM", 62, "SYNTAX_ERROR"),
            ("SELECT * FROM no_such_table", 60, "UNKNOWN_TABLE"),
            ("SELECT no_such_column FROM otel_logs", 47, "UNKNOWN_IDENTIFIER"),
            ("SELECT noSuchFunction(1)", 46, "UNKNOWN_FUNCTION"),
            ("SELECT throwIf(1, 'it is so')", 395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO"),
            ("SELECT toUInt8('空')", 6, "CANNOT_PARSE_TEXT"),
            ("SELECT 1 FORMAT NoSuchFormat", 73, "UNKNOWN_FORMAT"),
        ],
    )
    def test_an_error_has_a_code_and_a_name(self, client: Client, sql: str, code: int, name: str) -> None:
        """Those of ClickHouse, and its text."""
        with pytest.raises(DatabaseError) as caught:
            client.raw_query(sql)
        assert (caught.value.code, caught.value.name) == (code, name)
        assert f"Code: {code}. DB::Exception: " in str(caught.value)
        assert client.command("SELECT 1") == 1

    def test_an_error_quotes_what_is_not_ascii(self, client: Client) -> None:
        """In UTF-8."""
        assert "空" in str(failed(client, "SELECT toUInt8('空')"))

    @pytest.mark.parametrize("mode", ["scrub", False])
    def test_the_driver_can_keep_details_back(self, server: Server, *, mode: str | bool) -> None:
        """The code stays, the version goes."""
        with connected(server, show_clickhouse_errors=mode) as client:
            error = failed(client, "SELECT * FROM no_such_table")
            assert error.code == 60
            assert client.server_version not in str(error)
            assert (error.name == "UNKNOWN_TABLE") is bool(mode)

    @pytest.mark.parametrize("coding", [False, *CODINGS])
    def test_an_error_in_the_middle_is_raised(self, server: Server, *, coding: bool | str) -> None:
        """After rows were given, in every coding, and the next query is answered."""
        with connected(server, compress=coding) as client:
            read = 0
            with (
                pytest.raises(StreamFailureError),
                client.query_rows_stream(MIDDLE, settings={"max_block_size": 50_000}) as stream,
            ):
                for row in stream:
                    assert row[0] == read
                    read += 1
            # Those before the block that fails, and fewer when the error overtakes some on the way.
            assert 0 < read <= 3_000_000
            assert client.command("SELECT 1") == 1

    @pytest.mark.parametrize("coding", [False, *CODINGS])
    def test_an_error_in_the_middle_of_a_compressed_stream_is_raised(
        self, server: Server, *, coding: bool | str
    ) -> None:
        """It is raised, never taken for the end, though a compressed stream has no room for its text."""
        with (
            connected(server, compress=coding) as client,
            pytest.raises(StreamFailureError) as caught,
            client.query_row_block_stream(MIDDLE, settings={"max_block_size": 50_000}) as stream,
        ):
            assert all(stream)
        assert ("connection closed by server" if coding else "Code: 395") in str(caught.value)

    def test_wait_end_of_query_makes_it_an_error_of_the_first_line(self, server: Server) -> None:
        """With nothing read before."""
        with connected(server) as client:
            error = failed(client, MIDDLE, settings={"wait_end_of_query": 1})
        assert not isinstance(error, StreamFailureError)
        assert error.code == 395

    def test_a_wrong_password_is_told(self, server: Server) -> None:
        """At once, with ClickHouse's code, and without saying which half is wrong."""
        texts = set()
        for user in ("telemetry_user", "nobody"):
            with pytest.raises(DatabaseError) as caught, connected(server, user, password="wrong"):
                pass
            assert caught.value.code == 516
            texts.add(str(caught.value))
        assert len(texts) == 1


MIDDLE: Final = "SELECT number, throwIf(number = 3000000) FROM numbers(4000000)"


class TestReader:
    """The user who only reads."""

    def test_the_reader_reads(self, reader: Client) -> None:
        """By every method, and sees what the driver looks up."""
        assert reader.ping()
        assert reader.query("SELECT number FROM numbers(3)").result_columns == [[0, 1, 2]]
        assert reader.query_arrow("SELECT 1 AS a").to_pylist() == [{"a": 1}]
        assert reader.query_np("SELECT 1 AS a").tolist() == [[1]]
        assert "otel_logs" in reader.command("SHOW TABLES").splitlines()
        assert reader.server_settings["max_threads"].name == "max_threads"

    @pytest.mark.parametrize(
        "sql",
        [
            "CREATE TABLE connect_forbidden (a Int8) ENGINE = Memory",
            "INSERT INTO otel_logs (Body) VALUES ('x')",
            "INSERT INTO otel_logs (Body) SELECT 'x'",
            "ALTER TABLE otel_logs DELETE WHERE 1",
            "ALTER TABLE otel_logs DROP COLUMN Body",
            "DROP TABLE otel_logs",
            "TRUNCATE TABLE otel_logs",
            "RENAME TABLE otel_logs TO otel_logs_2",
            "OPTIMIZE TABLE otel_logs",
            "DELETE FROM otel_logs WHERE 1",
        ],
    )
    def test_the_reader_writes_nothing(self, reader: Client, sql: str) -> None:
        """The table is as it was."""
        before = reader.query("SHOW CREATE TABLE otel_logs").result_rows
        with pytest.raises(DatabaseError) as caught:
            reader.command(sql)
        assert (caught.value.code, caught.value.name) == (164, "READONLY")
        assert reader.query("SHOW CREATE TABLE otel_logs").result_rows == before
        assert reader.command("EXISTS TABLE connect_forbidden") == 0

    def test_the_reader_inserts_nothing(self, reader: Client) -> None:
        """By the driver's own inserts."""
        before = reader.command("SELECT count() FROM otel_logs")
        with pytest.raises(DatabaseError) as caught:
            reader.insert("otel_logs", [["x"]], column_names=["Body"])
        assert caught.value.code == 164
        with pytest.raises(DatabaseError) as caught:
            reader.raw_insert("otel_logs", ["Body"], "x\n", fmt="CSV")
        assert caught.value.code == 164
        assert reader.command("SELECT count() FROM otel_logs") == before

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM system.users",
            "SELECT * FROM system.processes",
            "SELECT * FROM system.query_log",
            "SELECT * FROM file('/etc/passwd', 'LineAsString')",
            "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
            "SHOW PROCESSLIST",
            "SHOW POLICIES",
            "SHOW USERS",
            "SHOW GRANTS",
            "KILL QUERY WHERE 1",
            "SYSTEM FLUSH LOGS",
            "CREATE USER other",
            "SET max_threads = 1",
        ],
    )
    def test_the_reader_sees_nothing_else(self, reader: Client, sql: str) -> None:
        """It is said to be a matter of rights, not of syntax."""
        with pytest.raises(DatabaseError) as caught:
            reader.command(sql)
        assert (caught.value.code, caught.value.name) == (497, "ACCESS_DENIED")


class Asker:
    """Sends requests as another client would."""

    def __init__(self, server: Server) -> None:
        self._url = f"http://{server.listening['clickhouse_http']}"
        self._password = passwords(server)["TELEMETRY_READER_PASSWORD"]
        self.user = "telemetry_reader"

    @property
    def keys(self) -> dict[str, str]:
        """ClickHouse's own headers for who asks."""
        return {"X-ClickHouse-User": self.user, "X-ClickHouse-Key": self._password}

    def __call__(
        self,
        sql: str | bytes | None = None,
        *,
        method: str = "POST",
        path: str = "/",
        basic: bool = False,
        **parts: Any,
    ) -> httpx.Response:
        """Send one request; `params` are the URL's, `headers` are added."""
        headers = {"accept-encoding": "identity", **({} if basic else self.keys), **parts.pop("headers", {})}
        auth = (self.user, self._password) if basic else None
        return httpx.request(
            method,
            self._url + path,
            content=sql,
            headers=headers,
            auth=auth,
            timeout=30,
            verify=NO_TLS,
            **parts,
        )

    def bare(self, path: str, method: str = "GET") -> httpx.Response:
        """Send a request of nobody."""
        return httpx.request(method, self._url + path, timeout=30, verify=NO_TLS)


@pytest.fixture(scope="module")
def ask(server: Server) -> Asker:
    """Ask as the reader, over plain HTTP."""
    return Asker(server)


def unframed(data: bytes) -> bytes:
    """Take ClickHouse's compressed frames apart, each checked by its hash."""
    content = b""
    while data:
        first, second, method, size, length = struct.unpack_from("<QQBII", data)
        frame = data[16 : 16 + size]
        assert CityHash128(frame) == first << 64 | second
        assert method == 0x82
        content += lz4.block.decompress(frame[9:], uncompressed_size=length)
        data = data[16 + size :]
    return content


def row_binary(data: bytes) -> tuple[list[str], list[str], bytes]:
    """Read the names and types at the beginning of RowBinaryWithNamesAndTypes; give what follows too."""
    columns, rest = data[0], data[1:]
    texts = []
    for _ in range(2 * columns):
        text, rest = pascal(rest)
        texts.append(text)
    return texts[:columns], texts[columns:], rest


def pascal(data: bytes) -> tuple[str, bytes]:
    """Read a text of less than 128 bytes with its length before it."""
    assert data[0] < 128
    return data[1 : 1 + data[0]].decode(), data[1 + data[0] :]


class TestJdbc:
    """What ClickHouse's JDBC driver sends: POST, names and types in RowBinary, and its own LZ4 frames."""

    FORMAT: Final = "RowBinaryWithNamesAndTypes"

    def rows(self, ask: Asker, sql: str, **params: str) -> tuple[list[str], list[str], bytes]:
        answer = ask(sql, params={"compress": "1", **params}, headers={"X-ClickHouse-Format": self.FORMAT})
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-clickhouse-format"] == self.FORMAT
        assert "content-encoding" not in answer.headers
        return row_binary(unframed(answer.content))

    def test_the_hello(self, ask: Asker) -> None:
        """Who one is, the zone and the version: three texts in one row."""
        sql = "SELECT currentUser() AS user, timezone() AS timezone, version() AS version LIMIT 1"
        names, types, rest = self.rows(ask, sql)
        assert (names, types) == (["user", "timezone", "version"], ["String"] * 3)
        _, rest = pascal(rest)
        zone, rest = pascal(rest)
        version, rest = pascal(rest)
        assert (ZoneInfo(zone).key, rest) == (zone, b"")
        assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+", version)

    @pytest.mark.parametrize(
        ("formats", "media"),
        [
            ("RowBinary RowBinaryWithNames RowBinaryWithNamesAndTypes", "application/octet-stream"),
            ("Native Parquet ArrowStream", "application/octet-stream"),
            ("TSV TSVWithNamesAndTypes TabSeparatedRaw", "text/tab-separated-values; charset=UTF-8"),
            ("CSV", "text/csv; charset=UTF-8; header=absent"),
            ("CSVWithNames CSVWithNamesAndTypes", "text/csv; charset=UTF-8; header=present"),
            ("JSON JSONStrings JSONCompact JSONCompactStrings", "application/json; charset=UTF-8"),
            ("JSONEachRow JSONCompactEachRowWithNames", "application/x-ndjson; charset=UTF-8"),
            ("Pretty Values Vertical", "text/plain; charset=UTF-8"),
        ],
    )
    def test_the_media_type_is_the_formats(self, ask: Asker, formats: str, media: str) -> None:
        """As a server says it, for each way to ask for a format."""
        for name in formats.split():
            for answer in (ask(f"SELECT 1 FORMAT {name}"), ask("SELECT 1", params={"default_format": name})):
                assert (name, answer.headers["content-type"]) == (name, media)

    def test_the_user_in_the_engine_is_its_own(self, ask: Asker) -> None:
        """DatabaseMetaData.getUserName shows it; the interface's users are not the engine's."""
        assert ask("SELECT currentUser()").text == "default\n"

    def test_the_format_stands_in_the_statement(self, ask: Asker) -> None:
        """As its first version sends it, in frames too."""
        answer = ask(
            "SELECT timezone(), 258::UInt16 AS n, NULL::Nullable(Int8) AS e FORMAT RowBinaryWithNamesAndTypes",
            params={"compress": "1", "extremes": "0", "query_id": "jdbc-1"},
        )
        names, types, rest = row_binary(unframed(answer.content))
        assert answer.headers["x-clickhouse-query-id"] == "jdbc-1"
        assert names == ["timezone()", "n", "e"]
        assert types == ["String", "UInt16", "Nullable(Int8)"]
        assert pascal(rest)[1] == b"\x02\x01\x01"

    def test_the_database_comes_in_a_header(self, ask: Asker) -> None:
        """Its second version sends it so."""
        answer = ask("SELECT currentDatabase()", headers={"X-ClickHouse-Database": "default"})
        assert answer.text == "telemetry\n"

    def test_lz4_over_http(self, ask: Asker) -> None:
        """With `enable_http_compression` it is asked for as a coding."""
        answer = ask(
            "SELECT 1 FORMAT RowBinary",
            params={"enable_http_compression": "1"},
            headers={"accept-encoding": "lz4"},
        )
        assert answer.headers["content-encoding"] == "lz4"
        assert lz4.frame.decompress(answer.content) == b"\x01"

    def test_requests_come_in_frames(self, ask: Asker) -> None:
        """With `decompress=1`."""
        sql = b"SELECT 41 + 1 FORMAT TSV"
        packed = lz4.block.compress(sql, store_size=False)
        frame = struct.pack("<BII", 0x82, len(packed) + 9, len(sql)) + packed
        halves = divmod(CityHash128(frame), 1 << 64)
        answer = ask(struct.pack("<QQ", *halves) + frame, params={"decompress": "1"})
        assert answer.text == "42\n"

    def test_statement_parameters_come_as_a_form(self, ask: Asker) -> None:
        """Its second version can send them so."""
        answer = ask(
            files={"param_x": (None, "it's"), "query": (None, "SELECT {x:String}")},
        )
        assert (answer.status_code, answer.text) == (200, "it\\'s\n")

    def test_catalogs_schemas_tables_and_columns(self, ask: Asker) -> None:
        """DatabaseMetaData's look-ups."""
        _, types, rest = self.rows(
            ask, "SELECT name AS TABLE_SCHEM FROM system.databases WHERE name = 'telemetry'"
        )
        assert (types, rest) == (["String"], b"\x09telemetry")
        tables = (
            "SELECT '' AS TABLE_CAT, t.database AS TABLE_SCHEM, t.name AS TABLE_NAME,"
            " CASE WHEN t.engine LIKE '%View' THEN 'VIEW' ELSE 'TABLE' END AS TABLE_TYPE"
            " FROM system.tables t JOIN system.databases d ON t.database = d.name"
            " WHERE t.database ILIKE 'telemetry' AND t.name LIKE 'otel\\\\_logs' ORDER BY t.database, t.name"
        )
        names, _, rest = self.rows(ask, tables)
        assert names == ["TABLE_CAT", "TABLE_SCHEM", "TABLE_NAME", "TABLE_TYPE"]
        assert rest == b"\x00\x09telemetry\x09otel_logs\x05TABLE"
        columns = (
            "SELECT name, type, position::Int32 AS p, default_kind FROM system.columns"
            " WHERE database ILIKE 'telemetry' AND table ILIKE 'otel_logs' ORDER BY position LIMIT 2"
        )
        _, types, rest = self.rows(ask, columns)
        assert types == ["String", "String", "Int32", "String"]
        first = b"\x09Timestamp\x0dDateTime64(9)\x01\0\0\0\0"
        assert rest == first + b"\x07TraceId\x06String\x02\0\0\0\0"

    def test_types_and_settings(self, ask: Asker) -> None:
        """What there is."""
        families = "SELECT name FROM system.data_type_families WHERE name = 'UInt8'"
        assert self.rows(ask, families)[2] == b"\x05UInt8"
        settings = "SELECT name, type FROM system.settings WHERE name = 'max_threads'"
        assert self.rows(ask, settings)[2] == b"\x0bmax_threads\x0aMaxThreads"

    def test_an_error_is_plain_text(self, ask: Asker) -> None:
        """Its code stands in a header and in front of the text, framed or not."""
        answer = ask("SELECT * FROM no_such_table", headers={"X-ClickHouse-Format": self.FORMAT})
        assert answer.status_code == 404
        assert answer.headers["x-clickhouse-exception-code"] == "60"
        assert answer.text.startswith("Code: 60. DB::Exception: ")
        assert "(UNKNOWN_TABLE)" in answer.text


class TestGrafana:
    """What Grafana's data source sends over HTTP: Native, by clickhouse-go, and health checks."""

    def native(self, ask: Asker, sql: str, **params: str) -> bytes:
        answer = ask(sql, params={"default_format": "Native", "database": "telemetry", **params}, basic=True)
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-clickhouse-format"] == "Native"
        assert answer.headers["content-type"] == "application/octet-stream"
        return answer.content

    def test_the_hello(self, ask: Asker) -> None:
        """Without it clickhouse-go opens no connection."""
        data = self.native(ask, "SELECT displayName(), version(), revision(), timezone()")
        assert data.startswith(b"\x04\x01\x0ddisplayName()\x06String")
        assert b"\x0arevision()\x06UInt32" in data

    def test_the_health_check(self, ask: Asker) -> None:
        """One column of one row, as a block."""
        assert self.native(ask, "SELECT 1") == b"\x01\x01\x011\x05UInt8\x01"

    def test_the_protocol_version_adds_what_it_promises(self, ask: Asker) -> None:
        """clickhouse-go reads the block's information before its columns, for the version it sent."""
        data = self.native(ask, "SELECT 1", client_protocol_version="54460")
        assert data == bytes.fromhex("010002ffffffff00") + b"\x01\x01\x011\x05UInt8\x00\x01"

    def test_blocks_in_frames(self, ask: Asker) -> None:
        """With LZ4 chosen."""
        assert unframed(self.native(ask, "SELECT 1", compress="1")) == b"\x01\x01\x011\x05UInt8\x01"

    def test_blocks_in_gzip(self, ask: Asker) -> None:
        """With gzip chosen; httpx takes it apart."""
        answer = ask(
            "SELECT 1",
            params={"default_format": "Native", "enable_http_compression": "1"},
            headers={"accept-encoding": "gzip"},
            basic=True,
        )
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.content == b"\x01\x01\x011\x05UInt8\x01"

    def test_the_query_builder_lists_what_there_is(self, ask: Asker) -> None:
        """Databases, tables and columns."""
        assert b"\x09telemetry" in self.native(ask, "SELECT name FROM system.databases")
        tables = self.native(ask, "SELECT name FROM system.tables WHERE database = 'telemetry'")
        assert b"\x0botel_traces" in tables
        columns = self.native(ask, 'DESC TABLE "telemetry"."otel_logs"')
        assert columns[0] == 7
        assert b"\x0dDateTime64(9)" in columns

    def test_a_panel(self, ask: Asker) -> None:
        """A time series, with the limits that the data source sets."""
        sql = (
            "SELECT toStartOfInterval(Timestamp, INTERVAL 60 second) AS time, count() AS n FROM telemetry.otel_logs"
            " WHERE Timestamp >= fromUnixTimestamp64Milli(1700000000000)"
            " AND Timestamp <= fromUnixTimestamp64Milli(1700000060000) GROUP BY time ORDER BY time ASC"
        )
        assert self.native(ask, sql, max_execution_time="60") == b""
        filled = f"{sql} WITH FILL FROM toDateTime(1700000040) TO toDateTime(1700000160) STEP 60"
        data = self.native(ask, filled, max_execution_time="60")
        assert data.startswith(b"\x02\x02\x04time\x08DateTime" + struct.pack("<II", 1700000040, 1700000100))

    @pytest.mark.parametrize(("path", "method"), [("/ping", "GET"), ("/ping", "HEAD"), ("/", "GET")])
    def test_who_is_nobody_hears_that_it_lives(self, ask: Asker, path: str, method: str) -> None:
        """For load balancers and health checks."""
        answer = ask.bare(path, method)
        assert (answer.status_code, answer.text) == (200, "Ok.\n" if method == "GET" else "")

    def test_the_json_of_http_data_sources(self, ask: Asker) -> None:
        """With meta, data, rows and statistics; large numbers as numbers unless asked for as texts."""
        answer = ask(
            "SELECT 18446744073709551615 AS n, 'x' AS s", params={"default_format": "JSON"}, basic=True
        )
        assert answer.headers["content-type"] == "application/json; charset=UTF-8"
        body = answer.json()
        assert body["meta"] == [{"name": "n", "type": "UInt64"}, {"name": "s", "type": "String"}]
        assert body["data"] == [{"n": 18446744073709551615, "s": "x"}]
        assert body["rows"] == 1
        assert body["statistics"].keys() == {"elapsed", "rows_read", "bytes_read"}
        quoted = ask(
            "SELECT 5::UInt64 AS n FORMAT JSON", params={"output_format_json_quote_64bit_integers": "1"}
        )
        assert quoted.json()["data"] == [{"n": "5"}]


class TestDBeaver:
    """What DBeaver sends, and whoever has a prompt: health checks of every kind, lists, descriptions, plans."""

    @pytest.mark.parametrize(
        ("headers", "params", "body"),
        [
            ({}, {}, b"1\n"),
            ({}, {"default_format": "TabSeparatedWithNamesAndTypes"}, b"1\nUInt8\n1\n"),
            ({"X-ClickHouse-Format": "JSONCompactEachRow"}, {}, b"[1]\n"),
            ({"X-ClickHouse-Format": "CSV"}, {"default_format": "TSV"}, b"1\n"),
            ({"X-ClickHouse-Format": "TSVWithNames"}, {"default_format": "CSV"}, b"1\n1\n"),
            ({"Accept": "*/*", "User-Agent": "DBeaver 24.3"}, {"wait_end_of_query": "1"}, b"1\n"),
            ({"Content-Type": "text/plain; charset=UTF-8"}, {"session_timeout": "30"}, b"1\n"),
            ({"Content-Type": "application/x-www-form-urlencoded"}, {"client_name": "x"}, b"1\n"),
            ({"Accept-Encoding": "gzip, deflate"}, {"enable_http_compression": "0"}, b"1\n"),
            ({"Connection": "close"}, {"buffer_size": "65536", "max_result_rows": "200"}, b"1\n"),
        ],
    )
    def test_select_1(self, ask: Asker, headers: dict[str, str], params: dict[str, str], body: bytes) -> None:
        """In each dress, by POST and by GET; the header's format goes before the URL's."""
        for answer in (
            ask("SELECT 1", headers=headers, params=params),
            ask(method="GET", headers=headers, params={"query": "SELECT 1", **params}),
        ):
            assert (answer.status_code, answer.content) == (200, body)
            assert int(answer.headers["content-length"]) == len(body)
            assert "content-encoding" not in answer.headers
            assert json.loads(answer.headers["x-clickhouse-summary"])["result_rows"] == "1"
            assert ZoneInfo(answer.headers["x-clickhouse-timezone"])
            assert uuid.UUID(answer.headers["x-clickhouse-query-id"])
            assert answer.headers["x-clickhouse-server-display-name"]

    def test_version_and_zone(self, ask: Asker) -> None:
        """Each by itself, and the header says the zone too."""
        assert re.fullmatch(r"\d+(\.\d+){3}\n", ask("SELECT version()").text)
        answer = ask("select timezone()")
        assert answer.text == f"{answer.headers['x-clickhouse-timezone']}\n"

    def test_show(self, ask: Asker) -> None:
        """Databases, tables, columns and how a table was made."""
        assert "telemetry" in ask("SHOW DATABASES").text.splitlines()
        names = ask("SHOW TABLES").text.splitlines()
        assert "otel_logs" in names
        assert ask("SHOW TABLES FROM telemetry LIKE 'otel\\_logs'").text == "otel_logs\n"
        made = ask("SHOW CREATE TABLE otel_logs FORMAT TSVRaw").text
        assert made.startswith("CREATE TABLE telemetry.otel_logs\n(\n    `Timestamp` DateTime64(9)")
        fields = ask("SHOW COLUMNS FROM otel_logs FORMAT TSVWithNames").text.splitlines()
        assert fields[0].split("\t") == ["field", "type", "null", "key", "default", "extra"]

    @pytest.mark.parametrize(
        "name", ["otel_logs", "telemetry.otel_logs", '"telemetry"."otel_logs"', "`otel_logs`"]
    )
    def test_a_table_is_named_with_its_database_or_without(self, ask: Asker, name: str) -> None:
        """Tools write both parts, and quote them as they like."""
        assert ask(f"EXISTS TABLE {name}").text == "1\n"
        assert ask(f"DESCRIBE TABLE {name}").text.startswith("Timestamp\tDateTime64(9)\t")
        assert ask(f"SHOW CREATE TABLE {name}").text.startswith("CREATE TABLE telemetry.otel_logs\\n(")
        assert ask(f"SELECT count() >= 0 FROM {name}").text == "1\n"

    def test_a_database_is_shown_as_a_table_is(self, ask: Asker) -> None:
        """How it was made, and that it exists."""
        assert ask("EXISTS DATABASE telemetry").text == "1\n"
        assert ask("SHOW CREATE DATABASE telemetry FORMAT TSVRaw").text.startswith(
            "CREATE DATABASE telemetry"
        )

    def test_describe(self, ask: Asker) -> None:
        """With its seven columns, of a table and of a query."""
        answer = ask("DESCRIBE TABLE otel_logs", params={"default_format": "TSVWithNames"})
        lines = [line.split("\t") for line in answer.text.splitlines()]
        assert lines[0][:4] == ["name", "type", "default_type", "default_expression"]
        assert lines[0][4:] == ["comment", "codec_expression", "ttl_expression"]
        assert lines[1][:2] == ["Timestamp", "DateTime64(9)"]
        assert ask("DESC (SELECT 1 AS a, 'x' AS b)").headers["x-clickhouse-exception-code"] == "497"

    def test_explain(self, ask: Asker) -> None:
        """Plan, syntax, pipeline and tree, one line a row."""
        sql = "SELECT Body FROM otel_logs WHERE TraceId = 'x'"
        assert "ReadFrom" in ask("EXPLAIN SELECT number FROM numbers(3)").text
        assert "FROM" in ask(f"EXPLAIN SYNTAX {sql}").text
        assert ask(f"EXPLAIN AST {sql}").text.startswith("SelectWithUnionQuery")
        assert "QUERY id: 0" in ask(f"EXPLAIN QUERY TREE {sql}").text
        lines = ask("EXPLAIN PIPELINE SELECT 1 FORMAT JSONEachRow").text.splitlines()
        assert len(lines) > 1
        assert all(json.loads(line).keys() == {"explain"} for line in lines)

    def test_the_tree_of_objects(self, ask: Asker) -> None:
        """Databases with engines, tables with sizes, columns with keys, functions and engines."""
        databases = ask(
            "SELECT name, engine FROM system.databases WHERE name = 'telemetry' FORMAT JSONEachRow"
        )
        assert databases.json() == {"name": "telemetry", "engine": "Atomic"}
        tables = ask(
            "SELECT name, engine, total_rows, primary_key, comment FROM system.tables"
            " WHERE database = 'telemetry' AND name = 'otel_logs' FORMAT JSONEachRow"
        ).json()
        assert (tables["name"], tables["engine"]) == ("otel_logs", "MergeTree")
        parts = ask(
            "SELECT table, sum(bytes_on_disk) AS size, sum(rows) AS n, count() AS parts FROM system.parts"
            " WHERE active AND database = 'telemetry' GROUP BY table"
        )
        assert (parts.status_code, parts.headers["x-clickhouse-format"]) == (200, "TabSeparated")
        columns = ask(
            "SELECT name, is_in_primary_key FROM system.columns WHERE database = 'telemetry'"
            " AND table = 'otel_logs' AND name IN ('Timestamp', 'Body') ORDER BY name FORMAT CSV"
        )
        assert columns.text.splitlines()[0] == '"Body",0'
        assert ask("SELECT count() > 500 FROM system.functions").text == "1\n"
        assert ask("SELECT count() FROM system.table_engines WHERE name = 'MergeTree'").text == "1\n"

    def test_information_schema(self, ask: Asker) -> None:
        """In either case of letters."""
        for schema in ("information_schema", "INFORMATION_SCHEMA"):
            where = "table_schema = 'telemetry' AND table_name = 'otel_logs'"
            assert ask(f"SELECT table_type FROM {schema}.tables WHERE {where}").text == "BASE TABLE\n"

    def test_the_page_of_a_grid(self, ask: Asker) -> None:
        """A limit and an offset, which a client may add as settings."""
        answer = ask("SELECT number FROM numbers(100)", params={"limit": "2", "offset": "10"})
        assert answer.text == "10\n11\n"

    def test_head_has_headers_alone(self, ask: Asker) -> None:
        """As the same GET would."""
        answer = ask(method="HEAD", params={"query": "SELECT 1"})
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers["x-clickhouse-format"] == "TabSeparated"

    def test_a_wrong_password(self, ask: Asker) -> None:
        """Is told so in ClickHouse's words; without one a password is asked for."""
        wrong = ask("SELECT 1", headers={"X-ClickHouse-Key": "wrong"})
        assert (wrong.status_code, wrong.headers["x-clickhouse-exception-code"]) == (403, "516")
        none = ask.bare("/?query=SELECT+1")
        assert none.status_code == 401
        assert none.headers["www-authenticate"].startswith("Basic realm=")
