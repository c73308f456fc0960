"""The same faults made to rotel, another receiver that writes to ClickHouse: `pip install -e '.[bench]'`.

It gets the same clients, the same server and the same proxy. It answers a client before its records are stored, so
what it holds in memory is at stake; how much that is, is what is counted here.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from benchmarks.servers import rotel_agent
from tests.faults.ledger import Ledger, Verdict
from tests.faults.proxy import Proxy
from tests.faults.stage import ClickHouse
from tests.server import eventually, free_port

# rotel retries a batch less and less often: a record that is missing a minute after the fault's end is lost.
_QUIET_SECONDS = 60
_MOST_SECONDS = 360


class Rotel:
    """A play with rotel in the receiver's place."""

    name = "rotel"

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.clickhouse = ClickHouse(folder)
        self.proxy = Proxy(self.clickhouse.port)
        self._port = free_port()
        self.target = f"127.0.0.1:{self._port}"
        self.ledger = Ledger()
        self.numbers = count(1)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.launch()
        eventually(lambda: _listens(self._port))

    def launch(self) -> None:
        """Start it at its defaults."""
        exporter = {
            "endpoint": f"http://127.0.0.1:{self.proxy.port}",
            "database": "telemetry",
            "table-prefix": "otel",
            "user": "telemetry_user",
            "password": self.clickhouse.password,
        }
        with (self._folder / "rotel.out").open("ab") as output:
            self.process = subprocess.Popen(
                [
                    str(rotel_agent()),
                    *("start", "--otlp-grpc-endpoint", self.target),
                    *("--otlp-http-endpoint", f"127.0.0.1:{free_port()}"),
                    *("--exporter", "clickhouse"),
                    *(
                        part
                        for name, value in exporter.items()
                        for part in (f"--clickhouse-exporter-{name}", value)
                    ),
                    *(
                        "--log-file",
                        str(self._folder / "rotel.log"),
                        "--pid-file",
                        str(self._folder / "rotel.pid"),
                    ),
                ],
                stdout=output,
                stderr=output,
            )

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()
        self.process.wait(30)
        (self._folder / "rotel.pid").unlink(missing_ok=True)

    def settle(self) -> Verdict:
        """Wait until all is stored, or nothing more comes for a while; then compare."""
        deadline = time.monotonic() + _MOST_SECONDS
        before, since = None, time.monotonic()
        while time.monotonic() < deadline:
            verdict = self.ledger.compare(self.clickhouse.stored())
            if not verdict.lost:
                return verdict
            if verdict != before:
                before, since = verdict, time.monotonic()
            elif time.monotonic() - since > _QUIET_SECONDS:
                return verdict
            time.sleep(1)
        return self.ledger.compare(self.clickhouse.stored())

    def close(self) -> None:
        """Stop everything."""
        self.kill()
        self.clickhouse.process.kill()
        self.proxy.close()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def staged(folder: Path) -> Iterator[Rotel]:
    """Set the stage, and clear it."""
    stage = Rotel(folder)
    try:
        yield stage
    finally:
        stage.close()
