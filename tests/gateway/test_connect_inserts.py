"""Data and parameters that ClickHouse's Python driver sends.

It is asked what its published integration tests ask of a ClickHouse server.
"""

import gzip
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import (
    DatabaseError,
    DataError,
    ProgrammingError,
)
from clickhouse_connect.driver.external import ExternalData
from clickhouse_connect.driver.tools import insert_file

from tests.gateway.driver import AWKWARD, CODINGS, connected, failed, table
from tests.server import Server


class TestInserts:
    """The driver's rows are there, once."""

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
    """A value of any content stays a value."""

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
