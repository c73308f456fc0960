"""The requests of Grafana's ClickHouse data source; the tests read the bytes of the answers."""

import struct

import pytest

from tests.gateway.asker import Asker, unframed


class TestGrafana:
    """The requests of Grafana's data source over HTTP: Native, by clickhouse-go, and health checks."""

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
