"""The tools: what each is called, says of itself and takes. Each calls one function of `access` and adds nothing.

A model reads the descriptions to choose, so each says when its neighbour is the better choice. Values are judged in
`access`, whose refusals name the field and what it takes; the schemas here describe, and refuse only a wrong type.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import Field

from access import library
from access.answer import Answer
from access.budget import DEFAULT, LEAST, MOST
from access.export.ask import FORMATS, LEVELS, export_telemetry
from access.export.shelf import Shelf
from access.patterns import TYPES as ANALYSIS_TYPES
from access.patterns import WINDOWS, analyze_patterns
from access.questions import TOPICS
from access.reading import Desk, Reading
from access.statistics import BUCKETS, PARTS, get_statistics
from access.tail import TYPES, tail_telemetry
from access.telemetry_query import STATISTICS, STEPS, query_telemetry
from access.telemetry_sources import SOURCES
from access.units import UNITS
from mcp_server.audit import caller
from mcp_server.progress import steps

_WAITING: Final = 32
_EXPORTING: Final = 2
_TIME: Final = "ISO 8601, seconds since 1970, now, now-30m, 1h, 7 days ago, today, yesterday 10:20"
_FILTERS: Final = {
    "start_date": f"Beginning of the period ({_TIME}). Default: 7 days ago. At most 30 days before end_date.",
    "end_date": "End of the period, not included; a date includes its day. Default: now.",
    "mcp_server": "Name of an MCP server.",
    "tool": "Name of a tool, as Bash or Read, or of an MCP server's tool.",
    "model": "Name of a model.",
    "team": "The resource attribute team.id.",
    "user": "The hashed id of a user, as other answers show it.",
    "session": "A session's id, as other answers show it.",
    "task_type": "Step of a workflow or source of a request, as describe_data lists them.",
    "metric": "Of query_type metrics: a metric's name.",
}
_NUMBERS: Final = {
    "min_duration": "Milliseconds, or more.",
    "max_duration": "Milliseconds, or less.",
}
_AGGREGATION: Final[dict[str, Any]] = {
    "group_by": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Up to 6 of mcp_server, tool, model, team, user, session, task_type, "
        f"{', '.join(STEPS)}, and others that a refusal lists.",
    },
    "metrics": {
        "type": "array",
        "items": {"type": "string", "enum": list(STATISTICS)},
        "description": "Statistics. Default: avg.",
    },
    "of": {
        "type": "array",
        "items": {"type": "string"},
        "description": "What they are of: duration_ms, tokens_in, tokens_out, tokens_total, cost_usd, … A refusal lists"
        " those of the query_type.",
    },
}


def _object(**properties: Any) -> dict[str, Any]:
    return {"properties": properties, "additionalProperties": False}


Characters = Annotated[
    int | None,
    Field(description=f"Length of the answer, {LEAST} to {MOST}. Default {DEFAULT}: about 6,000 tokens."),
]
Cursor = Annotated[
    str | None,
    Field(description="next_cursor of an answer, with the same other arguments: the rows after it."),
]
Limit = Annotated[int | None, Field(description="Rows, 1 to 1000. Default: 50.")]
Zone = Annotated[
    str,
    Field(
        description="IANA time zone in which times without one are read, and days begin, as Europe/Berlin."
    ),
]
Start = Annotated[str | None, Field(description=f"Beginning of the period: {_TIME}.")]
End = Annotated[str | None, Field(description="End of the period, in the same forms. Default: now.")]
Parameters = Annotated[
    dict[str, Any] | None,
    Field(
        description="Values by name. Times in any form: 7 days ago.",
        json_schema_extra={"additionalProperties": True},
    ),
]
Filters = Annotated[
    dict[str, Any] | None,
    Field(
        description="Which rows. All that are given must hold.",
        json_schema_extra=_object(
            **{name: {"type": "string", "description": text} for name, text in _FILTERS.items()},
            **{
                name: {"type": "number", "minimum": 0, "description": text} for name, text in _NUMBERS.items()
            },
        ),
    ),
]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. `run` has the parameters as its own; `hint` is for a client that searches among many tools."""

    name: str
    title: str
    hint: str
    description: str
    run: Callable[..., Any]
    """Returns an Answer or a Document; a coroutine function is run in the event loop, others in threads."""
    is_read_only: bool = True
    threads: int = 0
    """How many calls at a time have threads of their own, since they may last: 0, they share those of all others."""
    is_open_world: bool = False
    """It asks systems other than this store."""
    output: dict[str, Any] | None = None
    """The shape of what it returns, None: that of an Answer."""


