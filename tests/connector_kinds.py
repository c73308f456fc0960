"""A kind of system for tests of what is around adapters: plain HTTP to a real server in this process."""

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from connectors.addresses import Policy
from connectors.backend import Backend, HttpConfig
from connectors.contract import (
    BackendError,
    Health,
    HealthReport,
    Kind,
    LogLine,
    LogsRequest,
    LogsResult,
    MetricName,
    MetricsRequest,
    Series,
    SeriesResult,
    Signal,
    Window,
)
from connectors.upstream import Upstream

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(slots=True)
class System:
    """A system in this process. `answer` makes the status, headers and body for a path."""

    url: str
    asked: list[str] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    answer: Callable[[str], Answer] = lambda _: (200, {}, b"{}")
    broken_off: threading.Event = field(default_factory=threading.Event)


@contextmanager
def system() -> Iterator[System]:
    """Run a system on a free port."""
    found: System

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append(self.path)
            found.headers.append(dict(self.headers.items()))
            status, headers, body = found.answer(self.path)
            try:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)
            except (BrokenPipeError, ConnectionResetError):
                found.broken_off.set()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = System(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def series(*labels: Mapping[str, str]) -> bytes:
    """Return a body with a series of two points for each."""
    return json.dumps([{"labels": dict(one), "points": [[1, 2.0], [2, None]]} for one in labels]).encode()


class PlainAdapter:
    """Asks GET /series, /lines and /health."""

    backend_type = "plain"
    signals = frozenset({Signal.METRICS, Signal.LOGS})
    language = "promql"

    def __init__(self, config: HttpConfig, policy: Policy) -> None:
        self._upstream = Upstream(config.target(), policy)
        self.is_closed = False
        OPENED.append(self)

    async def health(self) -> HealthReport:
        try:
            status, body = await self._upstream.get_json("/health")
        except BackendError as error:
            return HealthReport(Health.UNHEALTHY, error.message)
        if status != 200:
            return HealthReport(Health.DEGRADED, f"Status {status}.")
        return HealthReport(Health.HEALTHY, version=str(body.get("version", "")))

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        del window
        return ["checkout", "payment"][:limit]

    async def query_range(self, request: MetricsRequest) -> SeriesResult:
        status, body = await self._upstream.get_json("/series", params={"query": request.query})
        if status == 400:
            raise BackendError(Kind.BAD_QUERY, "The query is not accepted.", str(body))
        return SeriesResult(
            [Series(one["labels"], [tuple(point) for point in one["points"]]) for one in body]
        )

    async def metric_names(self, match: str, limit: int) -> Sequence[MetricName]:
        return [MetricName("up")][:limit] if match in "up" else []

    async def label_names(self, metric: str, window: Window, limit: int) -> Sequence[str]:
        del metric, window
        return ["pod"][:limit]

    async def label_values(self, label: str, metric: str, window: Window, limit: int) -> Sequence[str]:
        del label, metric, window
        return ["a"][:limit]

    async def search(self, request: LogsRequest) -> LogsResult:
        del request
        _, body = await self._upstream.get_json("/lines")
        return LogsResult([LogLine(**one) for one in body])

    async def context(
        self, line: LogLine, before: int, after: int
    ) -> tuple[Sequence[LogLine], Sequence[LogLine]]:
        del line, before, after
        return [], []

    async def count_by_severity(self, request: LogsRequest) -> Mapping[str, int]:
        del request
        raise BackendError(Kind.UNSUPPORTED, "This system does not count.")

    async def close(self) -> None:
        self.is_closed = True
        await self._upstream.close()


OPENED: list[PlainAdapter] = []
"""All adapters that were opened, in order."""
PLAIN = Backend("plain", "Plain HTTP", PlainAdapter.signals, HttpConfig, PlainAdapter)
OTHER = Backend("other", "Another one", frozenset({Signal.TRACES}), HttpConfig, PlainAdapter)


def installed(folder: Path) -> dict[str, str]:
    """Return the environment in which a distribution with the kind `plain` is installed, and one that is broken."""
    points = "[claude_code_telemetry.connectors]\nplain = tests.connector_kinds:PLAIN\n"
    for name, text in (("plain", points), ("broken", points.replace("plain = ", "x = no_such_module."))):
        made = folder / f"{name}_kind-1.0.dist-info"
        made.mkdir(parents=True, exist_ok=True)
        (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-kind\nVersion: 1.0\n")
        (made / "entry_points.txt").write_text(text)
    tests = Path(__file__).parent
    return {"PYTHONPATH": os.pathsep.join(map(str, [folder, tests / "as_installed", tests.parent]))}


def slowly(seconds: float, answer: Answer) -> Callable[[str], Answer]:
    """Return an answer that takes a while."""

    def answered(_: str) -> Answer:
        time.sleep(seconds)
        return answer

    return answered
