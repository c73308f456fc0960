"""ClickHouse's HTTP interface over the embedded engine: the protocol, who may do what, and that nothing gets stuck."""

import gzip
import json
import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import lz4.frame
import pytest
import zstandard
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clickhouse.engine import Engine
from clickhouse.http import frames
from clickhouse.http.errors import QueryError
from clickhouse.http.policy import (
    ENGINES,
    REFUSED_FUNCTIONS,
    REFUSED_PREFIXES,
    SYSTEM_TABLES,
    TABLE_FUNCTIONS,
    Reach,
)
from clickhouse.http.statement import split_insert
from tests.server import NO_TLS, Server, eventually

REVIEWED = Path(__file__).parent / "data" / "functions.txt"


class Door:
    """The interface of a running server, as one of its users sees it."""

    def __init__(self, server: Server, user: str) -> None:
        lines = (server.data / "credentials.env").read_text().splitlines()
        passwords = dict(line.split("=", 1) for line in lines)
        name = "CLICKHOUSE_PASSWORD" if user == "telemetry_user" else "TELEMETRY_READER_PASSWORD"
        self.url = f"http://{server.listening['clickhouse_http']}/"
        self.auth = (user, passwords[name])

    def post(self, content: str | bytes = b"", **params: str) -> httpx.Response:
        """Send one POST; `headers_…` become headers."""
        headers = {
            key[8:].replace("_", "-"): params.pop(key) for key in list(params) if key.startswith("headers_")
        }
        return httpx.post(
            self.url,
            content=content,
            params=params,
            headers=headers,
            auth=self.auth,
            timeout=60,
            verify=NO_TLS,
        )

    def get(self, **params: str) -> httpx.Response:
        """Send one GET."""
        return httpx.get(self.url, params=params, auth=self.auth, timeout=60, verify=NO_TLS)

    def text(self, sql: str, **params: str) -> str:
        """Run a statement that must succeed."""
        answer = self.post(sql, **params)
        assert answer.status_code == 200, answer.text
        return answer.text

    def refused(self, sql: str | bytes, **params: str) -> tuple[int, int]:
        """Run a statement that must fail; give the status and ClickHouse's code."""
        answer = self.post(sql, **params)
        code = int(answer.headers["x-clickhouse-exception-code"])
        assert answer.text.startswith(f"Code: {code}. DB::Exception: "), answer.text
        return answer.status_code, code


@pytest.fixture(scope="module")
def reader(server: Server) -> Door:
    """Ask as the user who only reads."""
    return Door(server, "telemetry_reader")


@pytest.fixture(scope="module")
def writer(server: Server) -> Door:
    """Ask as the user who writes too."""
    return Door(server, "telemetry_user")


@pytest.fixture
def table(writer: Door) -> Iterator[str]:
    """Make a table of two columns for one test."""
    writer.text("CREATE TABLE scratch (a UInt32, b String) ENGINE = MergeTree ORDER BY a")
    yield "scratch"
    writer.text("DROP TABLE scratch")


def test_ping_and_the_root_need_no_password(reader: Door) -> None:
    """Load balancers ask so."""
    for path, method in (("ping", "GET"), ("replicas_status", "GET"), ("", "GET"), ("ping", "HEAD")):
        answer = httpx.request(method, reader.url + path, verify=NO_TLS)
        assert (answer.status_code, answer.text) == (200, "" if method == "HEAD" else "Ok.\n")
    assert httpx.get(reader.url + "nothing", verify=NO_TLS).status_code == 404


def test_a_query_comes_in_the_url_the_body_or_both(reader: Door) -> None:
    """The body goes on where the URL ends."""
    assert reader.get(query="SELECT 1").text == "1\n"
    assert reader.post("SELECT 2").text == "2\n"
    assert reader.post("+ 3", query="SELECT 2").text == "5\n"
    assert reader.post(" ; ").status_code == 400
    assert reader.refused("") == (400, 62)


def test_head_answers_with_headers_alone(reader: Door) -> None:
    """As a server does."""
    identity = {"accept-encoding": "identity"}
    answer = httpx.head(
        reader.url, params={"query": "SELECT 1"}, headers=identity, auth=reader.auth, verify=NO_TLS
    )
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "2")


def test_formats_come_from_the_query_the_header_or_the_url(reader: Door) -> None:
    """The nearest wins."""
    assert reader.text("SELECT 1 AS a FORMAT JSONEachRow", default_format="CSV") == '{"a":1}\n'
    assert reader.text("SELECT 'x'", headers_x_clickhouse_format="CSV") == '"x"\n'
    assert reader.text("SELECT 'x' -- why\n;", default_format="JSONCompactEachRow") == '["x"]\n'
    answer = reader.post("SELECT 1 AS a FORMAT JSON")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-clickhouse-format"] == "JSON"
    assert answer.json()["data"] == [{"a": 1}]
    assert reader.refused("SELECT 1 FORMAT Nonsense") == (404, 73)


def test_a_default_format_is_a_name_never_sql(reader: Door, writer: Door, table: str) -> None:
    """It becomes a part of the statement after that was judged."""
    for evil in (
        "TSV; SELECT file('/etc/passwd')",
        "TSV SETTINGS max_threads = 1",
        "TSV INTO OUTFILE '/tmp/never'",
        "é",
    ):
        assert reader.refused("SELECT 1", default_format=evil) == (404, 73)
        assert writer.refused("SELECT 1", headers_x_clickhouse_format=evil.replace("é", "a b")) == (404, 73)
        assert writer.refused("(1, 'x')", query=f"INSERT INTO {table}", default_format=evil) == (404, 73)


