"""OTLP over gRPC, as clients see it: a real server process and real gRPC."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.json_format import ParseDict
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from otlp.signals import KINDS, Signal
from tests.server import NO_TLS, Server, captures, eventually, running

LIMIT = 65536
# Rows of another time may be past their retention.
NOW = time.time_ns()
COMPRESSIONS = [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server with two tokens that takes requests of 64 KiB at most."""
    data = tmp_path_factory.mktemp("guarded") / "data"
    with running(
        data,
        TELEMETRY_INGEST_TOKENS="first-token,second-token",
        TELEMETRY_MAX_REQUEST_BYTES=str(LIMIT),
    ) as server:
        yield server


def stored(server: Server) -> float:
    return server.metric("telemetry_inserted_rows_total")


def method(name: str) -> str:
    return f"/{KINDS[Signal(name)].service}/Export"


def request_of(size: int) -> bytes:
    """Make a traces request of exactly this many bytes."""
    fill = size
    while True:
        span = {"name": "x" * fill, "startTimeUnixNano": NOW}
        content = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        body: bytes = ParseDict(content, KINDS[Signal.TRACES].request()).SerializeToString()
        if len(body) <= size:
            assert len(body) == size
            return body
        fill -= len(body) - size


def failure(server: Server, name: str, body: bytes, **call: Any) -> grpc.RpcError:
    """Send a request that must be refused, and return the error."""
    with pytest.raises(grpc.RpcError) as caught:
        server.export(name, body, **call)
    return caught.value


def retry_info(error: grpc.RpcError) -> RetryInfo | None:
    """Read the RetryInfo in an error's grpc-status-details-bin."""
    details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
    info = RetryInfo()
    return info if any(detail.Unpack(info) for detail in Status.FromString(details).details) else None


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", list(Signal))
def test_every_signal_is_taken_with_every_compression(
    server: Server, name: Signal, compression: grpc.Compression
) -> None:
    """Real clients' requests are stored in full, and partial_success is unset."""
    for body in captures(name)[:2]:
        before = stored(server)
        assert server.export(name, body, compression=compression) == b""
        assert stored(server) - before == KINDS[name].survey(KINDS[name].request.FromString(body)).records > 0


@pytest.mark.parametrize("name", list(Signal))
def test_json_clients_and_grpc_clients_are_answered_alike(server: Server, name: Signal) -> None:
    """The same records take the same path over both transports."""
    body = captures(name)[0]
    before = stored(server)
    server.export(name, body)
    between = stored(server)
    assert server.post(name, body).status_code == 200
    assert stored(server) - between == between - before


def test_requests_of_many_mebibytes_are_taken(server: Server) -> None:
    """The default limit is far above the 4 MiB that users of other receivers trip over."""
    assert server.export("traces", request_of(6 << 20)) == b""


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_size_limit_counts_decompressed_bytes(guarded: Server, compression: grpc.Compression) -> None:
    """A request of the limit passes, one of a byte more is refused for good, under any compression."""
    call = {"compression": compression, "metadata": [("authorization", "Bearer first-token")]}
    assert guarded.export("traces", request_of(LIMIT), **call) == b""
    error = failure(guarded, "traces", request_of(LIMIT + 1), **call)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_info(error) is None


@pytest.mark.parametrize("name", list(Signal))
def test_a_malformed_message_is_an_invalid_argument(server: Server, name: Signal) -> None:
    """A message that is not an export request is refused for good, with a text that helps."""
    error = failure(server, name, b"\x0a\xff{]")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert KINDS[name].request.DESCRIPTOR.name in error.details()
    assert retry_info(error) is None


