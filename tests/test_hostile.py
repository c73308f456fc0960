"""Clients that mean harm, or are broken: the server answers each in kind, serves the others and lives on."""

import gzip
import json
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clickhouse.varint import varint
from otlp.compression import zstd
from otlp.signals import KINDS, Signal
from tests.server import NO_TLS, Server, captures, running

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
MARKER = "sent-by-an-attacker"
SENT = [(name, body) for name in Signal for body in captures(name)]
SENT_IN_JSON = [(name, body) for name in Signal for body in captures(name, "json")]
# The longer texts of these, which no log may hold.
TEXTS = {text.decode() for _, body in SENT for text in re.findall(rb"[\w@./ -]{16,}", body)}
# The memory that one request may add to the process: the transform's limit of 1 GiB, and some to hold the request.
MEMORY = 1500 << 20


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that waits one second for a client's headers, and for its body, and takes 1 MiB."""
    data = tmp_path_factory.mktemp("hasty") / "data"
    with running(
        data, TELEMETRY_BODY_TIMEOUT_SECONDS="1", TELEMETRY_MAX_REQUEST_BYTES=str(1 << 20)
    ) as server:
        yield server


@pytest.fixture(autouse=True)
def unharmed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check after every test that good requests pass, and that the log has no content and no traceback."""
    yield
    for name in {"server", "hasty"} & set(request.fixturenames):
        server: Server = request.getfixturevalue(name)
        assert server.process.poll() is None
        assert server.post("traces", captures("traces")[-1]).status_code == 200
        assert server.export("logs", captures("logs")[-1]) == b""
        log = server.log.read_text()
        assert "Traceback" not in log
        assert not [text for text in (MARKER, *TEXTS) if text in log]


def field(number: int, content: bytes) -> bytes:
    """Write a length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def traces(span: bytes, resource: bytes = b"") -> bytes:
    """Make a request of serialized spans' fields, each already a field of ScopeSpans."""
    return field(1, (field(1, resource) if resource else b"") + field(2, span))


def attribute(key: str, value: bytes) -> bytes:
    return field(1, key.encode()) + field(2, value)


def grpc_code(server: Server, name: str, body: bytes, **call: Any) -> grpc.StatusCode:
    try:
        server.export(name, body, **call)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def answer_to(server: Server, data: bytes, port: str = "otlp_http") -> bytes:
    """Send bytes and return the answer up to the server's close; a reset is an end, too."""
    with server.connect(port) as connection:
        with suppress(ConnectionError):
            connection.sendall(data)
        return rest_of(connection)


def rest_of(connection: socket.socket) -> bytes:
    answer = b""
    with suppress(ConnectionError):
        while chunk := connection.recv(65536):
            answer += chunk
    return answer


@contextmanager
def memory_bounded(server: Server, by: int = MEMORY) -> Iterator[None]:
    """Check that the peak of the process's resident memory grows by so many bytes at most."""
    process = Path(f"/proc/{server.process.pid}")

    def resident(name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+) kB$", (process / "status").read_text(), re.MULTILINE)
        assert found
        return int(found[1]) << 10

    before = resident("VmRSS")
    (process / "clear_refs").write_text("5")
    yield
    assert resident("VmHWM") - before <= by


@contextmanager
def others_served(server: Server) -> Iterator[None]:
    """Send good requests all the while; each must be taken."""
    done = threading.Event()

    def send() -> set[int]:
        codes = set()
        while not done.is_set():
            codes.add(server.post("logs", captures("logs")[-1]).status_code)
        return codes

    with ThreadPoolExecutor() as pool:
        codes = pool.submit(send)
        try:
            yield
        finally:
            done.set()
        assert codes.result() == {200}


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("insert"), st.floats(0, 1), st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("delete"), st.floats(0, 1), st.binary(min_size=1, max_size=64)),
        st.tuples(st.just("repeat"), st.floats(0, 1), st.binary(min_size=1, max_size=64)),
        st.tuples(st.just("cut"), st.floats(0, 1), st.just(b"")),
    ),
    min_size=1,
    max_size=4,
)


