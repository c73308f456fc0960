"""Sends requests to an OTLP receiver, several at a time, and waits when it is told to."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Final
from urllib.parse import urlsplit

import grpc

from demo.pack import Request

Export = Callable[[Request], None]
"""Sends one request and returns once it is acknowledged. Raises SendError, or Busy when it should be sent again."""

_METHODS: Final = {
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
}
_IN_FLIGHT: Final = 64
_TIMEOUT_SECONDS: Final = 60
_PATIENCE_SECONDS: Final = 120
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 5.0
_RETRYABLE: Final = frozenset({429, 502, 503, 504})


class SendError(Exception):
    """The receiver did not take the data. The text has the remedy."""


class BusyError(Exception):
    """The receiver asks to send this request again later."""


def send(requests: Iterable[Request], export: Export) -> Iterator[Request]:
    """Send all requests, a few at a time, and yield each once it is acknowledged. Raises SendError."""
    with ThreadPoolExecutor(_IN_FLIGHT) as pool:
        under_way: dict[Future[None], Request] = {}
        for request in requests:
            under_way[pool.submit(_patiently, export, request)] = request
            while len(under_way) >= _IN_FLIGHT:
                yield from _done(under_way)
        while under_way:
            yield from _done(under_way)


def _done(under_way: dict[Future[None], Request]) -> Iterator[Request]:
    finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
    for future in finished:
        request = under_way.pop(future)
        try:
            future.result()
        except SendError:
            for other in under_way:
                other.cancel()
            raise
        yield request


def _patiently(export: Export, request: Request) -> None:
    deadline, pause = time.monotonic() + _PATIENCE_SECONDS, _FIRST_WAIT
    while True:
        try:
            return export(request)
        except BusyError as busy:
            if time.monotonic() + pause > deadline:
                raise SendError(
                    f"The receiver took nothing for {_PATIENCE_SECONDS} seconds ({busy}): look at its log."
                ) from None
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_WAIT)


@contextmanager
def connect(endpoint: str, protocol: str, token: str) -> Iterator[Export]:
    """Open the way to a receiver: `endpoint` like http://localhost:4317, `protocol` grpc or http, a token or ""."""
    address = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    if not address.hostname or not address.port:
        raise SendError(f"{endpoint} is no address: name it like http://localhost:4317.")
    secure = address.scheme == "https"
    if protocol == "http":
        yield _over_http(address.hostname, address.port, token, secure=secure)
        return
    host = f"[{address.hostname}]" if ":" in address.hostname else address.hostname
    target = f"{host}:{address.port}"
    options = [("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0)]
    with (
        grpc.secure_channel(target, grpc.ssl_channel_credentials(), options)
        if secure
        else grpc.insecure_channel(target, options)
    ) as channel:
        yield _over_grpc(channel, endpoint, token)


def _over_grpc(channel: grpc.Channel, endpoint: str, token: str) -> Export:
    calls = {signal: channel.unary_unary(method) for signal, method in _METHODS.items()}
    metadata = [("authorization", f"Bearer {token}")] if token else []
    # A receiver that is not there looks like a busy one; it is busy only when it has answered once.
    try:
        grpc.channel_ready_future(channel).result(timeout=10)
    except grpc.FutureTimeoutError:
        raise SendError(
            f"Nothing answers at {endpoint}: start the server, or name it with --endpoint."
        ) from None

    def export(request: Request) -> None:
        try:
            calls[request.signal](request.body, timeout=_TIMEOUT_SECONDS, metadata=metadata)
        except grpc.RpcError as error:
            code = error.code().name
            if code in {"UNAVAILABLE", "DEADLINE_EXCEEDED"}:
                raise BusyError(code) from None
            raise _refused(code) from None

    return export


def _over_http(host: str, port: int, token: str, *, secure: bool) -> Export:
    headers = {"content-type": "application/x-protobuf"} | (
        {"authorization": f"Bearer {token}"} if token else {}
    )
    kind = HTTPSConnection if secure else HTTPConnection

    def export(request: Request) -> None:
        connection = kind(host, port, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request("POST", f"/v1/{request.signal}", request.body, headers)
            response = connection.getresponse()
            response.read()
        except ConnectionRefusedError:
            raise _nobody(f"{host}:{port}") from None
        except (OSError, HTTPException) as error:
            raise BusyError(type(error).__name__) from None
        finally:
            connection.close()
        if response.status in _RETRYABLE:
            raise BusyError(str(response.status))
        if response.status != 200:  # noqa: PLR2004  OK
            raise _refused(str(response.status))

    return export


def _nobody(address: str) -> SendError:
    return SendError(f"Nothing answers at {address}: start the server, or name it with --endpoint.")


def _refused(code: str) -> SendError:
    if code in {"UNAUTHENTICATED", "401"}:
        return SendError(
            "The receiver does not know this token: name one of its TELEMETRY_INGEST_TOKENS with --token."
        )
    return SendError(
        f"The receiver refused the data ({code}): is it an OTLP receiver, and this its protocol?"
    )