def tools(desk: Desk, shelf: Shelf | None) -> list[Tool]:
    """Return the tools over a desk and a folder of exports, in the order in which they are listed."""
    return [
        _query_telemetry(desk),
        _analyze_patterns(desk),
        _get_statistics(desk),
        _tail_telemetry(desk),
        _list_questions(),
        _ask_question(desk),
        _describe_data(desk),
        _run_sql(desk),
        *([_export_telemetry(desk, shelf)] if shelf is not None else []),
    ]


def _reading(desk: Desk) -> Reading:
    return desk.reading(caller.get())


def _query_telemetry(desk: Desk) -> Tool:
    def run(
        query_type: Annotated[
            str,
            Field(
                description="benchmarks: sessions and MCP calls. calls: tool calls. metrics: data points."
                " aggregated: sums over time or groups, the cheapest.",
                json_schema_extra={"enum": list(SOURCES)},
            ),
        ],
        filters: Filters = None,
        aggregation: Annotated[
            dict[str, Any] | None,
            Field(
                description="Statistics in place of rows, one row a group.",
                json_schema_extra=_object(**_AGGREGATION),
            ),
        ] = None,
        order: Annotated[
            str | None,
            Field(description="A column to sort by; with - before it, the largest first: -p95_duration_ms."),
        ] = None,
        limit: Limit = None,
        cursor: Cursor = None,
        zone: Zone = "UTC",
        max_characters: Characters = None,
    ) -> Answer:
        return query_telemetry(
            _reading(desk),
            query_type,
            filters,
            aggregation,
            order=order,
            limit=limit,
            cursor=cursor,
            zone=zone,
            max_characters=max_characters,
        )

    return Tool(
        "query_telemetry",
        "Query telemetry",
        "sessions, tool calls, MCP calls, metrics, latency, tokens, cost: filter, group, average, percentile",
        "Rows or statistics of Claude Code's own use: sessions and MCP calls (benchmarks), tool calls (calls), data"
        " points (metrics), sums over time or by server, tool, model, team, user (aggregated). Use it for numbers under"
        " filters of your choice. For what has a name already (cost, slowest tools, errors by type, one session's"
        " story) ask_question is shorter: list_questions has the names. For joins, texts of errors, or columns that are"
        " not here use run_sql, after describe_data. Durations are in milliseconds, cost in US dollars, times in UTC.",
        run,
    )


def _analyze_patterns(desk: Desk) -> Tool:
    def run(
        analysis_type: Annotated[
            str, Field(description="What to look for.", json_schema_extra={"enum": list(ANALYSIS_TYPES)})
        ],
        time_window: Annotated[
            str,
            Field(
                description="The last so long, against as long before.",
                json_schema_extra={"enum": list(WINDOWS)},
            ),
        ] = "24h",
        max_characters: Characters = None,
    ) -> Answer:
        return analyze_patterns(_reading(desk), analysis_type, time_window, max_characters=max_characters)

    return Tool(
        "analyze_patterns",
        "Analyze patterns",
        "what went wrong, since when, who, cause, cost; what changed: slower, faster, new errors, use, trend, anomaly",
        "What changed in the last 1h, 24h, 7d or 30d: what went wrong, for whom, since when, what it cost, a row an"
        " incident (findings: begin here). Against as long before, and how certain that is: slower or faster"
        " tools and models (performance_trends), more or new failures (error_patterns), more or less use"
        " (usage_patterns). The finding comes first, then its numbers and the next call to make. Use it when the"
        " question is what is different or wrong. For numbers of your own choice use query_telemetry; for how values"
        " are distributed, or what goes with what, get_statistics.",
        run,
    )


