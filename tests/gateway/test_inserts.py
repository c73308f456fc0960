"""Data over the HTTP interface: encodings, frames, the end of a statement and the start of its data, and errors."""

import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import httpx
import lz4.frame
import pytest

from clickhouse.engine import Engine
from gateway import frames
from gateway.insert_text import split_insert
from otlp.compression import zstd
from tests.gateway.client import GatewayClient
from tests.server import NO_TLS


def test_clickhouses_own_frames_are_those_of_its_files(engine: Engine) -> None:
    """The engine's files in this format can be read, and packed data reads back."""
    engine.command(
        "CREATE TABLE framed (a String CODEC(LZ4)) ENGINE = MergeTree ORDER BY tuple()"
        " SETTINGS min_bytes_for_wide_part = 0"
    )
    engine.command("INSERT INTO framed SELECT toString(number) FROM numbers(100000)")
    (place,) = engine.rows("SELECT path FROM system.parts WHERE table = 'framed' AND active")
    stored = b"".join(frames.Unpacker().feed((Path(place[0]) / "a.bin").read_bytes()))
    assert stored == b"".join(b"%d" % number for number in range(100_000))
    assert b"".join(frames.Unpacker().feed(frames.pack(stored))) == stored
    engine.command("DROP TABLE framed")


def test_compress_and_decompress_use_clickhouses_frames(
    reader: GatewayClient, writer: GatewayClient, table: str
) -> None:
    """Both ways, in pieces, and a changed byte is noticed."""
    answer = reader.post("SELECT number FROM numbers(300000)", compress="1")
    assert b"".join(frames.Unpacker().feed(answer.content)) == b"".join(b"%d\n" % n for n in range(300_000))
    packed = frames.pack(b"1,x\n") + frames.pack(b"2,y\n")
    assert writer.post(packed, query=f"INSERT INTO {table} FORMAT CSV", decompress="1").status_code == 200
    assert reader.text(f"SELECT groupArray(b) FROM {table}") == "['x','y']\n"
    broken = packed[:-1] + bytes([packed[-1] ^ 1])
    assert writer.refused(broken, query=f"INSERT INTO {table} FORMAT CSV", decompress="1")[1] == 40
    assert writer.refused(packed[:-1], query=f"INSERT INTO {table} FORMAT CSV", decompress="1")[1] == 33
    assert writer.refused(b"\x00" * 99, query=f"INSERT INTO {table} FORMAT CSV", decompress="1")[1] == 89


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstd.compress),
        ("lz4", lz4.frame.compress),
    ],
)
def test_data_comes_in_every_encoding(
    reader: GatewayClient,
    writer: GatewayClient,
    table: str,
    encoding: str,
    compress: Callable[[bytes], bytes],
) -> None:
    """Whole bodies and several members; a truncated or wrong one stores nothing."""
    body = compress(b'{"a":1,"b":"x"}\n') + compress(b'{"a":2,"b":"y"}\n')
    if encoding == "deflate":  # which has no members
        body = compress(b'{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n')
    insert = f"INSERT INTO {table} FORMAT JSONEachRow"
    assert writer.post(body, query=insert, headers_content_encoding=encoding).status_code == 200
    assert writer.refused(body[:-3], query=insert, headers_content_encoding=encoding)[1] in {33, 89}
    assert writer.refused(b"no such thing", query=insert, headers_content_encoding=encoding)[1] == 89
    assert reader.text(f"SELECT a, b FROM {table} ORDER BY a") == "1\tx\n2\ty\n"


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("INSERT INTO scratch FORMAT CSV", b'1,"x"\n'),
        ("INSERT INTO scratch (a, b) FORMAT TabSeparated", b"1\tx\n"),
        ("INSERT INTO scratch (b, a) VALUES", b"('x', 1)"),
        ("INSERT INTO scratch", b"(1, 'x')"),
        ("", b'INSERT INTO scratch (a, b) FORMAT JSONEachRow\n{"a": 1, "b": "x"}'),
        ("", b"INSERT INTO scratch VALUES (1, 'x')"),
        ("", b"insert into telemetry.scratch values(1,'x');"),
        ("INSERT INTO scratch (a, b)", b"FORMAT CSV\n1,x"),
        ("", b"INSERT INTO scratch SELECT 1, 'x'"),
        ("INSERT INTO scratch SELECT 1, 'x'", b""),
        ("", b"INSERT INTO scratch SETTINGS async_insert = 0 FORMAT RowBinary\n\x01\x00\x00\x00\x01x"),
        ("", b"/* note */ INSERT INTO scratch (`a`, b) -- why\n FORMAT CSV 1,x"),
    ],
)
def test_data_follows_an_insert(
    reader: GatewayClient, writer: GatewayClient, table: str, query: str, body: bytes
) -> None:
    """In the body, behind the statement wherever that stands."""
    answer = writer.post(body, query=query) if query else writer.post(body)
    if query == "INSERT INTO scratch (a, b)":
        assert answer.status_code == 400  # the data's default format is Values
        return
    assert answer.status_code == 200, answer.text
    assert reader.text(f"SELECT a, b FROM {table}") == "1\tx\n"


