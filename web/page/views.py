"""Which questions each view asks, and what the overview is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from access.answer import Answer
from access.collected import collected as collected_in
from access.ids import whole_filters
from access.insight.find import find
from access.insight.finding import Usual
from access.insight.series import Part
from access.library import ask_question
from access.reading import Reading, bounds, statement
from access.report.findings import ReportFinding, findings
from access.report.numbers import Kind, earlier, shown
from access.text import visible
from access.times import whole_hours
from web.page.filters import LONGEST, NARROWING, Filters
from web.page.panels import Chart, Panel
from web.roles import Role

SAMPLED: Final = 20_000
"""Log records in which the marks of the privacy rules are counted."""
_CHOICES: Final = 50
"""Values that a filter offers, of those of the last 30 days; any other can be typed."""
MINUTES_NOW: Final = 15
"""A session with an event in the last so many minutes is one that runs now."""
_COSTS: Final = (
    "value", "requests", "all_tokens", "cache_percent", "usd", "percent", "usd_per_request", "change_percent"
)  # fmt: skip
"""The columns that fit on a screen; the question's own page has all."""
_MONTH: Final = ("value", "usd", "projected", "low", "high", "last_month", "budget_percent", "budget_reached")
_COMMITS: Final = ("value", "commits", "pull_requests", "usd", "usd_per_commit", "usd_per_pull_request")


@dataclass(frozen=True, slots=True)
class View:
    """A page of panels."""

    path: str
    title: str
    lead: str
    panels: tuple[Panel, ...]


VIEWS: Final[Mapping[str, View]] = {
    view.path: view
    for view in (
        View(
            "errors",
            "Errors",
            "Where failures come from, the largest kind first, and what they said.",
            (
                Panel(
                    "errors_by_day", "Failures day by day", chart=Chart("day", "failures"), has_table=False
                ),
                Panel(
                    "errors",
                    "Failures by category",
                    columns=(
                        "category",
                        "failures",
                        "percent",
                        "change_percent",
                        "sessions",
                        "users",
                        "recovered_percent",
                        "last_seen",
                        "sample",
                    ),
                    bar="percent",
                ),
                Panel("tool_errors", "Failed tool calls by tool and error"),
                Panel("api_errors", "Failed model requests"),
                Panel("retries", "Requests that were given up after all retries"),
                Panel(
                    "error_samples",
                    "What the latest failures said",
                    {"limit": "20"},
                    ("time", "category", "program", "model", "message", "attempts", "user", "session"),
                ),
            ),
        ),
        View(
            "cost",
            "Cost",
            "What it costs, by whom and by what, and what of it was wasted.",
            (
                Panel("cost", "Cost day by day", chart=Chart("day", "usd", "$"), rows=14),
                Panel("forecast", "This month", {"by": "all"}, _MONTH, is_budgeted=True),
                Panel("forecast", "This month by team", {"by": "team", "limit": "25"}, _MONTH[:-2]),
                Panel("cost_by", "By model", {"by": "model", "limit": "25"}, _COSTS, bar="percent"),
                Panel("cost_by", "By team", {"by": "team", "limit": "25"}, _COSTS, bar="percent"),
                Panel("cost_by", "By person", {"by": "user", "limit": "25"}, _COSTS, bar="percent"),
                Panel("cost_by", "By project", {"by": "project", "limit": "25"}, _COSTS, bar="percent"),
                Panel("cache", "Input from the cache", bar="cache_percent"),
                Panel("waste", "Calls that brought nothing new"),
                Panel("cost_per_session", "Cost of a session"),
                Panel("cost_per_commit", "Cost of a commit and of a pull request", {}, _COMMITS),
                Panel(
                    "subagents",
                    "Subagents",
                    columns=(
                        "agent",
                        "runs",
                        "failed",
                        "sessions",
                        "runs_per_session",
                        "p50_seconds",
                        "p95_seconds",
                        "requests",
                        "usd",
                        "usd_percent",
                        "change_percent",
                    ),
                ),
            ),
        ),
        View(
            "tools",
            "Tools",
            "Which tools are used, how often they fail, and how long they and people take.",
            (
                Panel("tools", "Tools", bar="failure_percent"),
                Panel("programs", "Programs that the shell tool ran"),
                Panel("permission_wait", "Waits for permission", bar="percent"),
                Panel("decisions", "Who decided on tool calls"),
                Panel("edit_decisions", "Edits accepted and rejected"),
                Panel(
                    "hooks",
                    "Hooks",
                    columns=(
                        "event",
                        "hook",
                        "runs",
                        "blocked",
                        "blocked_percent",
                        "errors",
                        "p50_ms",
                        "p95_ms",
                        "minutes",
                        "sessions",
                        "change_percent",
                    ),
                ),
                Panel("latency", "Latency of models"),
            ),
        ),
        View(
            "mcp-servers",
            "MCP servers",
            "The MCP servers that sessions use: connections, calls and failures.",
            (
                Panel(
                    "mcp_tools",
                    "Tools of MCP servers",
                    columns=(
                        "server",
                        "tool",
                        "calls",
                        "failures",
                        "failure_percent",
                        "p50_ms",
                        "p95_ms",
                        "sessions",
                        "result_mb",
                        "usd",
                        "change_percent",
                    ),
                ),
                Panel("mcp_connections", "Connections", bar="failed_percent"),
            ),
        ),
        View(
            "people",
            "People",
            "Who uses Claude Code, how much, and with which client.",
            (
                Panel(
                    "users",
                    "People",
                    columns=(
                        "user",
                        "team",
                        "days",
                        "prompts",
                        "requests",
                        "tool_calls",
                        "failures",
                        "failure_percent",
                        "rejected",
                        "usd",
                        "percent",
                        "last_seen",
                    ),
                ),
                Panel("adoption", "Adoption"),
                Panel("clients", "Clients"),
            ),
        ),
        View(
            "security",
            "Security",
            "What a security review wants to see: modes without permissions, refused commands, plugins.",
            (
                Panel("security_summary", "By kind"),
                Panel("security", "The latest events", {"limit": "50"}, rows=50),
            ),
        ),
        View(
            "data",
            "Data",
            "What is collected and how good it is. What is not collected names the switch that collects it.",
            (
                Panel("freshness", "How new the data is"),
                Panel("data_quality", "Values that were missing or impossible"),
                Panel("gaps", "Hours without data"),
                Panel("event_types", "Kinds of events"),
                Panel("reconcile", "Events against metrics"),
            ),
        ),
    )
}

