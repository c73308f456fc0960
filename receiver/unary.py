"""Unary gRPC methods answered from the event loop, without a thread, task or lock of gRPC's for each call.

gRPC's own Python servers cost four times what its core does. So the methods that are called thousands of times
a second are served here, straight from the core: one thread waits for its events and hands all messages that
came meanwhile to the event loop at once; answers are sent from there. The rest stays with `grpc.Server`:
connections, other methods, and stopping.

The core ends the process when an operation is begun on a queue of events that is shut down, and it may forget a call
whose client has gone while the call is still being answered here. So every call is ended once, whatever becomes of
it, and the queue is shut down by the thread that waits for its events, after the last call has ended.

The core has no public interface in Python. This module, alone, uses the one that `grpc.Server` is built on:
docs/decisions/0009-grpc-core.md.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import grpc
import structlog
from grpc._cython import cygrpc

from otlp.status import STATUS_TRAILER, Failure, Reason, Rejected, TryLater
from receiver.arriving import crowded
from receiver.incoming_calls import Awaited, IncomingCalls

log = structlog.get_logger()

_NO_FLAGS = 0
_PATIENCE_SECONDS = 1.0
# How often calls are looked at whose messages do not come.
_LOOK_SECONDS = 0.05


Reply = Callable[[bytes | Failure], None]
"""Sends the response's message, or a failure; called in the event loop, once."""

Answer = Callable[[bytes, bytes, Reply], None]
"""Takes a request's message in the event loop, and replies then or later. It may raise nothing that a client is to see.

The second argument is the address and port that the request came from.
"""

Admit = Callable[[Iterable[tuple[str, str | bytes]]], Answer]
"""Check a call's metadata before its message is read, in a thread of the server. Return the handler, or Failure."""