def test_data_is_binary_and_large(reader: GatewayClient, writer: GatewayClient, table: str) -> None:
    """Any byte, in pieces that end anywhere; the summary counts the rows."""
    block = reader.post(
        "SELECT toUInt32(number) AS a, unhex('FF00C3') AS b FROM numbers(400000) FORMAT Native"
    ).content
    head = f"INSERT INTO {table} (a, b) FORMAT Native\n".encode()
    pieces = (
        piece for piece in [head[:9], head[9:], *(block[at : at + 9973] for at in range(0, len(block), 9973))]
    )
    answer = httpx.post(writer.url, content=pieces, auth=writer.auth, timeout=180, verify=NO_TLS)
    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "400000"
    assert reader.text(f"SELECT count(), sum(a), any(hex(b)) FROM {table}") == "400000\t79999800000\tFF00C3\n"


def test_a_failed_insert_stores_nothing_and_says_why(
    reader: GatewayClient, writer: GatewayClient, table: str
) -> None:
    """With the engine's code and words."""
    assert writer.refused(b"1,x\nnonsense,y\n", query=f"INSERT INTO {table} FORMAT CSV") == (400, 27)
    assert writer.refused(b"1", query="INSERT INTO nowhere FORMAT CSV") == (404, 60)
    assert reader.text(f"SELECT count() FROM {table}") == "0\n"


def test_an_insert_that_fails_at_its_end_is_refused(writer: GatewayClient, table: str) -> None:
    """A view that throws fails the insert; settings of the statement's own do not hide that."""
    writer.text("CREATE TABLE fed (a UInt32) ENGINE = MergeTree ORDER BY a")
    writer.text(f"CREATE MATERIALIZED VIEW throwing TO fed AS SELECT throwIf(a = 7) + a AS a FROM {table}")
    try:
        for sql in (f"INSERT INTO {table} (a) FORMAT CSV\n7\n",
                    f"INSERT INTO telemetry.{table} (a) SETTINGS max_threads = 1 FORMAT CSV\n7\n"):  # fmt: skip
            assert writer.refused(sql)[1] == 395
    finally:
        writer.text("DROP VIEW throwing")
        writer.text("DROP TABLE fed")


class TestSplittingInserts:
    """Where an INSERT ends and its data begins."""

    @pytest.mark.parametrize(
        ("text", "statement", "data_format", "data"),
        [
            (b"INSERT INTO t FORMAT CSV\n1", "INSERT INTO t", "CSV", b"1"),
            (b"INSERT INTO t FORMAT CSV \n\n1", "INSERT INTO t", "CSV", b"\n1"),
            (
                b"INSERT INTO t (a, `b)`) FORMAT Native\n\x00\xff",
                "INSERT INTO t (a, `b)`)",
                "Native",
                b"\x00\xff",
            ),
            (b"INSERT INTO t VALUES (1)", "INSERT INTO t", "Values", b" (1)"),
            (b"INSERT INTO `format` FORMAT CSV\n", "INSERT INTO `format`", "CSV", b""),
            (b"INSERT INTO format FORMAT CSV\n", "INSERT INTO format", "CSV", b""),
            (b"INSERT INTO t (values) FORMAT CSV\n", "INSERT INTO t (values)", "CSV", b""),
            (b"-- FORMAT X\nINSERT INTO t /* VALUES */ FORMAT CSV\n", "INSERT INTO t", "CSV", b""),
        ],
    )
    def test_with_data(self, text: bytes, statement: str, data_format: str, data: bytes) -> None:
        """The statement, the format, and all the bytes behind."""
        split = split_insert(text)
        assert split is not None
        assert (split[0].strip().splitlines()[-1].removesuffix("/* VALUES */").strip(), split[1]) == (
            statement,
            data_format,
        )
        assert text[split[2] :] == data

    @pytest.mark.parametrize(
        "text",
        [
            b"SELECT 1 FORMAT CSV",
            b"INSERT INTO t SELECT 1 FORMAT CSV",
            b"INSERT INTO t WITH 1 AS x SELECT x",
            b"",
            b"INSERT INTO t FROM INFILE 'x' FORMAT CSV",
        ],
    )
    def test_without(self, text: bytes) -> None:
        """Nothing to split."""
        assert split_insert(text) is None
