"""Counts and rates by sender: named tokens over both transports, with a real server."""

from collections.abc import Iterator

import grpc
import httpx
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from otlp.signals import KINDS, Signal
from tests.server import NO_TLS, Server, captures, running

RATE = 10_000
LOGS = captures("logs")[0]
LARGE = b"".join(captures("traces") * 40)


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server that takes 10,000 bytes a second of each sender; one has two tokens."""
    data = tmp_path_factory.mktemp("limited") / "data"
    with running(
        data,
        TELEMETRY_INGEST_TOKENS="laptop:one:1,ci:two,ci:three,a:1,b:2,c:3,d:4",
        TELEMETRY_RATE_LIMIT_BYTES=str(RATE),
        TELEMETRY_BATCH_AGE_MS="0",
        TELEMETRY_LOG_FORMAT="console",
    ) as server:
        yield server


def over_http(server: Server, token: str, name: str = "logs", body: bytes = LOGS) -> httpx.Response:
    return server.post(name, body, authorization=f"Bearer {token}")


def over_grpc(server: Server, token: str, name: str = "logs", body: bytes = LOGS) -> bytes:
    return server.export(name, body, metadata=[("authorization", f"Bearer {token}")])


def refusal(server: Server, token: str) -> tuple[grpc.StatusCode, int]:
    """Return the code of a call that is refused, and the seconds after which to send again."""
    with pytest.raises(grpc.RpcError) as caught:
        over_grpc(server, token)
    trailers = dict(caught.value.trailing_metadata())
    (detail,) = Status.FromString(trailers["grpc-status-details-bin"]).details
    info = RetryInfo()
    assert detail.Unpack(info)
    return caught.value.code(), info.retry_delay.seconds


def records(name: Signal, body: bytes) -> int:
    return KINDS[name].survey(KINDS[name].request.FromString(body)).records


def test_what_each_sender_sent_is_counted(limited: Server) -> None:
    """By the token's name, over both transports; a token may hold a colon, a name may have several tokens."""
    assert over_http(limited, "one:1").status_code == 200
    assert over_grpc(limited, "two") == over_grpc(limited, "three") == b""
    assert over_grpc(limited, "two", "traces", captures("traces")[0]) == b""
    assert over_http(limited, "three", body=b"not protobuf").status_code == 400
    each = records(Signal.LOGS, LOGS)

    def counted(name: str, **labels: str) -> float:
        return limited.metric(f"telemetry_{name}_total", **labels)

    assert [
        counted("sender_records", sender="laptop"),
        counted("sender_records", sender="ci", signal="logs"),
    ] == [
        each,
        2 * each,
    ]
    assert counted("sender_bytes", sender="laptop") == len(LOGS)
    assert counted("sender_bytes", sender="ci") == 2 * len(LOGS) + len(captures("traces")[0]) + len(
        b"not protobuf"
    )
    assert counted("requests", sender="laptop", outcome="ok", transport="http") == 1
    assert counted("requests", sender="ci", outcome="ok", transport="grpc") == 3
    assert counted("requests", sender="ci", outcome="malformed", transport="http") == 1


def test_who_is_not_known_has_no_name(limited: Server) -> None:
    """Refused requests without an accepted token count, under no sender; the wrong token is no label."""
    assert over_http(limited, "laptop").status_code == 401
    with pytest.raises(grpc.RpcError):
        over_grpc(limited, "laptop:one:1")
    assert limited.metric("telemetry_requests_total", sender="", outcome="unauthenticated") == 2
    assert limited.metric("telemetry_refused_records_total", reason="unauthenticated") == 2
    text = httpx.get(f"http://{limited.listening['metrics']}/metrics", verify=NO_TLS, timeout=180).text
    assert "one:1" not in text
    assert "one:1" not in limited.log.read_text()


def test_without_tokens_all_are_one_sender(server: Server) -> None:
    """They are called anonymous."""
    before = server.metric("telemetry_sender_records_total", sender="anonymous")
    server.export("logs", LOGS)
    after = server.metric("telemetry_sender_records_total", sender="anonymous")
    assert after - before == records(Signal.LOGS, LOGS)


def test_one_noisy_sender_is_told_to_wait_and_harms_no_other(limited: Server) -> None:
    """A large request passes; until it is paid for, its sender alone is refused, for seconds that are told."""
    seconds = (len(LARGE) - 10 * RATE) / RATE
    assert seconds > 60, "the test must not outlast the wait"
    before = limited.metric("telemetry_refused_records_total", reason="rate_limited")
    assert over_grpc(limited, "1", "traces", LARGE) == b""
    code, wait = refusal(limited, "1")
    assert code is grpc.StatusCode.UNAVAILABLE
    assert seconds - 60 < wait <= seconds + 1
    answer = over_http(limited, "1")
    assert answer.status_code == 429
    assert 0 < int(answer.headers["retry-after"]) <= wait
    assert "TELEMETRY_RATE_LIMIT_BYTES" in Status.FromString(answer.content).message
    assert over_http(limited, "2").status_code == 200
    assert over_grpc(limited, "3") == b""
    assert limited.metric("telemetry_refused_records_total", reason="rate_limited") - before == 2
    assert limited.metric("telemetry_requests_total", sender="a", outcome="rate_limited") == 2
    assert limited.metric("telemetry_requests_total", sender="b", outcome="rate_limited") == 0


def test_a_sender_over_its_rate_is_refused_before_its_body_is_read(limited: Server) -> None:
    """The answer to a body that never comes is there at once."""
    assert over_http(limited, "4", "traces", LARGE).status_code == 200
    with limited.connect() as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer 4\r\nContent-Length: 60000000000\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 429 ")


def test_the_banner_has_a_place_for_the_token(limited: Server) -> None:
    """As a line to copy, without any of the tokens."""
    assert (
        '    export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer <one of TELEMETRY_INGEST_TOKENS>"\n'
        in limited.log.read_text()
    )
