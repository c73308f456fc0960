"""The processes of a trial: a server in the place of ClickHouse, the proxy before it, and the receiver under test.

Ports stay the same over restarts, so that clients find the receiver again and the receiver its server. Every process is
`telemetry serve`; the server is one in embedded mode, seen through its ClickHouse interface.
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

import httpx

from tests import prepared
from tests.faults.ledger import PER_REQUEST, Ledger, Stored, Verdict
from tests.faults.proxy import Proxy
from tests.server import NO_TLS, Server, eventually, free_port

START_SECONDS = 300
PATIENCE_SECONDS = 180
"""The time limit of a start, and of every wait, on a machine that is busy with the faults themselves."""
_IDS = {
    "otel_traces": "reinterpretAsUInt64(reverse(unhex(SpanId)))",
    "otel_logs": "reinterpretAsUInt64(reverse(unhex(SpanId)))",
    "otel_metrics_sum": "toUInt64(Value)",
}
# One row a trace and block; each request is a trace, in one block. Those of the soak are in many.
_VIEW = (
    "SELECT count() FROM (SELECT TraceId FROM otel_traces_trace_id_ts WHERE startsWith(TraceId, '00000000')"
    " GROUP BY TraceId HAVING count() > 1)"
)


class ClickHouse:
    """The server that blocks go to."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "clickhouse-server"
        self.port = free_port()
        self.start()

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        prepared.fill(self.data)
        self.process = Server(self.data, {"TELEMETRY_CLICKHOUSE_HTTP_PORT": str(self.port)})
        self.process.wait_until_ready(START_SECONDS)

    @property
    def password(self) -> str:
        """The writer's, which the server has made for itself."""
        found = re.search(
            r"^CLICKHOUSE_PASSWORD=(.*)$", (self.data / "credentials.env").read_text(), re.MULTILINE
        )
        assert found
        return found[1]

    def ask(self, sql: str) -> str:
        """Run a query, past the proxy."""
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/",
            content=sql,
            params={"database": "telemetry"},
            auth=("telemetry_user", self.password),
            timeout=120,
            verify=NO_TLS,
        )
        assert answer.status_code == 200, answer.text
        return answer.text

    def stored(self) -> dict[int, Stored]:
        """Count rows and ids by request."""
        found = {}
        for table, identifier in _IDS.items():
            sql = (
                f"SELECT intDiv(id, {PER_REQUEST}) AS request, count(), uniqExact(id)"
                f" FROM (SELECT {identifier} AS id FROM {table}) GROUP BY request FORMAT TSV"
            )
            for line in self.ask(sql).splitlines():
                request, rows, ids = map(int, line.split("\t"))
                found[request] = Stored(rows, ids)
        return found

    def traces_seen_twice(self) -> int:
        """Count traces that the materialized view has more rows of than one."""
        return int(self.ask(_VIEW))


class Receiver:
    """The server that is tried, writing through a proxy."""

    def __init__(self, folder: Path, url: str, password: str) -> None:
        self.data = folder / "receiver"
        self._environment = {
            "CLICKHOUSE_URL": url,
            "CLICKHOUSE_PASSWORD": password,
            "CLICKHOUSE_CONNECT_SECONDS": "1",
            "CLICKHOUSE_INSERT_SECONDS": "3",
            "TELEMETRY_OTLP_GRPC_PORT": str(free_port()),
            "TELEMETRY_BATCH_AGE_MS": "50",
            "TELEMETRY_RESEND_SECONDS": "900",
        }
        self.target = f"127.0.0.1:{self._environment['TELEMETRY_OTLP_GRPC_PORT']}"

    def launch(self, **environment: str) -> None:
        """Start it, and do not wait."""
        self.process = Server(self.data, {**self._environment, **environment})

    def start(self, **environment: str) -> None:
        """Start it, and wait until it is ready."""
        self.launch(**environment)
        self.process.wait_until_ready(START_SECONDS)

    @property
    def waiting(self) -> int:
        """How many blocks wait in the spool."""
        return int(self.process.metric("telemetry_waiting_blocks"))

    def wait_until_drained(self, seconds: float = 5 * PATIENCE_SECONDS) -> None:
        """Wait until nothing is in the spool any more."""
        eventually(lambda: self.waiting == 0, seconds)

    @property
    def dead_letters(self) -> int:
        """How many blocks were refused for good."""
        return sum(1 for _ in (self.data / "dead-letter").glob("*.block"))


class Play(Protocol):
    """The target of a fault: a receiver between clients and a proxy, this project's or a peer."""

    name: str
    target: str
    """Where its OTLP/gRPC server listens."""
    clickhouse: ClickHouse
    proxy: Proxy
    ledger: Ledger
    numbers: Iterator[int]
    """Of the requests; none is given twice."""

    def kill(self) -> None:
        """Send SIGKILL to the receiver."""

    def launch(self) -> None:
        """Start the receiver again, and do not wait."""

    def start(self) -> None:
        """Start it again, and wait until it is ready."""

    def settle(self) -> Verdict:
        """Wait until nothing is under way any more, and compare."""


Setting = Callable[[Path], AbstractContextManager[Play]]


class Stage:
    """The receiver of this project."""

    name = "this receiver"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.clickhouse = ClickHouse(folder)
        self.proxy = Proxy(self.clickhouse.port)
        self.receiver = Receiver(folder, f"http://127.0.0.1:{self.proxy.port}", self.clickhouse.password)
        self.target = self.receiver.target
        self.ledger = Ledger()
        self.numbers = count(1)
        self.start()

    def kill(self) -> None:
        """Send SIGKILL to the receiver."""
        self.receiver.process.kill()

    def launch(self) -> None:
        """Start the receiver, and do not wait."""
        self.receiver.launch()

    def start(self, **environment: str) -> None:
        """Start the receiver, with other settings perhaps, and wait until it is ready."""
        self.receiver.start(**environment)

    def settle(self) -> Verdict:
        """Wait until the spool is empty, and compare; the rows that views feed must not be there twice either."""
        self.receiver.wait_until_drained()
        twice = self.clickhouse.traces_seen_twice()
        assert twice == 0, f"a view has {twice} traces twice"
        return self.ledger.compare(self.clickhouse.stored())

    def close(self) -> None:
        """Stop everything."""
        self.kill()
        self.clickhouse.process.kill()
        self.proxy.close()


@contextmanager
def staged(folder: Path) -> Iterator[Stage]:
    """Set the stage for this project's receiver, and clear it."""
    stage = Stage(folder)
    try:
        yield stage
    finally:
        stage.close()


def pause(seconds: float) -> None:
    """Let the load run on; the length of a fault, not a wait for a condition."""
    time.sleep(seconds)
