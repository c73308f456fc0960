"""TLS and mutual TLS on the two OTLP ports, with real clients, real certificates, and clients that do not fit."""

import os
import shutil
import socket
import ssl
import subprocess
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import pytest
from structlog.testing import capture_logs

from otlp.signals import KINDS, Signal
from telemetry.listeners.tls import Files, Tls, TlsError
from tests.certificates import Authority, Pair
from tests.server import Server, captures, running

BODY = captures("logs")[0]
PORTS = ["otlp_grpc", "otlp_http"]
Send = Callable[..., None]


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make the authority that signs the server's certificate."""
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make the authority that signs the clients' certificates."""
    return Authority(tmp_path_factory.mktemp("clients"), "clients")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Make an authority that no client trusts."""
    return Authority(tmp_path_factory.mktemp("others"), "others")


def files(pair: Pair, client_ca: Path | None = None) -> dict[str, str]:
    named = {"TELEMETRY_TLS_CERTIFICATE": str(pair.certificate), "TELEMETRY_TLS_KEY": str(pair.key)}
    return named | ({"TELEMETRY_TLS_CLIENT_CA": str(client_ca)} if client_ca else {})


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, ours: Authority) -> Iterator[Server]:
    """Start a server with a certificate."""
    data = tmp_path_factory.mktemp("secure") / "data"
    with running(data, TELEMETRY_BATCH_AGE_MS="0", **files(ours.issue("server"))) as server:
        yield server


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, ours: Authority, clients: Authority) -> Iterator[Server]:
    """Start a server that asks clients for a certificate, on an address that others could reach, without tokens."""
    data = tmp_path_factory.mktemp("mutual") / "data"
    environment = files(ours.issue("mutual"), clients.file)
    environment |= {"TELEMETRY_HOST": "0.0.0.0", "TELEMETRY_LOG_FORMAT": "console"}
    with running(data, TELEMETRY_BATCH_AGE_MS="0", **environment) as server:
        yield server


@pytest.fixture(autouse=True)
def unharmed(request: pytest.FixtureRequest, ours: Authority, clients: Authority) -> Iterator[None]:
    """Check after every test that good clients are served, and that the log has no traceback."""
    yield
    for name in {"secure", "mutual"} & set(request.fixturenames):
        server: Server = request.getfixturevalue(name)
        shown = clients.issue("good") if name == "mutual" else None
        for send in (over_http, over_grpc):
            send(server, ours, shown)
        assert "Traceback" not in server.log.read_text()


def address(server: Server, name: str) -> tuple[str, int]:
    return "localhost", int(server.listening[name].rpartition(":")[2])


def over_http(server: Server, trusted: Authority, shown: Pair | None = None) -> None:
    host, port = address(server, "otlp_http")
    answer = httpx.post(
        f"https://{host}:{port}/v1/logs",
        content=BODY,
        headers={"content-type": "application/x-protobuf"},
        verify=trusted.context(shown),
        timeout=180,
    )
    assert answer.status_code == 200


def over_grpc(server: Server, trusted: Authority, shown: Pair | None = None) -> None:
    host, port = address(server, "otlp_grpc")
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"{host}:{port}", trusted.credentials(shown), options) as channel:
        channel.unary_unary(f"/{KINDS[Signal.LOGS].service}/Export")(BODY, timeout=180)


def is_refused(send: Send, *call: object) -> None:
    with pytest.raises((grpc.RpcError, httpx.TransportError)) as caught:
        send(*call)
    if isinstance(caught.value, grpc.RpcError):
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


both = pytest.mark.parametrize("send", [over_http, over_grpc])
each_port = pytest.mark.parametrize("name", PORTS)


@both
def test_a_client_that_trusts_the_authority_sends(secure: Server, ours: Authority, send: Send) -> None:
    """Telemetry that arrives over TLS is stored as usual."""
    before = secure.metric("telemetry_inserted_rows_total")
    send(secure, ours)
    assert secure.metric("telemetry_inserted_rows_total") > before


def test_ready_says_which_ports_speak_tls(secure: Server) -> None:
    """The OTLP ports; health and metrics stay plain."""
    plain = {
        name for name, address in secure.listening.items() if not address.startswith("https://127.0.0.1:")
    }
    assert plain == {"clickhouse_http", "metrics", "health"}


@both
def test_a_client_that_trusts_another_authority_does_not_send(
    secure: Server, others: Authority, send: Send
) -> None:
    """It cannot know the server."""
    is_refused(send, secure, others)


def test_clients_without_tls_are_dropped(secure: Server) -> None:
    """Nothing is taken in clear."""
    host, port = address(secure, "otlp_http")
    with pytest.raises(httpx.TransportError):
        httpx.post(f"http://{host}:{port}/v1/logs", content=BODY, timeout=180)
    host, port = address(secure, "otlp_grpc")
    with grpc.insecure_channel(f"{host}:{port}") as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{KINDS[Signal.LOGS].service}/Export")(BODY, timeout=180)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@each_port
@pytest.mark.parametrize(("version", "taken"), [("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)])
def test_tls_is_1_2_or_newer(secure: Server, ours: Authority, name: str, version: str, taken: bool) -> None:  # noqa: FBT001  a case's column
    """The server ends the handshake of an older client."""
    context = ours.context()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of asking for the old version
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = ssl.TLSVersion[version]
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_connection(address(secure, name), timeout=180) as connection:
        if taken:
            with context.wrap_socket(connection, server_hostname="localhost") as wrapped:
                assert wrapped.selected_alpn_protocol() == ("h2" if name == "otlp_grpc" else "http/1.1")
        else:
            with pytest.raises(ssl.SSLError) as caught:
                context.wrap_socket(connection, server_hostname="localhost")
            # As OpenSSL's versions call it; None is an end of the connection.
            assert caught.value.reason in {
                "UNEXPECTED_EOF_WHILE_READING",
                "TLSV1_ALERT_PROTOCOL_VERSION",
                None,
            }
            assert caught.value.reason or isinstance(caught.value, ssl.SSLZeroReturnError)


@both
def test_a_client_with_a_certificate_sends(
    mutual: Server, ours: Authority, clients: Authority, send: Send
) -> None:
    """Its authority is the one that was named."""
    send(mutual, ours, clients.issue("laptop"))


@both
@pytest.mark.parametrize("fault", ["none", "of another authority", "expired", "the server's own"])
def test_a_client_without_a_right_certificate_is_refused(
    mutual: Server, ours: Authority, clients: Authority, others: Authority, send: Send, fault: str
) -> None:
    """In the handshake, before anything is read."""
    shown = {
        "none": lambda: None,
        "of another authority": lambda: others.issue("laptop"),
        "expired": lambda: clients.issue("expired", expired=True),
        "the server's own": lambda: ours.issue("mutual"),
    }[fault]()
    before = mutual.metric("telemetry_requests_total")
    is_refused(send, mutual, ours, shown)
    assert mutual.metric("telemetry_requests_total") == before


@each_port
def test_garbage_in_place_of_a_handshake(mutual: Server, name: str) -> None:
    """The connection ends; nothing else does."""
    for garbage in (
        b"\x16\x03\x01\xff\xff" + b"\x00" * 70_000,
        os.urandom(100_000),
        b"\x00",
        b"GET / HTTP/1.1\r\n\r\n",
    ):
        with socket.create_connection(address(mutual, name), timeout=180) as connection:
            try:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except OSError:  # a reset is an end, too
                continue


@each_port
def test_handshakes_that_are_never_finished_hold_up_no_other(
    secure: Server, ours: Authority, name: str
) -> None:
    """200 clients that connect and say nothing, or half of a hello, leave the port to the others."""
    to_server = ssl.MemoryBIO()
    hello = ours.context().wrap_bio(ssl.MemoryBIO(), to_server, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        hello.do_handshake()
    half = to_server.read()[:100]
    with ExitStack() as stack:
        for number in range(200):
            connection = stack.enter_context(socket.create_connection(address(secure, name), timeout=180))
            if number % 2:
                connection.sendall(half)
        over_http(secure, ours)
        over_grpc(secure, ours)


def replace(pair: Pair, by: Pair) -> None:
    """Put other files in the place of a pair's, each in one step; time moves, as it does between renewals."""
    for old, new in ((pair.certificate, by.certificate), (pair.key, by.key)):
        shutil.copy(new, old.with_suffix(".new"))
        old.with_suffix(".new").replace(old)