def changed(body: bytes, changes: list[tuple[str, float, bytes]]) -> bytes:
    for how, where, content in changes:
        start = int(where * len(body))
        end = start + len(content)
        match how:
            case "set":
                body = body[:start] + content + body[end:]
            case "insert":
                body = body[:start] + content + body[start:]
            case "delete":
                body = body[:start] + body[end:]
            case "repeat":
                body = body[:end] + body[start:]
            case "cut":
                body = body[:start]
    return body


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.sampled_from(SENT), changes=CHANGES)
def test_broken_protobuf_over_http(
    keep_alive: httpx.Client, sent: tuple[Signal, bytes], changes: Any
) -> None:
    """Any bytes of a broken client are answered 200 or 400, on a connection that stays open."""
    name, body = sent
    answer = keep_alive.post(
        f"/v1/{name}", content=changed(body, changes), headers={"content-type": PROTOBUF}
    )
    assert answer.status_code in (200, 400)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.sampled_from(SENT), changes=CHANGES)
def test_broken_protobuf_over_grpc(channel: grpc.Channel, sent: tuple[Signal, bytes], changes: Any) -> None:
    """A call with any bytes of a broken client succeeds or is an INVALID_ARGUMENT."""
    name, body = sent
    try:
        channel.unary_unary(f"/{KINDS[name].service}/Export")(changed(body, changes), timeout=180)
    except grpc.RpcError as error:
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017  most calls succeed


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.sampled_from(SENT_IN_JSON), changes=CHANGES)
def test_broken_json(keep_alive: httpx.Client, sent: tuple[Signal, bytes], changes: Any) -> None:
    """As for protobuf."""
    name, body = sent
    answer = keep_alive.post(f"/v1/{name}", content=changed(body, changes), headers={"content-type": JSON})
    assert answer.status_code in (200, 400)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(Signal), content_type=st.sampled_from([PROTOBUF, JSON]), body=st.binary(max_size=200)
)
def test_garbage_over_http(keep_alive: httpx.Client, name: Signal, content_type: str, body: bytes) -> None:
    """Bytes without any sense are answered 200 or 400."""
    answer = keep_alive.post(f"/v1/{name}", content=body, headers={"content-type": content_type})
    assert answer.status_code in (200, 400)


@pytest.fixture(scope="module")
def keep_alive(server: Server) -> Iterator[httpx.Client]:
    """Open one connection for many requests."""
    with httpx.Client(base_url=server.http, timeout=180, verify=NO_TLS) as client:
        yield client


@pytest.fixture(scope="module")
def channel(server: Server) -> Iterator[grpc.Channel]:
    """Open one connection for many calls."""
    with server.channel() as channel:
        yield channel


@pytest.mark.parametrize("kind", ["array", "kvlist"])
@pytest.mark.parametrize("depth", [20, 45, 60, 5_000])
def test_deeply_nested_values(server: Server, depth: int, kind: str) -> None:
    """A value nested too deep for a parser is cut off over both transports, and the record is stored."""
    value = field(1, MARKER.encode())
    for _ in range(depth):
        value = field(5, field(1, value)) if kind == "array" else field(6, field(1, attribute("k", value)))
    body = traces(field(2, field(9, attribute("deep", value))))
    assert server.post("traces", body).status_code == 200
    assert grpc_code(server, "traces", body) is grpc.StatusCode.OK


@pytest.mark.parametrize("inside", [b"[", b'{"a":', b'{"resourceSpans":['])
def test_deeply_nested_json(server: Server, inside: bytes) -> None:
    """JSON nested 100,000 deep is malformed."""
    assert server.post("traces", inside * 100_000, JSON).status_code == 400


def test_deeply_nested_values_in_json(server: Server) -> None:
    """A value nested 5,000 deep in otherwise good JSON never takes the server down."""
    value = '{"arrayValue":{"values":[' * 5_000 + '{"stringValue":"x"}' + "]}}" * 5_000
    spans = f'[{{}},{{"attributes":[{{"key":"{MARKER}","value":{value}}}]}}]'
    answer = server.post(
        "traces", f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":{spans}}}]}}]}}'.encode(), JSON
    )
    assert answer.status_code in (200, 400)


