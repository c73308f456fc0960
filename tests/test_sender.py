"""The one OTLP sender, against real servers: this project's, with and without TLS, and servers that misbehave."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from onboarding import probe
from otlp.destination import Destination, Protocol
from otlp.sender import Cause, SendError, opened, send
from otlp.signals import KINDS, Signal
from tests.certificates import Authority, Pair
from tests.server import Server, running

each_protocol = pytest.mark.parametrize("protocol", list(Protocol))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("server")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority, pair: Pair) -> Iterator[Server]:
    with running(
        tmp_path_factory.mktemp("sender") / "data",
        TELEMETRY_BATCH_AGE_MS="0",
        TELEMETRY_INGEST_TOKENS="right",
        TELEMETRY_TLS_CERTIFICATE=str(pair.certificate),
        TELEMETRY_TLS_KEY=str(pair.key),
        TELEMETRY_TLS_CLIENT_CA=str(authority.file),
    ) as server:
        yield server


def destination(address: str, protocol: Protocol, token: str = "") -> Destination:
    host, _, port = address.rpartition("://")[2].rpartition(":")
    headers = (("authorization", f"Bearer {token}"),) if token else ()
    url = f"http://{host}:{port}/v1/logs"
    return Destination(Signal.LOGS, protocol, url, host, int(port), is_tls=False, headers=headers)


def secured(server: Server, protocol: Protocol, authority: Authority, shown: Pair | None) -> Destination:
    address = server.listening["otlp_grpc" if protocol is Protocol.GRPC else "otlp_http"]
    return dataclasses.replace(
        destination(address, protocol, "right"),
        is_tls=True,
        certificate=authority.file,
        client_certificate=shown.certificate if shown else None,
        client_key=shown.key if shown else None,
    )


def body() -> bytes:
    return probe.record(Signal.LOGS, probe.new_id()).SerializeToString()


@each_protocol
def test_many_requests_go_over_one_opening_with_tls_certificate_and_token(
    server: Server, authority: Authority, protocol: Protocol
) -> None:
    """Several threads share the function, and each request is stored when it returns."""
    transport = "grpc" if protocol is Protocol.GRPC else "http"
    before = server.metric("telemetry_requests_total", transport=transport, outcome="ok")
    with (
        opened(secured(server, protocol, authority, authority.issue("client"))) as export,
        ThreadPoolExecutor(4) as pool,
    ):
        list(pool.map(export, [body() for _ in range(20)]))
    assert server.metric("telemetry_requests_total", transport=transport, outcome="ok") == before + 20


def test_the_servers_own_certificate_can_be_trusted_by_any_name(
    start: Callable[..., Server], authority: Authority
) -> None:
    """An operator has that file, and may reach the server by a name that it does not hold."""
    pair = authority.issue("elsewhere", names=("elsewhere.invalid",))
    server = start(TELEMETRY_TLS_CERTIFICATE=str(pair.certificate), TELEMETRY_TLS_KEY=str(pair.key))
    for protocol in Protocol:
        to = dataclasses.replace(secured(server, protocol, authority, None), certificate=pair.certificate)
        with opened(dataclasses.replace(to, trusts_any_name=True)) as export:
            export(body())
        with pytest.raises(SendError) as raised, opened(dataclasses.replace(to, certificate=authority.file)):
            pass
        assert raised.value.cause is Cause.TLS
        assert "it is for another name" in raised.value.problem


@each_protocol
def test_a_missing_client_certificate_is_a_fault_of_tls(
    server: Server, authority: Authority, protocol: Protocol
) -> None:
    """TLS 1.3 tells a client only after its handshake, and it is not taken for another protocol."""
    with (
        pytest.raises(SendError) as raised,
        opened(secured(server, protocol, authority, None)) as export,
    ):
        export(body())
    assert raised.value.cause is Cause.TLS
    assert "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE" in raised.value.fix


@each_protocol
def test_a_wrong_token_is_told_and_not_repeated(
    server: Server, authority: Authority, protocol: Protocol
) -> None:
    """The text has the remedy and not the token."""
    to = secured(server, protocol, authority, authority.issue("client"))
    with pytest.raises(SendError) as raised:
        send(
            dataclasses.replace(to, headers=(("authorization", "Bearer wr0ng"),)),
            probe.record(Signal.LOGS, probe.new_id()),
        )
    assert raised.value.cause is Cause.TOKEN
    assert "wr0ng" not in str(raised.value)


@each_protocol
def test_nothing_that_listens_is_unreachable(protocol: Protocol) -> None:
    """The error is raised when the connection is opened, before any request."""
    with pytest.raises(SendError) as raised, opened(destination("127.0.0.1:9", protocol)):
        pass
    assert raised.value.cause is Cause.UNREACHABLE


class Collector:
    """A server that takes OTLP over HTTP, and counts its connections and requests."""

    def __init__(self) -> None:
        self.connections = 0
        self.requests = 0
        self.closes_silently = False
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                collector.connections += 1
                super().setup()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                collector.requests += 1
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()
                self.close_connection = collector.closes_silently

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    thread = threading.Thread(target=collector.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield collector
    finally:
        collector.server.shutdown()
        collector.server.server_close()
        thread.join()


def test_http_requests_share_a_connection() -> None:
    """One is opened to see that somebody listens, and one carries all requests that follow each other."""
    with collecting() as collector, opened(destination(collector.address, Protocol.PROTOBUF)) as export:
        for _ in range(10):
            export(body())
        assert (collector.connections, collector.requests) == (2, 10)


def test_a_connection_that_the_server_closed_is_opened_again() -> None:
    """Servers close what is idle, without a word."""
    with collecting() as collector, opened(destination(collector.address, Protocol.PROTOBUF)) as export:
        collector.closes_silently = True
        for _ in range(3):
            export(body())
        assert collector.requests == 3


def test_a_server_that_goes_away_is_busy_not_of_another_protocol() -> None:
    """After it has answered once, the request should be sent again later."""
    with collecting() as collector:
        with opened(destination(collector.address, Protocol.PROTOBUF)) as export:
            collector.closes_silently = True
            export(body())
            collector.server.shutdown()
            collector.server.server_close()
            with pytest.raises(SendError) as raised:
                export(body())
        assert raised.value.cause is Cause.BUSY


def test_a_grpc_server_that_goes_away_is_busy(start: Callable[..., Server]) -> None:
    """As over HTTP."""
    server = start()
    with opened(destination(server.listening["otlp_grpc"], Protocol.GRPC)) as export:
        export(body())
        server.kill()
        with pytest.raises(SendError) as raised:
            export(body())
    assert raised.value.cause is Cause.BUSY


@pytest.mark.parametrize("may_repeat", [True, False])
def test_a_grpc_server_without_room_is_busy_where_it_says_when_to_send_again(*, may_repeat: bool) -> None:
    """RESOURCE_EXHAUSTED with RetryInfo; without it, as for what is too large, it is for good."""

    def refuse(_: bytes, context: grpc.ServicerContext) -> bytes:
        status = Status(code=grpc.StatusCode.RESOURCE_EXHAUSTED.value[0])
        status.details.add().Pack(RetryInfo() if may_repeat else Status())
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no room")
        raise AssertionError("abort raises")

    service = KINDS[Signal.LOGS].service
    handlers = {"Export": grpc.unary_unary_rpc_method_handler(refuse)}
    receiver = grpc.server(ThreadPoolExecutor(1))
    receiver.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    port = receiver.add_insecure_port("127.0.0.1:0")
    receiver.start()
    try:
        with pytest.raises(SendError) as caught:
            send(destination(f"127.0.0.1:{port}", Protocol.GRPC), probe.record(Signal.LOGS, probe.new_id()))
    finally:
        receiver.stop(0).wait()
    assert caught.value.cause is (Cause.BUSY if may_repeat else Cause.REFUSED)


def test_the_other_protocol_is_told(start: Callable[..., Server]) -> None:
    """A port that speaks HTTP is not gRPC's, and the reverse; the remedy names the variable."""
    server = start()
    for protocol, port in ((Protocol.GRPC, "otlp_http"), (Protocol.PROTOBUF, "otlp_grpc")):
        with (
            pytest.raises(SendError) as raised,
            opened(destination(server.listening[port], protocol)) as export,
        ):
            export(body())
        assert raised.value.cause is Cause.PROTOCOL
        assert "Set OTEL_EXPORTER_OTLP_PROTOCOL=" in raised.value.fix


@pytest.mark.parametrize("protocol", [Protocol.GRPC, Protocol.PROTOBUF])
def test_a_port_with_tls_is_known_from_one_with_another_protocol(server: Server, protocol: Protocol) -> None:
    """The remedy is the address with https."""
    address = server.listening["otlp_grpc" if protocol is Protocol.GRPC else "otlp_http"]
    with pytest.raises(SendError) as raised, opened(destination(address, protocol)) as export:
        export(body())
    plain = address.removeprefix("https://")
    assert (raised.value.cause, raised.value.problem) == (Cause.TLS, f"What answers at {plain} speaks TLS.")
    assert f"Use https://{plain}" in raised.value.fix
