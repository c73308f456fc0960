"""OTLP over gRPC: the three Export methods, the health service and reflection on one port.

Raw request bytes go straight to `accept`; nothing is decoded here. A caller without an accepted token is
answered before its message is read. Keep-alive, concurrent calls, gzip and deflate are gRPC's own.

Source: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from receiver.meters import Meters
from receiver.pipeline import Accept
from receiver.signals import KINDS, Signal, response
from receiver.status import Failure
from receiver.tokens import Tokens

_STATUS_TRAILER = "grpc-status-details-bin"
# Calls of one client at a time; more wait in its own gRPC library.
_CONCURRENT_CALLS = 1024
_PENDING_CALLS = 16384


class OtlpGrpc:
    """The gRPC server. `start` gives the port, which is a free one when 0 was asked for."""

    def __init__(self, accept: Accept, tokens: Tokens, meters: Meters, max_request_bytes: int) -> None:
        self._health = health.aio.HealthServicer()
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", max_request_bytes),
                ("grpc.max_concurrent_streams", _CONCURRENT_CALLS),
                ("grpc.max_metadata_size", 16 << 10),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.so_reuseport", 0),
                # Calls that wait for our event loop; past it gRPC refuses streams, which clients see as errors.
                ("grpc.server.max_pending_requests", _PENDING_CALLS),
                ("grpc.server.max_pending_requests_hard_limit", _PENDING_CALLS),
            ],
            # An interceptor costs each call a task: none where there is nothing to guard.
            interceptors=[_Guard(tokens, meters)] if tokens else [],
        )
        for signal, kind in KINDS.items():
            handler = grpc.unary_unary_rpc_method_handler(_export(signal, accept, meters))
            self._server.add_generic_rpc_handlers(
                [grpc.method_handlers_generic_handler(kind.service, {"Export": handler})]
            )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [kind.service for kind in KINDS.values()]
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )

    async def start(self, host: str, port: int) -> int:
        """Listen; give the port."""
        bound = self._server.add_insecure_port(f"{host}:{port}")
        await self._server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        for kind in KINDS.values():
            await self._health.set(kind.service, health_pb2.HealthCheckResponse.SERVING)
        return bound  # type: ignore[no-any-return]

    async def refuse(self) -> None:
        """Report that the server is not serving any more, so that load balancers turn away."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace_seconds: float) -> None:
        """Take no new calls, and let those under way finish within the grace."""
        await self._server.stop(grace_seconds)


def _export(
    signal: Signal, accept: Accept, meters: Meters
) -> Callable[[bytes, grpc.aio.ServicerContext], Awaitable[bytes]]:
    success = response(signal, 0, "").SerializeToString()
    succeeded = meters.requests.labels(signal, "grpc", "ok")

    async def export(body: bytes, context: grpc.aio.ServicerContext) -> bytes:
        try:
            accepted = await accept(signal, body)
        except Failure as failure:
            meters.requests.labels(signal, "grpc", failure.reason).inc()
            await _abort(context, failure)
        succeeded.inc()
        if not accepted.message:
            return success
        return response(signal, accepted.rejected, accepted.message).SerializeToString()

    return export


class _Guard(grpc.aio.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Answers calls that carry no accepted token; health and reflection are open, as probes have none."""

    def __init__(self, tokens: Tokens, meters: Meters) -> None:
        self._tokens = tokens
        self._meters = meters
        self._guarded = {f"/{kind.service}/Export": signal for signal, kind in KINDS.items()}

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        signal = self._guarded.get(details.method)
        if signal is not None:
            try:
                self._tokens.check(dict(details.invocation_metadata).get("authorization"))
            except Failure as failure:
                self._meters.requests.labels(signal, "grpc", failure.reason).inc()
                self._meters.refused.labels(signal, failure.reason).inc()
                return _refuse_unread(failure)
        return await continuation(details)


def _refuse_unread(failure: Failure) -> grpc.RpcMethodHandler:
    """Make a handler that answers without reading the message, which a unary one would do first."""

    async def refuse(_: AsyncIterator[bytes], context: grpc.aio.ServicerContext) -> bytes:
        await _abort(context, failure)
        return b""

    return grpc.stream_unary_rpc_method_handler(refuse)


async def _abort(context: grpc.aio.ServicerContext, failure: Failure) -> None:
    status: Status = failure.status()
    trailers: tuple[Any, ...] = ((_STATUS_TRAILER, status.SerializeToString()),) if status.details else ()
    await context.abort(failure.answer.grpc, failure.message, trailers)