@pytest.mark.slow
def test_a_million_attributes_on_one_span(server: Server) -> None:
    """They are stored or refused for good, in bounded memory, while others are served."""
    before, after = field(9, attribute("0000000", field(1, MARKER.encode()))).split(b"0000000")
    body = traces(field(2, b"".join(before + b"%07d" % number + after for number in range(1_000_000))))
    with memory_bounded(server), others_served(server):
        assert server.post("traces", body).status_code in (200, 413)


@pytest.mark.slow
@pytest.mark.parametrize("attributes", [1, 30_000])
def test_a_resource_multiplied_over_its_spans(server: Server, attributes: int) -> None:
    """A resource of 1 MB on 50,000 spans is stored or refused for good, in bounded memory."""
    text = field(1, b"x" * (1_000_000 // attributes - 10))
    resource = b"".join(field(1, attribute(f"k{number}", text)) for number in range(attributes))
    body = traces(field(2, field(5, MARKER.encode())) * 50_000, resource)
    with memory_bounded(server), others_served(server):
        assert server.post("traces", body).status_code in (200, 413)
        codes = (grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert grpc_code(server, "traces", body) in codes


def test_text_that_is_not_utf8(server: Server) -> None:
    """Text that is not UTF-8 is repaired over both transports, at any place, and the record is stored."""
    bad = b"\xff\xfe " + MARKER.encode()
    for body in (
        traces(field(2, field(5, bad))),
        traces(field(2, field(9, field(1, bad)))),
        traces(field(2, field(9, attribute("k", field(1, bad))))),
        traces(field(2, b""), field(1, attribute("k", field(1, bad)))),
    ):
        assert server.post("traces", body).status_code == 200
        assert grpc_code(server, "traces", body) is grpc.StatusCode.OK
    refused = server.post("traces", b'{"resourceSpans":["' + bad + b'"]}', JSON)
    assert (refused.status_code, refused.json()["partialSuccess"]["rejectedSpans"]) == (200, "1")


@pytest.mark.parametrize("length", [-1, -(2**31), 2**31 - 1, 2**31, 2**40, 2**63 - 1])
def test_lies_about_lengths(server: Server, length: int) -> None:
    """A field that claims a negative or huge length is malformed, and nothing is set aside for it."""
    lie = b"\x0a" + varint(length % 2**64) + MARKER.encode()
    with memory_bounded(server, 64 << 20):
        for body in (lie, field(1, lie), traces(lie), traces(field(2, lie))):
            assert server.post("traces", body).status_code == 400
            assert grpc_code(server, "traces", body) is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("length", [2**32 - 1, 2**31, 65 << 20])
def test_lies_about_a_grpc_message_s_length(server: Server, length: int) -> None:
    """A message that claims to be larger than the limit is refused from its head, in little memory."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": f"/{KINDS[Signal.TRACES].service}/Export",
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    block = b"".join(
        b"\0" + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in headers.items()
    )
    message = b"\0" + struct.pack(">I", length) + MARKER.encode()
    data = (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 4, 1, block) + frame(0, 0, 1, message)
    )
    with memory_bounded(server, 64 << 20), server.connect("otlp_grpc") as connection:
        connection.sendall(data)
        answer = b""
        while b"grpc-status" not in answer and (chunk := connection.recv(65536)):
            answer += chunk
    assert b"8" in answer.partition(b"grpc-status")[2][:3]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Write an HTTP/2 frame."""
    return len(payload).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + payload


@pytest.mark.parametrize("port", ["otlp_http", "otlp_grpc"])
@pytest.mark.parametrize(
    "data", [b"\0" * 70_000, b"\x16\x03\x01" + b"\xff" * 70_000, MARKER.encode() * 5_000]
)
def test_bytes_that_are_no_protocol(server: Server, port: str, data: bytes) -> None:
    """A client that speaks neither HTTP nor gRPC gets an error or no answer, and its connection is closed."""
    answer = answer_to(server, data, port)
    assert MARKER.encode() not in answer
    assert port == "otlp_grpc" or not answer or answer.startswith(b"HTTP/1.1 400 ")


BOMBS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize("encoding", BOMBS)
def test_bombs_over_http(hasty: Server, encoding: str) -> None:
    """256 MiB in a small body are refused at the limit, in little memory."""
    bomb = BOMBS[encoding](bytes(256 << 20))
    assert len(bomb) < 1 << 20
    with memory_bounded(hasty, 64 << 20):
        assert hasty.post("traces", bomb, content_encoding=encoding).status_code == 413


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_bombs_over_grpc(hasty: Server, compression: grpc.Compression) -> None:
    """256 MiB in a small message are refused at the limit, in little memory."""
    with memory_bounded(hasty, 64 << 20):
        code = grpc_code(hasty, "traces", bytes(256 << 20), compression=compression)
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "headers",
    [b"a: b\r\n" * 100_000, b"a: " + b"x" * 1_000_000 + b"\r\n", b"x" * 1_000_000],
    ids=["many", "long", "endless name"],
)
def test_floods_of_headers(server: Server, headers: bytes) -> None:
    """A flood of headers is answered 4xx, or not at all, and the connection is closed."""
    head = b"POST /v1/traces HTTP/1.1\r\nHost: " + MARKER.encode() + b"\r\n"
    with memory_bounded(server, 64 << 20):
        answer = answer_to(server, head + headers + b"\r\n")
    assert not answer or answer.startswith(b"HTTP/1.1 4")


def test_floods_of_grpc_headers(server: Server) -> None:
    """A call with far too much metadata is refused."""
    metadata = [(f"x-{number}", MARKER * 100) for number in range(1_000)]
    assert grpc_code(server, "traces", b"", metadata=metadata) is grpc.StatusCode.RESOURCE_EXHAUSTED


HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 1000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n"]
)
def test_a_body_that_does_not_end(hasty: Server, framing: bytes) -> None:
    """Half a body is answered 408 after the time for it, and the connection is closed."""
    answer = answer_to(hasty, HEAD + framing + MARKER.encode())
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer


@pytest.mark.parametrize("head", [b"", b"POST", HEAD, HEAD + b"\r"])
def test_headers_that_do_not_end(hasty: Server, head: bytes) -> None:
    """A connection on which a request does not begin in time is closed without an answer."""
    assert answer_to(hasty, head) == b""


@pytest.mark.parametrize(("begun", "piece"), [(b"GET / HTTP/1.1\r\n", b"x"), (b"", b"\r\n")])
def test_headers_that_drip(hasty: Server, begun: bytes, piece: bytes) -> None:
    """A byte does not restart the time for the headers, nor does a blank line before them."""
    with hasty.connect() as connection:
        connection.sendall(begun)
        assert drip(connection, piece) == b""


@pytest.mark.parametrize(
    "flood",
    [
        b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 1_000_000,
        b"Transfer-Encoding: chunked\r\n\r\n0\r\nx: " + b"x" * 1_000_000,
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"x: y\r\n" * 200_000,
    ],
    ids=["of a chunk's extensions", "in a trailer", "of trailers"],
)
def test_floods_around_a_body(server: Server, flood: bytes) -> None:
    """What HTTP allows between and after a body's chunks is bounded as headers are."""
    with memory_bounded(server, 64 << 20):
        answer = answer_to(server, HEAD + flood)
    assert not answer or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: +4\r\n",
        b"Content-Length: 4, 5\r\n",
        b"Content-Length : 4\r\n",
        b"Content-Length: 4\r\n continued: 5\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0x4\r\n",
    ],
)
def test_bodies_whose_end_is_not_certain(server: Server, framing: bytes) -> None:
    """A length that a proxy could read in another way is refused, and all behind it is left unread."""
    after = b"GET /v1/traces HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answer = answer_to(server, HEAD + framing + b"\r\n0\r\n\r\n" + after)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("upgrade", [b"", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"])
