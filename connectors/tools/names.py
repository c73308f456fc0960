"""The names that the tools' arguments take, for schemas that are made before a tool is used."""

from typing import Final

AGGREGATIONS: Final = ("avg", "sum", "max", "min", "p95", "p99")
SERIES_DETAILS: Final = ("summary", "points")
TRACE_DETAILS: Final = ("skeleton", "spans")
METRIC_FILTERS: Final = ("service", "pod", "namespace")
LOG_FILTERS: Final = ("service", "severity", "namespace", "pod", "trace_id", "labels")
TRACE_FILTERS: Final = ("service", "operation", "min_duration", "max_duration", "tags", "has_error")
QUERY_KINDS: Final = ("text", "regex", "native")
SEVERITIES: Final = ("error", "warn", "info", "debug")
METHODS: Final = ("auto", "zscore", "iqr", "isolation_forest", "seasonal")
SENSITIVITIES: Final = ("low", "medium", "high")
WHAT: Final = ("connections", "metrics", "labels", "values", "fields", "operations")
OFFSETS: Final = ("1h", "1d", "7d")
LINES: Final = 1_000
"""Lines of one answer at most."""
CONTEXT: Final = 10
"""Lines before and after one at most."""
TRACES: Final = 100
"""Traces of one answer at most."""
NAMES: Final = 1_000
"""Names of one answer at most."""
