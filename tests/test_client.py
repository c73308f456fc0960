"""The one client of ClickHouse's HTTP interface, against a real server, and against servers that fail in the middle."""

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from access.refusal import Refusal
from access.store import open_store
from clickhouse.client import Client
from clickhouse.client_errors import ClientError, CredentialsRefused, StatementRefused, Unreachable
from clickhouse.endpoint import Endpoint, ServerEndpoint, reader_endpoint, server_endpoint, writer_endpoint
from config.settings import load
from telemetry.cli import main
from tests.certificates import Authority
from tests.server import Server
from tests.test_server_writer import Behave, answering, behind_tls
from tests.test_server_writer import server as serving

BROKEN = (
    b"Code: 241. DB::Exception: Memory limit exceeded: 'secret (SECRET)'. (MEMORY_LIMIT_EXCEEDED)"
    b" (version 26.8.20.9 (official build))\n"
)
MARKED = b"rows\r\n__exception__\r\ntag\r\n" + BROKEN + b"120 tag\r\n__exception__\r\n"
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def writer(server: Server) -> Iterator[Client]:
    with Client(server.endpoint(writes=True)) as client:
        yield client


@pytest.fixture
def table(writer: Client) -> Iterator[str]:
    """Make a table of one number, partitioned by it."""
    writer.command("CREATE TABLE client_test (n UInt64) ENGINE = MergeTree PARTITION BY n ORDER BY n")
    yield "`client_test`"
    writer.command("DROP TABLE client_test SYNC")


def with_length(body: bytes, more: int = 0) -> bytes:
    return OK + b"Content-Length: %d\r\n\r\n" % (len(body) + more) + body


def in_chunks(*pieces: bytes, headers: bytes = b"", end: bytes = b"0\r\n\r\n") -> bytes:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
    return OK + headers + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + end


def answered_by(server: Server, behave: Behave, ask: Callable[[Client], object]) -> None:
    """Ask once, on a client whose server has become another one since it connected."""
    with Client(server.endpoint(), 5) as client, serving(behave) as port:
        client.open()
        assert client._driver is not None
        client._driver._backend._base_url = f"http://127.0.0.1:{port}/"
        ask(client)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (with_length(b"rows" + BROKEN), "MEMORY_LIMIT_EXCEEDED"),
        (with_length(MARKED), "MEMORY_LIMIT_EXCEEDED"),
        (in_chunks(MARKED, headers=b"X-ClickHouse-Exception-Tag: tag\r\n"), "MEMORY_LIMIT_EXCEEDED"),
        (in_chunks(MARKED, headers=b"X-ClickHouse-Exception-Tag: tag\r\n", end=b""), "MEMORY_LIMIT_EXCEEDED"),
        (with_length(b"rows", more=500), "CUT_OFF"),
        (in_chunks(b"rows", end=b""), "CUT_OFF"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "BAD_ANSWER"),
    ],
    ids=["trailing text", "mark", "announced", "announced, cut", "cut", "chunks, cut", "502"],
)
def test_a_result_that_fails_in_the_middle_is_no_result(server: Server, sent: bytes, reason: str) -> None:
    """A server says so behind the rows that it has sent, with 200 before them, or just goes."""
    with pytest.raises(ClientError) as caught:
        answered_by(server, answering(sent), lambda client: list(client.stream("SELECT 1")))
    assert caught.value.reason == reason
    assert "secret" not in str(caught.value).lower()


QUOTING = b"a row that quotes " + BROKEN


@pytest.mark.parametrize(
    ("sent", "rows"),
    [
        (with_length(b"rows"), b"rows"),
        (with_length(QUOTING + b"\x01\x00"), QUOTING + b"\x01\x00"),
        (in_chunks(QUOTING[:9], QUOTING[9:], headers=b"X-ClickHouse-Exception-Tag: tag\r\n"), QUOTING),
    ],
)
def test_a_row_may_look_like_a_failure(server: Server, sent: bytes, rows: bytes) -> None:
    """A result arrives as it was sent, even when its rows quote an exception."""
    answered: list[bytes] = []
    answered_by(server, answering(sent), lambda client: answered.extend(client.stream("SELECT 1")))
    assert b"".join(answered) == rows


def test_a_real_failure_in_the_middle_is_seen(server: Server) -> None:
    """Rows came already; the error names no value."""
    sql = "SELECT throwIf(number = 3000000, 'a value') FROM numbers(10000000)"
    with Client(server.endpoint()) as client:
        pieces = client.stream(sql, None, "TSV")
        assert next(pieces).startswith(b"0\n0\n")
        with pytest.raises(StatementRefused) as caught:
            list(pieces)
    assert (caught.value.code, caught.value.reason) == (395, "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO")
    assert "a value" not in str(caught.value)
    assert "a value" in caught.value.message


def test_rows_are_those_of_the_engine(writer: Client) -> None:
    """The same values as the embedded engine returns: a number of 64 bits is a number."""
    found = writer.rows(
        "SELECT toUInt64(18446744073709551615), {text:String}, {names:Array(String)}, {flag:Bool}",
        {"text": "it's a\t{tab}", "names": ["a'b", "c\\d"], "flag": True, "unused": "%s"},
    )
    assert found == [[18446744073709551615, "it's a\t{tab}", ["a'b", "c\\d"], True]]


