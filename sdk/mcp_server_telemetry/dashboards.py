"""A Grafana dashboard, and alert rules of Prometheus with their tests, made of the names that a scrape shows.

Each returns a whole document. Grafana's asks for its data source, so that it can be imported anywhere.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from mcp_server_telemetry import definitions as d
from mcp_server_telemetry.definitions import Definition

SERIES: Final = 8_000
"""How many series of one server are too near the bound of 10,000."""
UID: Final = "mcp-servers"


@dataclass(frozen=True, slots=True)
class Alert:
    """One rule. `minutes` is how long it must hold."""

    name: str
    expr: str
    minutes: int
    severity: str
    summary: str
    action: str


class Queries:
    """PromQL over the scraped names."""

    def __init__(self, names: Mapping[str, str], only: str = "") -> None:
        self._names = names
        self._only = only

    def value(self, definition: Definition) -> str:
        """Return the selector of a gauge or a counter."""
        return f"{self._names[definition.name]}{self._braces()}"

    def count(self, definition: Definition) -> str:
        """Return the selector of how many values a histogram took."""
        return f"{self._names[definition.name]}_count{self._braces()}"

    def rate(self, definition: Definition, by: str = "job") -> str:
        """Return a counter's growth a second."""
        return f"sum by ({by}) (rate({self.value(definition)}[5m]))"

    def quantile(self, definition: Definition, share: float, by: str = "job") -> str:
        """Return a quantile of a histogram: the rates of its buckets are added up first."""
        buckets = f"{self._names[definition.name]}_bucket{self._braces()}"
        return f"histogram_quantile({share}, sum by (le, {by}) (rate({buckets}[5m])))"

    def errors(self) -> str:
        """Return the share of requests that failed, 0 to 1."""
        return f"{self.rate(d.ERRORS)} / sum by (job) (rate({self.count(d.OPERATION_DURATION)}[5m]))"

    def series(self) -> str:
        """Return how many series there are of each server."""
        return 'count by (job, instance) ({__name__=~"mcp_.+"})'

    def _braces(self) -> str:
        return f"{{{self._only}}}" if self._only else ""


def alerts(names: Mapping[str, str]) -> list[Alert]:
    """Return the alerts."""
    ask = Queries(names)
    return [
        Alert(
            "McpErrorShareHigh", f"{ask.errors()} > 0.05", 5, "warning",
            "{{ $value | humanizePercentage }} of the requests to {{ $labels.job }} fail.",
            "Look at mcp_errors_total by tool and error type.",
        ),
        Alert(
            "McpSessionLeak", f"sum by (job) ({ask.value(d.ACTIVE_SESSIONS)}) > 100", 10, "warning",
            "{{ $labels.job }} has {{ $value }} open sessions.",
            "See whether sessions end: clients that vanish must not keep theirs.",
        ),
        Alert(
            "McpLatencyHigh", f"{ask.quantile(d.LATENCY, 0.95)} > 1000", 5, "warning",
            "One answer in twenty of {{ $labels.job }} takes over {{ $value | humanize }} ms.",
            "Look at the latency by tool.",
        ),
        Alert(
            "McpNoData", f"absent({ask.value(d.ACTIVE_SESSIONS)})", 10, "warning",
            "No MCP server sends metrics.",
            "See whether the servers run, and whether the exporter's address is right.",
        ),
        Alert(
            "McpSeriesNearBound", f"{ask.series()} > {SERIES}", 5, "warning",
            "{{ $labels.instance }} has {{ $value }} series.",
            "Lower Options.tools, models or errors, or leave a category out.",
        ),
        Alert(
            "McpNamesReplaced", f"sum by (job, attribute) (increase({ask.value(d.REPLACED)}[15m])) > 1000", 15,
            "warning", "Values of {{ $labels.attribute }} are counted under _other.",
            "Some client sends many names, or Options.tools is too low for this server.",
        ),
        Alert(
            "McpTelemetryFails", f"sum by (job) (increase({ask.value(d.FAILURES)}[15m])) > 0", 0, "warning",
            "Measurements of {{ $labels.job }} fail.", "Its log says why, once.",
        ),
    ]  # fmt: skip


