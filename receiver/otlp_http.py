"""OTLP over HTTP: `/v1/traces`, `/v1/logs` and `/v1/metrics`, in protobuf and JSON, on one port.

Bodies may be compressed (gzip, deflate, zstd) and chunked; the size limit counts decompressed bytes, and
decompression stops there. A caller without an accepted token, or over its rate, is answered before its body
is read. Answers are in the encoding of the request, errors as a `google.rpc.Status`.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import asyncio
import re
from collections.abc import Sequence
from functools import partial
from typing import NoReturn

from google.protobuf.message import Message
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from otlp.bounds import DEFAULTS, RequestLimits
from otlp.compression import Corrupt, Decompressor, TooLarge, UnknownEncoding
from otlp.json_encoding import Decoded, MalformedJson, Quick, decode, encode_response
from otlp.signals import Signal, response
from otlp.status import Failure, Reason, Rejected, TryLater
from receiver.arriving import Arriving, ArrivingLimits, Share, crowded
from receiver.metrics import Metrics
from receiver.pipeline import Accepted
from receiver.senders import Sender, Senders
from receiver.turns import BySize

# Threads share Python's lock: more at a time would only hold more memory.
_DECODED_AT_ONCE = 2
_SMALL_BYTES = 32 << 10
"""A body of so many bytes is translated in 1 ms, at the worst in 30: to hand it to a thread would cost half as much."""
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_SIGNALS = {f"/v1/{signal}": signal for signal in Signal}


def otlp_http(
    senders: Senders,
    metrics: Metrics,
    limits: ArrivingLimits,
    body_timeout_seconds: float,
    cors_origins: Sequence[str] = (),
    bounds: RequestLimits = DEFAULTS,
    quick_json: Quick | None = None,
) -> ASGIApp:
    """Build the ASGI application; `quick_json` is asked first to read a request in JSON."""
    endpoint = _Endpoint(senders, metrics, limits, body_timeout_seconds, bounds, quick_json)
    if not cors_origins:
        return endpoint
    return CORSMiddleware(
        endpoint,
        allow_origins=[origin for origin in cors_origins if "*" not in origin or origin == "*"],
        allow_origin_regex=_wildcards(cors_origins),
        allow_methods=["POST"],
        allow_headers=["*"],
        max_age=7200,
    )


class _Endpoint:
    """The application itself. There are three paths, so it needs no router, which costs more than reading a request."""

    def __init__(
        self,
        senders: Senders,
        metrics: Metrics,
        limits: ArrivingLimits,
        body_timeout_seconds: float,
        bounds: RequestLimits,
        quick_json: Quick | None,
    ) -> None:
        self._bounds = bounds
        self._quick_json = quick_json
        self._decoding = BySize(_DECODED_AT_ONCE)
        self._senders = senders
        self._metrics = metrics
        self._counts = {signal: metrics.of(signal) for signal in Signal}
        self._limits = limits
        self._arriving = Arriving(limits.http_bytes)
        metrics.arriving_bytes.set_function(lambda: self._arriving.used)
        self._body_timeout_seconds = body_timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request. Every method reaches a path, so that a wrong one is answered in the request's encoding."""
        request = Request(scope, receive)
        signal = _SIGNALS.get(scope["path"])
        response = self._not_found(request) if signal is None else await self._export(signal, request)
        await response(scope, receive, send)

    def _not_found(self, request: Request) -> Response:
        self._metrics.requests.labels("none", "http", Reason.NOT_FOUND, "").inc()
        paths = ", ".join(f"/v1/{signal}" for signal in Signal)
        return _answer(_encoding(request) or JSON, Rejected(Reason.NOT_FOUND, f"The paths here are {paths}."))

    async def _export(self, signal: Signal, request: Request) -> Response:
        encoding = _encoding(request)
        name = ""
        try:
            sender = self._authenticate(signal, request)
            name = sender.name
            sender.admit(signal)
            accepted = await self._read_and_accept(signal, encoding, sender, request)
        except Failure as failure:
            self._metrics.requests.labels(signal, "http", failure.reason, name).inc()
            return _answer(encoding or JSON, failure)
        except ClientDisconnect:
            self._metrics.requests.labels(signal, "http", "disconnected", name).inc()
            return Response(status_code=499)
        self._metrics.requests.labels(signal, "http", "ok", name).inc()
        return _encoded(encoding or JSON, response(signal, accepted.rejected, accepted.message), 200)

    def _authenticate(self, signal: Signal, request: Request) -> Sender:
        if request.method != "POST":
            self._refuse(signal, Reason.METHOD_NOT_ALLOWED, "Telemetry is sent with POST.")
        return self._senders.authenticate(signal, request.headers.get("authorization"))

    async def _read_and_accept(
        self, signal: Signal, encoding: str | None, sender: Sender, request: Request
    ) -> Accepted:
        if encoding is None:
            self._refuse(
                signal, Reason.UNSUPPORTED_MEDIA_TYPE, f"The content type must be {PROTOBUF} or {JSON}."
            )
        share = Share()
        try:
            body = await self._body(signal, request, share)
            decoded = await self._decoded(signal, body) if encoding == JSON else None
        finally:
            self._arriving.release(share)
        if decoded is None:
            return await sender.accept(signal, body, _connection(request))
        if decoded.message:
            self._counts[signal].decoded(decoded)
        return _with_refused(await sender.accept(signal, decoded.body, _connection(request)), decoded)

    async def _decoded(self, signal: Signal, body: bytes) -> Decoded:
        """Translate a request in JSON: a small one here, others in a thread, the smaller ones first."""
        try:
            if len(body) <= _SMALL_BYTES:
                return decode(signal.value, body, self._bounds, self._quick_json)
            async with self._decoding.turn(len(body)):
                return await asyncio.to_thread(decode, signal.value, body, self._bounds, self._quick_json)
        except Rejected as rejected:
            self._refuse(signal, rejected.reason, rejected.message)
        except MalformedJson as error:
            self._refuse(signal, Reason.MALFORMED, str(error))

    async def _body(self, signal: Signal, request: Request, share: Share) -> bytes:
        """Read and decompress a body; what it holds is the share's. Raises Failure."""

        def take(size: int) -> None:
            if not self._arriving.take(share, size):
                raise crowded()

        try:
            body = Decompressor(request.headers.get("content-encoding"), self._limits.request_bytes, take)
            async with asyncio.timeout(self._body_timeout_seconds) as patience:
                share.give_up = partial(_expire, share, patience)
                async for chunk in request.stream():
                    body.feed(chunk)
                share.arrived = True
            return body.finish()
        except TryLater as failure:
            self._metrics.refused.labels(signal, failure.reason).inc()
            raise
        except UnknownEncoding as error:
            self._refuse(signal, Reason.UNKNOWN_ENCODING, str(error))
        except TooLarge:
            self._refuse(
                signal,
                Reason.TOO_LARGE,
                f"The request is larger than {self._limits.request_bytes} bytes uncompressed: send smaller batches,"
                " or raise TELEMETRY_MAX_REQUEST_BYTES.",
            )
        except Corrupt as error:
            self._refuse(signal, Reason.MALFORMED, str(error))
        except TimeoutError:
            if share.given_up:
                self._metrics.refused.labels(signal, Reason.CROWDED).inc()
                raise crowded() from None
            self._refuse(
                signal,
                Reason.SLOW_SENDER,
                f"The body did not arrive within {self._body_timeout_seconds:g} s.",
            )

    def _refuse(self, signal: Signal, reason: Reason, message: str) -> NoReturn:
        """Refuse a request whose records cannot be counted: it counts as one."""
        self._metrics.refused.labels(signal, reason).inc()
        raise Rejected(reason, message)


