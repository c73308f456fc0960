"""Types that ClickHouse's Python driver writes and reads.

It is asked what its published integration tests ask of a ClickHouse server.
"""

import math
import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from clickhouse_connect.driver.client import Client

from tests.gateway.driver import AWKWARD, table

BERLIN: Final = ZoneInfo("Europe/Berlin")
KOLKATA: Final = ZoneInfo("Asia/Kolkata")
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
        """Inserted values come back equal, and the engine reads them the same."""
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
        """The column's, the query's, or UTC, which the driver returns naive by default."""
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
        """Values from SQL are read back by their type; the driver itself sends texts."""
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