@pytest.mark.parametrize(
    ("sql", "result"),
    [
        ("SELECT 'a FORMAT b' FORMAT TSV", "a FORMAT b\n"),
        ("SELECT $$ FORMAT CSV $$", " FORMAT CSV \n"),
        ("SELECT 1 /* FORMAT CSV */", "1\n"),
        ("SELECT 1 -- FORMAT CSV", "1\n"),
        ("SELECT 'é' AS `FORMAT` FORMAT CSV", '"é"\n'),
        # What a reader has already, since it may change nothing.
        (f"SELECT 1 FORMAT CSV SETTINGS max_threads = {os.cpu_count()}", "1\n"),
        (f"SELECT 1 SETTINGS max_threads = {os.cpu_count()} FORMAT CSV;", "1\n"),
        ("(SELECT 1) UNION ALL (SELECT 1)", "1\n1\n"),
        ("SELECT 'COMPRESSION ''none'''", "COMPRESSION \\'none\\'\n"),
        ("WITH 5 AS x SELECT x /* a */ ; /* b */", "5\n"),
    ],
)
def test_where_a_statement_ends_is_the_parsers_to_say(reader: Door, sql: str, result: str) -> None:
    """Nothing in strings, comments and names is taken for a clause."""
    assert reader.text(sql) == result


def test_parameters_are_values_never_sql(reader: Door) -> None:
    """Whatever stands in one, it stays one value."""
    evil = "x'; DROP TABLE otel_logs; -- \\"
    answer = reader.text("SELECT {x:String} AS v FORMAT JSONEachRow", param_x=evil.replace("\\", "\\\\"))
    assert json.loads(answer) == {"v": evil}
    assert reader.text("SELECT count() FROM {t:Identifier}", param_t="otel_logs") == "0\n"
    assert reader.refused(
        "SELECT * FROM {d:Identifier}.{t:Identifier}", param_d="system", param_t="processes"
    ) == (403, 497)
    assert reader.refused("SELECT * FROM {t:Identifier}", param_t="system.processes")[1] in {60, 497}
    assert reader.refused("SELECT {x:UInt8}") == (404, 456)
    assert reader.refused("SELECT {x:UInt8}", param_x="a b") == (500, 457)


def test_every_answer_says_what_it_is(reader: Door) -> None:
    """The headers that clients read."""
    answer = reader.post(
        "SELECT number FROM numbers(3)", query_id="my id", headers_accept_encoding="identity"
    )
    summary = json.loads(answer.headers["x-clickhouse-summary"])
    assert answer.headers["x-clickhouse-query-id"] == "my id"
    assert answer.headers["x-clickhouse-timezone"]
    assert answer.headers["content-length"] == "6"
    assert (summary["read_rows"], summary["result_rows"]) == ("3", "3")
    assert int(summary["elapsed_ns"]) > 0


def test_a_query_id_cannot_add_a_header(reader: Door) -> None:
    """It comes back without what ends a line."""
    answer = reader.post("SELECT 1", query_id="a\r\nx-evil: 1")
    assert answer.headers["x-clickhouse-query-id"] == "ax-evil: 1"
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_results_are_compressed_when_the_client_can_read_it(reader: Door, encoding: str) -> None:
    """Small and large results alike; not when it is switched off."""
    for rows in (10, 500_000):
        answer = reader.post(f"SELECT number FROM numbers({rows})", headers_accept_encoding=encoding)
        assert answer.headers["content-encoding"] == encoding
        assert answer.text == "".join(f"{number}\n" for number in range(rows))
    plain = reader.post("SELECT 1", headers_accept_encoding=encoding, enable_http_compression="0")
    assert "content-encoding" not in plain.headers


def test_lz4_and_brotli_are_offered(reader: Door) -> None:
    """As a server offers them."""
    with (
        httpx.Client(auth=reader.auth, verify=NO_TLS) as client,
        client.stream(
            "POST", reader.url, content="SELECT 7", headers={"accept-encoding": "br, lz4"}
        ) as answer,
    ):
        assert answer.headers["content-encoding"] == "lz4"
        assert lz4.frame.decompress(b"".join(answer.iter_raw())) == b"7\n"


def test_clickhouses_own_frames_are_those_of_its_files(engine: Engine) -> None:
    """What the engine wrote to disk in this format is read, and what is packed here reads back."""
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