OVERVIEW: Final = (
    Panel("activity", "Model requests", chart=Chart("hour", "requests"), has_table=False),
    Panel("cost", "Cost day by day", chart=Chart("day", "usd", "$"), has_table=False),
    Panel(
        "cost",
        "Tokens by type",
        totals=("input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"),
    ),
    Panel(
        "cost_by",
        "Cost by model",
        {"by": "model"},
        ("value", "requests", "usd", "percent"),
        bar="percent",
        rows=8,
    ),
    Panel(
        "errors",
        "Failures by category",
        columns=("category", "failures", "percent", "change_percent"),
        bar="percent",
        rows=8,
    ),
    Panel("tools", "Tools", columns=("tool", "calls", "failures", "failure_percent"), rows=8),
)
SESSIONS: Final = Panel(
    "sessions",
    "Sessions",
    columns=(
        "session", "outcome", "started", "minutes", "user", "team", "project", "prompts", "tool_calls",
        "failures", "tokens", "usd",
    ),
    rows=100,
)  # fmt: skip
ORDERS: Final = ("started", "usd", "failures", "minutes")
_MEASURES: Final = (
    ("usd", "Spend", Kind.USD),
    ("sessions", "Sessions", Kind.COUNT),
    ("users", "People", Kind.COUNT),
    ("prompts", "Prompts", Kind.COUNT),
    ("model requests", "Requests", Kind.COUNT),
    ("tool calls", "Tool calls", Kind.COUNT),
    ("input and output tokens", "Tokens in and out", Kind.TOKENS),
    ("cache percent", "Input from the cache", Kind.PERCENT),
    ("failures", "Failures", Kind.COUNT),
    ("failure percent", "Failure rate", Kind.PERCENT),
)
_OF_A_MODEL: Final = frozenset(
    {"usd", "sessions", "users", "model requests", "input and output tokens", "cache percent"}
)
"""The measures that can be told for one model: no prompt and no tool call says which it was for."""
_MORE_IS_BAD: Final = frozenset({"usd", "failures", "failure percent"})


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of the overview."""

    name: str
    value: str
    before: str
    change: str
    tone: str


def measures(reading: Reading, filters: Filters) -> list[Measure]:
    """Return the figures of the period against those of the one before. Raises Refusal."""
    answer = ask_question(reading, "summary", filters.parameters())
    found = {row[0]: row for row in answer.rows if not filters.model or row[0] in _OF_A_MODEL}
    made = []
    for measure, name, kind in _MEASURES:
        row = found.get(measure)
        if row is None:
            continue
        _, value, before, change = row
        is_change = bool(change) and bool(round(change))
        is_bad = is_change and (change > 0) == (measure in _MORE_IS_BAD)
        is_judged = measure in _MORE_IS_BAD or measure == "cache percent"
        tone = "" if not is_change or not is_judged else "bad" if is_bad else "good"
        made.append(
            Measure(name, shown(kind, value), earlier(kind, before), shown(Kind.CHANGE, change), tone)
        )
    return made


@dataclass(frozen=True, slots=True)
class Present:
    """What goes on at this moment."""

    sessions: int
    """Sessions with an event in the last minutes."""
    minutes: int
    usd_today: float
    usd_usual: float | None
    """What was spent by this time of day, the median of the days before that had any; None without such days."""
    newest: datetime | None
    age_seconds: int | None


def present(reading: Reading, filters: Filters) -> Present:
    """Return what goes on now. Raises Refusal."""
    now = reading.desk.clock()
    values = bounds_of(now) | whole_filters(reading, filters.narrowing()) | {"minutes": str(MINUTES_NOW)}
    sessions, today, usual = reading.store.rows(statement("present"), values).rows[0]
    fresh = reading.freshness()
    return Present(sessions, MINUTES_NOW, today, usual, fresh.newest, fresh.age_seconds)


def choices(reading: Reading, role: Role) -> Mapping[str, Sequence[str]]:
    """Return what a view can be narrowed to, by the names of filters, within what the person sees. Raises Refusal."""
    about = reading.period("30d", "now")
    values = bounds(about[0]) | {"team": role.team, "user": role.user, "limit": str(_CHOICES)}

    def make() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {name: [] for name in NARROWING}
        for kind, value in reading.store.rows(statement("choices"), values).rows:
            # A text that is not shown as it is stored cannot be chosen by what is shown.
            if len(value) <= LONGEST and visible(value) == value:
                found[kind].append(value)
        return found

    key = ("page choices", role.team, role.user)
    kept: Mapping[str, Sequence[str]] = reading.keep(reading.desk.aggregations, key, about, make).value
    return kept


def bounds_of(now: datetime) -> dict[str, str]:
    """Return the moment as a parameter."""
    return {"now": now.strftime("%Y-%m-%d %H:%M:%S")}


@dataclass(frozen=True, slots=True)
class ToFix:
    """What to fix first, what is large and as it always was, and what cannot be said."""

    findings: Sequence[ReportFinding]
    always: Sequence[Usual]
    notes: Sequence[str]


def what_to_fix(reading: Reading, filters: Filters) -> ToFix:
    """Return the report's findings for the period, kept for a while. Raises Refusal."""
    about = reading.period(filters.parameters()["from"], filters.parameters()["to"])
    begin, end = whole_hours(about[0].start, about[0].end)

    def make() -> ToFix:
        found = find(reading.store, begin, end, Part(filters.team, filters.user, filters.project))
        return ToFix(findings(found), found.always, found.notes)

    reading.admit()
    key = ("page findings", begin.isoformat(), end.isoformat(), filters.team, filters.user, filters.project)
    found: ToFix = reading.keep(reading.desk.aggregations, key, about, make).value
    return found