def test_requests_that_do_not_wait_for_answers(server: Server, upgrade: bytes) -> None:
    """Requests one behind the other are answered in their order; an offer of HTTP/2, such as Java's, is passed over."""
    body = captures("traces")[0]
    wanted = 1 if upgrade else 3  # after an offer a client waits for the answer
    request = HEAD + upgrade + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(request * wanted)
            answers = b""
            while answers.count(b"\r\n\r\n") < wanted:
                answers += connection.recv(65536)
            assert answers.count(b"HTTP/1.1 200 OK\r\n") == wanted
    assert "A library reports." not in server.log.read_text()


@pytest.mark.parametrize("head", [b"Content-Encoding: br\r\n", b""])
def test_bodies_that_drip(hasty: Server, head: bytes) -> None:
    """A byte does not restart the time for the body, and a refused request gets no more time."""
    with hasty.connect() as connection:
        connection.sendall(HEAD + head + b"Content-Length: 1000000\r\n\r\n")
        assert drip(connection, b"x").startswith(b"HTTP/1.1 40")


def drip(connection: socket.socket, piece: bytes) -> bytes:
    """Send a little, again and again, until the server closes the connection. Return its answer."""
    answer = b""
    connection.settimeout(0.1)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with suppress(TimeoutError):
            try:
                connection.sendall(piece)
                chunk = connection.recv(65536)
            except ConnectionError:
                return answer
            if not chunk:
                return answer
            answer += chunk
    raise AssertionError("the server did not close the connection")


