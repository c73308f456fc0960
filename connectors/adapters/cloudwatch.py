"""Amazon CloudWatch: metrics by GetMetricData and ListMetrics, logs by CloudWatch Logs.

A metrics query is `Namespace:Metric{Dimension="value"} Statistic`, of which only the metric's name is needed: without a
namespace those of the connection are asked, without a statistic the average, and each set of dimensions that has those
given is a series. Everything else is an expression of CloudWatch's own: metric math, SEARCH, or Metrics Insights'
SELECT. https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
"""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import Field

from connectors.adapters.aws import AwsConfig, Service
from connectors.adapters.cloudwatch_logs import CloudWatchLogs
from connectors.addresses import Policy
from connectors.backend import Backend
from connectors.contract import (
    About,
    BackendError,
    Health,
    HealthReport,
    Kind,
    LogLine,
    LogsRequest,
    LogsResult,
    MetricName,
    MetricsRequest,
    Point,
    Series,
    SeriesResult,
    Signal,
    Window,
)

QUERIES: Final = 500
"""Of one GetMetricData."""
_POINTS: Final = 100_800
_PAGES: Final = 20
"""Of 500 metrics each, that are read of a list."""
_STATISTIC: Final = r"(?:Average|Sum|Minimum|Maximum|SampleCount|p\d{1,2}(?:\.\d+)?|tm\d{1,2}|IQM)"
_QUERY: Final = re.compile(
    rf"\s*(?:(?P<namespace>[\w./#-]+):)?(?P<metric>[\w. %/-]+?)\s*(?:\{{(?P<dimensions>[^{{}}]*)\}})?"
    rf"(?:\s+(?P<statistic>{_STATISTIC}))?\s*"
)
_DIMENSION: Final = re.compile(r'\s*([\w.:/ -]+?)\s*=\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)')
_SERVICE: Final = ("Service", "ServiceName", "service.name", "FunctionName")


class CloudWatchConfig(AwsConfig):
    """A region of an account."""

    namespaces: tuple[str, ...] = Field(default=(), description="Such as AWS/EC2, AWS/RDS. Default: all.")
    log_groups: tuple[str, ...] = Field(
        default=(), description="Which are searched, or prefixes that end in *. Default: the first 50."
    )


