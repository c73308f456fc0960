"""Send one OTLP request the way the client does: same protocol, same address, same headers, same certificates.

What goes wrong is told as the link of the way that broke. No error's text holds a header or what a server answered.

Source: https://opentelemetry.io/docs/specs/otlp/
"""

import base64
import http.client
import json
import socket
import ssl
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
from google.protobuf import json_format
from google.protobuf.message import Message

from receiver.signals import KINDS
from telemetry.client.choices import Protocol
from telemetry.client.destination import GRPC_PORT, HTTP_PORT, Destination

SECONDS: Final = 10.0


class Broken(StrEnum):
    """What kept a request from being taken."""

    UNREACHABLE = "unreachable"
    TLS = "tls"
    PROTOCOL = "protocol"
    TOKEN = "token"  # noqa: S105  not one
    BUSY = "busy"
    REFUSED = "refused"


class SendError(Exception):
    """The request was not taken. `fix` says what to do."""

    def __init__(self, broken: Broken, problem: str, fix: str) -> None:
        super().__init__(f"{problem} {fix}")
        self.broken = broken
        self.problem = problem
        self.fix = fix


def send(to: Destination, request: Message, seconds: float = SECONDS) -> None:
    """Send a request; it is stored when this returns. Raises SendError."""
    (shake_hands if to.is_tls else connect)(to, seconds)
    if to.protocol is Protocol.GRPC:
        _send_grpc(to, request, seconds)
    else:
        _send_http(to, request, seconds)


def connect(to: Destination, seconds: float = SECONDS) -> None:
    """Open a connection and close it again. Raises SendError when nothing listens there."""
    try:
        socket.create_connection((to.host, to.port), timeout=seconds).close()
    except OSError:
        raise _unreachable(to) from None


def shake_hands(to: Destination, seconds: float = SECONDS) -> datetime:
    """Open a TLS connection as the client does; give the time at which the server's certificate ends.

    Raises SendError with what is wrong with the certificate.
    """
    context = _tls_context(to)
    try:
        with (
            socket.create_connection((to.host, to.port), timeout=seconds) as plain,
            context.wrap_socket(plain, server_hostname=to.host) as connection,
        ):
            ends = str((connection.getpeercert() or {}).get("notAfter", ""))
    except ssl.SSLCertVerificationError as error:
        raise _untrusted(to, error) from None
    except (ssl.SSLError, ConnectionResetError):
        raise SendError(
            Broken.TLS,
            f"What answers at {to.address} does not speak TLS, or wants a certificate of the client.",
            "Use http:// if the server has no TLS; if it wants certificates, set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"
            " and OTEL_EXPORTER_OTLP_CLIENT_KEY.",
        ) from None
    except OSError:
        raise _unreachable(to) from None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), UTC)


def _tls_context(to: Destination) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(to.certificate) if to.certificate else None)
        if to.client_certificate:
            context.load_cert_chain(to.client_certificate, to.client_key)
    except OSError as error:  # ssl.SSLError is one
        raise _certificates(error) from None
    return context


def other_protocol(to: Destination) -> str:
    """Say what to change when the port speaks the other of OTLP's two protocols."""
    if to.protocol is Protocol.GRPC:
        return (
            "Set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf for this port, or the endpoint's port to the one of gRPC"
            f" ({GRPC_PORT})."
        )
    return (
        "Set OTEL_EXPORTER_OTLP_PROTOCOL=grpc for this port, or the endpoint's port to the one of HTTP"
        f" ({HTTP_PORT})."
    )


def _send_grpc(to: Destination, request: Message, seconds: float) -> None:
    with _channel(to) as channel:
        call = channel.unary_unary(f"/{KINDS[to.signal].service}/Export")
        try:
            call(
                request.SerializeToString(), timeout=seconds, metadata=list(to.headers), wait_for_ready=False
            )
        except grpc.RpcError as error:
            raise _from_grpc(to, error) from None


def _channel(to: Destination) -> grpc.Channel:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    if not to.is_tls:
        return grpc.insecure_channel(to.address, options)
    try:
        credentials = grpc.ssl_channel_credentials(
            to.certificate.read_bytes() if to.certificate else None,
            to.client_key.read_bytes() if to.client_key else None,
            to.client_certificate.read_bytes() if to.client_certificate else None,
        )
    except OSError as error:
        raise _certificates(error) from None
    return grpc.secure_channel(to.address, credentials, options)


