"""Send OTLP requests as a client does: same protocol, same address, same headers, same certificates.

A connection is opened once and carries many requests, several at a time. A failure names the cause, so that a caller
can tell what to correct from what to try again. No error's text holds a header or what a server answered.

Source: https://opentelemetry.io/docs/specs/otlp/
"""

import http.client
import queue
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
import orjson
from google.protobuf.message import Message

from otlp.destination import GRPC_PORT, HTTP_PORT, Destination, Protocol
from otlp.json_encoding import encode_request
from otlp.signals import KINDS
from otlp.status import RETRY_INFO, STATUS_TRAILER

SECONDS: Final = 10.0

Export = Callable[[bytes], None]
"""Sends one serialized Export request, which is stored when this returns. Raises SendError. Threads may share it."""


class Cause(StrEnum):
    """What kept a request from being taken. Only after BUSY should it be sent again as it is."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    PROTOCOL = "protocol"
    TOKEN = "token"  # noqa: S105  not one
    BUSY = "busy"
    REFUSED = "refused"


class SendError(Exception):
    """The request was not taken. `fix` says what to do."""

    def __init__(self, cause: Cause, problem: str, fix: str) -> None:
        super().__init__(f"{problem} {fix}")
        self.cause = cause
        self.problem = problem
        self.fix = fix


@contextmanager
def opened(to: Destination, seconds: float = SECONDS) -> Iterator[Export]:
    """Connect to a destination and yield the function that sends to it; each request may take `seconds`.

    Raises SendError when nothing answers there, or what answers is not trusted or speaks another protocol.
    """
    patience = min(seconds, SECONDS)
    name = to.host
    if to.is_tls:
        name = shake_hands(to, patience).name
    else:
        connect(to, patience)
    if to.protocol is not Protocol.GRPC:
        with _over_http(to, seconds) as export:
            yield export
        return
    with _channel(to, name) as channel:
        _await_ready(to, channel, patience)
        yield _over_grpc(to, channel, seconds)


def send(to: Destination, request: Message, seconds: float = SECONDS) -> None:
    """Send a single request; it is stored when this returns. Raises SendError."""
    with opened(to, seconds) as export:
        export(request.SerializeToString())


def connect(to: Destination, seconds: float = SECONDS) -> None:
    """Open a connection and close it again. Raises SendError when nothing listens there."""
    try:
        socket.create_connection((to.host, to.port), timeout=seconds).close()
    except OSError:
        raise _unreachable(to) from None


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What a client learns from a server's certificate."""

    ends: datetime
    name: str
    """A name that it is valid for."""


def shake_hands(to: Destination, seconds: float = SECONDS) -> ServerCertificate:
    """Open a TLS connection as the client does and return what the server's certificate says.

    Raises SendError with what is wrong with the certificate.
    """
    context = _tls_context(to)
    try:
        with (
            socket.create_connection((to.host, to.port), timeout=seconds) as raw,
            context.wrap_socket(raw, server_hostname=to.host) as connection,
        ):
            certificate: Any = connection.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(to, error) from None
    except (ssl.SSLError, ConnectionResetError):
        raise SendError(
            Cause.TLS,
            f"What answers at {to.address} does not speak TLS, or wants a certificate of the client.",
            f"Use http:// if the server has no TLS; if it wants certificates, set {_CLIENT_CERTIFICATE}",
        ) from None
    except OSError:
        raise _unreachable(to) from None
    names = certificate.get("subjectAltName", ())
    ends = ssl.cert_time_to_seconds(str(certificate.get("notAfter", "")))
    return ServerCertificate(datetime.fromtimestamp(ends, UTC), str(names[0][1]) if names else to.host)


def _tls_context(to: Destination) -> ssl.SSLContext:
    try:
        if to.trusts_any_name:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            # The server's own certificate is trusted, though it is no authority's.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(to.certificate)
        else:
            context = ssl.create_default_context(cafile=str(to.certificate) if to.certificate else None)
        if to.client_certificate:
            context.load_cert_chain(to.client_certificate, to.client_key)
    except OSError as error:  # ssl.SSLError is one
        raise _certificates(error) from None
    return context


def other_protocol(to: Destination) -> str:
    """Return the remedy for a port that speaks the other of OTLP's two protocols."""
    if to.protocol is Protocol.GRPC:
        return (
            "Set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf for this port, or the endpoint's port to the one of gRPC"
            f" ({GRPC_PORT})."
        )
    return (
        "Set OTEL_EXPORTER_OTLP_PROTOCOL=grpc for this port, or the endpoint's port to the one of HTTP"
        f" ({HTTP_PORT})."
    )