@dataclass(frozen=True, slots=True)
class _Metric:
    """A metric with one set of dimensions."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...] = ()


class CloudWatch:
    """One region of an account."""

    backend_type = "cloudwatch"
    signals = frozenset({Signal.METRICS, Signal.LOGS})
    language = "cloudwatch"

    def __init__(self, config: CloudWatchConfig, policy: Policy) -> None:
        self._config = config
        self._metrics = Service("cloudwatch", config, policy)
        self._logs_service = Service("logs", config, policy)
        self._logs = CloudWatchLogs(self._logs_service, config.log_groups, config.timeout_seconds)

    async def query_range(self, request: MetricsRequest) -> SeriesResult:
        """Return the series of a query. Raises BackendError."""
        period = _period(request.step_seconds)
        queries, labels, has_more = await self._queries(request, period)
        points: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
        warnings: list[str] = []
        is_partial = False
        for start in range(0, len(queries), QUERIES):
            async for page in self._pages(queries[start : start + QUERIES], request.window):
                warnings += [f"{one.get('Code')}: {one.get('Value')}" for one in page.get("Messages", ())]
                for found in page.get("MetricDataResults", ()):
                    warnings += [
                        f"{one.get('Code')}: {one.get('Value')}" for one in found.get("Messages", ())
                    ]
                    # PartialData is what every page but the last says: it is partial if it says so at the end.
                    is_partial |= found.get("StatusCode") in {"InternalError", "Forbidden"}
                    kept = points[found["Id"], found.get("Label", "")]
                    kept |= {
                        time.timestamp(): float(value)
                        for time, value in zip(found["Timestamps"], found["Values"], strict=True)
                    }
        series = [
            Series(labels.get(key, {"label": label}), _sorted(found))
            for (key, label), found in points.items()
            if found
        ]
        about = About(
            query_executed=f"{request.query.strip()} (period {period} s)",
            has_more=has_more or len(series) > request.series,
            is_partial=is_partial,
            warnings=tuple(dict.fromkeys(warnings)),
        )
        return SeriesResult(series[: request.series], about)

    async def metric_names(self, match: str, limit: int) -> Sequence[MetricName]:
        """Return the names, with their namespaces. CloudWatch lists those of the last two weeks."""
        found: set[str] = set()
        async for metric in self._listed():
            name = f"{metric.namespace}:{metric.name}"
            if match.casefold() in name.casefold():
                found.add(name)
        return [MetricName(name) for name in sorted(found)[:limit]]

    async def label_names(self, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the names of dimensions."""
        del window
        names = {name async for one in self._listed(metric) for name, _ in one.dimensions}
        return sorted(names)[:limit]

    async def label_values(self, label: str, metric: str, window: Window, limit: int) -> Sequence[str]:
        """Return the values of a dimension."""
        del window
        values = {
            value async for one in self._listed(metric) for name, value in one.dimensions if name == label
        }
        return sorted(values)[:limit]

    async def search(self, request: LogsRequest) -> LogsResult:
        """Return the lines; see CloudWatchLogs."""
        return await self._logs.search(request)

    async def context(
        self, line: LogLine, before: int, after: int
    ) -> tuple[Sequence[LogLine], Sequence[LogLine]]:
        """Return the lines around one; see CloudWatchLogs."""
        return await self._logs.context(line, before, after)

    async def count_by_severity(self, request: LogsRequest) -> Mapping[str, int]:
        """Return the numbers of lines; see CloudWatchLogs."""
        return await self._logs.count_by_severity(request)

    async def services(self, window: Window, limit: int) -> Sequence[str]:
        """Return the values of those dimensions that name a service."""
        del window
        found = {value async for one in self._listed() for name, value in one.dimensions if name in _SERVICE}
        return sorted(found)[:limit]

    async def health(self) -> HealthReport:
        """Return whether metrics can be listed."""
        try:
            await self._metrics.call("list_metrics")
        except BackendError as error:
            return HealthReport(Health.UNHEALTHY, error.message)
        return HealthReport(Health.HEALTHY)

    async def close(self) -> None:
        """Close the connections."""
        await self._metrics.close()
        await self._logs_service.close()

    async def _queries(
        self, request: MetricsRequest, period: int
    ) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]], bool]:
        """Return GetMetricData's queries, the labels of each by its id, and whether there are more metrics."""
        plain = _QUERY.fullmatch(request.query)
        if plain is None:
            return [{"Id": "q0", "Expression": request.query.strip(), "Period": period}], {}, False
        wanted = dict(_dimensions(plain["dimensions"] or ""))
        statistic = plain["statistic"] or "Average"
        metrics = [
            one
            async for one in self._listed(plain["metric"].strip(), plain["namespace"], wanted)
            if wanted.items() <= dict(one.dimensions).items()
        ]
        if not metrics and plain["namespace"]:
            # It may be older than the two weeks that are listed.
            metrics = [_Metric(plain["namespace"], plain["metric"].strip(), tuple(wanted.items()))]
        if not metrics:
            raise BackendError(
                Kind.NOT_FOUND,
                "No namespace of this connection lists that metric with these dimensions: discover lists names; a"
                " metric that had no data for two weeks needs its namespace, as in AWS/EC2:CPUUtilization.",
            )
        queries = []
        labels = {}
        for number, metric in enumerate(metrics[: request.series]):
            key = f"q{number}"
            queries.append(
                {
                    "Id": key,
                    "MetricStat": {
                        "Metric": {
                            "Namespace": metric.namespace,
                            "MetricName": metric.name,
                            "Dimensions": [
                                {"Name": name, "Value": value} for name, value in metric.dimensions
                            ],
                        },
                        "Period": period,
                        "Stat": statistic,
                    },
                }
            )
            labels[key] = {
                "__name__": metric.name,
                "namespace": metric.namespace,
                "stat": statistic,
                **dict(metric.dimensions),
            }
        return queries, labels, len(metrics) > request.series

    async def _pages(
        self, queries: Sequence[dict[str, Any]], window: Window
    ) -> AsyncIterator[Mapping[str, Any]]:
        token: dict[str, str] = {}
        seen: set[str] = set()
        while True:
            page = await self._metrics.call(
                "get_metric_data",
                MetricDataQueries=list(queries),
                StartTime=window.start,
                EndTime=window.end,
                ScanBy="TimestampDescending",
                MaxDatapoints=_POINTS,
                **token,
            )
            yield page
            following = page.get("NextToken")
            if not following or following in seen:
                return
            seen.add(following)
            token = {"NextToken": following}

    async def _listed(
        self, metric: str = "", namespace: str | None = None, dimensions: Mapping[str, str] | None = None
    ) -> AsyncIterator[_Metric]:
        """Yield the metrics of the namespaces; `metric` may have its namespace before a colon."""
        before, colon, name = metric.partition(":")
        if colon:
            namespace, metric = before, name
        for place in [namespace] if namespace else self._config.namespaces or [""]:
            arguments: dict[str, Any] = {"Namespace": place} if place else {}
            if metric:
                arguments["MetricName"] = metric
            if dimensions:
                arguments["Dimensions"] = [{"Name": key, "Value": value} for key, value in dimensions.items()]
            for _ in range(_PAGES):
                page = await self._metrics.call("list_metrics", **arguments)
                for one in page.get("Metrics", ()):
                    yield _Metric(
                        one["Namespace"],
                        one["MetricName"],
                        tuple((pair["Name"], pair["Value"]) for pair in one.get("Dimensions", ())),
                    )
                if not page.get("NextToken"):
                    break
                arguments["NextToken"] = page["NextToken"]


def _dimensions(text: str) -> list[tuple[str, str]]:
    found = []
    place = 0
    while text[place:].strip():
        pair = _DIMENSION.match(text, place)
        if pair is None:
            raise BackendError(
                Kind.BAD_QUERY, 'Dimensions are written as {InstanceId="i-1", AutoScalingGroupName="web"}.'
            )
        found.append((pair[1], re.sub(r"\\(.)", r"\1", pair[2])))
        place = pair.end()
    return found


def _period(step: float) -> int:
    """Return the seconds between points: one of the short ones, or whole minutes."""
    for short in (1, 5, 10, 20, 30):
        if step <= short:
            return short
    return int(-(-step // 60) * 60)


def _sorted(points: Mapping[float, float]) -> list[Point]:
    return sorted(points.items())


BACKENDS: Final[tuple[Backend, ...]] = (
    Backend("cloudwatch", "Amazon CloudWatch", CloudWatch.signals, CloudWatchConfig, CloudWatch),
)
