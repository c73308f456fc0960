"""The providers of traces and metrics: made once, of what the environment and the caller say, and flushed at exit.

OpenTelemetry's own environment variables are respected: OTEL_SDK_DISABLED, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES,
OTEL_EXPORTER_OTLP_*, OTEL_TRACES_SAMPLER, OTEL_BSP_*, OTEL_METRIC_EXPORT_INTERVAL. Queues are bounded, and exports run
in threads of their own: a backend that is away, slow or full costs spans, which are counted, and never a call. Nothing
is written to standard output, which belongs to the protocol of a server over standard input.
"""

import atexit
import functools
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from importlib import metadata
from types import FrameType
from typing import Any, Final

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

log = logging.getLogger("mcp_server_telemetry")

PROMETHEUS_PORT: Final = 9464
"""OpenTelemetry's own default for a page that Prometheus scrapes."""
_INTERVAL_MS: Final = 10_000
_SPANS_MS: Final = 1000
_FLUSH_MS: Final = 3_000
_SERVICE: Final = "mcp-server"


class Exporter(StrEnum):
    """Where telemetry is sent."""

    OTLP = "otlp"
    PROMETHEUS = "prometheus"
    CONSOLE = "console"


class ProviderError(Exception):
    """The providers cannot be made; the text says what is missing."""


def setup_otel(
    exporter: Exporter | str = Exporter.OTLP,
    *,
    service_name: str = "",
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    environment: str = "",
    sample_ratio: float | None = None,
    prometheus_port: int = PROMETHEUS_PORT,
) -> Callable[[], None]:
    """Make the process's providers, unless it has some, and return the function that flushes and ends them.

    `endpoint` is the address of an OTLP receiver over HTTP, such as http://localhost:4318; None leaves it to the
    environment. `sample_ratio` is the share of traces, 0 to 1, that is kept where a client did not decide. Raises
    ProviderError for an exporter that is not installed, and ValueError for a wrong value.
    """
    kind = Exporter(exporter)
    if sample_ratio is not None and not 0 <= sample_ratio <= 1:
        raise ValueError("sample_ratio is a share from 0 to 1")
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or _has_providers():
        return _nothing
    resource = Resource.create(_resource(service_name, environment))
    sampler = None if sample_ratio is None else ParentBased(TraceIdRatioBased(sample_ratio))
    spans, readers = _exports(kind, endpoint, dict(headers or {}), prometheus_port)
    meter_provider = MeterProvider(metric_readers=readers, resource=resource, shutdown_on_exit=False)
    tracer_provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    if spans is not None:
        # A server of a short session would have all its spans left to send when its client kills it.
        delay = None if os.environ.get("OTEL_BSP_SCHEDULE_DELAY") else _SPANS_MS
        tracer_provider.add_span_processor(BatchSpanProcessor(spans, schedule_delay_millis=delay))
    metrics.set_meter_provider(meter_provider)
    trace.set_tracer_provider(tracer_provider)
    end = _Ending(tracer_provider, meter_provider)
    atexit.register(end)
    _end_when_terminated(end)
    return end


