"""Errors that ClickHouse's Python driver raises, and the limits of the user who only reads.

It is asked what its published integration tests ask of a ClickHouse server.
"""

from collections.abc import Iterator
from typing import Final

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    StreamFailureError,
)

from tests.gateway.driver import CODINGS, connected, failed
from tests.server import Server

MIDDLE: Final = "SELECT number, throwIf(number = 3000000) FROM numbers(4000000)"


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


@pytest.fixture(scope="module")
def reader(server: Server) -> Iterator[Client]:
    """Connect with the driver as the user who only reads."""
    with connected(server, "telemetry_reader") as client:
        yield client


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
            "USE system",
        ],
    )
    def test_the_reader_sees_nothing_else(self, reader: Client, sql: str) -> None:
        """It is said to be a matter of rights, not of syntax."""
        with pytest.raises(DatabaseError) as caught:
            reader.command(sql)
        assert (caught.value.code, caught.value.name) == (497, "ACCESS_DENIED")
