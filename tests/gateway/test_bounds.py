"""The limits of a statement over the HTTP interface, and its effect on others."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from clickhouse.database import BESIDE
from gateway import frames
from gateway.attempts import FREE
from gateway.errors import QueryError
from gateway.memory import Memory
from otlp.compression import zstd
from tests.gateway.asker import Asker
from tests.gateway.client import GatewayClient
from tests.server import NO_TLS, Server, eventually

_MIB = 1 << 20
LONG = "SELECT count() FROM numbers(1000000000000)"
ENDLESS = f"SELECT length(arrayMap(x -> {'SHA512(' * 60}toString(x){')' * 60}, range(1000000)))"
"""One call that runs for minutes in one block."""


class TestBounds:
    """A query has limits, and others do not notice it."""

    def test_time_memory_rows_and_bytes_are_limited(self, start: Callable[..., Server]) -> None:
        """By the engine, with its own codes."""
        server = start(
            # Longer than a busy machine takes to reach the bound on memory.
            TELEMETRY_QUERY_SECONDS="6",
            TELEMETRY_QUERY_MEMORY_BYTES=str(64 << 20),
            TELEMETRY_QUERY_RESULT_ROWS="100000",
            TELEMETRY_QUERY_RESULT_BYTES="1000000",
        )
        user = GatewayClient(server, "telemetry_reader")
        assert user.refused(f"{LONG} SETTINGS max_threads = 1") == (408, 159)
        assert user.refused("SELECT uniqExact(number) FROM numbers(100000000)")[1] == 241
        assert user.refused("SELECT number FROM numbers(200000)")[1] == 396
        assert (
            user.refused("SELECT repeat('x', 1000) FROM numbers(10000)", headers_accept_encoding="identity")[
                1
            ]
            == 396
        )

    def test_queries_wait_for_a_slot_and_then_are_told(self, start: Callable[..., Server]) -> None:
        """One at a time here; the other user's slots are free meanwhile."""
        server = start(TELEMETRY_QUERIES="1", TELEMETRY_QUERY_SECONDS="14")
        reader, writer = GatewayClient(server, "telemetry_reader"), GatewayClient(server, "telemetry_user")
        heavy = threading.Thread(target=reader.post, args=(LONG,))
        heavy.start()
        eventually(
            lambda: cpu_share(server) > 0.2
        )  # more than it takes at rest, less than a busy machine leaves it
        assert writer.text("SELECT 1") == "1\n"
        assert reader.refused("SELECT 1") == (503, 202)
        heavy.join()
        assert reader.text("SELECT 1") == "1\n"

    def test_a_query_stops_when_its_client_goes(self, server: Server, reader: GatewayClient) -> None:
        """In the engine, whether it had sent anything or not."""
        for sql in (
            LONG,
            "SELECT number FROM numbers(1000000000000)",
        ):
            before = cancelled(server)
            with (
                pytest.raises(httpx.ReadTimeout),
                httpx.Client(auth=reader.auth, timeout=0.7, verify=NO_TLS) as client,
                client.stream("POST", reader.url, content=sql) as answer,
            ):
                next(answer.iter_raw())
                raise httpx.ReadTimeout("enough")
            eventually(lambda before=before: cancelled(server) > before)
            eventually(lambda: cpu_share(server) < 0.3)

    def test_a_slow_reader_holds_nothing_but_its_slot(self, server: Server, reader: GatewayClient) -> None:
        """The engine waits for it, and memory does not grow with the result."""
        with (
            httpx.Client(auth=reader.auth, timeout=180, verify=NO_TLS) as client,
            client.stream(
                "POST", reader.url, content="SELECT number, repeat('x', 200) FROM numbers(4000000)"
            ) as answer,
        ):
            pieces = answer.iter_raw()
            next(pieces)
            eventually(lambda: cpu_share(server) < 0.1)  # the buffers on the way are full
            before = server.resident_bytes
            for _ in range(4):
                cpu_share(server)
                assert server.resident_bytes - before < 30 * _MIB
            assert reader.text("SELECT 1") == "1\n"

    def test_a_slow_body_is_given_up(self, start: Callable[..., Server]) -> None:
        """It would hold a slot of the other writers; nothing of it is stored."""
        server = start(TELEMETRY_BODY_TIMEOUT_SECONDS="1", TELEMETRY_QUERIES="1")
        user = GatewayClient(server, "telemetry_user")
        user.text("CREATE TABLE slow (a UInt8) ENGINE = Memory")
        head = f"POST /?query=INSERT+INTO+slow+FORMAT+CSV&user={user.auth[0]}&password={user.auth[1]} HTTP/1.1\r\n"
        with server.connect("clickhouse_http") as client:
            client.sendall(f"{head}Host: localhost\r\nContent-Length: 1000\r\n\r\n1\n2\n".encode())
            answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"x-clickhouse-exception-code: 209" in answer
        assert user.text("SELECT count() FROM slow") == "0\n"

    def test_statements_have_a_largest_size(self, reader: GatewayClient) -> None:
        """A hundred megabytes are refused before they are read."""
        assert reader.refused(f"SELECT '{'x' * 300_000}'") == (400, 62)
        begun = time.monotonic()
        pieces = (b"SELECT '" if n == 0 else b"x" * 1_000_000 for n in range(100))
        try:
            answer = httpx.post(reader.url, content=pieces, auth=reader.auth, timeout=180, verify=NO_TLS)
            assert answer.status_code == 400
        except httpx.TransportError:
            pass  # the server need not read the rest
        assert time.monotonic() - begun < 1500
        assert reader.text("SELECT 1") == "1\n"

    def test_bombs_cost_little(
        self, server: Server, reader: GatewayClient, writer: GatewayClient, table: str
    ) -> None:
        """For any declared size, and any content."""
        before = server.resident_bytes
        bomb = zstd.compress(bytes(1 << 29))
        assert reader.refused(bomb, headers_content_encoding="zstd")[1] == 62
        frame = zstd.compress(bytes(1 << 29))
        head = b"\x90" + (len(frame) + 9).to_bytes(4, "little") + (100).to_bytes(4, "little")
        framed = frames._hash(head + frame) + head + frame
        assert writer.refused(framed, query=f"INSERT INTO {table} FORMAT CSV", decompress="1")[1] == 89
        sql = "SELECT repeat('x', 1000000) FROM numbers(900) FORMAT Native"
        assert reader.refused(sql, client_protocol_version="54480")[1] in {241, 396}
        assert server.resident_bytes - before < 700 * _MIB

    def test_a_client_that_does_not_read_is_given_up(self, start: Callable[..., Server]) -> None:
        """Its slot is another's in the end."""
        server = start(TELEMETRY_QUERY_SECONDS="2", TELEMETRY_QUERIES="1")
        user = GatewayClient(server, "telemetry_reader")
        with (
            httpx.Client(auth=user.auth, timeout=180, verify=NO_TLS) as client,
            client.stream(
                "POST", user.url, content="SELECT number, repeat('x', 99) FROM numbers(9000000)"
            ) as answer,
        ):
            next(answer.iter_raw())
            assert user.text("SELECT 1") == "1\n"

    @pytest.mark.parametrize(
        "text",
        [
            "/*" * 120_000,
            "'" + "\\'" * 120_000,
            "INSERT INTO t /*" + "/*" * 120_000,
            "SELECT 1" + " " * 250_000 + "+ x",
            "SELECT 1" + ";" * 250_000 + "x",
            "-" * 250_000,
        ],
    )
    def test_no_text_is_looked_at_again_and_again(self, reader: GatewayClient, text: str) -> None:
        """A text that is never closed, or ends late, is an error as quickly as any other."""
        threads = [threading.Thread(target=reader.post, args=(text,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert reader.text("SELECT 1") == "1\n"
        for thread in threads:
            thread.join(180)
        assert not any(thread.is_alive() for thread in threads)
        assert reader.refused(text)[1] in {46, 47, 60, 62}

    def test_deep_nesting_is_an_error(self, reader: GatewayClient) -> None:
        """And the server lives."""
        status, code = reader.refused("SELECT " + "(" * 50_000 + "1" + ")" * 50_000)
        assert (status, code) in {(500, 306), (400, 62), (400, 167), (400, 168)}
        assert reader.text("SELECT 1") == "1\n"

    def test_wrong_passwords_in_a_loop_are_slowed(self, reader: GatewayClient) -> None:
        """For that name; other names are answered at once meanwhile."""
        begun = time.monotonic()
        with httpx.Client(auth=("somebody", "wrong"), verify=NO_TLS, timeout=180) as client:
            for _ in range(FREE + 3):
                assert client.post(reader.url, content="SELECT 1").status_code == 403
                assert reader.text("SELECT 1") == "1\n"
        assert time.monotonic() - begun > 1.5

    def test_a_statement_that_does_not_stop_is_let_go(self, start: Callable[..., Server]) -> None:
        """Its client hears of its time, or is gone; the slots are free for others, and a stop does not wait for it."""
        server = start(TELEMETRY_QUERIES="1", TELEMETRY_QUERY_SECONDS="1")
        user = GatewayClient(server, "telemetry_reader")
        for _ in range(3):
            with (
                pytest.raises(httpx.ReadTimeout),
                httpx.Client(auth=user.auth, timeout=1, verify=NO_TLS) as client,
            ):
                client.post(user.url, content=ENDLESS)
        assert user.text("SELECT 1") == "1\n"
        assert user.refused(ENDLESS) == (408, 159)
        assert user.text("SELECT 1") == "1\n"
        begun = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begun < 150
        assert "Stopped; everything acknowledged is stored." in server.log.read_text()

    @pytest.mark.parametrize(
        "text",
        [
            "{} -- a comment",
            "{};",
            "{}; -- a comment",
            "{} /* FORMAT CSV */",
            "{} FORMAT TSV",
            "{} FORMAT TSV; -- FORMAT CSV",
            "{} FORMAT/* */TSV /* INTO OUTFILE 'x' */ ; ;",
            "-- a comment\n{}\n# another",
            "SELECT * FROM ({}) AS `FORMAT`; -- why",
            "WITH 'INTO OUTFILE' AS x {} UNION ALL SELECT 1, x -- why",
        ],
    )
    def test_results_are_streamed_whatever_the_text_looks_like(
        self, server: Server, reader: GatewayClient, text: str
    ) -> None:
        """Comments, semicolons and misleading words change nothing, and memory does not grow with the result."""
        sql = text.format("SELECT number, repeat('x', 200) FROM numbers(1000000)")
        size = 0
        before = server.resident_bytes
        with (
            httpx.Client(auth=reader.auth, timeout=180, verify=NO_TLS) as client,
            client.stream("POST", reader.url, content=sql, headers={"accept-encoding": "identity"}) as answer,
        ):
            assert answer.status_code == 200
            for piece in answer.iter_raw():
                size += len(piece)
        assert size > 200_000_000
        assert server.resident_bytes - before < 150 * _MIB

    def test_readers_share_a_bound_of_memory(self) -> None:
        """One that runs alone gets what one may have; each further one what the others leave."""
        share = Memory(total=2 << 30, each=1 << 30, slots=4)
        lent = [share.lend() >> 20 for _ in range(4)]
        assert lent == [1024, 512, 256, 256]
        with pytest.raises(QueryError, match="202"):
            share.lend()
        share.ended(share.let_go(lent[0] << 20, used=100 << 20))
        assert share.lend() >> 20 == 1024

    def test_a_statement_beside_another_leaves_it_its_memory(self) -> None:
        """The one that an answer is made from has as much as if it were alone, in whatever order they come."""

        def lent(total: int, each: int, slots: int, *are_beside: bool) -> list[int]:
            memory = Memory(total * _MIB, each * _MIB, slots)
            return [memory.lend(is_beside=is_beside) // _MIB for is_beside in are_beside]

        assert lent(2048, 1024, 4, True, True, False, True) == [256, 256, 1024, 256]
        assert lent(2048, 64, 4, True) == [64]
        # However many slots there are, it can be asked.
        assert lent(2048, 1024, 100, True) == [16]
        assert lent(64, 64, 4, True, True, True, False) == [16, 16, 16, 16]

    def test_the_header_says_that_a_statement_is_beside_another(self, ask: Asker) -> None:
        """Its limit is what a slot has for certain."""
        sql = "SELECT value FROM system.settings WHERE name = 'max_memory_usage'"
        assert int(ask(sql, headers={BESIDE: "1"}).text) == 256 * _MIB
        assert int(ask(sql).text) == 1024 * _MIB

    @pytest.mark.slow
    def test_the_heaviest_query_does_not_stop_ingestion(self, start: Callable[..., Server]) -> None:
        """Four of them in a loop, and every span is acknowledged within a minute and stored."""
        server = start(TELEMETRY_QUERY_SECONDS="3")
        user = GatewayClient(server, "telemetry_reader")
        stop = threading.Event()
        codes: list[int] = []

        def load() -> None:
            while not stop.is_set():
                codes.append(
                    user.refused(
                        "SELECT uniqExact(cityHash64(number, toString(number))) FROM numbers(10000000000)"
                    )[1]
                )

        threads = [threading.Thread(target=load) for _ in range(4)]
        for thread in threads:
            thread.start()
        request = ExportTraceServiceRequest()
        span = request.resource_spans.add().scope_spans.add().spans.add()
        slowest = 0.0
        for number in range(40):
            span.name, span.start_time_unix_nano = f"span {number}", time.time_ns()
            begun = time.monotonic()
            server.export("traces", request.SerializeToString(), timeout=180)
            slowest = max(slowest, time.monotonic() - begun)
        stop.set()
        for thread in threads:
            thread.join()
        assert slowest < 60
        assert set(codes) <= {159, 241, 394}
        assert len(codes) >= 4
        assert user.text("SELECT count() FROM otel_traces") == "40\n"


def cancelled(server: Server) -> float:
    """Return how many queries were cancelled."""
    return server.metric("telemetry_queries_total", outcome="cancelled")


def cpu_share(server: Server) -> float:
    """Measure the cores that the server uses, over a third of a second."""

    def used() -> float:
        fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    before, begun = used(), time.monotonic()
    time.sleep(0.35)
    return (used() - before) / (time.monotonic() - begun)