def test_idle_connections(server: Server) -> None:
    """200 clients that say nothing, and 200 that begin a request, stop no other."""
    with ExitStack() as stack:
        for port in ("otlp_http", "otlp_grpc"):
            idle = [stack.enter_context(server.connect(port)) for _ in range(200)]
            for connection in idle[::2]:
                connection.sendall(HEAD if port == "otlp_http" else b"PRI * HTTP/2.0\r\n")
        assert server.post("traces", captures("traces")[0]).status_code == 200
        assert server.export("traces", captures("traces")[0]) == b""


def test_wrong_tokens_without_end(tmp_path: Path) -> None:
    """Guessing tokens has no effect on others, and the guesses are in no log."""
    with running(tmp_path / "data", TELEMETRY_INGEST_TOKENS="right-token") as server:
        with (
            server.channel() as channel,
            httpx.Client(base_url=server.http, verify=NO_TLS, timeout=180) as client,
        ):
            export = channel.unary_unary(f"/{KINDS[Signal.LOGS].service}/Export")
            for number in range(100):
                guess = f"Bearer {MARKER}{number}"
                headers = {"authorization": guess, "content-type": PROTOBUF}
                assert client.post("/v1/logs", content=b"x" * 100_000, headers=headers).status_code == 401
                with pytest.raises(grpc.RpcError) as caught:
                    export(b"x" * 100_000, metadata=[("authorization", guess)], timeout=180)
                assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
            assert export(captures("logs")[0], metadata=[("authorization", "Bearer right-token")]) == b""
        answer = server.post("logs", captures("logs")[0], authorization="Bearer right-token")
        assert answer.status_code == 200
        log = server.log.read_text()
        assert not [text for text in (MARKER, "right-token", "Traceback") if text in log]


def test_json_of_odd_numbers(server: Server) -> None:
    """Numbers beyond every type refuse their record and no other."""
    for number in ("1e999999999", "9" * 5_000, "-1", '"1e400"', "1" + "0" * 400):
        spans = f'[{{"name":"good"}},{{"startTimeUnixNano":{number}}}]'
        body = f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":{spans}}}]}}]}}'
        answer = server.post("traces", body.encode(), JSON)
        assert answer.status_code in (200, 400)
        if answer.status_code == 200:
            assert json.loads(answer.content)["partialSuccess"]["rejectedSpans"] == "1"