def test_compress_and_decompress_use_clickhouses_frames(reader: Door, writer: Door, table: str) -> None:
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
        ("zstd", zstandard.ZstdCompressor().compress),
        ("lz4", lz4.frame.compress),
    ],
)
def test_data_comes_in_every_encoding(
    reader: Door, writer: Door, table: str, encoding: str, compress: Callable[[bytes], bytes]
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
def test_data_follows_an_insert(reader: Door, writer: Door, table: str, query: str, body: bytes) -> None:
    """In the body, behind the statement wherever that stands."""
    answer = writer.post(body, query=query) if query else writer.post(body)
    if query == "INSERT INTO scratch (a, b)":
        assert answer.status_code == 400  # the data's default format is Values
        return
    assert answer.status_code == 200, answer.text
    assert reader.text(f"SELECT a, b FROM {table}") == "1\tx\n"


def test_data_is_binary_and_large(reader: Door, writer: Door, table: str) -> None:
    """Any byte, in pieces that end anywhere; the summary counts the rows."""
    block = reader.post(
        "SELECT toUInt32(number) AS a, unhex('FF00C3') AS b FROM numbers(400000) FORMAT Native"
    ).content
    head = f"INSERT INTO {table} (a, b) FORMAT Native\n".encode()
    pieces = (
        piece for piece in [head[:9], head[9:], *(block[at : at + 9973] for at in range(0, len(block), 9973))]
    )
    answer = httpx.post(writer.url, content=pieces, auth=writer.auth, timeout=60, verify=NO_TLS)
    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "400000"
    assert reader.text(f"SELECT count(), sum(a), any(hex(b)) FROM {table}") == "400000\t79999800000\tFF00C3\n"


def test_a_failed_insert_stores_nothing_and_says_why(reader: Door, writer: Door, table: str) -> None:
    """With the engine's code and words."""
    assert writer.refused(b"1,x\nnonsense,y\n", query=f"INSERT INTO {table} FORMAT CSV") == (400, 27)
    assert writer.refused(b"1", query="INSERT INTO nowhere FORMAT CSV") == (404, 60)
    assert reader.text(f"SELECT count() FROM {table}") == "0\n"


def test_large_results_stream(reader: Door) -> None:
    """In any format, without waiting for their end."""
    with (
        httpx.Client(auth=reader.auth, verify=NO_TLS, timeout=60) as client,
        client.stream(
            "POST", reader.url, content="SELECT number FROM numbers(3000000) FORMAT JSON"
        ) as answer,
    ):
        assert "content-length" not in answer.headers
        document = json.loads(b"".join(answer.iter_bytes()))
    assert document["rows"] == 3_000_000
    assert document["data"][-1] == {"number": 2_999_999}


def test_an_error_after_the_beginning_is_seen(reader: Door) -> None:
    """It is written behind the data, between marks that the header announces, and the response has no end."""
    received = b""
    with (
        httpx.Client(auth=reader.auth, verify=NO_TLS, timeout=60) as client,
        pytest.raises(httpx.RemoteProtocolError),
        client.stream(
            "POST",
            reader.url,
            content="SELECT throwIf(number = 4000000) FROM numbers(9000000)",
            headers={"accept-encoding": "identity"},
        ) as answer,
    ):
        assert answer.status_code == 200
        tag = answer.headers["x-clickhouse-exception-tag"]
        for piece in answer.iter_raw():
            received += piece
    tail = received[-2000:].decode()
    assert f"\r\n__exception__\r\n{tag}\r\nCode: 395. DB::Exception: " in tail
    assert tail.endswith(f" {tag}\r\n__exception__\r\n")


def test_wait_end_of_query_turns_it_into_a_status(reader: Door) -> None:
    """Nothing is sent before the end is known."""
    assert reader.refused(
        "SELECT throwIf(number = 4000000) FROM numbers(9000000)", wait_end_of_query="1"
    ) == (500, 395)
    answer = reader.post("SELECT number FROM numbers(3000000)", wait_end_of_query="1")
    assert json.loads(answer.headers["x-clickhouse-summary"])["result_rows"] == "3000000"
    assert answer.text.endswith("\n2999999\n")


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
def test_blocks_for_clients_of_a_protocol_version(reader: Door, column: str) -> None:
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


def test_zones_come_back_for_clients_of_a_protocol_version(reader: Door) -> None:
    """The engine leaves them out of DateTime for clients of none."""
    sql = "SELECT toDateTime(0, 'Asia/Tokyo') AS t, [toDateTime(0, 'UTC')] AS a FORMAT Native"
    assert b"Tokyo" not in reader.post(sql).content
    newer = reader.post(sql, client_protocol_version="54460").content
    assert b"\x16DateTime('Asia/Tokyo')\0" in newer
    assert b"\x16Array(DateTime('UTC'))\0" in newer
    assert reader.refused("SELECT sumState(1) FORMAT Native", client_protocol_version="54460") == (501, 48)


class TestWhoMayDoWhat:
    """Users, passwords and rights."""

    def test_a_password_is_needed(self, server: Server, reader: Door) -> None:
        """By any of the three ways; a wrong one tells nothing of whether the user exists."""
        user, password = reader.auth
        ways: list[dict[str, object]] = [
            {"auth": (user, password)},
            {"headers": {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}},
            {"params": {"user": user, "password": password, "query": "SELECT 1"}},
        ]
        for way in ways:
            assert (
                httpx.post(reader.url, verify=NO_TLS, **{"params": {"query": "SELECT 1"}, **way}).text
                == "1\n"
            )  # type: ignore[arg-type]
        nobody = httpx.post(reader.url, content="SELECT 1", verify=NO_TLS)
        assert (nobody.status_code, nobody.headers["x-clickhouse-exception-code"]) == (401, "194")
        assert nobody.headers["www-authenticate"].startswith("Basic ")
        answers = [
            httpx.post(reader.url, content="SELECT 1", auth=(name, "wrong"), verify=NO_TLS)
            for name in (user, "nobody", "default", "")
        ]
        assert {
            (answer.status_code, answer.headers["x-clickhouse-exception-code"]) for answer in answers
        } == {(403, "516")}
        assert len({answer.text for answer in answers}) == 1
        assert "wrong" not in server.log.read_text()

    def test_passwords_are_generated_for_the_owner_alone(self, server: Server) -> None:
        """In a file that nobody else can read, and never in the log."""
        file = server.data / "credentials.env"
        assert file.stat().st_mode & 0o777 == 0o600
        passwords = [line.partition("=")[2] for line in file.read_text().splitlines()]
        assert len(set(passwords)) == 2
        assert min(map(len, passwords)) >= 32
        assert not any(password in server.log.read_text() for password in passwords)

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT * FROM file('/etc/passwd', 'LineAsString')",
            "SELECT * FROM `file`('/etc/passwd')",
            "SELECT * FROM FILE('/etc/passwd', 'LineAsString')",
            "SELECT file('/etc/passwd')",
            "SELECT 1 WHERE (SELECT file('/etc/passwd')) != ''",
            "WITH x AS (SELECT file('/etc/passwd')) SELECT * FROM x",
            "SELECT arrayMap(x -> file(x), ['/etc/passwd'])",
            "EXPLAIN SELECT * FROM file('/etc/passwd', 'LineAsString')",
            "EXPLAIN SYNTAX SELECT file('/etc/passwd')",
            "DESCRIBE TABLE file('/etc/passwd', 'LineAsString')",
            "DESCRIBE (SELECT * FROM url('http://127.0.0.1:1/', 'CSV'))",
            "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
            "SELECT * FROM remote('127.0.0.1:1', system.one)",
            "SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV', 'a String')",
            "SELECT * FROM executable('id', 'TSV', 'a String')",
            "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
            "SELECT * FROM sqlite('/tmp/a', 'b')",
            "SELECT * FROM python('x')",
            "SELECT * FROM merge('system', 'processes')",
            "SELECT * FROM loop('system', 'processes')",
            "SELECT * FROM input('a String')",
            "SELECT * FROM eval('SELECT 1')",
            "SELECT aiGenerate('x', 'y')",
            "SELECT * APPLY(file) FROM (SELECT '/etc/passwd' AS x)",
            "SELECT * APPLY file FROM (SELECT '/etc/passwd' AS x)",
            "SELECT arrayMap(file, ['/etc/passwd'])",
            "SELECT arrayMap(otlp_hash, ['x'], ['y'])",
            "SELECT fullHostName()",
            "DESCRIBE url('http://127.0.0.1:1/', CSV) AS `a\\nb`",
            "DESCRIBE sqlite('/tmp/never', 't') AS `a\\nb`",
            "DESCRIBE (SELECT 1)",
            "DESCRIBE TABLE default.`/etc/passwd`",
            "EXISTS TABLE default.`/etc/passwd`",
            "SHOW CREATE TABLE default.x",
            "SHOW CREATE TABLE system.processes",
            "SELECT * FROM format(Values, 'a String', '(file(''/etc/passwd''))')",
            "SELECT * FROM format(JSONEachRow, 'a String DEFAULT file(''/etc/passwd'')', '{}')",
            "SELECT b FROM values('a String, b String ALIAS file(''/etc/passwd'')', ('x'))",
            "SELECT b FROM null('a String, b String ALIAS file(''/etc/passwd'')')",
            "SELECT 1 IN file('/etc/passwd', 'LineAsString')",
            "SELECT 1 INTO OUTFILE '/tmp/never'",
            "SELECT 1 INTO/**/OUTFILE '/tmp/never' TRUNCATE FORMAT CSV",
            "SHOW TABLES INTO OUTFILE '/tmp/never'",
            "EXPLAIN SELECT 1 INTO OUTFILE '/tmp/never'",
            "DESCRIBE TABLE otel_logs INTO OUTFILE '/tmp/never'",
            "SELECT * FROM system.processes",
            "SELECT * FROM system.users",
            "SELECT * FROM `system`.`processes`",
            "SELECT 1 IN system.processes",
            "SELECT (SELECT count() FROM system.query_log)",
            "SELECT * FROM system.one JOIN system.processes ON 1",
            "SELECT * FROM default.anything",
            "SELECT otlp_redact(1, 'x')",
            "SELECT addressToLine(toUInt64(1))",
            "SELECT joinGet('system.x', 'y', 1)",
            "KILL QUERY WHERE 1",
            "SYSTEM SHUTDOWN",
            "SET max_threads = 1",
            "USE system",
            "SHOW PROCESSLIST",
            "SHOW GRANTS",
            "CREATE USER evil IDENTIFIED BY 'x'",
            "GRANT ALL ON *.* TO default",
            "BACKUP DATABASE telemetry TO File('/tmp/never')",
            "CHECK TABLE otel_logs",
            "BEGIN TRANSACTION",
            "EXECUTE AS default SELECT 1",
        ],
    )
    def test_what_nobody_may(self, reader: Door, writer: Door, sql: str) -> None:
        """Files, the network, other databases, other users, the process."""
        if sql not in {"SET max_threads = 1", "USE system"}:
            assert writer.refused(sql) == (403, 497)
        assert reader.refused(sql) == (403, 497)
        assert not Path("/tmp/never").exists()  # noqa: S108  what the statements name

    @pytest.mark.parametrize(
        ("sql", "code"),
        [
            ("INSERT INTO otel_logs SELECT * FROM otel_logs", 164),
            ("INSERT INTO otel_logs FORMAT JSONEachRow {}", 164),
            ("CREATE TABLE x (a Int8) ENGINE = Memory", 164),
            ("CREATE TEMPORARY TABLE x (a Int8)", 164),
            ("ALTER TABLE otel_logs DELETE WHERE 1", 164),
            ("DELETE FROM otel_logs WHERE 1", 164),
            ("TRUNCATE TABLE otel_logs", 164),
            ("DROP TABLE otel_logs", 164),
            ("RENAME TABLE otel_logs TO x", 164),
            ("OPTIMIZE TABLE otel_logs", 164),
            ("SELECT 1 SETTINGS readonly = 0", 452),
            ("SELECT 1 SETTINGS allow_introspection_functions = 1", 452),
            ("SELECT 1 SETTINGS format_schema = '/etc/passwd'", 452),
            ("SELECT * FROM (SELECT 1 SETTINGS max_memory_usage_for_user = 0)", 452),
            ("SELECT 1 SETTINGS max_execution_time = 100000", 164),
            ("SELECT 1; SELECT 2", 62),
            ("SELECT 1; DROP TABLE otel_logs", 62),
            ("SELECT 1 PARALLEL WITH SELECT 2", 497),
        ],
    )
    def test_what_the_reader_may_not(self, reader: Door, sql: str, code: int) -> None:
        """Write, change settings, or run two statements."""
        assert reader.refused(sql)[1] == code

    @pytest.mark.parametrize(
        "sql",
        [
            "DROP DATABASE telemetry",
            "CREATE DATABASE other",
            "CREATE TABLE default.x (a Int8) ENGINE = Memory",
            "CREATE TABLE x (a Int8) ENGINE = File(CSV)",
            "CREATE TABLE x (a Int8) ENGINE = Buffer('system', 'processes', 1, 1, 1, 1, 1, 1, 1)",
            "CREATE TABLE x (a String DEFAULT arrayMap(file, ['/etc/passwd'])[1]) ENGINE = Memory",
            "DROP TABLE system.contributors",
            "DROP TABLE telemetry.nothing, system.contributors",
            "CREATE TABLE x (a Int8) ENGINE = URL('http://127.0.0.1:1/', CSV)",
            "CREATE TABLE x (a Int8) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = 'local', path = '/a')",
            "CREATE TABLE x (a String DEFAULT file('/etc/passwd')) ENGINE = Memory",
            "CREATE TABLE x AS file('/etc/passwd', 'LineAsString')",
            "CREATE TABLE x AS system.processes",
            "CREATE VIEW x AS SELECT * FROM system.processes",
            "CREATE MATERIALIZED VIEW x TO default.y AS SELECT 1",
            "CREATE DICTIONARY x (a Int8) PRIMARY KEY a SOURCE(FILE(path '/a' format 'CSV')) LAYOUT(FLAT())",
            "CREATE FUNCTION x AS (a) -> file(a)",
            "INSERT INTO FUNCTION file('/tmp/never', 'CSV', 'a Int8') SELECT 1",
            "INSERT INTO otel_logs FROM INFILE '/etc/passwd' FORMAT CSV",
            "INSERT INTO system.one SELECT 1",
            "ALTER TABLE otel_logs ATTACH PARTITION '2026-01-01' FROM system.one",
            "ALTER TABLE otel_logs FREEZE",
            "ALTER TABLE otel_logs MOVE PARTITION '2026-01-01' TO DISK 'x'",
            "ALTER TABLE otel_logs ADD COLUMN x String DEFAULT file('/etc/passwd')",
            "ALTER TABLE otel_logs DELETE WHERE file('/etc/passwd') != ''",
            "ALTER TABLE otel_logs MODIFY SETTING storage_policy = 'x'",
            "ALTER TABLE otel_logs MODIFY SETTING disk = disk(type = 'local', path = '/a')",
            "RENAME TABLE otel_logs TO default.x",
        ],
    )
    def test_what_the_writer_may_not(self, writer: Door, sql: str) -> None:
        """Leave the database."""
        assert writer.refused(sql)[1] in {452, 497}
        assert (
            writer.text("SELECT count() FROM system.tables WHERE database = 'default' OR name = 'x'") == "0\n"
        )

    @pytest.mark.parametrize("changed", ["", "input_format_values_interpret_expressions"])
    def test_data_is_never_sql(self, reader: Door, writer: Door, table: str, changed: str) -> None:
        """The Values format would run what stands in it; nobody can make it."""
        evil = f"INSERT INTO {table} VALUES (1, file('/etc/hostname'))"
        assert writer.refused(evil, **({changed: "1"} if changed else {}))[1] == (452 if changed else 344)
        assert (
            writer.refused(
                evil.replace("VALUES", "SETTINGS input_format_values_interpret_expressions = 1 VALUES")
            )[1]
            == 452
        )
        assert writer.refused("SET input_format_values_interpret_expressions = 1", session_id="s")[1] == 452
        assert reader.text(f"SELECT count() FROM {table}") == "0\n"

    def test_get_changes_nothing(self, writer: Door) -> None:
        """A link cannot write, whoever follows it."""
        answer = writer.get(query="CREATE TABLE x (a Int8) ENGINE = Memory")
        assert answer.headers["x-clickhouse-exception-code"] == "164"

    def test_the_writer_makes_alters_and_drops_tables(self, writer: Door) -> None:
        """What migrations and tools need."""
        for sql in (
            "CREATE DATABASE IF NOT EXISTS telemetry",
            "CREATE TABLE w (a UInt8, d Date) ENGINE = MergeTree ORDER BY a TTL d + toIntervalDay(5)",
            "ALTER TABLE w MODIFY SETTING ttl_only_drop_parts = 1",
            "ALTER TABLE w MODIFY TTL d + toIntervalDay(9)",
            "ALTER TABLE w ADD COLUMN b String",
            "INSERT INTO w SELECT number, today(), 'x' FROM numbers(3)",
            "ALTER TABLE w DELETE WHERE a = 1 SETTINGS mutations_sync = 1",
            "OPTIMIZE TABLE w FINAL",
        ):
            writer.text(sql)
        assert writer.text("SELECT groupArray(a) FROM w") == "[0,2]\n"
        writer.text("RENAME TABLE w TO v")
        writer.text("DROP TABLE v")

    def test_settings_of_the_url_are_a_safe_list(self, reader: Door) -> None:
        """A safe one counts, up to the reader's limit; another is refused by name."""
        sql = "SELECT getSetting('max_execution_time'), getSetting('join_use_nulls'), getSetting('readonly')"
        assert reader.text(sql, max_execution_time="7", join_use_nulls="1") == "7\ttrue\t1\n"
        assert reader.text(sql, max_execution_time="99999", readonly="0").startswith("60\t")
        assert reader.text(sql, max_execution_time="0").startswith("60\t")
        assert reader.text("SELECT toDateTime(0)", session_timezone="Asia/Tokyo") == "1970-01-01 09:00:00\n"
        for name in (
            "format_schema",
            "allow_ddl",
            "log_queries_min_type",
            "output_format_schema",
            "nonsense",
            "user_files_path",
        ):
            assert reader.refused("SELECT 1", **{name: "1"})[1] == 452

    def test_the_reader_is_read_only_in_the_engine_too(self, reader: Door) -> None:
        """Not by our judgement alone."""
        assert reader.text("SELECT getSetting('readonly')") == "1\n"

    def test_what_tools_look_up_is_there(self, reader: Door) -> None:
        """Tables, columns, settings, formats, plans."""
        assert "otel_logs\n" in reader.text("SHOW TABLES")
        assert "TraceId\tString" in reader.text("DESCRIBE TABLE telemetry.otel_traces")
        assert reader.text("EXISTS TABLE otel_logs") == "1\n"
        assert "CREATE TABLE telemetry.otel_logs" in reader.text("SHOW CREATE TABLE otel_logs")
        assert (
            reader.text("SELECT count() FROM information_schema.columns WHERE table_name = 'otel_logs'")
            == "16\n"
        )
        assert (
            reader.text("SELECT DISTINCT database FROM system.columns WHERE table = 'otel_logs'")
            == "telemetry\n"
        )
        assert "ReadFromMergeTree (telemetry.schema_migrations)" in reader.text(
            "EXPLAIN SELECT * FROM schema_migrations"
        )
        assert reader.text("SELECT x FROM view(SELECT 1 AS x)") == "1\n"

    def test_other_databases_cannot_be_used(self, reader: Door) -> None:
        """`default` gives the telemetry database: clients name it when they are told nothing else."""
        assert reader.text("SELECT currentDatabase()") == "telemetry\n"
        assert reader.text("SELECT currentDatabase()", database="default") == "telemetry\n"
        assert reader.refused("SELECT * FROM `/etc/passwd`", database="default") == (404, 60)
        assert reader.refused("SELECT 1", database="system") == (403, 497)


