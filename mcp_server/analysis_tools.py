"""The tools that judge what connected systems answer: what each is called, says of itself and takes."""

from typing import Annotated, Any

from pydantic import Field

from connectors.tools import names
from mcp_server.connector_parameters import (
    ITEMS,
    TIME,
    Ask,
    Characters,
    MetricFilters,
    Service,
    TimeRange,
    Where,
    Zone,
    output,
)
from mcp_server.tools import Tool


def investigate(ask: Ask) -> Tool:
    """Return the tool that asks every system about a time."""

    async def run(
        service: Service,
        at: Annotated[str | None, Field(description=f"The moment: {TIME}. Default: now.")] = None,
        window: Annotated[str, Field(description="How long before and after it, 1m to 12h.")] = "30m",
        connection: Annotated[
            str | None, Field(description="Only this one, by name or id. Default: all.")
        ] = None,
        zone: Zone = "UTC",
        max_characters: Characters = None,
    ) -> Any:
        return await ask(
            "investigate",
            service,
            at,
            window=window,
            connection=connection,
            zone=zone,
            max_characters=max_characters,
        )

    return Tool(
        "investigate",
        "Investigate an incident",
        "incident triage, root cause, what happened to a service at a time: metrics, logs, traces, deploys, commits",
        "Begin an incident here: one call asks every connected system what was odd with a service around a time."
        " Anomalies of rate, errors, latency, CPU and memory; log templates that are new or more frequent; failed and"
        " slow traces; versions that began; commits and sessions of Claude Code. Ranked, joined by trace id and time,"
        " each with the call that looks closer. A system that fails is named in the table failed, and the rest is"
        " there. Then use get_traces, search_logs and query_metrics for the details.",
        run,
        is_open_world=True,
    )


def detect_anomalies(ask: Ask) -> Tool:
    """Return the tool that finds odd points."""

    async def run(
        metric_query: Annotated[str, Field(description="As query of query_metrics.")],
        time_range: TimeRange = None,
        sensitivity: Annotated[
            str,
            Field(
                description="high finds more, and more by chance.",
                json_schema_extra={"enum": list(names.SENSITIVITIES)},
            ),
        ] = "medium",
        method: Annotated[
            str,
            Field(
                description="auto: seasonal where there are days enough, else by median and deviation.",
                json_schema_extra={"enum": list(names.METHODS)},
            ),
        ] = "auto",
        filters: MetricFilters = None,
        connection: Where = None,
        zone: Zone = "UTC",
        max_characters: Characters = None,
    ) -> Any:
        return await ask(
            "detect_anomalies",
            metric_query,
            time_range=time_range,
            sensitivity=sensitivity,
            method=method,
            filters=filters,
            connection=connection,
            zone=zone,
            max_characters=max_characters,
        )

    return Tool(
        "detect_anomalies",
        "Detect anomalies",
        "spike, drop, outlier, level shift, trend break in a metric; zscore, iqr, isolation forest, seasonal",
        "Spikes, drops, level shifts and trends in the series of a query, the furthest off first, each with its"
        " expected range, score, p-value and severity; corrected for many series. baseline_stats say what is usual."
        " Give it a period that is mostly normal: hours, or days for seasonal. For two known periods use"
        " compare_time_windows;"
        " for everything around a time investigate; for Claude Code's own use analyze_patterns.",
        run,
        is_open_world=True,
        output=output(
            anomalies_detected={"type": "boolean"},
            anomalies=ITEMS,
            baseline_stats={"type": ["object", "null"]},
        ),
    )


def compare_time_windows(ask: Ask) -> Tool:
    """Return the tool that compares two periods."""

    async def run(
        query: Annotated[str, Field(description="As query of query_metrics.")],
        time_range: TimeRange = None,
        baseline: Annotated[
            dict[str, Any] | str | None,
            Field(
                description="A period {start, end}, or how long before: 1h, 1d, 7d. Default: as long just before."
            ),
        ] = None,
        filters: MetricFilters = None,
        connection: Where = None,
        zone: Zone = "UTC",
        max_characters: Characters = None,
    ) -> Any:
        return await ask(
            "compare_time_windows",
            query,
            time_range=time_range,
            baseline=baseline,
            filters=filters,
            connection=connection,
            zone=zone,
            max_characters=max_characters,
        )

    return Tool(
        "compare_time_windows",
        "Compare time windows",
        "before and after a deploy, this week against last week, change of a metric between two periods",
        "A query's series in one period against another: change of the mean and p95, new and vanished series, and"
        " whether chance explains it, corrected for many series; certain changes first. Use it for before and after a"
        " deploy. For what is odd within one period use detect_anomalies; for series that move together"
        " correlate_metrics.",
        run,
        is_open_world=True,
    )


def correlate_metrics(ask: Ask) -> Tool:
    """Return the tool that finds series that move together."""

    async def run(
        metrics: Annotated[
            list[Any],
            Field(
                description="1 to 10 queries: each a text as of query_metrics, or {query, connection, filters, name}.",
                json_schema_extra={"items": {}},
            ),
        ],
        time_range: TimeRange = None,
        max_lag: Annotated[
            float, Field(description="Seconds by which one may be behind the other, to 86400.")
        ] = 300.0,
        connection: Where = None,
        zone: Zone = "UTC",
        max_characters: Characters = None,
    ) -> Any:
        return await ask(
            "correlate_metrics",
            metrics,
            time_range=time_range,
            max_lag=max_lag,
            connection=connection,
            zone=zone,
            max_characters=max_characters,
        )

    return Tool(
        "correlate_metrics",
        "Correlate metrics",
        "which metrics move together, lag, lead, correlation, p-value, across systems, services and namespaces",
        "Which series move together, and which is ahead of which: correlation at the best lag with a p-value that"
        " counts neighbouring points as dependent, corrected for many pairs; and moments at which several have"
        " anomalies. The queries may be of several connections and namespaces. For one metric use"
        " detect_anomalies; for Claude Code's"
        " sessions get_statistics. Agreement is no cause: look with investigate.",
        run,
        is_open_world=True,
    )
