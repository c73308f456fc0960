"""Requests that never end: what they hold is bounded, they are told to try later, and others are served meanwhile."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from benchmarks.floods import HalfSent, unfinished_gzip
from otlp.status import Reason
from receiver.arriving import PATIENCE_SECONDS, Arriving, ArrivingLimits, Share
from receiver.incoming_calls import MAX_WAITING, Awaited, IncomingCalls
from tests.server import NO_TLS, Server, captures, running

MIB = 1 << 20


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start a server for 32 MiB on their way, in requests of 8 MiB, each within ten seconds."""
    with running(
        tmp_path_factory.mktemp("narrow") / "data",
        TELEMETRY_ARRIVING_BYTES=str(32 * MIB),
        TELEMETRY_MAX_REQUEST_BYTES=str(8 * MIB),
        TELEMETRY_BODY_TIMEOUT_SECONDS="10",
    ) as server:
        yield server


def metric(server: Server, line: str) -> float:
    shown = httpx.get(f"http://{server.listening['metrics']}/metrics", timeout=180, verify=NO_TLS).text
    return next((float(one.rsplit(" ", 1)[1]) for one in shown.splitlines() if one.startswith(line)), 0.0)


def test_half_sent_messages_over_grpc(narrow: Server) -> None:
    """Of 60 that lack a byte two are read at a time; each is answered in its time, and others are served."""
    host, _, port = narrow.listening["otlp_grpc"].rpartition(":")
    good = captures("logs")[-1]
    narrow.export("logs", good)
    before = narrow.resident_bytes
    most = exported = 0
    with ExitStack() as stack:
        flood = [stack.enter_context(HalfSent((host, int(port)), 10, 7 * MIB)) for _ in range(6)]
        deadline = time.monotonic() + 180
        while any(len(one.ended) < 10 for one in flood) and time.monotonic() < deadline:
            for one in flood:
                one.pump()
            most = max(most, narrow.resident_bytes)
            if any(one.sent[1] > MIB for one in flood):
                assert narrow.post("logs", good).status_code == 200
                assert narrow.export("logs", good) == b""
                exported += 1
        assert [len(one.ended) for one in flood] == [10] * 6
    assert exported
    # 60 whole messages would be 420 MiB; with some for the requests beside them.
    assert most - before < 150 * MIB
    told = [
        metric(
            narrow, f'telemetry_requests_total{{outcome="{reason}",sender="",signal="logs",transport="grpc"}}'
        )
        for reason in (Reason.CROWDED, Reason.SLOW_SENDER)
    ]
    assert sum(told) == 60


def test_unfinished_bodies_over_http(narrow: Server) -> None:
    """Kilobytes of gzip that unpack to the largest request hold no more than the budget; others are served."""
    body = unfinished_gzip(7 * MIB)
    head = (
        b"POST /v1/logs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
        b"Content-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n"
    )
    connections: list[socket.socket] = []
    try:
        for _ in range(30):
            connections.append(narrow.connect())
            connections[-1].sendall(head + body)
            assert metric(narrow, "telemetry_arriving_bytes") <= 32 * MIB
            assert narrow.post("logs", captures("logs")[-1]).status_code == 200
        answers = [connection.recv(4096) for connection in connections]
    finally:
        for connection in connections:
            connection.close()
    statuses = {answer.split(b" ")[1] for answer in answers}
    assert statuses <= {b"429", b"408"}
    assert all(b"retry-after: 1" in answer for answer in answers if b" 429 " in answer)
    assert b"429" in statuses


class TestArriving:
    """The budget of HTTP's bodies."""

    def test_the_largest_that_takes_long_gives_way(self) -> None:
        """A body that has just begun does not, nor one that is whole."""
        arriving = Arriving(100)
        small, large, whole, young = (Share() for _ in range(4))
        told: list[str] = []
        for name, share, size in (
            ("small", small, 10),
            ("large", large, 40),
            ("whole", whole, 45),
            ("young", young, 5),
        ):
            share.give_up = lambda name=name: told.append(name)
            assert arriving.take(share, size)
            share.begun -= 2 * PATIENCE_SECONDS
        whole.arrived = True
        young.begun = time.monotonic()
        new = Share()
        assert arriving.take(new, 30)
        assert (told, arriving.used) == (["large"], 90)
        assert not arriving.take(large, 1)
        assert not arriving.take(new, 60)
        assert told == ["large", "small"]
        arriving.release(whole)
        assert arriving.take(new, 60)
        assert arriving.used == 95

    @pytest.mark.parametrize(
        ("budget", "message", "messages", "http"), [(256, 16, 8, 128), (16, 16, 1, 16), (40, 16, 1, 24)]
    )
    def test_the_budget_is_shared_by_both_transports(
        self, budget: int, message: int, messages: int, http: int
    ) -> None:
        """Half of it each, and room for one request at least."""
        limits = ArrivingLimits(budget, message)
        assert (limits.grpc_messages, limits.http_bytes) == (messages, http)


class TestIncomingCalls:
    """Whose message is read next over gRPC."""

    def test_clients_are_served_in_turn(self) -> None:
        """One that opens many calls does not keep out the others."""
        incoming = IncomingCalls(2, 10)
        for client in (b"a", b"a", b"a", b"a", b"b"):
            assert incoming.add(Awaited("", None, None, client))
        first = list(incoming.ready())
        assert [one.client for one in first] == [b"a", b"b"]
        assert incoming.arrived(first[1])
        assert [one.client for one in incoming.ready()] == [b"a"]

    def test_what_takes_long_gives_way_when_others_wait(self) -> None:
        """Its message, should it come all the same, is not taken."""
        incoming = IncomingCalls(1, 10)
        slow, waiting = (Awaited("", None, None, client) for client in (b"a", b"b"))
        incoming.add(slow)
        assert list(incoming.ready()) == [slow]
        slow.asked -= 2 * PATIENCE_SECONDS
        assert incoming.giving_way() == []
        incoming.add(waiting)
        assert incoming.giving_way() == [slow]
        assert list(incoming.ready()) == [waiting]
        assert not incoming.arrived(slow)
        assert incoming.arrived(waiting)
        assert not incoming

    def test_each_has_its_time_and_their_number_is_bounded(self) -> None:
        """Those that wait as well as those that are read."""
        incoming = IncomingCalls(1, 10)
        calls = [Awaited("", None, None, b"a") for _ in range(MAX_WAITING + 1)]
        incoming.add(calls[0])
        assert list(incoming.ready()) == calls[:1]
        assert all(incoming.add(call) for call in calls[1:])
        assert not incoming.add(Awaited("", None, None, b"b"))
        for call in calls[:3]:
            call.begun -= 11
        assert incoming.overdue() == calls[:3]
        assert incoming.waiting() == calls[3:]
        assert not incoming
