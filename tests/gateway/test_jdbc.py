"""The requests of ClickHouse's JDBC driver; the tests read the bytes of the answers."""

import re
import struct
from typing import Final
from zoneinfo import ZoneInfo

import lz4.block
import lz4.frame
import pytest
from clickhouse_cityhash.cityhash import CityHash128

from tests.gateway.asker import Asker, pascal, row_binary, unframed


class TestJdbc:
    """The requests of ClickHouse's JDBC driver: POST, names and types in RowBinary, and its own LZ4 frames."""

    FORMAT: Final = "RowBinaryWithNamesAndTypes"

    def rows(self, ask: Asker, sql: str, **params: str) -> tuple[list[str], list[str], bytes]:
        answer = ask(sql, params={"compress": "1", **params}, headers={"X-ClickHouse-Format": self.FORMAT})
        assert answer.status_code == 200, answer.text
        assert answer.headers["x-clickhouse-format"] == self.FORMAT
        assert "content-encoding" not in answer.headers
        return row_binary(unframed(answer.content))

    def test_the_hello(self, ask: Asker) -> None:
        """The user, the zone and the version: three texts in one row."""
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
        """The system tables list them."""
        families = "SELECT name FROM system.data_type_families WHERE name = 'UInt8'"
        assert self.rows(ask, families)[2] == b"\x05UInt8"
        settings = "SELECT name, type FROM system.settings WHERE name = 'max_threads'"
        assert self.rows(ask, settings)[2] == b"\x0bmax_threads\x0aMaxThreads"

    def test_an_error_is_plain_text(self, ask: Asker) -> None:
        """Its code is in a header and in front of the text, framed or not."""
        answer = ask("SELECT * FROM no_such_table", headers={"X-ClickHouse-Format": self.FORMAT})
        assert answer.status_code == 404
        assert answer.headers["x-clickhouse-exception-code"] == "60"
        assert answer.text.startswith("Code: 60. DB::Exception: ")
        assert "(UNKNOWN_TABLE)" in answer.text