def test_an_unknown_method_is_unimplemented(server: Server) -> None:
    """As gRPC demands of a server without that method."""
    with server.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(f"/{KINDS[Signal.LOGS].service}/Import")(b"", timeout=180)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_call_without_a_message_is_unimplemented(server: Server) -> None:
    """As gRPC demands of unary methods; the call does not hang."""
    with server.channel() as channel, pytest.raises(grpc.RpcError) as caught:
        channel.stream_unary(method("logs"))(iter(()), timeout=180)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_calls_whose_message_does_not_come_harm_no_other(server: Server) -> None:
    """Any number of clients may open a call and send nothing: no thread of the server waits for them."""
    ended = threading.Event()

    def never() -> Iterator[bytes]:
        ended.wait(180)
        yield from ()

    with server.channel() as channel:
        open_calls = [channel.stream_unary(method("traces")).future(never(), timeout=180) for _ in range(100)]
        assert server.export("traces", captures(Signal.TRACES)[0]) == b""
        for call in open_calls:
            call.cancel()
        ended.set()


def test_a_client_that_goes_away_is_stored_nonetheless(start: Callable[..., Server]) -> None:
    """Its answer finds no client, which is no error; the next request is served."""
    server = start(TELEMETRY_BATCH_AGE_MS="1000")
    with server.channel() as channel:
        call = channel.unary_unary(method("traces")).future(request_of(1_000), timeout=180)
        eventually(lambda: server.metric("telemetry_received_records_total") == 1)
        call.cancel()
    eventually(lambda: stored(server) == 1)
    assert server.export("traces", request_of(1_000)) == b""
    assert server.metric("telemetry_accepted_records_total") == 2


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", list(Signal))
def test_an_empty_request_succeeds(server: Server, name: Signal, compression: grpc.Compression) -> None:
    """No records are no error."""
    assert server.export(name, b"", compression=compression) == b""


def test_metrics_without_data_are_refused_alone(server: Server) -> None:
    """A metric that has no type has no table: it is counted as refused, its neighbours are stored."""
    points = {"dataPoints": [{"asInt": 1, "timeUnixNano": NOW}, {"asInt": 2, "timeUnixNano": NOW}]}
    metrics = [{"name": "untyped"}, {"name": "m", "gauge": points}, {"name": "untyped too"}]
    content = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    before = stored(server)
    kind = KINDS[Signal.METRICS]
    answer: Any = kind.response.FromString(
        server.export("metrics", ParseDict(content, kind.request()).SerializeToString())
    )
    assert (answer.partial_success.rejected_data_points, stored(server) - before) == (2, 2)
    assert "no data" in answer.partial_success.error_message


def test_an_overloaded_server_says_when_to_try_again(start: Callable[..., Server]) -> None:
    """Past the queue's budget: UNAVAILABLE with RetryInfo. Requests that fit are stored, and later all are."""
    large, small = request_of(15_000), request_of(1_000)
    # The first waits until the small one completes a batch, however long that takes.
    size = str(len(large) + len(small))
    server = start(TELEMETRY_QUEUE_BYTES="20000", TELEMETRY_BATCH_AGE_MS="60000", TELEMETRY_BATCH_BYTES=size)
    with server.channel() as channel:
        export = channel.unary_unary(method("traces"))
        first = export.future(large, timeout=180)
        eventually(lambda: server.metric("telemetry_queued_bytes") == len(large))
        error = failure(server, "traces", large)
        second = export.future(small, timeout=180)
        assert [first.result(), second.result()] == [b"", b""]
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    info = retry_info(error)
    assert info is not None
    assert info.retry_delay.seconds >= 1
    assert server.export("traces", request_of(16_000)) == b""
    assert server.metric("telemetry_refused_records_total", reason="overloaded") == 1


def test_calls_on_one_connection_run_side_by_side(start: Callable[..., Server]) -> None:
    """Calls of one client wait together, not one after the other: they share a batch."""
    server = start(TELEMETRY_BATCH_AGE_MS="1000")
    with server.channel() as channel:
        export = channel.unary_unary(method("logs"))
        calls = [export.future(captures("logs")[0], timeout=180) for _ in range(64)]
        assert [call.result() for call in calls] == [b""] * 64
    assert server.metric("telemetry_requests_total", transport="grpc", outcome="ok") == 64
    assert server.metric("telemetry_batch_bytes_count") < 10