class TestTheEnginesFunctions:
    """So that a new version of the engine cannot open a hole unseen."""

    def test_every_function_was_reviewed(self, engine: Engine) -> None:
        """One that is new must be looked at, refused if it reaches out, and then added to the list."""
        known = set(REVIEWED.read_text().split())
        found = {row[0] for row in engine.rows("SELECT name FROM system.functions WHERE origin = 'System'")}
        assert sorted(found - known) == []

    def test_table_functions_are_refused_unless_known(self, engine: Engine) -> None:
        """All but those on the list, and none on it touches files or the network."""
        found = {row[0] for row in engine.rows("SELECT name FROM system.table_functions")}
        reach = Reach(found, [])
        assert {name for name in found if not reach.refuses(name)} == {
            *("numbers", "numbers_mt", "zeros", "zeros_mt", "primes", "generateSeries", "generate_series"),
            "view",
        }
        assert {name.lower() for name in found} >= TABLE_FUNCTIONS

    def test_the_lists_name_what_exists(self, engine: Engine) -> None:
        """A name that the engine does not know protects nothing."""
        functions = {row[0].lower() for row in engine.rows("SELECT name FROM system.functions")}
        functions |= {row[0].lower() for row in engine.rows("SELECT name FROM system.table_functions")}
        assert sorted(name for name in REFUSED_FUNCTIONS if name not in functions) == []
        unused = [p for p in REFUSED_PREFIXES if not any(name.startswith(p) for name in functions)]
        assert set(unused) <= {"otlp_"}
        engines = {row[0] for row in engine.rows("SELECT name FROM system.table_engines")} | {"Atomic"}
        assert sorted(ENGINES - engines) == []
        tables = {row[0] for row in engine.rows("SELECT name FROM system.tables WHERE database = 'system'")}
        assert sorted(SYSTEM_TABLES - tables) == []