def _expire(share: Share, patience: asyncio.Timeout) -> None:
    """End the wait for a body that has to give way to another."""
    if not share.arrived:
        patience.reschedule(0)


def _connection(request: Request) -> bytes:
    """Return the address and port that a request came from."""
    return f"{request.client.host}:{request.client.port}".encode() if request.client else b""


def _with_refused(accepted: Accepted, decoded: Decoded) -> Accepted:
    messages = [message for message in (decoded.message, accepted.message) if message]
    return Accepted(accepted.rejected + decoded.refused, " ".join(messages), accepted.records)


def _encoding(request: Request) -> str | None:
    """Return the content type without its parameters, or None when it is none of OTLP's."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type if media_type in (PROTOBUF, JSON) else None


def _answer(encoding: str, failure: Failure) -> Response:
    answer = _encoded(encoding, failure.status(), failure.codes.http)
    if isinstance(failure, TryLater):
        answer.headers["retry-after"] = str(failure.retry_after_seconds)
    match failure.reason:
        case Reason.UNAUTHENTICATED:
            answer.headers["www-authenticate"] = "Bearer"
        case Reason.METHOD_NOT_ALLOWED:
            answer.headers["allow"] = "POST"
        case Reason.TOO_LARGE | Reason.SLOW_SENDER | Reason.CROWDED:
            # What is left of the body is not read, so the connection is of no more use.
            answer.headers["connection"] = "close"
    return answer


def _encoded(encoding: str, message: Message, status: int) -> Response:
    content = message.SerializeToString() if encoding == PROTOBUF else encode_response(message)
    return Response(content, status, media_type=encoding)


def _wildcards(origins: Sequence[str]) -> str | None:
    """Turn origins such as https://*.example.com into the one pattern that Starlette takes."""
    patterns = [
        re.escape(origin).replace(r"\*", r"[^/]*") for origin in origins if "*" in origin and origin != "*"
    ]
    return "|".join(patterns) or None