def test_one_connection_serves_many_calls_after_each_other(server: Server) -> None:
    """A client keeps its connection, also past a refused call."""
    with server.channel() as channel:
        for name in list(Signal) * 3:
            export = channel.unary_unary(method(name))
            assert export(captures(name)[0], timeout=180) == b""
            with pytest.raises(grpc.RpcError):
                export(b"\x0a\xff", timeout=180)


@pytest.mark.parametrize("fixture", ["server", "guarded"])
def test_the_standard_health_service_serves(fixture: str, request: pytest.FixtureRequest) -> None:
    """Probes are told SERVING, of the server and of each service; they need no token."""
    server: Server = request.getfixturevalue(fixture)
    with server.channel() as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", *(kind.service for kind in KINDS.values())):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=180)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(server: Server) -> None:
    """Tools such as grpcurl find the three services, health and reflection."""
    with server.channel() as channel:
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = reflection_pb2.ServerReflectionRequest(list_services="")
        (answer,) = stub.ServerReflectionInfo(iter([asked]), timeout=180)
    assert {service.name for service in answer.list_services_response.service} == {
        *(kind.service for kind in KINDS.values()),
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }


@pytest.mark.parametrize("token", ["first-token", "second-token"])
def test_every_token_passes(guarded: Server, token: str) -> None:
    """Each of the tokens in the setting may send; the scheme's case does not matter."""
    for scheme in ("Bearer", "bearer"):
        metadata = [("authorization", f"{scheme} {token}")]
        assert guarded.export("traces", b"", metadata=metadata) == b""


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Bearer first-toke", "Basic first-token", "first-token",
     "Bearer first-token,second-token"],
)  # fmt: skip
def test_other_tokens_are_unauthenticated(guarded: Server, authorization: str | None) -> None:
    """The answer names the setting, not a token, and is no reason to try again."""
    metadata = [] if authorization is None else [("authorization", authorization)]
    for name in Signal:
        error = failure(guarded, name, captures(name)[0], metadata=metadata)
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        assert "TELEMETRY_INGEST_TOKENS" in error.details()
        assert "first-token" not in error.details()
        assert retry_info(error) is None


def test_a_wrong_token_is_refused_before_the_message_is_read(guarded: Server) -> None:
    """The answer to a message that never comes is there at once; one far over the limit is not measured."""
    answered = threading.Event()

    def never() -> Iterator[bytes]:
        answered.wait(180)
        yield from ()

    with guarded.channel() as channel:
        call = channel.stream_unary(method("traces")).future(never(), timeout=180)
        assert call.exception().code() is grpc.StatusCode.UNAUTHENTICATED
        answered.set()
    assert failure(guarded, "traces", bytes(70 << 20)).code() is grpc.StatusCode.UNAUTHENTICATED


def test_stopping_answers_and_stores_what_is_under_way(start: Callable[..., Server]) -> None:
    """On SIGTERM health turns false, those under way are stored and answered, new ones refused, exit 0."""
    server = start(TELEMETRY_BATCH_AGE_MS="3000", TELEMETRY_SHUTDOWN_SECONDS="120")
    with server.held_open(), server.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=180)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        export = channel.unary_unary(method("traces"))
        calls = [export.future(request_of(100 + number), timeout=180) for number in range(8)]
        eventually(lambda: server.metric("telemetry_received_records_total") == 8)
        server.process.send_signal(signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert (
            httpx.get(f"http://{server.listening['health']}/ready", verify=NO_TLS, timeout=180).status_code
            == 503
        )
        error = failure(server, "traces", b"")
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert [call.result() for call in calls] == [b""] * 8
        watch.cancel()
    assert server.process.wait(180) == 0
    assert server.rows("SELECT count() AS n FROM otel_traces") == [[{"n": 8}]]