class TestBounds:
    """What a query may take, and that others do not feel it."""

    def test_time_memory_rows_and_bytes_are_limited(self, start: Callable[..., Server]) -> None:
        """By the engine, with its own codes."""
        server = start(
            TELEMETRY_QUERY_SECONDS="1",
            TELEMETRY_QUERY_MEMORY_BYTES=str(64 << 20),
            TELEMETRY_QUERY_RESULT_ROWS="100000",
            TELEMETRY_QUERY_RESULT_BYTES="1000000",
        )
        door = Door(server, "telemetry_reader")
        assert door.refused("SELECT count() FROM numbers(1000000000000)") == (408, 159)
        assert door.refused("SELECT uniqExact(number) FROM numbers(100000000)")[1] == 241
        assert door.refused("SELECT number FROM numbers(200000)")[1] == 396
        assert (
            door.refused("SELECT repeat('x', 1000) FROM numbers(10000)", headers_accept_encoding="identity")[
                1
            ]
            == 396
        )

    def test_queries_wait_for_a_slot_and_then_are_told(self, start: Callable[..., Server]) -> None:
        """One at a time here; the other user's slots are free meanwhile."""
        server = start(TELEMETRY_QUERIES="1", TELEMETRY_QUERY_SECONDS="14")
        reader, writer = Door(server, "telemetry_reader"), Door(server, "telemetry_user")
        heavy = threading.Thread(target=reader.post, args=("SELECT count() FROM numbers(1000000000000)",))
        heavy.start()
        eventually(lambda: running(server) == 1)
        assert writer.text("SELECT 1") == "1\n"
        assert reader.refused("SELECT 1") == (503, 202)
        heavy.join()
        assert reader.text("SELECT 1") == "1\n"

    def test_a_query_stops_when_its_client_goes(self, server: Server, reader: Door) -> None:
        """In the engine, whether it had sent anything or not."""
        for sql in (
            "SELECT count() FROM numbers(1000000000000)",
            "SELECT number FROM numbers(1000000000000)",
        ):
            with (
                pytest.raises(httpx.ReadTimeout),
                httpx.Client(auth=reader.auth, timeout=0.7, verify=NO_TLS) as client,
                client.stream("POST", reader.url, content=sql) as answer,
            ):
                for _ in answer.iter_raw():
                    time.sleep(0.5)
                    raise httpx.ReadTimeout("enough")
            eventually(lambda: server.metric("telemetry_queries_total", outcome="cancelled") > 0)
            eventually(lambda: cpu_share(server) < 0.3)

    def test_a_slow_reader_holds_nothing_but_its_slot(self, server: Server, reader: Door) -> None:
        """The engine waits for it, and memory does not grow with the result."""
        with (
            httpx.Client(auth=reader.auth, timeout=60, verify=NO_TLS) as client,
            client.stream(
                "POST", reader.url, content="SELECT number, repeat('x', 200) FROM numbers(4000000)"
            ) as answer,
        ):
            pieces = answer.iter_raw()
            next(pieces)
            time.sleep(1)  # the buffers on the way fill
            before = resident_mib(server)
            time.sleep(1.5)
            assert resident_mib(server) - before < 30
            assert reader.text("SELECT 1") == "1\n"

    def test_a_slow_body_is_given_up(self, start: Callable[..., Server]) -> None:
        """It would hold a slot of the other writers; nothing of it is stored."""
        server = start(TELEMETRY_BODY_TIMEOUT_SECONDS="1", TELEMETRY_QUERIES="1")
        door = Door(server, "telemetry_user")
        door.text("CREATE TABLE slow (a UInt8) ENGINE = Memory")
        head = f"POST /?query=INSERT+INTO+slow+FORMAT+CSV&user={door.auth[0]}&password={door.auth[1]} HTTP/1.1\r\n"
        with server.connect("clickhouse_http") as client:
            client.sendall(f"{head}Host: x\r\nContent-Length: 1000\r\n\r\n1\n2\n".encode())
            answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"x-clickhouse-exception-code: 209" in answer
        assert door.text("SELECT count() FROM slow") == "0\n"

    def test_statements_have_a_largest_size(self, reader: Door) -> None:
        """A hundred megabytes are refused before they are read."""
        assert reader.refused(f"SELECT '{'x' * 300_000}'") == (400, 62)
        begun = time.monotonic()
        pieces = (b"SELECT '" if n == 0 else b"x" * 1_000_000 for n in range(100))
        try:
            answer = httpx.post(reader.url, content=pieces, auth=reader.auth, timeout=60, verify=NO_TLS)
            assert answer.status_code == 400
        except httpx.TransportError:
            pass  # the server need not read the rest
        assert time.monotonic() - begun < 30
        assert reader.text("SELECT 1") == "1\n"

    def test_bombs_cost_little(self, server: Server, reader: Door, writer: Door, table: str) -> None:
        """Whatever they say they hold, and whatever they hold."""
        before = resident_mib(server)
        bomb = zstandard.ZstdCompressor().compress(bytes(1 << 29))
        assert reader.refused(bomb, headers_content_encoding="zstd")[1] == 62
        frame = zstandard.ZstdCompressor().compress(bytes(1 << 29))
        head = b"\x90" + (len(frame) + 9).to_bytes(4, "little") + (100).to_bytes(4, "little")
        framed = frames._hash(head + frame) + head + frame
        assert writer.refused(framed, query=f"INSERT INTO {table} FORMAT CSV", decompress="1")[1] == 89
        sql = "SELECT repeat('x', 1000000) FROM numbers(900) FORMAT Native"
        assert reader.refused(sql, client_protocol_version="54480")[1] in {241, 396}
        assert resident_mib(server) - before < 700

    def test_a_client_that_does_not_read_is_given_up(self, start: Callable[..., Server]) -> None:
        """Its slot is another's in the end."""
        server = start(TELEMETRY_QUERY_SECONDS="2", TELEMETRY_QUERIES="1")
        door = Door(server, "telemetry_reader")
        with (
            httpx.Client(auth=door.auth, timeout=60, verify=NO_TLS) as client,
            client.stream(
                "POST", door.url, content="SELECT number, repeat('x', 99) FROM numbers(9000000)"
            ) as answer,
        ):
            next(answer.iter_raw())
            assert door.text("SELECT 1") == "1\n"

    @pytest.mark.parametrize(
        "text",
        [
            "/*" * 120_000,
            "'" + "\\'" * 120_000,
            "INSERT INTO t /*" + "/*" * 120_000,
            "SELECT 1" + " " * 250_000 + "+ x",
            "SELECT 1" + ";" * 250_000 + "x",
            "-" * 250_000,
        ],
    )
    def test_no_text_is_looked_at_again_and_again(self, reader: Door, text: str) -> None:
        """What is never closed, and what ends late, is an error as quickly as anything else."""
        threads = [threading.Thread(target=reader.post, args=(text,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert reader.text("SELECT 1") == "1\n"
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)
        assert reader.refused(text)[1] in {46, 47, 60, 62}

    def test_deep_nesting_is_an_error(self, reader: Door) -> None:
        """And the server lives."""
        status, code = reader.refused("SELECT " + "(" * 50_000 + "1" + ")" * 50_000)
        assert (status, code) in {(500, 306), (400, 62), (400, 167), (400, 168)}
        assert reader.text("SELECT 1") == "1\n"

    def test_wrong_passwords_in_a_loop_leave_it_quick(self, reader: Door) -> None:
        """Each is refused, none costs more than its answer."""
        with httpx.Client(auth=("telemetry_reader", "wrong"), verify=NO_TLS) as client:
            assert {client.post(reader.url, content="SELECT 1").status_code for _ in range(300)} == {403}
        assert reader.text("SELECT 1") == "1\n"

    @pytest.mark.slow
    def test_the_heaviest_query_does_not_stop_ingestion(self, start: Callable[..., Server]) -> None:
        """Four of them in a loop, and every span is acknowledged within ten seconds and stored."""
        server = start(TELEMETRY_QUERY_SECONDS="3")
        door = Door(server, "telemetry_reader")
        stop = threading.Event()
        codes: list[int] = []

        def load() -> None:
            while not stop.is_set():
                codes.append(
                    door.refused(
                        "SELECT uniqExact(cityHash64(number, toString(number))) FROM numbers(10000000000)"
                    )[1]
                )

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        request = ExportTraceServiceRequest()
        span = request.resource_spans.add().scope_spans.add().spans.add()
        slowest = 0.0
        for number in range(40):
            span.name, span.start_time_unix_nano = f"span {number}", time.time_ns()
            begun = time.monotonic()
            server.export("traces", request.SerializeToString(), timeout=10)
            slowest = max(slowest, time.monotonic() - begun)
        stop.set()
        for thread in threads:
            thread.join()
        assert slowest < 10
        assert set(codes) <= {159, 241, 394}
        assert len(codes) >= 4
        assert door.text("SELECT count() FROM otel_traces") == "40\n"


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


def test_error_texts_keep_their_code() -> None:
    """Whatever the engine puts around it."""
    error = QueryError("Streaming query failed: Code: 62. DB::Exception: Syntax\nerror (SYNTAX_ERROR)\n")
    assert (error.code, error.status, error.text) == (
        62,
        400,
        "Code: 62. DB::Exception: Syntax error (SYNTAX_ERROR)",
    )
    assert "Syntax" not in str(error)


def running(server: Server) -> int:
    """Tell whether the server's threads are at work, by its use of a core."""
    return int(cpu_share(server) > 0.5)


def cpu_share(server: Server) -> float:
    """Measure the cores that the server uses, over a third of a second."""

    def used() -> float:
        fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    before, begun = used(), time.monotonic()
    time.sleep(0.35)
    return (used() - before) / (time.monotonic() - begun)


def resident_mib(server: Server) -> float:
    """Read the server's resident memory."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def test_an_insert_that_fails_at_its_end_is_refused(writer: Door, table: str) -> None:
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