def test_what_is_streamed_out_can_be_loaded_again(writer: Client, table: str) -> None:
    """In pieces, of any number of partitions, and as often as it is loaded: it is no repeat."""
    pieces = list(writer.stream("SELECT number AS n FROM numbers(120)"))
    writer.load(table, pieces)
    writer.load(table, iter(pieces))
    assert writer.rows(f"SELECT count(), uniqExact(n) FROM {table}") == [[240, 120]]
    with pytest.raises(StatementRefused, match=r"code 33 \(CANNOT_READ_ALL_DATA\)"):
        writer.load(table, [b"".join(pieces)[:-3]])


def test_a_load_that_its_source_cuts_short_stores_nothing(writer: Client, table: str) -> None:
    """The error is the source's own."""
    data = b"".join(writer.stream("SELECT number AS n FROM numbers(100)"))

    def broken() -> Iterator[bytes]:
        yield data
        raise EOFError("the file ends")

    with pytest.raises(EOFError, match="the file ends"):
        writer.load(table, broken())
    assert writer.rows(f"SELECT count() FROM {table}") == [[0]]


def test_errors_are_told_apart_and_quote_nothing(server: Server) -> None:
    """Each with its remedy; ClickHouse's own words are only where one looks for them."""
    wrong = Endpoint(server.endpoint().url, "telemetry_reader", "hunter2", "telemetry", None, "THE_SETTING")
    with Client(wrong) as client, pytest.raises(CredentialsRefused, match="set THE_SETTING") as unknown:
        client.rows("SELECT 1")
    # A model that is told to wait would only ask again.
    with pytest.raises(Refusal, match="set THE_SETTING") as told:
        open_store(wrong)
    assert told.value.retry_after_seconds is None
    with Client(server.endpoint()) as client:
        with pytest.raises(StatementRefused) as refused:
            client.command("SELECT toUInt8('hunter2')")
        with pytest.raises(StatementRefused, match=r"code 164 \(READONLY\).*only reads"):
            client.command("TRUNCATE TABLE otel_logs")
    assert (refused.value.code, refused.value.reason) == (6, "CANNOT_PARSE_TEXT")
    assert "hunter2" in refused.value.message
    assert "hunter2" not in f"{unknown.value}{refused.value}{unknown.value!r}{refused.value!r}{wrong!r}"


def test_a_client_may_be_made_before_its_server() -> None:
    """It connects when it is asked; half a second to connect is a time like any other."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    client = Client(Endpoint(f"http://127.0.0.1:{port}", "u", "p", "d"), connect_seconds=0.5)
    with pytest.raises(Unreachable, match=r"start the server, or name another one with --url") as caught:
        client.rows("SELECT 1")
    assert caught.value.reason == "CONNECTION_REFUSED"
    client.close()


def test_every_endpoint_follows_the_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Address, user, database, and trusted certificates."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("")
    for name, value in {
        "CLICKHOUSE_URL": "https://clickhouse.example:8443",
        "CLICKHOUSE_USER": "w",
        "CLICKHOUSE_PASSWORD": "wp",
        "TELEMETRY_READER_PASSWORD": "rp",
        "CLICKHOUSE_CA_FILE": str(ca_file),
        "CLICKHOUSE_DATABASE": "d",
    }.items():
        monkeypatch.setenv(name, value)
    settings = load()
    url = "https://clickhouse.example:8443"
    assert reader_endpoint(settings) == Endpoint(
        url, settings.reader_user, "rp", "d", ca_file, "TELEMETRY_READER_PASSWORD"
    )
    assert writer_endpoint(settings) == Endpoint(url, "w", "wp", "d", ca_file)
    assert server_endpoint(settings) == ServerEndpoint(url, "w", "wp", "d", ca_file)
    assert writer_endpoint(settings, "http://other:1").url == "http://other:1"


@pytest.mark.parametrize(
    "command",
    [
        ("query", "SELECT 1"),
        ("report", "--period", "daily"),
        ("backup", "--to", "BACKUPS"),
        ("reset", "--yes", "--older-than", "3000"),
        ("forget", "--dry-run", "--user", "somebody@corp.example.com"),
        ("demo", "--remove"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_trusts_the_authority_that_is_named(
    server: Server, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """And without it says which setting names it."""
    authority = Authority(tmp_path, "clickhouse")
    arguments = [str(tmp_path / "backups") if word == "BACKUPS" else word for word in command]
    own = {name: None for name in os.environ if name.startswith(("TELEMETRY_", "CLICKHOUSE_"))}
    own |= {"TELEMETRY_DATA_DIR": str(server.data)}
    with behind_tls(server.endpoint().url, authority.issue("server")) as url:
        trusted = {**own, "CLICKHOUSE_CA_FILE": str(authority.file)}
        done = CliRunner().invoke(main, [*arguments, "--url", url], env=trusted)
        refused = CliRunner().invoke(main, [*arguments, "--url", url], env=own)
    assert done.exit_code == 0, done.output
    assert (refused.exit_code, "CLICKHOUSE_CA_FILE" in refused.stderr) == (1, True), refused.output