def _over_grpc(to: Destination, channel: grpc.Channel, seconds: float) -> Export:
    call = channel.unary_unary(f"/{KINDS[to.signal].service}/Export")
    metadata = list(to.headers)

    def export(body: bytes) -> None:
        try:
            call(body, timeout=seconds, metadata=metadata, wait_for_ready=False)
        except grpc.RpcError as error:
            # A server that recovers says when to send again: https://opentelemetry.io/docs/specs/otlp/#failures
            details: bytes = dict(error.trailing_metadata() or ()).get(STATUS_TRAILER, b"")
            may_repeat = RETRY_INFO.encode() in details
            raise _from_grpc(to, error.code(), may_repeat=may_repeat) from None

    return export


def _channel(to: Destination, server_name: str) -> grpc.Channel:
    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    if not to.is_tls:
        return grpc.insecure_channel(to.address, options)
    if to.trusts_any_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    try:
        credentials = grpc.ssl_channel_credentials(
            to.certificate.read_bytes() if to.certificate else None,
            to.client_key.read_bytes() if to.client_key else None,
            to.client_certificate.read_bytes() if to.client_certificate else None,
        )
    except OSError as error:
        raise _certificates(error) from None
    return grpc.secure_channel(to.address, credentials, options)


def _await_ready(to: Destination, channel: grpc.Channel, seconds: float) -> None:
    """Return when the server has spoken gRPC, so that what fails later is not taken for another protocol."""
    states = queue.SimpleQueue[grpc.ChannelConnectivity]()
    tell = states.put
    deadline = time.monotonic() + seconds
    channel.subscribe(tell, try_to_connect=True)
    try:
        state = None
        while state is not grpc.ChannelConnectivity.READY:
            state = states.get(timeout=max(0, deadline - time.monotonic()))
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                raise _other(to, "does not speak gRPC")
    except queue.Empty:
        raise _other(to, "does not speak gRPC") from None
    finally:
        channel.unsubscribe(tell)


def _from_grpc(to: Destination, code: grpc.StatusCode, *, may_repeat: bool) -> SendError:
    match code:
        case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.DEADLINE_EXCEEDED:
            return _busy(to)
        case grpc.StatusCode.RESOURCE_EXHAUSTED if may_repeat:
            return _busy(to)
        case grpc.StatusCode.UNAUTHENTICATED | grpc.StatusCode.PERMISSION_DENIED:
            return _token(to)
        case grpc.StatusCode.UNIMPLEMENTED:
            return SendError(
                Cause.PROTOCOL, f"What answers at {to.address} takes no OTLP {to.signal}.", other_protocol(to)
            )
        case _:
            return SendError(Cause.REFUSED, f"{to.address} refused the {to.signal} ({code.name}).", _LOOK)


@contextmanager
def _over_http(to: Destination, seconds: float) -> Iterator[Export]:
    path = urlsplit(to.url).path or "/"
    kind = "application/json" if to.protocol is Protocol.JSON else "application/x-protobuf"
    headers = {"content-type": kind, **dict(to.headers)}
    idle = deque[http.client.HTTPConnection]()
    has_answered = False

    def export(body: bytes) -> None:
        nonlocal has_answered
        if to.protocol is Protocol.JSON:
            body = orjson.dumps(encode_request(KINDS[to.signal].request.FromString(body)))
        try:
            connection = idle.pop()
        except IndexError:
            connection = _http_connection(to, seconds)
        try:
            status = _post(connection, path, body, headers)
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            connection.close()
            raise _from_exchange(to, error, has_answered=has_answered) from None
        has_answered = True
        idle.append(connection)
        if status != http.HTTPStatus.OK:
            raise _from_http(to, status, path)

    try:
        yield export
    finally:
        while idle:
            idle.pop().close()


def _http_connection(to: Destination, seconds: float) -> http.client.HTTPConnection:
    if to.is_tls:
        return http.client.HTTPSConnection(to.host, to.port, timeout=seconds, context=_tls_context(to))
    return http.client.HTTPConnection(to.host, to.port, timeout=seconds)


