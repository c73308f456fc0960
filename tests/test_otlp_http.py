"""OTLP over HTTP, as clients see it: a real server process and real HTTP."""

import gzip
import json
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otlp.compression import zstd
from otlp.signals import KINDS, Signal
from tests.server import NO_TLS, Server, captures, eventually, running

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
LIMIT = 65536
# Rows of another time may be past their retention.
NOW = time.time_ns()
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server with two tokens, that pages of some origins may send to, 64 KiB at most."""
    data = tmp_path_factory.mktemp("guarded") / "data"
    with running(
        data,
        TELEMETRY_INGEST_TOKENS="first-token,second-token",
        TELEMETRY_CORS_ORIGINS="https://app.example.com,https://*.example.org",
        TELEMETRY_MAX_REQUEST_BYTES=str(LIMIT),
    ) as server:
        yield server


def records(node: Any) -> int:
    """Count the spans, log records and data points in a request in JSON."""
    if isinstance(node, list):
        return sum(records(one) for one in node)
    if not isinstance(node, dict):
        return 0
    own = sum(len(node.get(name, [])) for name in ("spans", "logRecords", "dataPoints"))
    return own + sum(records(one) for one in node.values())


def stored(server: Server) -> float:
    return server.metric("telemetry_inserted_rows_total")


def spans(*fields: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(fields)}]}]}


def request_of(size: int) -> bytes:
    """Make a traces request of exactly this many bytes."""
    fill = size
    while True:
        request = ParseDict(
            spans({"name": "x" * fill, "startTimeUnixNano": NOW}), ExportTraceServiceRequest()
        )
        body: bytes = request.SerializeToString()
        if len(body) <= size:
            assert len(body) == size
            return body
        fill -= len(body) - size


def failure(answer: httpx.Response, content_type: str = PROTOBUF) -> Status:
    """Read the google.rpc.Status of an answer, which must be in this encoding."""
    assert answer.headers["content-type"] == content_type
    if content_type == JSON:
        return ParseDict(answer.json(), Status())
    return Status.FromString(answer.content)


@pytest.mark.parametrize("name", list(Signal))
def test_every_signal_is_taken_in_protobuf(server: Server, name: Signal) -> None:
    """Real clients' requests in protobuf are stored in full, and partial_success is unset."""
    for body in captures(name):
        before = stored(server)
        answer = server.post(name, body)
        assert (answer.status_code, answer.content) == (200, b"")
        assert stored(server) - before == records(MessageToDict(KINDS[name].request.FromString(body)))


@pytest.mark.parametrize("name", list(Signal))
def test_every_signal_is_taken_in_json(server: Server, name: Signal) -> None:
    """Real clients' requests in JSON are stored in full, and partial_success is unset."""
    for body in captures(name, "json"):
        before = stored(server)
        answer = server.post(name, body, JSON)
        assert (answer.status_code, answer.json()) == (200, {})
        assert stored(server) - before == records(json.loads(body))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PROTOBUF, PROTOBUF),
        (JSON, JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/x-protobuf; messageType=traces", PROTOBUF),
        ("Application/JSON ;charset=UTF-8", JSON),
    ],
)
def test_the_answer_has_the_content_type_of_the_request(server: Server, given: str, expected: str) -> None:
    """Parameters and case of the content type do not matter; the answer is in the request's encoding."""
    answer = server.post("traces", b"{}" if expected == JSON else b"", given)
    assert (answer.status_code, answer.headers["content-type"]) == (200, expected)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_bodies_may_be_compressed_and_chunked(
    server: Server, content_type: str, encoding: str, framing: str
) -> None:
    """Every compression is read, with and without a Content-Length."""
    suffix = "json" if content_type == JSON else "pb"
    body = ENCODERS[encoding](captures("logs", suffix)[0])
    before = stored(server)
    chunks = iter([body[:700], body[700:]]) if framing == "chunked" else body
    headers = {"content-type": content_type, "content-encoding": encoding}
    answer = httpx.post(f"{server.http}/v1/logs", content=chunks, headers=headers, timeout=180, verify=NO_TLS)
    assert ("content-length" in answer.request.headers) is (framing == "length")
    assert (answer.status_code, stored(server) > before) == (200, True)


def test_requests_of_many_mebibytes_are_taken(server: Server) -> None:
    """The default limit is far above the 4 MiB that users of other receivers trip over."""
    assert server.post("traces", request_of(6 << 20)).status_code == 200