def _from_grpc(to: Destination, error: Any) -> SendError:
    code = error.code()
    if code is grpc.StatusCode.UNAVAILABLE:
        return _from_unavailable(to, error)
    if code in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}:
        return _token(to)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return SendError(
            Broken.PROTOCOL, f"What answers at {to.address} takes no OTLP {to.signal}.", other_protocol(to)
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return _busy(to)
    return SendError(Broken.REFUSED, f"{to.address} refused the {to.signal} ({code.name}).", _LOOK)


def _from_unavailable(to: Destination, error: Any) -> SendError:
    # A server of ours that is busy says so in a status of its own; what speaks no gRPC says nothing.
    if any(key == "grpc-status-details-bin" for key, _ in error.trailing_metadata() or ()):
        return _busy(to)
    return SendError(
        Broken.PROTOCOL, f"What answers at {to.address} does not speak gRPC.", other_protocol(to)
    )


def _send_http(to: Destination, request: Message, seconds: float) -> None:
    path = urlsplit(to.url).path or "/"
    kind, body = "application/x-protobuf", request.SerializeToString()
    if to.protocol is Protocol.JSON:
        kind, body = "application/json", json.dumps(otlp_json(request)).encode()
    connection: http.client.HTTPConnection = (
        http.client.HTTPSConnection(to.host, to.port, timeout=seconds, context=_tls_context(to))
        if to.is_tls
        else http.client.HTTPConnection(to.host, to.port, timeout=seconds)
    )
    try:
        connection.request("POST", path, body, {"content-type": kind, **dict(to.headers)})
        answer = connection.getresponse()
        answer.read()
    except (http.client.HTTPException, ConnectionResetError, UnicodeError):
        raise SendError(
            Broken.PROTOCOL, f"What answers at {to.address} does not speak HTTP.", other_protocol(to)
        ) from None
    except OSError:
        raise _busy(to) from None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise _from_http(to, answer.status, path)


def _from_http(to: Destination, status: int, path: str) -> SendError:
    match status:
        case 401 | 403:
            return _token(to)
        case 404 | 405:
            return SendError(
                Broken.PROTOCOL,
                f"{to.address} takes no OTLP at {path}.",
                "OTEL_EXPORTER_OTLP_ENDPOINT has no path (the client adds /v1/logs and so on); the endpoint of a single"
                " signal has it in full.",
            )
        case 429 | 502 | 503 | 504:
            return _busy(to)
        case 415 | 400 if to.port == GRPC_PORT:
            return SendError(
                Broken.PROTOCOL,
                f"What answers at {to.address} does not speak OTLP over HTTP.",
                other_protocol(to),
            )
        case _:
            return SendError(Broken.REFUSED, f"{to.address} refused the {to.signal} (HTTP {status}).", _LOOK)


_LOOK: Final = "The server's metric telemetry_refused_records_total has the reason."


def _token(to: Destination) -> SendError:
    has = any(key == "authorization" for key, _ in to.headers)
    problem = (
        f"{to.address} does not accept the token."
        if has
        else f"{to.address} wants a token, and none is sent."
    )
    return SendError(
        Broken.TOKEN, problem,
        'Set OTEL_EXPORTER_OTLP_HEADERS to "Authorization=Bearer <token>" with a token of the server'
        " (telemetry setup --token-file FILE does it).",
    )  # fmt: skip


def _untrusted(to: Destination, error: ssl.SSLCertVerificationError) -> SendError:
    reason = "it is for another name" if "ostname" in error.verify_message else error.verify_message
    return SendError(
        Broken.TLS,
        f"The certificate of {to.address} is not accepted: {reason}.",
        "Set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the authority that signed it, and use a name that it has in"
        " the endpoint.",
    )


def _certificates(error: Exception) -> SendError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is not in PEM form"
    return SendError(
        Broken.TLS,
        f"A certificate file cannot be used ({reason}).",
        "OTEL_EXPORTER_OTLP_CERTIFICATE, _CLIENT_CERTIFICATE and _CLIENT_KEY name PEM files that you may read.",
    )


def _unreachable(to: Destination) -> SendError:
    return SendError(
        Broken.UNREACHABLE,
        f"Nothing answers at {to.address}.",
        "Start the server (scripts/start.sh), or correct OTEL_EXPORTER_OTLP_ENDPOINT.",
    )


def _busy(to: Destination) -> SendError:
    return SendError(
        Broken.BUSY,
        f"{to.address} took no data now: it is overloaded, stopping, or cannot reach its ClickHouse.",
        "Look at the server's log and at telemetry_insert_errors_total.",
    )


def otlp_json(request: Message) -> Any:
    """Write a request as OTLP's JSON, whose ids are hex and whose enums are numbers."""
    content = json_format.MessageToDict(request, use_integers_for_enums=True)

    def rewrite(node: Any) -> Any:
        if isinstance(node, list):
            return [rewrite(item) for item in node]
        if not isinstance(node, dict):
            return node
        return {
            key: _hex(value) if key in {"traceId", "spanId", "parentSpanId"} else rewrite(value)
            for key, value in node.items()
        }

    return rewrite(content)


def _hex(text: str) -> str:
    return base64.b64decode(text).hex()