def _post(connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Send a request and return its status; a connection that the server closed meanwhile is opened again."""
    was_open = connection.sock is not None
    try:
        return _exchange(connection, path, body, headers)
    except (ConnectionResetError, BrokenPipeError):
        if not was_open:
            raise
    connection.close()
    return _exchange(connection, path, body, headers)


def _exchange(
    connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]
) -> int:
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    response.read()
    return response.status


def _from_exchange(to: Destination, error: Exception, *, has_answered: bool) -> SendError:
    is_other = isinstance(
        error, (http.client.HTTPException, ConnectionResetError, ssl.SSLError, UnicodeError)
    )
    return _other(to, "does not speak HTTP") if is_other and not has_answered else _busy(to)


def _other(to: Destination, problem: str) -> SendError:
    """Return the error of a server that accepts connections and does not speak the protocol."""
    if to.is_tls:
        # In TLS 1.3 the client's part of the handshake ends before the server looks at the client's certificate.
        fault = (
            "does not accept the client's certificate"
            if to.client_certificate
            else "asks for the client's certificate"
        )
        return SendError(
            Cause.TLS,
            f"What answers at {to.address} {problem}, or {fault}.",
            f"{other_protocol(to)} If the server asks for certificates, set {_CLIENT_CERTIFICATE}",
        )
    if _speaks_tls(to):
        return SendError(
            Cause.TLS,
            f"What answers at {to.address} speaks TLS.",
            f"Use https://{to.address}, and OTEL_EXPORTER_OTLP_CERTIFICATE for an authority that this machine does not"
            " know (telemetry setup --endpoint https://… --certificate FILE).",
        )
    return SendError(Cause.PROTOCOL, f"What answers at {to.address} {problem}.", other_protocol(to))


def _speaks_tls(to: Destination) -> bool:
    """Whether a handshake succeeds, whatever the certificate says: nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((to.host, to.port), timeout=SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=to.host),
        ):
            return True
    except OSError:  # ssl.SSLError is one
        return False


def _from_http(to: Destination, status: int, path: str) -> SendError:
    match status:
        case 401 | 403:
            return _token(to)
        case 404 | 405:
            return SendError(
                Cause.PROTOCOL,
                f"{to.address} takes no OTLP at {path}.",
                "OTEL_EXPORTER_OTLP_ENDPOINT has no path (the client adds /v1/logs and so on); the endpoint of a single"
                " signal has it in full.",
            )
        case 429 | 502 | 503 | 504:
            return _busy(to)
        case 415 | 400 if to.port == GRPC_PORT:
            return SendError(
                Cause.PROTOCOL,
                f"What answers at {to.address} does not speak OTLP over HTTP.",
                other_protocol(to),
            )
        case _:
            return SendError(Cause.REFUSED, f"{to.address} refused the {to.signal} (HTTP {status}).", _LOOK)


_OTHER_NAME: Final = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH, of OpenSSL's x509_vfy.h."""
_LOOK: Final = "The server's metric telemetry_refused_records_total has the reason."
_CLIENT_CERTIFICATE: Final = (
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY to one that it trusts."
)


def _token(to: Destination) -> SendError:
    has = any(key == "authorization" for key, _ in to.headers)
    problem = (
        f"{to.address} does not accept the token."
        if has
        else f"{to.address} wants a token, and none is sent."
    )
    return SendError(
        Cause.TOKEN, problem,
        'Set OTEL_EXPORTER_OTLP_HEADERS to "Authorization=Bearer <token>" with a token of the server'
        " (telemetry setup --token-file FILE does it).",
    )  # fmt: skip


def _untrusted(to: Destination, error: ssl.SSLCertVerificationError) -> SendError:
    reason = "it is for another name" if error.verify_code in _OTHER_NAME else error.verify_message
    return SendError(
        Cause.TLS,
        f"The certificate of {to.address} is not accepted: {reason}.",
        "Set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the authority that signed it, and use a name that it has in"
        " the endpoint.",
    )


def _certificates(error: Exception) -> SendError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not in PEM form"
    return SendError(
        Cause.TLS,
        f"A certificate file cannot be used ({reason}).",
        "OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY name PEM files that you may read.",
    )


def _unreachable(to: Destination) -> SendError:
    return SendError(
        Cause.UNREACHABLE,
        f"Nothing answers at {to.address}.",
        "Start the server (scripts/start.sh), or correct OTEL_EXPORTER_OTLP_ENDPOINT.",
    )


def _busy(to: Destination) -> SendError:
    return SendError(
        Cause.BUSY,
        f"{to.address} took no data now: it is overloaded, stopping, or cannot reach its ClickHouse.",
        "Look at the server's log and at telemetry_insert_errors_total.",
    )