def rules(names: Mapping[str, str]) -> str:
    """Return the alerts as a file of rules for Prometheus, in YAML."""
    lines = [
        "# Made by telemetry mcp-analytics dashboard --format prometheus.",
        "groups:",
        "  - name: mcp_servers",
        "    rules:",
    ]
    for alert in alerts(names):
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {json.dumps(alert.expr)}",
            f"        for: {alert.minutes}m",
            f"        labels: {{severity: {alert.severity}}}",
            "        annotations:",
            f"          summary: {json.dumps(alert.summary)}",
            f"          action: {json.dumps(alert.action)}",
        ]
    return "\n".join(lines) + "\n"


def grafana(names: Mapping[str, str], source: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return the dashboard. `source` is a data source's type and uid; None: it is chosen on the page."""
    ask = Queries(names, 'job=~"$job"')
    panels = [
        ("Open sessions", "stat", "short", [(f"sum by (job) ({ask.value(d.ACTIVE_SESSIONS)})", "{{job}}")]),
        ("Users of the last day", "stat", "short", [(f"sum by (job) ({ask.value(d.USERS)})", "{{job}}")]),
        ("Requests that fail", "timeseries", "percentunit", [(ask.errors(), "{{job}}")]),
        ("Sessions that begin", "timeseries", "ops", [(ask.rate(d.SESSIONS, "model"), "{{model}}")]),
        ("Length of sessions", "timeseries", "s", [
            (ask.quantile(d.SESSION_DURATION, 0.5), "p50 {{job}}"),
            (ask.quantile(d.SESSION_DURATION, 0.95), "p95 {{job}}"),
        ]),
        ("Time to answer", "timeseries", "ms", [
            (ask.quantile(d.LATENCY, share), f"p{share * 100:.0f} {{{{job}}}}") for share in (0.5, 0.95, 0.99)
        ]),
        ("Time to answer by tool, p95", "timeseries", "ms", [
            (ask.quantile(d.LATENCY, 0.95, "gen_ai_tool_name"), "{{gen_ai_tool_name}}"),
        ]),
        ("Use of features", "timeseries", "ops", [
            (ask.rate(d.FEATURE_USES, "mcp_feature_kind, mcp_feature_name"), "{{mcp_feature_name}}"),
        ]),
        ("Errors by type", "timeseries", "ops", [(ask.rate(d.ERRORS, "error_type"), "{{error_type}}")]),
        ("Messages a second of a session", "timeseries", "short", [(ask.quantile(d.THROUGHPUT, 0.5), "p50 {{job}}")]),
        ("Size of checkpoints", "timeseries", "bytes", [(ask.quantile(d.CHECKPOINT_SIZE, 0.95), "p95 {{job}}")]),
        ("Series of each server", "timeseries", "short", [(ask.series(), "{{job}} {{instance}}")]),
        ("Counted under _other", "timeseries", "ops", [(ask.rate(d.REPLACED, "attribute"), "{{attribute}}")]),
        ("Measurements that fail", "timeseries", "ops", [(ask.rate(d.FAILURES), "{{job}}")]),
    ]  # fmt: skip
    data = dict(source) if source else {"type": "prometheus", "uid": "${source}"}
    variables: list[dict[str, Any]] = [
        {
            "name": "job", "label": "server", "type": "query", "datasource": data, "includeAll": True, "multi": True,
            "allValue": ".*", "refresh": 2, "current": {"text": "All", "value": "$__all"},
            "query": {"query": f"label_values({names[d.ACTIVE_SESSIONS.name]}, job)", "refId": "job"},
        }
    ]  # fmt: skip
    if source is None:
        variables.insert(
            0, {"name": "source", "label": "source", "type": "datasource", "query": "prometheus"}
        )
    return {
        "uid": UID,
        "title": "MCP servers",
        "tags": ["mcp"],
        "timezone": "browser",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": variables},
        "panels": [
            {
                "id": number + 1,
                "title": title,
                "type": kind,
                "datasource": data,
                "gridPos": {"x": number % 2 * 12, "y": number // 2 * 8, "w": 12, "h": 8},
                "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
                "targets": [
                    {"refId": chr(65 + place), "datasource": data, "expr": expr, "legendFormat": legend}
                    for place, (expr, legend) in enumerate(targets)
                ],
            }
            for number, (title, kind, unit, targets) in enumerate(panels)
        ],
    }