def _end_when_terminated(end: Callable[[], None]) -> None:
    """Send the rest when a client terminates the server, as it does with one that takes two seconds to end.

    A handler that the program has is left alone.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def terminate(number: int, _: FrameType | None) -> None:
        end()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, terminate)


class _Ending:
    """Flushes and ends the providers side by side, and waits for it for a few seconds at most.

    A client may kill its server soon after it closed it, so that neither must wait for the other. The threads for it
    are started beforehand: at the end of a program none can be.
    """

    def __init__(self, tracer_provider: TracerProvider, meter_provider: MeterProvider) -> None:
        self._process = os.getpid()
        self._begun = threading.Event()
        self._done: list[threading.Event] = []
        for name, shutdown in (
            ("metrics", functools.partial(meter_provider.shutdown, _FLUSH_MS)),
            ("traces", tracer_provider.shutdown),
        ):
            done = threading.Event()
            self._done.append(done)
            threading.Thread(
                target=self._run, args=(shutdown, done), name=f"mcp-telemetry-end-{name}", daemon=True
            ).start()

    def __call__(self) -> None:
        """Flush and end; a second call does nothing, nor does a child process that was forked."""
        if os.getpid() == self._process:
            self._begun.set()
            deadline = time.monotonic() + _FLUSH_MS / 1000
            for done in self._done:
                done.wait(max(0.0, deadline - time.monotonic()))

    def _run(self, shutdown: Callable[[], None], done: threading.Event) -> None:
        self._begun.wait()
        try:
            shutdown()
        except Exception as error:  # noqa: BLE001  the program ends, whatever a backend does
            log.warning("The last telemetry could not be sent (%s).", type(error).__name__)
        finally:
            done.set()


def _has_providers() -> bool:
    """Whether the process has real providers already: those are used, and left alone."""
    return isinstance(trace.get_tracer_provider(), TracerProvider) or isinstance(
        metrics.get_meter_provider(), MeterProvider
    )


def _resource(service_name: str, environment: str) -> dict[str, str]:
    found = {}
    if service_name or not (
        os.environ.get("OTEL_SERVICE_NAME")
        or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    ):
        found["service.name"] = service_name or _SERVICE
    if environment:
        found["deployment.environment.name"] = environment
    found["telemetry.distro.name"] = "mcp-server-telemetry"
    with suppress(metadata.PackageNotFoundError):  # it is part of another distribution
        found["telemetry.distro.version"] = metadata.version("mcp-server-telemetry")
    return found


def _exports(
    kind: Exporter, endpoint: str | None, headers: dict[str, str], port: int
) -> tuple[SpanExporter | None, list[MetricReader]]:
    interval = int(os.environ.get("OTEL_METRIC_EXPORT_INTERVAL") or _INTERVAL_MS)
    if kind is Exporter.CONSOLE:
        # Standard output is the protocol's.
        return ConsoleSpanExporter(out=sys.stderr), [
            PeriodicExportingMetricReader(ConsoleMetricExporter(out=sys.stderr), interval)
        ]
    if kind is Exporter.PROMETHEUS:
        return None, [_prometheus(port)]
    trace_exporter, metric_exporter = _otlp()
    more: dict[str, Any] = {"headers": headers} if headers else {}
    base = endpoint.rstrip("/") if endpoint else None
    return (
        trace_exporter(**more, **({"endpoint": f"{base}/v1/traces"} if base else {})),
        [
            PeriodicExportingMetricReader(
                metric_exporter(**more, **({"endpoint": f"{base}/v1/metrics"} if base else {})), interval
            )
        ],
    )


def _otlp() -> tuple[Any, Any]:
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        raise ProviderError(
            "The OTLP exporter is not installed: pip install 'mcp-server-telemetry[otlp]'."
        ) from None
    return OTLPSpanExporter, OTLPMetricExporter


def _prometheus(port: int) -> MetricReader:
    try:
        from opentelemetry.exporter.prometheus import PrometheusMetricReader
        from prometheus_client import start_http_server
    except ImportError:
        raise ProviderError(
            "The Prometheus exporter is not installed: pip install 'mcp-server-telemetry[prometheus]'."
        ) from None
    host = os.environ.get("OTEL_EXPORTER_PROMETHEUS_HOST") or "127.0.0.1"
    try:
        start_http_server(int(os.environ.get("OTEL_EXPORTER_PROMETHEUS_PORT") or port), host)
    except OSError as error:
        # The server itself must run without it.
        log.warning(
            "The page for Prometheus cannot listen (%s): set OTEL_EXPORTER_PROMETHEUS_PORT.", error.strerror
        )
    reader: MetricReader = PrometheusMetricReader()
    return reader


def _nothing() -> None:
    """End nothing: the providers belong to the process."""
