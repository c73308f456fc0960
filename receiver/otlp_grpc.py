"""OTLP over gRPC: the three Export methods, the health service and reflection on one port.

Raw request bytes go straight to `take`; nothing is decoded here. A caller without an accepted token, or over
its rate, is answered before its message is read. Keep-alive, concurrent calls, gzip, deflate and TLS are gRPC's own.

Source: https://opentelemetry.io/docs/specs/otlp/#otlpgrpc
"""

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from otlp.signals import KINDS, Signal, response
from otlp.status import Failure
from receiver.metrics import Metrics
from receiver.pipeline import Accepted
from receiver.senders import Sender, Senders
from receiver.unary import Answer, Reply, UnaryCalls

# Calls of one client at a time; more wait in its own gRPC library.
_CONCURRENT_CALLS = 1024
_PENDING_CALLS = 16384
_UNASKED_BYTES = 16 << 10
# Health and reflection are for few callers, and open to all: each holds a thread until it is done.
_OTHER_CALLS = 64


class OtlpGrpc:
    """The gRPC server. `start` returns the port, which is a free one when 0 was asked for."""

    def __init__(
        self,
        senders: Senders,
        metrics: Metrics,
        max_request_bytes: int,
        reads: int,
        timeout_seconds: float,
        connections: int,
    ) -> None:
        """Read so many messages at a time, each of so many bytes at most and within so long, of so many connections.

        One more connection is closed at once, which its client sees as UNAVAILABLE and tries again.
        """
        self._server = grpc.server(
            ThreadPoolExecutor(_OTHER_CALLS, thread_name_prefix="grpc"),
            maximum_concurrent_rpcs=_OTHER_CALLS,
            options=[
                ("grpc.max_receive_message_length", max_request_bytes),
                ("grpc.max_concurrent_streams", _CONCURRENT_CALLS),
                ("grpc.max_allowed_incoming_connections", connections),
                ("grpc.max_metadata_size", 16 << 10),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.server_handshake_timeout_ms", 20_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                # What a client may send of a message before it is asked for, and never more for a fast connection.
                ("grpc.http2.lookahead_bytes", _UNASKED_BYTES),
                ("grpc.http2.bdp_probe", 0),
                # A connection without calls is closed; clients open another one.
                ("grpc.max_connection_idle_ms", 600_000),
                ("grpc.so_reuseport", 0),
                # Calls that are not looked at yet; past it gRPC refuses streams, which clients see as errors.
                ("grpc.server.max_pending_requests", _PENDING_CALLS),
                ("grpc.server.max_pending_requests_hard_limit", _PENDING_CALLS),
            ],
        )
        self._metrics = metrics
        self._signals = {f"/{kind.service}/Export": signal for signal, kind in KINDS.items()}
        self._exports = UnaryCalls(
            self._server,
            {path: _Export(signal, senders, metrics).admit for path, signal in self._signals.items()},
            reads,
            timeout_seconds,
            self._count,
        )
        # A thread for each watcher: sending from one that serves others as well would let a stalled client stop them.
        self._health = health.HealthServicer(experimental_non_blocking=False)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [kind.service for kind in KINDS.values()]
        reflection.enable_server_reflection(
            [*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self._server
        )

    def _count(self, path: str, failure: Failure) -> None:
        """Count a call that was refused before its message came; its records cannot be counted."""
        signal = self._signals[path]
        self._metrics.requests.labels(signal, "grpc", failure.reason, "").inc()
        self._metrics.refused.labels(signal, failure.reason).inc()

    async def start(self, host: str, port: int, credentials: grpc.ServerCredentials | None = None) -> int:
        """Listen, with TLS when there are credentials; return the port."""
        address = f"{host}:{port}"
        if credentials is None:
            bound = self._server.add_insecure_port(address)
        else:
            bound = self._server.add_secure_port(address, credentials)
        self._exports.start()
        for service in ("", *(kind.service for kind in KINDS.values())):
            self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return bound  # type: ignore[no-any-return]

    async def refuse(self) -> None:
        """Report that the server is not serving any more, so that load balancers turn away."""
        await asyncio.to_thread(self._health.enter_graceful_shutdown)

    async def stop(self, grace_seconds: float) -> None:
        """Take no new calls, and let those under way finish within the grace."""
        await self._exports.stop(grace_seconds)


class _Export:
    """The Export method of one signal."""

    def __init__(self, signal: Signal, senders: Senders, metrics: Metrics) -> None:
        self._signal = signal
        self._senders = senders
        self._metrics = metrics
        self._success = response(signal, 0, "").SerializeToString()
        self._answers = {name: self._answer_to(sender) for name, sender in senders.all.items()}

    def admit(self, metadata: Iterable[tuple[str, str | bytes]]) -> Answer:
        """Return the function that answers the sender of a call. Raises Failure when it may not send, or not now."""
        name = ""
        try:
            authorization = dict(metadata).get("authorization") if self._senders else None
            sender = self._senders.authenticate(self._signal, authorization)
            name = sender.name
            sender.admit(self._signal)
        except Failure as failure:
            self._metrics.requests.labels(self._signal, "grpc", failure.reason, name).inc()
            raise
        return self._answers[name]

    def _answer_to(self, sender: Sender) -> Answer:
        succeeded = self._metrics.requests.labels(self._signal, "grpc", "ok", sender.name)

        def ended(reply: Reply, ended: Accepted | Failure) -> None:
            if isinstance(ended, Failure):
                self._metrics.requests.labels(self._signal, "grpc", ended.reason, sender.name).inc()
                reply(ended)
                return
            succeeded.inc()
            if not ended.message:
                reply(self._success)
            else:
                reply(response(self._signal, ended.rejected, ended.message).SerializeToString())

        def answer(body: bytes, client: bytes, reply: Reply) -> None:
            sender.take(self._signal, body, client, partial(ended, reply))

        return answer