def copied(pair: Pair, folder: Path) -> Pair:
    made = Pair(folder / "server.pem", folder / "server.key")
    replace(made, pair)
    return made


@pytest.mark.slow
def test_a_renewed_certificate_is_used_without_a_restart(
    start: Callable[..., Server], tmp_path: Path, ours: Authority, clients: Authority, others: Authority
) -> None:
    """New connections get it, also with other client authorities; while files are wrong, the old ones stay."""
    used = copied(ours.issue("old"), tmp_path)
    allowed = tmp_path / "allowed.pem"
    shutil.copy(clients.file, allowed)
    server = start(TELEMETRY_BATCH_AGE_MS="0", **files(used, allowed))
    laptop, stranger = clients.issue("laptop"), others.issue("stranger")
    wrong, renewed = ours.issue("wrong"), others.issue("renewed")
    for send in (over_http, over_grpc):
        send(server, ours, laptop)
        is_refused(send, server, ours, stranger)
    shutil.copy(wrong.key, used.key)
    for send in (over_http, over_grpc):
        send(server, ours, laptop)
    assert "cannot be used; those before stay" in server.log.read_text()
    replace(used, renewed)
    shutil.copy(others.file, allowed)
    for send in (over_http, over_grpc):
        send(server, others, stranger)
        is_refused(send, server, ours, stranger)
        is_refused(send, server, others, laptop)
    assert "The TLS files changed; new connections use them." in server.log.read_text()
    used.certificate.unlink()
    over_grpc(server, others, stranger)
    assert "Traceback" not in server.log.read_text()


