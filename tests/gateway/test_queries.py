"""Queries over the HTTP interface: their place in a request, formats, parameters, headers, streams, errors."""

import gzip
import json
import os
import zlib
from collections.abc import Callable

import httpx
import lz4.frame
import pytest

from gateway.errors import QueryError
from otlp.compression import zstd
from tests.gateway.client import GatewayClient
from tests.server import NO_TLS


def test_ping_and_the_root_need_no_password(reader: GatewayClient) -> None:
    """Load balancers ask so."""
    for path, method in (("ping", "GET"), ("replicas_status", "GET"), ("", "GET"), ("ping", "HEAD")):
        answer = httpx.request(method, reader.url + path, verify=NO_TLS, timeout=180)
        assert (answer.status_code, answer.text) == (200, "" if method == "HEAD" else "Ok.\n")
    assert httpx.get(reader.url + "nothing", verify=NO_TLS, timeout=180).status_code == 404


def test_a_query_comes_in_the_url_the_body_or_both(reader: GatewayClient) -> None:
    """The body goes on where the URL ends."""
    assert reader.get(query="SELECT 1").text == "1\n"
    assert reader.post("SELECT 2").text == "2\n"
    assert reader.post("+ 3", query="SELECT 2").text == "5\n"
    assert reader.post(" ; ").status_code == 400
    assert reader.refused("") == (400, 62)


def test_head_answers_with_headers_alone(reader: GatewayClient) -> None:
    """As a server does."""
    identity = {"accept-encoding": "identity"}
    answer = httpx.head(
        reader.url, params={"query": "SELECT 1"}, headers=identity, auth=reader.auth, verify=NO_TLS
    )
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "2")


def test_formats_come_from_the_query_the_header_or_the_url(reader: GatewayClient) -> None:
    """The nearest wins."""
    assert reader.text("SELECT 1 AS a FORMAT JSONEachRow", default_format="CSV") == '{"a":1}\n'
    assert reader.text("SELECT 'x'", headers_x_clickhouse_format="CSV") == '"x"\n'
    assert reader.text("SELECT 'x' -- why\n;", default_format="JSONCompactEachRow") == '["x"]\n'
    answer = reader.post("SELECT 1 AS a FORMAT JSON")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-clickhouse-format"] == "JSON"
    assert answer.json()["data"] == [{"a": 1}]
    assert reader.refused("SELECT 1 FORMAT Nonsense") == (404, 73)


def test_a_default_format_is_a_name_never_sql(
    reader: GatewayClient, writer: GatewayClient, table: str
) -> None:
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
        # A reader has this value already, since it may change nothing.
        (f"SELECT 1 FORMAT CSV SETTINGS max_threads = {os.cpu_count()}", "1\n"),
        (f"SELECT 1 SETTINGS max_threads = {os.cpu_count()} FORMAT CSV;", "1\n"),
        ("(SELECT 1) UNION ALL (SELECT 1)", "1\n1\n"),
        ("SELECT 'COMPRESSION ''none'''", "COMPRESSION \\'none\\'\n"),
        ("WITH 5 AS x SELECT x /* a */ ; /* b */", "5\n"),
    ],
)
def test_where_a_statement_ends_is_the_parsers_to_say(reader: GatewayClient, sql: str, result: str) -> None:
    """Nothing in strings, comments and names is taken for a clause."""
    assert reader.text(sql) == result


def test_parameters_are_values_never_sql(reader: GatewayClient) -> None:
    """A parameter of any content stays one value."""
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


def test_every_answer_says_what_it_is(reader: GatewayClient) -> None:
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


def test_a_query_id_cannot_add_a_header(reader: GatewayClient) -> None:
    """It comes back without what ends a line."""
    answer = reader.post("SELECT 1", query_id="a\r\nx-evil: 1")
    assert answer.headers["x-clickhouse-query-id"] == "ax-evil: 1"
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    ("encoding", "decompress"),
    [("gzip", gzip.decompress), ("deflate", zlib.decompress), ("zstd", zstd.decompress)],
)
def test_results_are_compressed_when_the_client_can_read_it(
    reader: GatewayClient, encoding: str, decompress: Callable[[bytes], bytes]
) -> None:
    """Small and large results alike; not when it is switched off."""
    for rows in (10, 500_000):
        sql, headers = f"SELECT number FROM numbers({rows})", {"accept-encoding": encoding}
        with (
            httpx.Client(auth=reader.auth, verify=NO_TLS, timeout=180) as client,
            client.stream("POST", reader.url, content=sql, headers=headers) as answer,
        ):
            assert answer.headers["content-encoding"] == encoding
            text = decompress(b"".join(answer.iter_raw())).decode()
        assert text == "".join(f"{number}\n" for number in range(rows))
    plain = reader.post("SELECT 1", headers_accept_encoding=encoding, enable_http_compression="0")
    assert "content-encoding" not in plain.headers


def test_lz4_and_brotli_are_offered(reader: GatewayClient) -> None:
    """As a server offers them."""
    with (
        httpx.Client(auth=reader.auth, verify=NO_TLS, timeout=180) as client,
        client.stream(
            "POST", reader.url, content="SELECT 7", headers={"accept-encoding": "br, lz4"}
        ) as answer,
    ):
        assert answer.headers["content-encoding"] == "lz4"
        assert lz4.frame.decompress(b"".join(answer.iter_raw())) == b"7\n"


def test_large_results_stream(reader: GatewayClient) -> None:
    """In any format, without waiting for their end."""
    with (
        httpx.Client(auth=reader.auth, verify=NO_TLS, timeout=180) as client,
        client.stream(
            "POST", reader.url, content="SELECT number FROM numbers(3000000) FORMAT JSON"
        ) as answer,
    ):
        assert "content-length" not in answer.headers
        document = json.loads(b"".join(answer.iter_bytes()))
    assert document["rows"] == 3_000_000
    assert document["data"][-1] == {"number": 2_999_999}


def test_an_error_after_the_beginning_is_seen(reader: GatewayClient) -> None:
    """It is written behind the data, between marks that the header announces, and the response has no end."""
    received = b""
    with (
        httpx.Client(auth=reader.auth, verify=NO_TLS, timeout=180) as client,
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


def test_wait_end_of_query_turns_it_into_a_status(reader: GatewayClient) -> None:
    """Nothing is sent before the end is known."""
    assert reader.refused(
        "SELECT throwIf(number = 4000000) FROM numbers(9000000)", wait_end_of_query="1"
    ) == (500, 395)
    answer = reader.post("SELECT number FROM numbers(3000000)", wait_end_of_query="1")
    assert json.loads(answer.headers["x-clickhouse-summary"])["result_rows"] == "3000000"
    assert answer.text.endswith("\n2999999\n")


def test_error_texts_keep_their_code() -> None:
    """With any text of the engine's around it."""
    error = QueryError("Streaming query failed: Code: 62. DB::Exception: Syntax\nerror (SYNTAX_ERROR)\n")
    assert (error.code, error.status, error.text) == (
        62,
        400,
        "Code: 62. DB::Exception: Syntax error (SYNTAX_ERROR)",
    )
    assert "Syntax" not in str(error)
