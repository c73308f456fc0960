"""Which metrics say how a service does: requests, errors, durations and saturation, under the names that are usual.

The names are those of OpenTelemetry's semantic conventions, of the Prometheus client libraries' middlewares, Spring,
gRPC, service meshes, cAdvisor and the process metrics of all clients. The first of each that the system has is taken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.tools.selectors import quoted

_COUNTS: Final = (
    "http_server_request_duration_seconds_count", "http_server_duration_milliseconds_count",
    "http_server_requests_seconds_count", "http_request_duration_seconds_count", "http_requests_total",
    "istio_requests_total", "traces_span_metrics_calls_total", "traces_spanmetrics_calls_total", "calls_total",
    "rpc_server_duration_milliseconds_count", "grpc_server_handled_total", "nginx_http_requests_total",
)  # fmt: skip
_STATUS: Final[Mapping[str, str]] = {
    "http_response_status_code": '=~"5.."',
    "http_status_code": '=~"5.."',
    "status_code": '=~"5..|STATUS_CODE_ERROR"',
    "status": '=~"5.."',
    "code": '=~"5.."',
    "response_code": '=~"5.."',
    "grpc_code": '!="OK"',
    "outcome": '="SERVER_ERROR"',
}
_SATURATION: Final = (
    ("CPU", "container_cpu_usage_seconds_total", "sum(rate({}[5m]))", "cores"),
    ("CPU", "process_cpu_seconds_total", "sum(rate({}[5m]))", "cores"),
    ("CPU", "process_cpu_usage", "max({})", "share"),
    ("memory", "container_memory_working_set_bytes", "sum({})", "By"),
    ("memory", "process_resident_memory_bytes", "sum({})", "By"),
    ("memory", "jvm_memory_used_bytes", "sum({})", "By"),
)


@dataclass(frozen=True, slots=True)
class Golden:
    """One query for one of the four signals."""

    signal: str
    """rate, errors, duration_p50, duration_p95, duration_p99, CPU or memory."""
    metric: str
    query: str
    unit: str


def counter(known: Sequence[str]) -> str | None:
    """Return the metric that counts requests, None when there is none of those."""
    return next((name for name in _COUNTS if name in known), None)


def requests(known: Sequence[str], labels: Sequence[str], selector: str) -> list[Golden]:
    """Return the queries of rate, errors and durations. `labels` are the counter's, `selector` chooses the service."""
    count = counter(known)
    if count is None:
        return []
    found = [Golden("rate", count, f"sum(rate({count}{{{selector}}}[5m]))", "requests/s")]
    status = next((name for name in _STATUS if name in labels), None)
    if status is not None:
        failed = f"{count}{{{selector},{status}{_STATUS[status]}}}"
        found.append(
            Golden(
                "errors",
                count,
                f"(sum(rate({failed}[5m])) or vector(0)) / sum(rate({count}{{{selector}}}[5m]))",
                "share",
            )
        )
    base = count.removesuffix("_count").removesuffix("_total")
    bucket = next(
        (name for name in (f"{base}_bucket", *_buckets(base)) if name in known),
        None,
    )
    if bucket is not None:
        unit = "ms" if "milliseconds" in bucket else "s"
        found += [
            Golden(
                f"duration_p{share}",
                bucket,
                f"histogram_quantile({share / 100:g}, sum by (le) (rate({bucket}{{{selector}}}[5m])))",
                unit,
            )
            for share in (50, 95, 99)
        ]
    return found


def saturation(metric: str, selector: str) -> Golden | None:
    """Return the query of a metric of saturation, None for another metric."""
    for signal, name, query, unit in _SATURATION:
        if name == metric:
            return Golden(signal, name, query.format(f"{name}{{{selector}}}"), unit)
    return None


def saturations(known: Sequence[str]) -> list[str]:
    """Return the metrics of saturation, one of CPU and one of memory at most for each way of counting."""
    return [name for _, name, _, _ in _SATURATION if name in known]


def selector_of(label: str, service: str, *, is_prefix: bool = False) -> str:
    """Return the matcher of a service; of a pod's name the beginning."""
    if is_prefix:
        return f"{label}=~{quoted(_escaped(service) + '(-.*)?')}"
    return f"{label}={quoted(service)}"


def _buckets(base: str) -> tuple[str, ...]:
    return {
        "http_requests": ("http_request_duration_seconds_bucket",),
        "istio_requests": ("istio_request_duration_milliseconds_bucket",),
        "traces_span_metrics_calls": ("traces_span_metrics_duration_milliseconds_bucket",),
        "traces_spanmetrics_calls": ("traces_spanmetrics_latency_bucket",),
        "calls": ("duration_milliseconds_bucket",),
        "grpc_server_handled": ("grpc_server_handling_seconds_bucket",),
    }.get(base, ())


def _escaped(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_-" else "\\" + letter for letter in text)