def _get_statistics(desk: Desk) -> Tool:
    def run(
        unit: Annotated[
            str, Field(description="What one row is.", json_schema_extra={"enum": list(UNITS)})
        ] = "session",
        measures: Annotated[
            list[str] | None,
            Field(
                description="duration_ms, tokens_in, cost_usd, … Default: the unit's own; a refusal lists them."
            ),
        ] = None,
        filters: Filters = None,
        parts: Annotated[
            list[str] | None,
            Field(
                description="Default: all that fit.",
                json_schema_extra={"items": {"type": "string", "enum": list(PARTS)}},
            ),
        ] = None,
        bucket: Annotated[
            str | None,
            Field(description="Of the series: one point so long.", json_schema_extra={"enum": list(BUCKETS)}),
        ] = None,
        zone: Zone = "UTC",
        max_characters: Characters = None,
    ) -> Answer:
        return get_statistics(
            _reading(desk),
            unit,
            measures,
            filters,
            parts=parts,
            bucket=bucket,
            zone=zone,
            max_characters=max_characters,
        )

    return Tool(
        "get_statistics",
        "Get statistics",
        "mean, median, standard deviation, percentiles, outliers, correlation matrix, p-value, time series",
        "How the measures of sessions, tool calls, model requests or hours are distributed and go together: mean,"
        " median, standard deviation, percentiles, outliers, correlations with p-values corrected for many pairs, and"
        " series in equal steps. Use it to ask what is usual, what is extreme, and what goes with what. For values by"
        " server, tool, model or team use query_telemetry; for what changed, analyze_patterns.",
        run,
    )


def _tail_telemetry(desk: Desk) -> Tool:
    def run(
        cursor: Annotated[
            str | None,
            Field(description="next_cursor of the answer before. Default: what arrives from now on."),
        ] = None,
        wait_seconds: Annotated[
            float,
            Field(description="How long to wait for something, 0 to 20.", json_schema_extra={"maximum": 20}),
        ] = 10,
        types: Annotated[
            list[str] | None,
            Field(
                description="Only these. Default: all.",
                json_schema_extra={"items": {"type": "string", "enum": list(TYPES)}},
            ),
        ] = None,
        max_characters: Characters = None,
    ) -> Answer:
        return tail_telemetry(
            _reading(desk), cursor, wait_seconds, types=types, max_characters=max_characters
        )

    return Tool(
        "tail_telemetry",
        "Follow telemetry",
        "live tail, watch, stream, follow new events, errors and anomalies as they arrive",
        "Events, errors and anomalies as they arrive: call it without a cursor to begin, then with next_cursor again"
        " and again; each call returns as soon as there is something, or after wait_seconds. Use it to watch what"
        " happens now. For what happened before now use query_telemetry; for what changed, analyze_patterns.",
        run,
        threads=_WAITING,
    )


def _list_questions() -> Tool:
    def run(
        name: Annotated[
            str | None, Field(description="One question: its parameters, columns and an example.")
        ] = None,
        topic: Annotated[
            str | None,
            Field(
                description="Only this topic.",
                json_schema_extra={"enum": list(TOPICS)},
            ),
        ] = None,
        max_characters: Characters = None,
    ) -> Answer:
        return library.list_questions(name, topic, max_characters)

    return Tool(
        "list_questions",
        "List questions",
        "catalogue of ready questions about sessions, errors, tools, cost, speed, people, security, data quality",
        "The questions that are answered by name, by topic, with their parameters; of one (name), also what its columns"
        " mean. Costs no query. Then call ask_question. For tables and columns, and for what is collected at all, call"
        " describe_data.",
        run,
    )


def _ask_question(desk: Desk) -> Tool:
    def run(
        name: Annotated[
            str, Field(description="A name from list_questions, such as summary or tool_errors.")
        ],
        parameters: Parameters = None,
        limit: Limit = None,
        cursor: Cursor = None,
        zone: Zone = "UTC",
        max_characters: Characters = None,
    ) -> Answer:
        return library.ask_question(
            _reading(desk),
            name,
            parameters,
            limit=limit,
            cursor=cursor,
            zone=zone,
            max_characters=max_characters,
        )

    return Tool(
        "ask_question",
        "Ask a question",
        "cost, errors, slow tools, session timeline, cache, retries, permissions, waste: checked answers by name",
        "The answer to one of the questions of the library, each checked against plain Python: cost by model or day,"
        " errors by type with samples, slowest tools, one session step by step, permission waits, waste, adoption. The"
        " first choice where a question fits: list_questions has names and parameters. Where filters or groups are"
        " missing use query_telemetry; where a table is, run_sql.",
        run,
    )


