"""The writer of server mode against servers that lie, hang, are old, are another program, or speak TLS."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from clickhouse.endpoint import ServerEndpoint
from clickhouse.engine import Engine
from clickhouse.migrations import SchemaError, check_columns, columns, migrate, migrations
from clickhouse.pieces import Pieces
from clickhouse.remote import ServerWriter, _check_version
from clickhouse.store import BlockRefused, StoreAway, StoreUnfit, TooManyPartitions, insert_error
from tests.certificates import Authority, Pair
from tests.test_store import sink

__all__ = ["sink"]
Behave = Callable[[socket.socket], None]


@contextmanager
def server(behave: Behave) -> Iterator[int]:
    """Serve each connection so, until the end; those that come while another is open, too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve_one(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                behave(connection)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def answering(text: bytes) -> Behave:
    def behave(connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(text)

    return behave


def reset(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def writer(url: str, ca_file: Path | None = None) -> ServerWriter:
    endpoint = ServerEndpoint(
        url, "writer", "hunter2", "telemetry", ca_file, connect_seconds=1, insert_seconds=1
    )
    return ServerWriter(endpoint, lambda _: None)


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (lambda _: None, "CUT_OFF"),
        (reset, "CUT_OFF"),
        (answering(b"no HTTP at all\r\n\r\n"), "CUT_OFF"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\ncut"), "CUT_OFF"),
        (answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), "BAD_ANSWER"),
        (answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"), "BAD_ANSWER"),
        (answering(b"HTTP/1.1 429 Slow down\r\nContent-Length: 0\r\n\r\n"), "BAD_ANSWER"),
    ],
    ids=["closed", "reset", "garbage", "cut", "another page", "502", "429"],
)
def test_what_is_no_answer_of_clickhouse_is_tried_again(behave: Behave, reason: str) -> None:
    """No such answer is taken for success, and none gives a block up."""
    with server(behave) as port, pytest.raises(StoreAway) as caught:
        writer(f"http://127.0.0.1:{port}").insert("otel_logs", Pieces([]), "token")
    assert (caught.value.reason, caught.value.whole) == (reason, True)
    assert "hunter2" not in str(caught.value)


def test_a_host_that_is_not_there_is_tried_again() -> None:
    """Name servers fail for a while, too."""
    with pytest.raises(StoreAway) as caught:
        writer("http://no.such.host.invalid:8123").open()
    assert caught.value.reason == "UNKNOWN_HOST"


def test_success_is_what_clickhouse_says_and_no_other_page(sink: tuple[str, subprocess.Popen[str]]) -> None:
    """A proxy between may answer 200 to anything once the server is away."""
    url, _ = sink
    made = writer(url)
    made.open()
    assert made._client is not None
    assert made._client._driver is not None
    with server(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as port:
        made._client._driver._backend._base_url = f"http://127.0.0.1:{port}/"
        with pytest.raises(StoreAway) as caught:
            made.insert("otel_logs", Pieces([]), "token")
    made.close()
    assert caught.value.reason == "NOT_CLICKHOUSE"


def test_a_block_goes_again_whole_when_its_connection_was_closed(
    sink: tuple[str, subprocess.Popen[str]],
) -> None:
    """A server closes connections that were idle, and a writer finds out when it has begun to send."""
    url, _ = sink
    made = writer(url)
    made.open()
    assert made._client is not None
    assert made._client._driver is not None
    block = Pieces([b"first piece, ", b"second piece"])
    received: list[bytes] = []

    def close_the_first(connection: socket.socket) -> None:
        sent = b""
        while not sent.endswith(bytes(block)):
            sent += connection.recv(1 << 16)
        received.append(sent)
        if len(received) > 1:
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nX-ClickHouse-Query-Id: 1\r\nX-ClickHouse-Summary: {}\r\nContent-Length: 0\r\n\r\n"
            )

    with server(close_the_first) as port:
        made._client._driver._backend._base_url = f"http://127.0.0.1:{port}/"
        made.insert("otel_logs", block, "the token")
    made.close()
    assert len(received) == 2
    for sent in received:
        assert b"insert_deduplication_token=the+token" in sent
        assert b"Content-Length: 25\r\n" in sent
        assert sent.endswith(b"\r\n\r\n" + bytes(block))


@pytest.mark.parametrize(
    ("code", "kind", "whole"),
    [
        (252, StoreAway, False), (241, StoreAway, False), (159, StoreAway, False), (999, StoreAway, False),
        (243, StoreAway, False), (1, StoreAway, False), (516, StoreAway, True), (497, StoreAway, True),
        (53, BlockRefused, None), (60, BlockRefused, None), (117, BlockRefused, None), (16, BlockRefused, None),
    ],
)  # fmt: skip
def test_errors_are_told_apart_by_one_table(code: int, kind: type[Exception], whole: bool | None) -> None:  # noqa: FBT001
    """A block that may pass is tried again; one that cannot is a dead letter; a changed password loses nothing."""
    found = insert_error("otel_logs", code, "SOME_NAME")
    assert type(found) is kind
    assert getattr(found, "whole", None) is whole
    assert str(found).startswith("Inserting into otel_logs failed: ")


def test_a_name_that_a_server_made_up_is_not_repeated() -> None:
    """It would appear in a label and in the log."""
    found = insert_error("otel_logs", 7777, "mail jane.doe@example.com")
    assert isinstance(found, StoreAway)
    assert (found.reason, str(found)) == ("UNKNOWN", "Inserting into otel_logs failed: UNKNOWN (code 7777)")


def test_too_many_partitions_are_told_from_too_many_parts() -> None:
    """The code is one; whether one part was asked for says which."""
    assert isinstance(insert_error("otel_logs", 252, "TOO_MANY_PARTS", one_part=True), TooManyPartitions)


@pytest.mark.parametrize(
    ("version", "is_fit"),
    [("24.8.1.1", True), ("26.9.2.1", True), ("25.3", True), ("", True), ("24.7.9.1", False), ("9.1", False)],
)
def test_a_server_too_old_is_refused_with_the_reason(version: str, is_fit: bool) -> None:  # noqa: FBT001
    """It would store the rows of views twice."""
    try:
        _check_version(version)
    except StoreUnfit as unfit:
        assert not is_fit
        assert "24.8" in str(unfit)  # noqa: PT017
    else:
        assert is_fit


def test_tables_that_are_not_those_written_are_named(engine: Engine) -> None:
    """The first five problems and the number of others; columns of people's own do no harm."""
    actual = {table: dict(kinds) for table, kinds in columns(engine).items() if table == "otel_traces"}
    expected = {table: dict(kinds) for table, kinds in actual.items()}
    actual["otel_traces"]["Mine"] = "String"
    check_columns(expected, actual)
    check_columns(expected, {})
    actual["otel_traces"]["Duration"] = "Int64"
    for name in [name for name in actual["otel_traces"] if name.startswith(("Events.", "Links."))]:
        del actual["otel_traces"][name]
    with pytest.raises(SchemaError) as caught:
        check_columns(expected, actual)
    assert "otel_traces.Duration should be UInt64 and is Int64; " in str(caught.value)
    assert "Events.Name should be Array(LowCardinality(String)) and is not there" in str(caught.value)
    assert "; and 3 more. Alter them" in str(caught.value)


def test_receivers_that_migrate_at_once_record_each_migration_once(engine: Engine) -> None:
    """The second one finds it done."""
    engine.use("at_once")
    failures: list[Exception] = []

    def run() -> None:
        try:
            migrate(engine, 90)
        except Exception as error:  # noqa: BLE001  raised in the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert engine.rows("SELECT count(), uniqExact(number) FROM schema_migrations") == [
            [len(migrations())] * 2
        ]
    finally:
        engine.use("telemetry")
        engine.command("DROP DATABASE at_once")


@contextmanager
def behind_tls(url: str, pair: Pair) -> Iterator[str]:
    """Serve what is at an HTTP address behind TLS, and return the HTTPS address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    host, _, target = url.removeprefix("http://").partition(":")

    def serve(connection: socket.socket) -> None:
        with (
            context.wrap_socket(connection, server_side=True) as near,
            socket.create_connection((host, int(target))) as far,
        ):
            back = threading.Thread(target=_copy, args=(far, near), daemon=True)
            back.start()
            _copy(near, far)
            back.join(5)

    with server(serve) as port:
        yield f"https://127.0.0.1:{port}"


@pytest.fixture
def https(sink: tuple[str, subprocess.Popen[str]], tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Serve the sink behind TLS; return its URL, and the certificate to trust."""
    authority = Authority(tmp_path, "clickhouse")
    with behind_tls(sink[0], authority.issue("server")) as url:
        yield url, authority.file


def test_https_is_verified_by_the_certificates_given(https: tuple[str, Path]) -> None:
    """With them blocks are sent; without them none is, and the error has the reason."""
    url, made = https
    with pytest.raises(StoreAway) as caught:
        writer(url).open()
    assert caught.value.reason == "TLS"
    trusting = writer(url, made)
    trusting.insert("otel_logs", Pieces([b"a block"]), "token")
    trusting.close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
