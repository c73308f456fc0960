"""Queries, results and streams of ClickHouse's Python driver.

It is asked what its published integration tests ask of a ClickHouse server.
"""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date
from io import BytesIO
from typing import Final

import httpx
import numpy as np
import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    StreamClosedError,
)
from clickhouse_connect.driver.summary import QuerySummary
from pyarrow import parquet

from tests.gateway.driver import CODINGS, connected
from tests.server import NO_TLS, Server, eventually

_MANY: Final = 10_000_000


class TestQueries:
    """The results of the driver's query methods."""

    def test_ping_and_what_the_server_is(self, client: Client) -> None:
        """The version is the engine's, and the driver finds the server's zone and settings."""
        assert client.ping()
        assert client.server_version == client.command("SELECT version()")
        assert client.min_version("24.3")
        assert client.server_tz == UTC or str(client.server_tz) == "Etc/UTC"
        assert client.server_settings["max_threads"].readonly == 0
        assert client.command("SELECT currentDatabase()") == "telemetry"

    def test_nobody_there_is_no_ping(self, server: Server) -> None:
        """An address without a server is not reported as a server."""
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
        """LIMIT 0 gives names and types; a condition that no row meets gives no rows."""
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
            client.query("SELECT number FROM numbers(1000000)")  # it keeps the memory that it takes at first
            before = peak = server.resident_bytes
            total = rows = 0
            with client.query_np_stream(sql) as stream:
                for block in stream:
                    rows += len(block)
                    total += int(block[:, 1].sum())
                    peak = max(peak, server.resident_bytes)
        assert (rows, total) == (_MANY, 3 * _MANY * (_MANY - 1) // 2)
        assert peak - before < 80 << 20

    def test_a_stream_that_is_left_early_stops(self, server: Server, client: Client) -> None:
        """An endless query ends with its client's connection, and the server goes on to answer."""
        before = server.metric("telemetry_queries_total", user="telemetry_user", outcome="cancelled")
        url, auth = (
            f"http://{server.listening['clickhouse_http']}/",
            ("telemetry_user", server.passwords["CLICKHOUSE_PASSWORD"]),
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