def refusal(server: Server) -> list[str]:
    """Return the lines that a server printed that did not start."""
    assert server.process.wait(180) == 1
    text = server.log.read_text()
    assert "Traceback" not in text
    return text.partition("telemetry: ")[2].strip().splitlines()


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Launch servers that do not start."""
    with ExitStack() as stack:

        def begin(**environment: str) -> Server:
            server = Server(tmp_path / "data", environment)
            stack.callback(server.kill)
            return server

        yield begin
    assert not (tmp_path / "data").exists(), "nothing is made before the files are known to be right"


def test_faults_of_the_files_stop_the_start_all_at_once(
    launch: Callable[..., Server], tmp_path: Path
) -> None:
    """Each with its setting, its file and its remedy."""
    empty = tmp_path / "ca.pem"
    empty.write_text("-----BEGIN CERTIFICATE-----\nnothing\n-----END CERTIFICATE-----\n")
    missing = Pair(tmp_path / "missing.pem", tmp_path)
    remedy = "name a file that the server's user may read"
    assert refusal(launch(**files(missing, empty))) == [
        f"TELEMETRY_TLS_CERTIFICATE: {missing.certificate} cannot be read (No such file or directory): {remedy}",
        f"TELEMETRY_TLS_KEY: {tmp_path} cannot be read (Is a directory): {remedy}",
        f"TELEMETRY_TLS_CLIENT_CA: {empty} has no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----",
    ]


def test_a_key_that_does_not_fit_is_refused(ours: Authority, tmp_path: Path) -> None:
    """Another's, an encrypted one, or none at all; no password is asked for."""
    pair = ours.issue("fits")
    encrypted, none = tmp_path / "encrypted.key", tmp_path / "none.key"
    none.write_text("none")
    command = ["openssl", "pkey", "-in", pair.key, "-aes256", "-passout", "pass:hunter2", "-out", encrypted]
    subprocess.run(command, check=True)
    named = "name the key that the certificate was made with"
    decrypt = f"decrypt it with `openssl pkey -in {encrypted} -out FILE`"
    for key, said in {
        ours.issue("another").key: f"is not the key of {pair.certificate}: {named}",
        encrypted: f"is encrypted: {decrypt}, and let only the server's user read FILE",
        none: f"is no private key in PEM: {named}",
    }.items():
        with pytest.raises(TlsError) as caught:
            Tls(Files(pair.certificate, key, None))
        assert str(caught.value) == f"TELEMETRY_TLS_KEY: {key} {said}"


def test_an_expired_certificate_is_warned_of(ours: Authority) -> None:
    """The server starts with it, and says why clients refuse it."""
    good, late = ours.issue("good"), ours.issue("late", expired=True)
    with capture_logs() as logged:
        Tls(Files(good.certificate, good.key, None))
        Tls(Files(late.certificate, late.key, None))
    assert logged == [
        {
            "event": "Clients will refuse the TLS certificate; renew it.",
            "log_level": "warning",
            "reason": "certificate has expired",
            "setting": "TELEMETRY_TLS_CERTIFICATE",
        }
    ]


def test_the_banner_says_what_clients_must_show_and_trust(mutual: Server) -> None:
    """The lines to copy have https, and places for the files."""
    banner = mutual.log.read_text().partition("  OTLP/gRPC")[2].splitlines()
    grpc_url = mutual.listening["otlp_grpc"]
    assert banner[:2] == [f"   {grpc_url}", f"  OTLP/HTTP   {mutual.listening['otlp_http']}"]
    assert [line for line in banner if "OTEL_EXPORTER_OTLP" in line] == [
        f"    export OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_ENDPOINT={grpc_url}",
        '    export OTEL_EXPORTER_OTLP_CERTIFICATE="<file with the authority of the server\'s certificate>"',
        '    export OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="<file>"',
        '    export OTEL_EXPORTER_OTLP_CLIENT_KEY="<file>"',
    ]