def _describe_data(desk: Desk) -> Tool:
    def run(
        table: Annotated[
            str | None,
            Field(description="A table: its columns, with meanings and values. Default: all tables."),
        ] = None,
        start_date: Start = None,
        end_date: End = None,
        max_characters: Characters = None,
    ) -> Answer:
        return library.describe_data(
            _reading(desk), table, start_date, end_date, max_characters=max_characters
        )

    return Tool(
        "describe_data",
        "Describe the data",
        "tables, columns, values, what is collected, data quality, freshness",
        "Which tables there are and how many records of the period they hold, the values of servers, tools, models and"
        " teams, what Claude Code collects here and what not (with the switch that collects it), freshness and"
        " completeness; of one table, its columns. Call it before run_sql, and when an answer is empty. For the"
        " questions that are ready call list_questions.",
        run,
    )


def _run_sql(desk: Desk) -> Tool:
    def run(
        sql: Annotated[
            str,
            Field(
                description="One statement in ClickHouse's SQL, without FORMAT. {name:Type} takes a parameter. May be"
                " left empty with a cursor."
            ),
        ] = "",
        parameters: Parameters = None,
        limit: Limit = None,
        cursor: Cursor = None,
        max_characters: Characters = None,
    ) -> Answer:
        return library.run_sql(
            _reading(desk), sql, parameters, limit=limit, cursor=cursor, max_characters=max_characters
        )

    return Tool(
        "run_sql",
        "Run SQL",
        "ClickHouse SQL SELECT join custom query on telemetry tables",
        "Runs one read-only SELECT in ClickHouse's SQL: for joins, texts and columns that the other tools do not have."
        " Call describe_data first: the main table is telemetry_events, one row an event, by timestamp. Aggregate in"
        " the statement and filter on time. At most 10,000 rows are read; they come page by page by cursor. For sums"
        " by server, tool, model or time query_telemetry needs no SQL; ask_question has 40 checked statements, which"
        " its answers show as query_executed.",
        run,
    )


def _export_telemetry(desk: Desk, shelf: Shelf) -> Tool:
    def run(
        format: Annotated[  # noqa: A002  as the command has it
            str,
            Field(
                description="json: one document of benchmarks, performance, errors and recommendations. csv: a row for"
                " each session and MCP server. jsonl, parquet: every event.",
                json_schema_extra={"enum": list(FORMATS)},
            ),
        ] = "json",
        name: Annotated[
            str, Field(description="Exports of one name are numbered: telemetry/0001, …")
        ] = "telemetry",
        start_date: Start = None,
        end_date: End = None,
        *,
        incremental: Annotated[
            bool,
            Field(
                description="Only what was stored since the last incremental export of this name; the first has all."
                " Without dates."
            ),
        ] = False,
        level: Annotated[
            str,
            Field(
                description="strict leaves free text out, such as error messages; keep has all that is stored.",
                json_schema_extra={"enum": list(LEVELS)},
            ),
        ] = "strict",
        defuse_formulas: Annotated[
            bool, Field(description="In csv, write ' before text that a spreadsheet would run.")
        ] = False,
        zone: Zone = "UTC",
        max_characters: Characters = None,
    ) -> Answer:
        mine = steps.get()
        return export_telemetry(
            _reading(desk),
            shelf,
            format,
            name,
            start_date,
            end_date,
            incremental=incremental,
            level=level,
            defuse_formulas=defuse_formulas,
            zone=zone,
            max_characters=max_characters,
            progress=mine.show,
            is_wanted=lambda: mine.is_wanted,
        )

    return Tool(
        "export_telemetry",
        "Export telemetry",
        "export, download, file, JSON document, CSV, JSON Lines, Parquet, incremental, new since last export",
        "Writes files for analysis outside of this conversation, and returns a handle, the files with sizes and"
        " SHA-256, and where to get each (fetch): a path on the server's machine, or over HTTP a path to GET with the"
        " same token. json is one document for analysis, csv a table of sessions and MCP servers, jsonl and parquet"
        " every event. Use it for more rows than an answer holds, or with incremental=true for what is new since the"
        " last export of that name. Changes nothing in the tables. For rows or sums to read here use query_telemetry;"
        " for distributions and correlations get_statistics; for a result of your own SQL run_sql. The resource"
        " telemetry://export/ready lists what is ready.",
        run,
        is_read_only=False,
        threads=_EXPORTING,
    )