@pytest.mark.parametrize("encoding", ENCODERS)
def test_the_size_limit_counts_decompressed_bytes(guarded: Server, encoding: str) -> None:
    """A request of the limit passes, one of a byte more is answered 413, under any compression."""
    passed, answer = (
        guarded.post(
            "traces",
            ENCODERS[encoding](request_of(size)),
            content_encoding=encoding,
            authorization="Bearer first-token",
        )
        for size in (LIMIT, LIMIT + 1)
    )
    assert (passed.status_code, answer.status_code) == (200, 413)
    assert "TELEMETRY_MAX_REQUEST_BYTES" in failure(answer).message
    assert "retry-after" not in answer.headers


def test_the_size_limit_holds_for_chunked_bodies(guarded: Server) -> None:
    """A body without a Content-Length is refused once it is over the limit, before its end."""
    head = (
        b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Authorization: Bearer first-token\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with guarded.connect() as connection:
        connection.sendall(head + b"11000\r\n" + b" " * 0x11000 + b"\r\n")
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("name", list(Signal))
def test_a_malformed_body_is_answered_400(server: Server, name: Signal, content_type: str) -> None:
    """A body that is not an export request is refused for good, with a status in the request's encoding."""
    answer = server.post(name, b"\x0a\xff{]", content_type)
    assert answer.status_code == 400
    assert failure(answer, content_type).code == 3
    assert failure(answer, content_type).message
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_malformed_compression_is_answered_400(server: Server, encoding: str, content_type: str) -> None:
    """A body that is not what its encoding says, or is cut short, is refused for good."""
    for body in (b"\x00not compressed", ENCODERS[encoding](b"{}" * 50)[:-3]):
        answer = server.post("logs", body, content_type, content_encoding=encoding)
        assert (answer.status_code, failure(answer, content_type).code) == (400, 3)


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_an_unknown_encoding_is_answered_400(server: Server, content_type: str) -> None:
    """The answer names the encodings that are known."""
    answer = server.post("logs", b"", content_type, content_encoding="br")
    assert answer.status_code == 400
    assert "zstd" in failure(answer, content_type).message


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/protobuf", "application/jsonx", "", None]
)
def test_a_wrong_or_missing_content_type_is_answered_415(server: Server, content_type: str | None) -> None:
    """The answer is in JSON, since the request's encoding is unknown, and names the content types."""
    headers = {} if content_type is None else {"content-type": content_type}
    answer = httpx.post(f"{server.http}/v1/traces", content=b"x", headers=headers, verify=NO_TLS, timeout=180)
    assert answer.status_code == 415
    assert PROTOBUF in failure(answer, JSON).message


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_answered_405(server: Server, method: str, content_type: str) -> None:
    """Telemetry is sent with POST, as the Allow header says."""
    answer = httpx.request(
        method, f"{server.http}/v1/traces", headers={"content-type": content_type}, verify=NO_TLS, timeout=180
    )
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "POST" in failure(answer, content_type).message


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("path", ["/", "/v1/trace", "/v1development/profiles", "/v1/traces/extra"])
def test_unknown_paths_are_answered_404(server: Server, path: str, content_type: str) -> None:
    """The answer names the paths that there are."""
    answer = httpx.post(
        f"{server.http}{path}", headers={"content-type": content_type}, verify=NO_TLS, timeout=180
    )
    assert answer.status_code == 404
    assert "/v1/traces" in failure(answer, content_type).message


def test_a_refused_request_leaves_the_connection_usable(server: Server) -> None:
    """A client that keeps its connection can send a right request after a wrong one."""
    with httpx.Client(timeout=180, verify=NO_TLS) as client:
        for headers in ({"content-type": "text/plain"}, {"content-type": PROTOBUF, "content-encoding": "br"}):
            answer = client.post(f"{server.http}/v1/traces", content=b"x" * 200_000, headers=headers)
            assert answer.is_client_error
            good = client.post(f"{server.http}/v1/traces", content=b"", headers={"content-type": PROTOBUF})
            assert good.status_code == 200
            streams = [
                one.extensions["network_stream"].get_extra_info("client_addr") for one in (answer, good)
            ]
            assert streams[0] == streams[1]


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("name", list(Signal))
def test_an_empty_request_succeeds(server: Server, name: Signal, encoding: str) -> None:
    """No records are no error."""
    for content_type, body in ((PROTOBUF, b""), (JSON, b"{}")):
        answer = server.post(name, ENCODERS[encoding](body), content_type, content_encoding=encoding)
        assert (answer.status_code, answer.content) == (200, body)


