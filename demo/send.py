"""Send requests to an OTLP receiver, several at a time, and try again those that it is too busy for.

The sending itself is otlp/sender.py's, the patience otlp/sending.py's; here are remedies that name the options of
`telemetry demo`.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from urllib.parse import SplitResult, urlsplit

from demo.pack import Request
from otlp.destination import Destination, Protocol
from otlp.sender import Cause, SendError, opened
from otlp.sending import send_all
from otlp.signals import Signal

Export = Callable[[Request], None]
"""Sends one request and returns when it is acknowledged. Raises SendError, whose cause BUSY asks to send it again."""

_TIMEOUT_SECONDS: Final = 60


def send(requests: Iterable[Request], export: Export) -> Iterator[Request]:
    """Send all requests, a few at a time, and yield each when it is acknowledged. Raises SendError."""
    return send_all(requests, export)


@contextmanager
def connect(endpoint: str, protocol: str, token: str) -> Iterator[Export]:
    """Connect to a receiver: `endpoint` like http://localhost:4317, `protocol` grpc or http, a token or "".

    Raises SendError.
    """
    address = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    with ExitStack() as stack:
        try:
            exports = {
                signal: stack.enter_context(
                    opened(_destination(address, signal, protocol, token), _TIMEOUT_SECONDS)
                )
                for signal in Signal
            }
        except SendError as error:
            raise _for_demo(error) from None

        def export(request: Request) -> None:
            try:
                exports[Signal(request.signal)](request.body)
            except SendError as error:
                raise _for_demo(error) from None

        yield export


def _destination(address: SplitResult, signal: Signal, protocol: str, token: str) -> Destination:
    if not address.hostname or not address.port:
        raise SendError(
            Cause.UNREACHABLE,
            f"{address.geturl().removeprefix('//')} is no address.",
            "Name it like http://localhost:4317.",
        )
    return Destination(
        signal,
        Protocol.GRPC if protocol == "grpc" else Protocol.PROTOBUF,
        f"{address.scheme or 'http'}://{address.netloc}/v1/{signal}",
        address.hostname,
        address.port,
        is_tls=address.scheme == "https",
        headers=(("authorization", f"Bearer {token}"),) if token else (),
    )


def _for_demo(error: SendError) -> SendError:
    """Return the error with a remedy of this command in place of the client's variables."""
    match error.cause:
        case Cause.TOKEN:
            return SendError(
                error.cause,
                "The receiver does not know this token.",
                "Name one of its TELEMETRY_INGEST_TOKENS with --token.",
            )
        case Cause.UNREACHABLE:
            return SendError(
                error.cause, error.problem, "Start the server, or name its address with --endpoint."
            )
        case Cause.TLS:
            return SendError(
                error.cause,
                error.problem,
                "Use a receiver whose certificate this machine trusts, or http:// if it has no TLS.",
            )
        case Cause.PROTOCOL:
            return SendError(
                error.cause, error.problem, "Name the address of an OTLP receiver, and its --protocol."
            )
        case _:
            return error