def space(reading: Reading) -> Answer:
    """Return what each table takes on the disk, and how long its rows stay. Raises Refusal."""
    reading.admit()
    found = reading.store.rows(statement("space"))
    return Answer(found.columns, found.rows)


def privacy_effects(reading: Reading, filters: Filters) -> Answer:
    """Return what the privacy rules left their mark on, in a sample of the period's records. Raises Refusal."""
    about = reading.period(filters.parameters()["from"], filters.parameters()["to"])

    def make() -> Answer:
        values = bounds(about[0]) | {"limit": str(SAMPLED)}
        found = reading.store.rows(statement("privacy_effects"), values)
        return Answer(found.columns, found.rows)

    reading.admit()
    key = ("page privacy", about[0].start.isoformat(timespec="minutes"), filters.end)
    kept: Answer = reading.keep(reading.desk.aggregations, key, about, make).value
    return kept


def forgotten(reading: Reading) -> Answer:
    """Return the deletions on demand, the latest first. Raises Refusal."""
    reading.admit()
    found = reading.store.rows(statement("forgotten"))
    return Answer(found.columns, found.rows)


def collected(reading: Reading, filters: Filters) -> Answer:
    """Return what is collected in the period, and the switch for what is not. Raises Refusal."""
    about, _ = reading.period(filters.parameters()["from"], filters.parameters()["to"])
    reading.admit()
    columns = ("what", "records", "switch at the client", "meaning")
    return Answer(columns, collected_in(reading, about))