@pytest.mark.parametrize(
    ("name", "path", "rejected"),
    [
        ("traces", ("resourceSpans", "scopeSpans", "spans"), "rejectedSpans"),
        ("logs", ("resourceLogs", "scopeLogs", "logRecords"), "rejectedLogRecords"),
    ],
)
def test_a_json_record_of_a_wrong_type_is_refused_alone(
    server: Server, name: str, path: tuple[str, str, str], rejected: str
) -> None:
    """The neighbours of a wrong record are stored; the answer counts it and says why, not what it held."""
    wrong = {"attributes": [{"key": "sent-by-a-client", "value": {"doubleValue": {}}}]}
    outer, inner, many = path
    body = {outer: [{inner: [{many: [{}, wrong, {}]}]}]}
    before = stored(server)
    answer = server.post(name, json.dumps(body).encode(), JSON)
    partial = answer.json()["partialSuccess"]
    assert (answer.status_code, partial[rejected], stored(server) - before) == (200, "1", 2)
    assert "doubleValue" in partial["errorMessage"]
    assert "sent-by-a-client" not in partial["errorMessage"]


def test_a_json_data_point_of_a_wrong_type_is_refused_alone(server: Server) -> None:
    """As for spans and log records: the other points of its metric are stored."""
    metric = {"name": "m", "gauge": {"dataPoints": [{"asInt": "1"}, {"asDouble": {}}, {"asDouble": 2.5}]}}
    body = {"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}
    before = stored(server)
    answer = server.post("metrics", json.dumps(body).encode(), JSON)
    partial = answer.json()["partialSuccess"]
    assert (answer.status_code, partial["rejectedDataPoints"], stored(server) - before) == (200, "1", 2)
    assert partial["errorMessage"]


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
def test_metrics_without_data_are_refused_alone(server: Server, content_type: str) -> None:
    """A metric that has no type has no table: it is counted as refused, its neighbours are stored."""
    metrics = [
        {"name": "untyped"},
        {"name": "m", "gauge": {"dataPoints": [{"asInt": "1"}]}},
        {"name": "untyped too"},
    ]
    content = {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}
    request = ParseDict(content, ExportMetricsServiceRequest())
    body = json.dumps(content).encode() if content_type == JSON else request.SerializeToString()
    before = stored(server)
    answer = server.post("metrics", body, content_type)
    response: Any = KINDS[Signal.METRICS].response()
    if content_type == JSON:
        ParseDict(answer.json(), response)
    else:
        response.ParseFromString(answer.content)
    partial = response.partial_success
    assert (answer.status_code, partial.rejected_data_points, stored(server) - before) == (200, 2, 1)
    assert "no data" in partial.error_message


def test_json_is_read_as_otlp_defines_it(start: Callable[..., Server]) -> None:
    """Ids are hex of either case, 64-bit integers strings or numbers, enums numbers, others are ignored."""
    trace, span = "5B8EFFF798038103D269B633813FC60C", "EEE19B7EC3C1B174"
    given = spans(
        {
            "traceId": trace,
            "spanId": span,
            "name": "first",
            "kind": 2,
            "startTimeUnixNano": str(NOW),
        },
        {
            "traceId": trace.lower(),
            "spanId": span.lower(),
            "name": "second",
            "kind": 3,
            "startTimeUnixNano": NOW + 1,
            "parent_span_id": "0102030405060708",
            "unknownField": {"nested": [1, None]},
        },
    )
    server = start()
    assert server.post("traces", json.dumps(given).encode(), JSON).json() == {}
    assert server.stop() == 0
    (rows,) = server.rows(
        "SELECT TraceId, SpanId, ParentSpanId, SpanName, SpanKind, toUnixTimestamp64Nano(Timestamp)"
        " AS Nanoseconds FROM otel_traces ORDER BY Timestamp"
    )
    same = {"TraceId": trace.lower(), "SpanId": span.lower(), "ParentSpanId": ""}
    assert rows == [
        {**same, "SpanName": "first", "SpanKind": "Server", "Nanoseconds": NOW},
        {**same, "SpanName": "second", "SpanKind": "Client", "Nanoseconds": NOW + 1},
    ]


def test_an_overloaded_server_says_when_to_try_again(start: Callable[..., Server]) -> None:
    """Past the queue's budget: 503 with Retry-After and a status. Requests that fit are stored, and later all are."""
    large, small = request_of(15_000), request_of(1_000)
    # The first waits until the small one completes a batch, however long that takes.
    size = str(len(large) + len(small))
    server = start(TELEMETRY_QUEUE_BYTES="20000", TELEMETRY_BATCH_AGE_MS="60000", TELEMETRY_BATCH_BYTES=size)
    with ThreadPoolExecutor() as pool:
        first = pool.submit(server.post, "traces", large)
        eventually(lambda: server.metric("telemetry_queued_bytes") == len(large))
        refused = server.post("traces", large)
        second = pool.submit(server.post, "traces", small)
        assert [first.result().status_code, second.result().status_code] == [200, 200]
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    status = failure(refused)
    assert (status.code, [detail.type_url for detail in status.details]) == (
        14,
        ["type.googleapis.com/google.rpc.RetryInfo"],
    )
    assert server.post("traces", request_of(16_000)).status_code == 200
    assert server.metric("telemetry_refused_records_total", reason="overloaded") == 1


@pytest.mark.parametrize("token", ["first-token", "second-token"])
def test_every_token_passes(guarded: Server, token: str) -> None:
    """Each of the tokens in the setting may send; the scheme's case does not matter."""
    for scheme in ("Bearer", "bearer"):
        assert guarded.post("traces", b"", authorization=f"{scheme} {token}").status_code == 200


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer wrong", "Bearer first-toke", "Basic first-token", "first-token",
     "Bearer first-token,second-token"],
)  # fmt: skip
def test_other_tokens_are_answered_401(guarded: Server, authorization: str | None, content_type: str) -> None:
    """The answer asks for a bearer token, in the request's encoding, and names the setting, not a token."""
    headers = {} if authorization is None else {"authorization": authorization}
    answer = guarded.post("traces", b"{}", content_type, **headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    status = failure(answer, content_type)
    assert status.code == 16
    assert "TELEMETRY_INGEST_TOKENS" in status.message
    assert "first-token" not in status.message


def test_a_wrong_token_is_refused_before_the_body_is_read(guarded: Server) -> None:
    """The answer to a body that never comes is there at once."""
    with guarded.connect() as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer wrong\r\nContent-Length: 60000000000\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


def test_health_needs_no_token(guarded: Server) -> None:
    """Probes have no token."""
    address = f"http://{guarded.listening['health']}"
    assert [
        httpx.get(f"{address}/{path}", verify=NO_TLS, timeout=180).status_code
        for path in ("", "live", "ready")
    ] == [
        200,
        200,
        200,
    ]


def preflight(server: Server, origin: str) -> httpx.Response:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization,x-custom",
    }
    return httpx.options(f"{server.http}/v1/traces", headers=headers, verify=NO_TLS)


