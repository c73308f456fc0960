"""Prometheus and VictoriaMetrics, recorded from Prometheus 2.42 and VictoriaMetrics 1.79."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from connectors.adapters.prometheus import PROMETHEUS, VICTORIAMETRICS
from connectors.addresses import Policy
from connectors.backend import Backend
from connectors.contract import Adapter
from tests.connectors import shop_metrics
from tests.connectors.programs import free_port, program_running
from tests.connectors.replay import Answered, served
from tests.connectors.subject import SECRET, START, MetricsExample, Opened, Subject

_EXAMPLE = MetricsExample(
    query="http_requests_total",
    labels=frozenset({"__name__", "service", "pod", "namespace", "code"}),
    unknown_query="rate(no_such_metric_total[5m])",
    bad_queries={
        "rate(": "unclosed left parenthesis",
        "no_function(up)": "unknown function",
        'count_values("a-b", http_requests_total)': "invalid label name",
        "http_requests_total * on() http_requests_total": "many-to-many matching not allowed",
    },
    metric="http_requests_total",
    metric_type="counter",
    label="code",
    values=frozenset({"200", "500"}),
    undefined_query="process_resident_memory_bytes / 0",
)
_EXAMPLE_OF_VICTORIA = MetricsExample(
    query=_EXAMPLE.query,
    labels=_EXAMPLE.labels,
    unknown_query=_EXAMPLE.unknown_query,
    bad_queries={
        "rate(": "unexpected token",
        "no_function(up)": 'unknown func "no_function"',
        "http_requests_total * on() http_requests_total": "duplicate time series",
    },
    metric=_EXAMPLE.metric,
    metric_type=_EXAMPLE.metric_type,
    label=_EXAMPLE.label,
    values=_EXAMPLE.values,
    undefined_query=_EXAMPLE.undefined_query,
)


def _opened(backend: Backend) -> Opened:
    def opened(url: str, *, timeout_seconds: float = 30.0) -> Adapter:
        given = {"url": url, "auth": {"type": "bearer", "token": SECRET}, "timeout_seconds": timeout_seconds}
        return backend.opened(backend.config.model_validate(given), Policy())

    return opened


@contextmanager
def prometheus_started(program: Path, folder: Path) -> Iterator[str]:
    """Run Prometheus over blocks of the shop's samples; it scrapes the same metrics, so that it knows their types."""
    (folder / "samples.txt").write_text(shop_metrics.openmetrics(), "utf-8")
    tool = program.with_name("promtool")
    subprocess.run(
        [tool, "tsdb", "create-blocks-from", "--quiet", "openmetrics", "samples.txt", "data"],
        cwd=folder, check=True, timeout=180, capture_output=True,
    )  # fmt: skip
    page = shop_metrics.exposition(1).encode()
    kind = {"content-type": "text/plain; version=0.0.4"}
    with served(lambda *_: Answered(200, kind, page)) as exporter:
        (folder / "prometheus.yml").write_text(
            f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: shop
    static_configs: [{{targets: ["{exporter.removeprefix("http://")}"]}}]
""",
            "utf-8",
        )
        url = f"http://127.0.0.1:{free_port()}"
        flags = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=100y",
                 f"--web.listen-address={url.removeprefix('http://')}"]  # fmt: skip
        with program_running([str(program), *flags], folder, f"{url}/-/ready"):
            _wait_for(url, "/api/v1/metadata", {}, lambda data: "queue_length" in data)
            yield url


@contextmanager
def victoriametrics_started(program: Path, folder: Path) -> Iterator[str]:
    """Run VictoriaMetrics with the shop's samples imported."""
    url = f"http://127.0.0.1:{free_port()}"
    flags = [
        "-storageDataPath=data",
        f"-httpListenAddr={url.removeprefix('http://')}",
        "-retentionPeriod=100y",
    ]
    with program_running([str(program), *flags], folder, f"{url}/health"):
        httpx2.post(
            f"{url}/api/v1/import/prometheus", content=shop_metrics.with_milliseconds().encode(), timeout=180
        ).raise_for_status()
        httpx2.get(f"{url}/internal/force_flush", timeout=180).raise_for_status()
        params = {"query": "count(queue_length)", "time": str(int(START.timestamp()) + 3540)}
        _wait_for(url, "/api/v1/query", params, lambda data: data["result"])
        yield url


def _wait_for(url: str, path: str, params: dict[str, str], is_there: Callable[[Any], Any]) -> None:
    deadline = time.monotonic() + 180
    while not is_there(httpx2.get(url + path, params=params, timeout=180).json()["data"]):
        assert time.monotonic() < deadline, f"{path} has no data"
        time.sleep(0.1)


SUBJECTS = (
    Subject(
        "prometheus",
        _opened(PROMETHEUS),
        frozenset(shop_metrics.SERVICES),
        metrics=_EXAMPLE,
        started=prometheus_started,
    ),
    Subject(
        "victoriametrics",
        _opened(VICTORIAMETRICS),
        frozenset(shop_metrics.SERVICES),
        metrics=_EXAMPLE_OF_VICTORIA,
        started=victoriametrics_started,
    ),
)