class UnaryCalls:
    """Serves these methods, named by their paths, of a server that is not started yet."""

    def __init__(
        self,
        server: grpc.Server,
        methods: Mapping[str, Admit],
        reads: int,
        timeout_seconds: float,
        count: Callable[[str, Failure], None],
    ) -> None:
        """Read so many messages at a time, each within so long; `count` is told of those that are refused, by path."""
        self._server = server
        self._count = count
        self._incoming = IncomingCalls(reads, timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._looked = 0.0
        self._core = server._cy_server  # noqa: SLF001  see above
        self._methods = methods
        self._events = cygrpc.CompletionQueue()
        self._core.register_completion_queue(self._events)
        for path in methods:
            self._core.register_method(path)
        self._thread = threading.Thread(target=self._serve, name="grpc", daemon=True)
        self._lock = threading.Lock()
        self._stopping = False
        # Calls that are awaited or under way; once it runs, the thread alone counts.
        self._open = 0
        self._arrived: deque[tuple[Awaited, bytes]] = deque()
        self._woken = False
        # Messages that came, whose calls are not answered yet.
        self._unanswered: set[Awaited] = set()
        self._cancelling = False

    def start(self) -> None:
        """Start the server, and answer from the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._server.start()
        for path in self._methods:
            self._await_call(path)
        self._thread.start()

    async def stop(self, grace_seconds: float) -> None:
        """Stop the server: take no new calls, and let those under way finish within the grace."""
        with self._lock:
            self._stopping = True
        stopped = self._server.stop(grace_seconds)
        await asyncio.to_thread(stopped.wait, grace_seconds + _PATIENCE_SECONDS)
        # No client waits any more for what is still being answered: it has gone, or the grace is over.
        self._cancelling = True
        for awaited in list(self._unanswered):
            self._reply(awaited, _stopping())
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _PATIENCE_SECONDS)
        if self._thread.is_alive() or not await asyncio.to_thread(stopped.wait, _PATIENCE_SECONDS):
            log.warning("gRPC did not stop in time.")

    def _serve(self) -> None:
        while self._open:
            event = self._events.poll(self._deadline())
            try:
                if event.tag is not None:
                    event.tag(event)
                else:  # none has come: what is awaited is not here yet
                    self._look()
            except Exception as error:  # noqa: BLE001  a service edge: the other calls go on
                log.error("A call failed in an unforeseen way.", error=type(error).__name__)  # noqa: TRY400
                self._open -= 1
            # An event holds its call, which the core waits for when it stops.
            del event
        self._events.shutdown()

    def _deadline(self) -> float | None:
        """Return when the calls are to be looked at whose messages do not come; events that are there come first."""
        if not self._incoming:
            return None
        return time.time() + max(0.0, self._looked + _LOOK_SECONDS - time.monotonic())

    def _await_call(self, path: str) -> None:
        with self._lock:
            if not self._stopping:
                self._core.request_registered_call(
                    self._events, self._events, path, partial(self._called, path)
                )
                self._open += 1

    def _called(self, path: str, event: Any) -> None:
        if not event.success:  # the server stops
            self._open -= 1
            return
        self._await_call(path)
        try:
            answer = self._methods[path](event.invocation_metadata)
        except Failure as failure:
            self._refuse(event.call, failure)
        else:
            awaited = Awaited(path, answer, event.call, _client(event.call))
            if self._incoming.add(awaited):
                self._read()
            else:
                self._turn_away(awaited, crowded())

    def _turn_away(self, awaited: Awaited, failure: Failure) -> None:
        self._count(awaited.path, failure)
        self._refuse(awaited.call, failure)

    def _read(self) -> None:
        """Ask for the messages whose turn it is."""
        for awaited in self._incoming.ready():
            awaited.call.start_server_batch(
                [cygrpc.ReceiveMessageOperation(_NO_FLAGS)], partial(self._received, awaited)
            )

    def _look(self) -> None:
        """Refuse the calls that have had their time, and those that have to give way to others."""
        self._looked = time.monotonic()
        for awaited in self._incoming.overdue():
            late = Rejected(
                Reason.SLOW_SENDER, f"The message did not arrive within {self._timeout_seconds:g} s."
            )
            self._turn_away(awaited, late)
        for awaited in self._incoming.giving_way():
            self._turn_away(awaited, crowded())
        if self._cancelling:
            for awaited in self._incoming.waiting():
                self._turn_away(awaited, _stopping())
        self._read()

    def _received(self, awaited: Awaited, event: Any) -> None:
        if not self._incoming.arrived(awaited):
            return
        self._read()
        body = event.batch_operations[0].message()
        if body is None:  # the client went away, or ended without a message
            self._end(awaited.call, grpc.StatusCode.UNIMPLEMENTED, "The method takes one message.")
            return
        self._arrived.append((awaited, body))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._woken = False  # first, so that what arrives from now on wakes us again
        while self._arrived:
            awaited, body = self._arrived.popleft()
            self._unanswered.add(awaited)
            if self._cancelling:
                self._reply(awaited, _stopping())
                continue
            try:
                awaited.answer(body, awaited.client, partial(self._reply, awaited))
            except Exception as error:  # noqa: BLE001  a service edge; the text could quote what clients sent
                log.error("A request failed in an unforeseen way.", error=type(error).__name__)  # noqa: TRY400
                self._reply(awaited, TryLater(Reason.INTERNAL, "The server failed; its log says more."))

    def _reply(self, awaited: Awaited, ended: bytes | Failure) -> None:
        """Answer a call, unless it was answered when the server stopped."""
        if awaited not in self._unanswered:
            return
        self._unanswered.discard(awaited)
        if isinstance(ended, Failure):
            self._refuse(awaited.call, ended)
        else:
            self._end(awaited.call, grpc.StatusCode.OK, "", message=ended)

    def _refuse(self, call: Any, failure: Failure) -> None:
        status = failure.status()
        trailers = ((STATUS_TRAILER, status.SerializeToString()),) if status.details else ()
        self._end(call, failure.codes.grpc, failure.message, trailers)

    def _end(
        self,
        call: Any,
        code: grpc.StatusCode,
        details: str,
        trailers: Iterable[tuple[str, bytes]] = (),
        message: bytes | None = None,
    ) -> None:
        """Send the message, if there is one, and the status; the client may have gone, which is no error."""
        operations = [cygrpc.SendInitialMetadataOperation((), _NO_FLAGS)]
        if message is not None:
            operations.append(cygrpc.SendMessageOperation(message, _NO_FLAGS))
        number, _ = code.value
        operations += (
            cygrpc.SendStatusFromServerOperation(trailers, number, details.encode(), _NO_FLAGS),
            # Every call owes the core this one.
            cygrpc.ReceiveCloseOnServerOperation(_NO_FLAGS),
        )
        call.start_server_batch(operations, self._ended)

    def _ended(self, _: Any) -> None:
        self._open -= 1


def _stopping() -> TryLater:
    return TryLater(Reason.STOPPING, "The server is stopping; send again in a moment.", 5)


def _client(call: Any) -> bytes:
    """Return the client's address and port, which are those of its connection."""
    peer: bytes | None = call.peer()
    return peer or b""