@pytest.mark.parametrize(
    "origin", ["https://app.example.com", "https://a.example.org", "https://a.b.example.org"]
)
def test_browsers_may_send_from_allowed_origins(guarded: Server, origin: str) -> None:
    """The preflight needs no token and allows any header for two hours; the request is answered as usual."""
    answer = preflight(guarded, origin)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-methods"] == "POST"
    assert answer.headers["access-control-max-age"] == "7200"
    allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert {"content-type", "authorization", "x-custom"} <= allowed
    sent = guarded.post("traces", b"{}", JSON, origin=origin, authorization="Bearer first-token")
    assert (sent.status_code, sent.headers["access-control-allow-origin"]) == (200, origin)
    refused = guarded.post("traces", b"{}", JSON, origin=origin)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, origin)


@pytest.mark.parametrize(
    "origin",
    ["https://example.org", "https://app.example.com.evil.net", "http://app.example.com", "https://evil.net/.example.org",
     "https://a.example.org.evil.net", "https://axexample.org", "null"],
)  # fmt: skip
def test_browsers_may_not_send_from_other_origins(guarded: Server, origin: str) -> None:
    """Neither the preflight nor an answer names an origin that is not allowed."""
    assert "access-control-allow-origin" not in preflight(guarded, origin).headers
    sent = guarded.post("traces", b"{}", JSON, origin=origin, authorization="Bearer first-token")
    assert "access-control-allow-origin" not in sent.headers


def test_browsers_are_off_by_default(server: Server) -> None:
    """Without the setting there is no CORS: a page of another origin is refused, and its preflight before it."""
    answer = preflight(server, "https://app.example.com")
    sent = server.post("traces", b"{}", JSON, origin="https://app.example.com")
    assert (answer.status_code, sent.status_code) == (403, 403)
    assert not [name for one in (answer, sent) for name in one.headers if name.startswith("access-control")]


def test_stopping_answers_and_stores_what_is_under_way(start: Callable[..., Server]) -> None:
    """On SIGTERM ready turns false, those under way are stored and answered, new ones refused, exit 0."""
    server = start(TELEMETRY_BATCH_AGE_MS="3000", TELEMETRY_SHUTDOWN_SECONDS="120")
    ready = f"http://{server.listening['health']}/ready"
    with server.held_open(), ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(server.post, "traces", request_of(100 + number)) for number in range(8)]
        eventually(lambda: server.metric("telemetry_received_records_total") == 8)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: httpx.get(ready, verify=NO_TLS, timeout=180).status_code == 503)
        eventually(lambda: is_refused(server))
        assert [one.result().status_code for one in sent] == [200] * 8
    assert server.process.wait(180) == 0
    assert server.rows("SELECT count() AS n FROM otel_traces") == [[{"n": 8}]]


def is_refused(server: Server) -> bool:
    try:
        with server.connect():
            return False
    except OSError:
        return True
