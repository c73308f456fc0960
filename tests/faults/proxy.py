"""A proxy between a receiver and its ClickHouse that fails in a chosen way.

It speaks as much HTTP/1.1 as it takes to tell one request from the next and an insert from a query, and runs in a
thread with an event loop of its own. Faults of the connection hold for all requests, the others for inserts alone.
"""

import asyncio
import random
import struct
import threading
from contextlib import suppress
from enum import StrEnum
from socket import SO_LINGER, SOL_SOCKET

_RESET = struct.pack("ii", 1, 0)
_HEAD_BYTES = 1 << 20


class Fault(StrEnum):
    """The proxy's action on a request."""

    NONE = "none"
    REFUSED = "connections refused"
    RESET = "connections reset"
    BLACK_HOLE = "no answer, ever"
    CUT_BEFORE = "cut before the insert"
    CUT_MIDDLE = "cut in the middle of the insert"
    CUT_AFTER = "cut after the insert, before its answer"
    CUT_ANSWER = "cut in the middle of the answer"
    SLOW = "ten times too slow"
    ANSWER_500 = "answer 500"
    ANSWER_503 = "answer 503"
    ANSWER_429 = "answer 429"
    GARBAGE = "garbage for an answer"


CUTS = (Fault.CUT_BEFORE, Fault.CUT_MIDDLE, Fault.CUT_AFTER, Fault.CUT_ANSWER)
NETWORK = tuple(fault for fault in Fault if fault is not Fault.NONE)
_ANSWERS = {
    Fault.ANSWER_500: b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 5\r\n\r\nfault",
    Fault.ANSWER_503: b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nfault",
    Fault.ANSWER_429: b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 5\r\n\r\nfault",
    Fault.GARBAGE: b"\x16\x03\x01 no HTTP at all \xff\x00\r\n\r\n",
}


class Proxy:
    """Listens on a port of its own and passes requests on to another."""

    def __init__(self, target_port: int, *, seed: int = 0, slow_seconds: float = 2.0) -> None:
        self._target_port = target_port
        self._chance = random.Random(seed)
        self._slow_seconds = slow_seconds
        self._fault = Fault.NONE
        self._share = 1.0
        self._connections: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0
        self.struck = 0
        """How many requests and connections a fault was done to."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._call(self._listen())

    def fail(self, fault: Fault, share: float = 1.0) -> None:
        """Fail in this way from now on, a share of the requests; with Fault.NONE work again."""
        self._call(self._change(fault, share))

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self._call(self._finish())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _call(self, coroutine: object) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=_HEAD_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _change(self, fault: Fault, share: float) -> None:
        self._fault, self._share = fault, share
        if fault is Fault.REFUSED and self._server:
            await _stop_listening(self._server)
            self._server = None
        elif fault is not Fault.REFUSED and not self._server:
            await self._listen()
        if fault in {Fault.REFUSED, Fault.RESET}:
            for writer in set(self._connections):
                _reset(writer)

    async def _finish(self) -> None:
        await self._change(Fault.REFUSED, 1.0)
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            if self._fault is Fault.RESET:
                self.struck += 1
                _reset(writer)
                return
            from_server, upstream = await asyncio.open_connection(
                "127.0.0.1", self._target_port, limit=_HEAD_BYTES
            )
            while await self._pass(reader, writer, from_server, upstream):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # either side went away, which is what this is about
        finally:
            self._connections.discard(writer)
            for one in (writer, upstream):
                if one:
                    one.close()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bool:
        """Pass one request and its answer; False when the connection is of no more use."""
        head = await reader.readuntil(b"\r\n\r\n")
        fault = self._choose(head)
        if fault is not Fault.NONE:
            self.struck += 1
        if fault is Fault.CUT_BEFORE:
            _reset(writer)
            return False
        body = await _body(reader, head)
        match fault:
            case Fault.BLACK_HOLE:
                await reader.read()
                return False
            case Fault.ANSWER_500 | Fault.ANSWER_503 | Fault.ANSWER_429 | Fault.GARBAGE:
                writer.write(_ANSWERS[fault])
                await writer.drain()
                return fault is not Fault.GARBAGE
            case Fault.CUT_MIDDLE:
                upstream.write(head + body[: len(body) // 2])
                await upstream.drain()
                _reset(upstream)
                _reset(writer)
                return False
            case Fault.SLOW:
                await asyncio.sleep(self._slow_seconds)
        return await self._answer(fault, head + body, writer, from_server, upstream)

    @staticmethod
    async def _answer(
        fault: Fault,
        request: bytes,
        writer: asyncio.StreamWriter,
        from_server: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> bool:
        """Have a request answered, and pass the answer on or not."""
        upstream.write(request)
        await upstream.drain()
        answer_head = await from_server.readuntil(b"\r\n\r\n")
        answer = answer_head + await _body(from_server, answer_head)
        if fault is Fault.CUT_AFTER:
            _reset(writer)
            return False
        if fault is Fault.CUT_ANSWER:
            writer.write(answer[: len(answer_head) // 2])
            await writer.drain()
            return False
        writer.write(answer)
        await writer.drain()
        return b"connection: close" not in answer_head.lower()

    def _choose(self, head: bytes) -> Fault:
        of_all = self._fault in {Fault.BLACK_HOLE, Fault.RESET}
        if not of_all and b"INSERT" not in head.partition(b"\r\n")[0].upper():
            return Fault.NONE
        return self._fault if self._chance.random() < self._share else Fault.NONE


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    """Read what follows a head, as it is framed."""
    headers = head.lower()
    if b"transfer-encoding: chunked" in headers:
        body = b""
        while True:
            size = await reader.readuntil(b"\r\n")
            body += size
            count = int(size.split(b";")[0], 16)
            body += await reader.readexactly(count + 2)
            if not count:
                return body
    for line in headers.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return await reader.readexactly(int(value))
    return b""


async def _stop_listening(server: asyncio.Server) -> None:
    """Close a server once it has taken in what it has just accepted, which asyncio would leave open."""
    for sock in server.sockets:
        asyncio.get_running_loop().remove_reader(sock)
    await asyncio.sleep(0)
    server.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by a reset in place of an orderly close."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, _RESET)
    writer.transport.abort()
