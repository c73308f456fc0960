"""Blocks in Native format, as clients of a protocol version read them."""

import pytest

from tests.gateway.client import GatewayClient

NATIVE_COLUMNS = (
    *(
        "number",
        "toString(number)",
        "map('a', number)",
        "toLowCardinality('x')",
        "[toLowCardinality('x')]",
        "[]",
        "NULL",
    ),
    *(
        "if(number % 2, NULL, number)",
        "tuple(1, 'a')",
        "toDecimal64(1.5, 2)",
        "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')",
        "toIPv4('1.2.3.4')",
    ),
    *(
        "CAST('a', 'Enum8(''a, (b'' = 2, ''a'' = 1)')",
        "[(1, 'a')]",
        "(1, 'a')::Tuple(a UInt8, `b (c` String)",
    ),
    *(
        "map('a', map('b', [1, 2]))",
        "toFixedString('abc', 5)",
        "INTERVAL 1 DAY",
        "toDecimal128(1, 30)",
        "today()",
    ),
    *("CAST([(1, 'x')], 'Nested(p UInt8, q LowCardinality(Nullable(String)))')", "toDateTime64(0, 3, 'UTC')"),
)


@pytest.mark.parametrize("column", NATIVE_COLUMNS)
def test_blocks_for_clients_of_a_protocol_version(reader: GatewayClient, column: str) -> None:
    """Eight bytes before each block and one behind each type; all else stays, over several blocks."""
    sql = f"SELECT {column} AS x, number AS n FROM numbers(1000)"
    plain, newer = (
        reader.post(f"{sql} FORMAT Native", max_block_size="400", client_protocol_version=version).content
        for version in ("", "54460")
    )
    blocks = newer.count(bytes.fromhex("010002ffffffff00"))
    assert blocks >= 1
    assert len(newer) == len(plain) + blocks * (8 + 2)
    # The last column's type and values stand behind the first one's, so these were stepped over rightly.
    assert newer.count(b"\x01n\x06UInt64\0") == plain.count(b"\x01n\x06UInt64") == blocks


def test_zones_come_back_for_clients_of_a_protocol_version(reader: GatewayClient) -> None:
    """The engine leaves them out of DateTime for clients of none."""
    sql = "SELECT toDateTime(0, 'Asia/Tokyo') AS t, [toDateTime(0, 'UTC')] AS a FORMAT Native"
    assert b"Tokyo" not in reader.post(sql).content
    newer = reader.post(sql, client_protocol_version="54460").content
    assert b"\x16DateTime('Asia/Tokyo')\0" in newer
    assert b"\x16Array(DateTime('UTC'))\0" in newer
    assert reader.refused("SELECT sumState(1) FORMAT Native", client_protocol_version="54460") == (501, 48)
