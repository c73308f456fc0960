"""A server that is instrumented into memory, and what was recorded of it."""

from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from mcp_server_telemetry import Instrumented, Options, instrument


class Measured:
    """The instrumentation of one server, with its spans and points."""

    def __init__(self, server: Any, options: Options | None = None, **more: Any) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        tracer_provider = TracerProvider(shutdown_on_exit=False)
        tracer_provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.of: Instrumented = instrument(
            server,
            options,
            tracer_provider=tracer_provider,
            meter_provider=MeterProvider(metric_readers=[self._reader], shutdown_on_exit=False),
            **more,
        )

    def spans(self) -> list[ReadableSpan]:
        """Return the finished spans."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the finished spans of a name."""
        return [span for span in self.spans() if span.name == name]

    def points(self) -> dict[str, list[tuple[dict[str, Any], float]]]:
        """Return each metric's points: attributes, and the value, of a histogram the count."""
        data = self._reader.get_metrics_data()
        return {
            metric.name: [
                (dict(point.attributes or {}), point.value if hasattr(point, "value") else point.count)
                for point in metric.data.data_points
            ]
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def requests(self) -> list[tuple[str, bytes]]:
        """Return all as OTLP requests: signals and bodies."""
        data = self._reader.get_metrics_data()
        assert data is not None
        return [
            ("traces", encode_spans(self.spans()).SerializeToString()),
            ("metrics", encode_metrics(data).SerializeToString()),
        ]

    def total(self, name: str, **attributes: str) -> float:
        """Return the sum of a metric's points that have these attributes, dots written as underscores."""
        return sum(
            value
            for found, value in self.points().get(name, [])
            if attributes.items() <= {key.replace(".", "_"): one for key, one in found.items()}.items()
        )
