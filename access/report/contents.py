"""Figures into a document: which section shows them, in which words, and with which charts."""

from datetime import UTC, datetime
from typing import Any, Final

from access.insight.finding import Block
from access.report import charts
from access.report.document import Chart, Column, Document, Measure, Samples, Section, Table
from access.report.figures import Figures, Row, Scope
from access.report.findings import always, findings
from access.report.numbers import Kind, earlier, many, shown

_MOST_ROWS: Final = 12
_MEASURES: Final = (
    # name shown, the summary's name, its kind, whether more is bad (-1), good (1) or neither
    ("Cost", "usd", Kind.USD, -1),
    ("Cost per prompt", "usd per prompt", Kind.USD, -1),
    ("People", "users", Kind.COUNT, 0),
    ("Sessions", "sessions", Kind.COUNT, 0),
    ("Prompts", "prompts", Kind.COUNT, 0),
    ("Model requests", "model requests", Kind.COUNT, 0),
    ("Tool calls", "tool calls", Kind.COUNT, 0),
    ("Failures", "failures", Kind.COUNT, -1),
    ("Failure rate", "failure percent", Kind.PERCENT, -1),
    ("Stopped by a failure", "sessions that stopped at a failure", Kind.COUNT, -1),
    ("Tokens in and out", "input and output tokens", Kind.TOKENS, 0),
    ("Input from the cache", "cache percent", Kind.PERCENT, 1),
)


def write(figures: Figures) -> Document:
    """Return the report."""
    scope = figures.scope
    about = [f"team {scope.team}"] * bool(scope.team) + [f"project {scope.project}"] * bool(scope.project)
    about += [f"user {shown(Kind.ID, scope.user)}"] * bool(scope.user)
    head = ("Claude Code report", str(figures.period), ", ".join(about) or "everybody")
    if figures.is_empty:
        return Document(*head, words=_nothing(figures))
    return Document(
        *head,
        words=(_sentence(figures),),
        measures=tuple(_measure(figures, *measure) for measure in _MEASURES),
        findings=tuple(findings(figures.insight)),
        notes=_notes(figures),
        always=tuple(always(figures.insight)),
        sections=tuple(
            section
            for section in (
                *(_errors(figures), _cost(figures), _tools(figures), _sessions(figures)),
                *(_speed(figures), _waste(figures), _data(figures)),
            )
            if section.charts or section.tables or section.words
        ),
    )


def _notes(figures: Figures) -> tuple[str, ...]:
    insight = figures.insight
    words = () if insight.findings else ("Nothing changed for the worse, beyond what chance explains.",)
    return (*words, *insight.notes)


def _nothing(figures: Figures) -> tuple[str, ...]:
    newest = [row["newest"] for row in figures.freshness if row["newest"] != "never"]
    if not newest:
        return (f"Nothing happened in this period, and no telemetry has ever arrived: {_HOW_TO_BEGIN}",)
    whose = ", for this team or user" if figures.scope != Scope() else ""
    return (
        f"Nothing happened in this period{whose}.",
        f"The newest telemetry is of {max(newest)} UTC: ask for another period with --since and --until.",
    )


_HOW_TO_BEGIN: Final = "point Claude Code here, or try telemetry demo."


def _sentence(figures: Figures) -> str:
    people, sessions = figures.measure("users")["value"], figures.measure("sessions")["value"]
    cost = figures.measure("usd")
    spent = "an unknown sum" if cost["value"] is None else shown(Kind.USD, cost["value"])
    text = f"{many(people, 'person', 'people')} spent {spent} in {many(sessions, 'session')}"
    change = cost["change_percent"]
    if change is not None and round(change):
        text += f", {abs(change):.0f}% {'more' if change > 0 else 'less'} than in the period before"
    failed, percent = figures.measure("failures")["value"], figures.measure("failure percent")["value"]
    if not failed:
        return f"{text}. Nothing failed."
    text += f". {many(failed, 'thing')} failed, {shown(Kind.PERCENT, percent)} of what was tried"
    if figures.errors:
        largest = figures.errors[0]
        text += (
            f"; the largest kind, {largest['category']}, is {shown(Kind.PERCENT, largest['percent'])} of that"
        )
    return f"{text}."


def _measure(figures: Figures, name: str, measure: str, kind: Kind, good: int) -> Measure:
    row = figures.measure(measure)
    change = row["change_percent"]
    tone = "" if not good or not change or not round(change) else "good" if change * good > 0 else "bad"
    return Measure(
        name, shown(kind, row["value"]), earlier(kind, row["before"]), shown(Kind.CHANGE, change), tone
    )


def _errors(figures: Figures) -> Section:
    if not figures.errors:
        return Section("Errors", "errors", ("Nothing failed.",))
    table = _table(
        figures.errors,
        *(Column("category", Kind.TEXT), Column("failures"), Column("percent", Kind.PERCENT, has_bar=True)),
        *(
            Column("cumulative_percent", Kind.PERCENT),
            Column("change_percent", Kind.CHANGE),
            Column("sessions"),
        ),
        *(Column("recovered_percent", Kind.PERCENT), Column("sample", Kind.TEXT)),
    )
    steps = [(_moment(row["day"]), row["category"], row["failures"]) for row in figures.errors_by_day]
    if figures.period.is_short:
        steps = [(_moment(row["hour"]), "failures", row["failures"]) for row in figures.activity]
    most = figures.errors[0]["failures"]
    pareto = charts.ranked(
        [
            (
                row["category"],
                row["failures"] / most,
                f"{shown(Kind.COUNT, row['failures'])}  ·  {shown(Kind.PERCENT, row['percent'])}",
            )
            for row in figures.errors[:8]
        ],
        "The largest kinds of failures, and their share of all",
        color=1,
    )
    samples = tuple(
        Samples(
            category,
            tuple(
                (row["message"], f"{row['time'][:19]}, session {row['session']}")
                for row in rows
                if row["message"]
            ),
        )
        for category, rows in figures.samples.items()
        # Where texts of errors are not sent, the words above say how to have them.
        if any(row["message"] for row in rows)
    )
    eighty = next(
        (place for place, row in enumerate(figures.errors, 1) if row["cumulative_percent"] >= 80),  # noqa: PLR2004
        len(figures.errors),
    )
    kinds = f"{eighty} of {len(figures.errors)} kinds make four fifths of all failures. A failure is recovered when"
    words = (
        "Failures counted by kind, the largest first: read the samples of the largest, fix that, and count again.",
        f"{kinds} the same thing worked later in its session.",
        *_lacks(figures, "tool-details"),
    )
    over_time = charts.over_time(steps, figures.period, _title("Failures", figures), Kind.COUNT)
    return Section("Errors", "errors", words, (pareto, over_time), (table,), samples)


def _cost(figures: Figures) -> Section:
    steps = [(_moment(row["day"]), row["model"] or "no model", row["usd"] or 0) for row in figures.cost]
    if figures.period.is_short:
        steps = [(_moment(row["hour"]), "usd", row["usd"] or 0) for row in figures.activity]
    if not figures.cost:
        return Section("Cost", "cost", ("No model request succeeded.",))
    words = ["What the clients say that their requests cost, from api_request events alone."]
    words += _unreported(figures)
    words += [sentence for row in figures.forecast for sentence in _month(row)]
    words += _a_commit(figures)
    tables = tuple(
        _table(
            rows,
            *(Column("value", kind), Column("usd", Kind.USD), Column("percent", Kind.PERCENT, has_bar=True)),
            *(
                Column("change_percent", Kind.CHANGE),
                Column("requests"),
                Column("cache_percent", Kind.PERCENT),
            ),
            name=name,
        )
        for name, rows, kind in (
            ("model", figures.cost_by_model, Kind.TEXT),
            ("team", figures.cost_by_team, Kind.TEXT),
            ("project", figures.cost_by_project, Kind.TEXT),
            ("user", figures.cost_by_user, Kind.ID),
        )
        if len(rows) > 1 or (rows and rows[0]["value"])
    )
    chart = charts.over_time(steps, figures.period, _title("Cost", figures), Kind.USD)
    return Section("Cost", "cost", tuple(words), (chart,), tables)


def _month(row: Row) -> list[str]:
    """Return sentences on what the month will come to, and when its budget is reached."""
    if row["usd"] is None:
        return ["What this month cost so far is not known."]
    spent = f"{shown(Kind.USD, row['usd'])} are spent in this month so far"
    if row["projected"] is None:
        days = many(row["history_days"], "day")
        return [f"{spent}; a forecast needs a week of days before today, and there are {days}."]
    low, high = shown(Kind.USD, row["low"]), shown(Kind.USD, row["high"])
    text = f"This month comes to {shown(Kind.USD, row['projected'])} ({low} to {high}, four months of five) if days go"
    text += f" on as in the last {row['history_days']}; {spent}"
    if row["last_month"]:
        text += f", and the month before cost {shown(Kind.USD, row['last_month'])}"
    said = [f"{text}."]
    if row["budget_percent"] is not None:
        reached = row["budget_reached"]
        when = f"it is used up on {reached}" if reached else "it lasts"
        said.append(f"That is {shown(Kind.PERCENT, row['budget_percent'])} of the month's budget: {when}.")
    return said


def _a_commit(figures: Figures) -> list[str]:
    """Return what a commit and a pull request cost, where clients count them."""
    known = [row for row in figures.cost_per_commit if row["usd"] is not None]
    usd = sum(row["usd"] for row in known)
    said = []
    for name, word in (("commits", "commit"), ("pull_requests", "pull request")):
        count = sum(row[name] for row in known)
        if count and usd:
            said.append(f"a {word} cost {shown(Kind.USD, usd / count)} ({many(round(count), word)})")
    return [f"All cost taken together, {' and '.join(said)}."] if said else []


def _tools(figures: Figures) -> Section:
    if not figures.tools:
        return Section("Tools", "tools", ())
    failing = sorted(
        (row for row in figures.tools if row["failures"]), key=lambda row: -row["failure_percent"]
    )
    pictures: tuple[Chart, ...] = ()
    if failing:
        rates = [
            (
                row["tool"],
                row["failure_percent"],
                f"{shown(Kind.PERCENT, row['failure_percent'])} of {shown(Kind.COUNT, row['calls'])}",
            )
            for row in failing[:8]
        ]
        pictures = (charts.ranked(rates, "Share of calls that failed", color=3),)
    table = _table(
        figures.tools,
        *(
            Column("tool", Kind.TEXT),
            Column("calls"),
            Column("failures"),
            Column("failure_percent", Kind.PERCENT),
        ),
        *(Column("before_percent", Kind.PERCENT), Column("p50_ms", Kind.MS), Column("p95_ms", Kind.MS)),
        Column("sessions"),
    )
    servers = _table(
        figures.mcp_connections,
        *(
            Column("server", Kind.TEXT),
            Column("connected"),
            Column("failed"),
            Column("failed_percent", Kind.PERCENT),
        ),
        *(Column("p95_ms", Kind.MS), Column("error", Kind.TEXT)),
        caption="MCP servers",
    )
    tables = (table, servers) if figures.mcp_connections else (table,)
    return Section("Tools", "tools", ("A call that was not allowed does not count.",), pictures, tables)


def _sessions(figures: Figures) -> Section:
    columns = (
        *(
            Column("session", Kind.ID),
            Column("user", Kind.ID),
            Column("team", Kind.TEXT),
            Column("started", Kind.TEXT),
        ),
        *(
            Column("minutes"),
            Column("prompts"),
            Column("failures"),
            Column("outcome", Kind.TEXT),
            Column("usd", Kind.USD),
        ),
    )
    tables = [_table(figures.dearest, *columns, caption="The dearest sessions")] if figures.dearest else []
    failing = [row for row in figures.failing if row["failures"]]
    if failing:
        tables.append(_table(failing, *columns, caption="Those with the most failures"))
    costs = [row for row in figures.cost_per_session if row["sessions"]]
    words: tuple[str, ...] = ()
    if costs:
        whole = sum(row["sessions"] for row in costs)
        known = [row for row in costs if row["usd"] is not None]
        mean = sum(row["usd"] for row in known) / whole if known else None
        most = max((row["dearest"] for row in known), default=None)
        words = (
            f"A session costs {shown(Kind.USD, mean)} on average; the dearest cost {shown(Kind.USD, most)}.",
        )
    picture: tuple[Chart, ...] = ()
    if figures.activity and not figures.period.is_short:
        prompts = [(_moment(row["hour"]), row["prompts"]) for row in figures.activity]
        picture = (charts.by_hour_of_week(prompts, "Prompts by the hour of the week"),)
    return Section("Sessions", "sessions", words, picture, tuple(tables))


def _speed(figures: Figures) -> Section:
    latency = _table(
        figures.latency,
        *(
            Column("model", Kind.TEXT),
            Column("requests"),
            Column("p50_ms", Kind.MS),
            Column("p95_ms", Kind.MS),
        ),
        *(Column("ttft_p50_ms", Kind.MS), Column("ttft_p95_ms", Kind.MS), Column("tokens_per_second")),
        caption="How long requests take",
    )
    cache = _table(
        figures.cache,
        *(Column("value", Kind.TEXT), Column("hit_percent", Kind.PERCENT, has_bar=True)),
        *(Column("cache_read_tokens", Kind.TOKENS), Column("cache_creation_tokens", Kind.TOKENS)),
        *(Column("input_tokens", Kind.TOKENS), Column("reads_per_write")),
        name="model",
        caption="How much of the input comes from the cache",
    )
    tables = [table for table in (latency, cache) if table.rows]
    if figures.retries:
        tables.append(
            _table(
                figures.retries,
                *(
                    Column("code", Kind.TEXT),
                    Column("model", Kind.TEXT),
                    Column("exhausted"),
                    Column("answered"),
                    Column("attempts"),
                ),
                *(Column("minutes_waited"), Column("sessions"), Column("recovered_percent", Kind.PERCENT)),
                caption="Requests that were tried again",
            )
        )
    return Section("Latency and cache", "latency", _lacks(figures, "traces"), (), tuple(tables))


def _lacks(figures: Figures, *needs: str) -> tuple[str, ...]:
    """Return why a section may lack something: what is not collected, and how to have it collected."""
    return tuple(f"{figures.lacks[name]}." for name in needs if name in figures.lacks)


def _unreported(figures: Figures) -> list[str]:
    """Return sentences on costs that clients did not report."""
    recomputed, unknown = (
        figures.measure(name)["value"] for name in ("usd recomputed", "requests without a known cost")
    )
    said = []
    if recomputed:
        said.append(
            f"{shown(Kind.USD, recomputed)} of it is recomputed from tokens and prices, as no cost was sent."
        )
    if unknown:
        said.append(f"The cost of {many(unknown, 'request')} is not known, and in no sum.")
    return said


def _waste(figures: Figures) -> Section:
    lacks = _lacks(figures, "tool-details", "traces")
    if not figures.waste:
        return Section("Waste", "waste", lacks)
    table = _table(
        figures.waste,
        *(Column("pattern", Kind.TEXT), Column("what", Kind.TEXT), Column("wasted"), Column("sessions")),
        *(Column("minutes"), Column("usd", Kind.USD)),
    )
    usd = sum(row["usd"] or 0 for row in figures.waste)
    words = f"Going round in circles took about {shown(Kind.USD, usd)}. Equal input is known by its hash; a file that"
    words += " was edited in between is worth reading again, which this cannot tell."
    return Section("Waste", "waste", (words, *lacks), (), (table,))


def _data(figures: Figures) -> Section:
    table = _table(
        figures.data_quality,
        *(Column("fault", Kind.TEXT), Column("event", Kind.TEXT), Column("events"), Column("sessions")),
        Column("last_seen", Kind.TEXT),
    )
    if not table.rows:
        amiss = [one.title for one in figures.insight.of(Block.DATA)]
        words = f"{'; '.join(amiss)}." if amiss else "Every value that was sent could be true."
        return Section("The data itself", "data", (words,))
    words = "Values that are missing or cannot be true are in no total."
    return Section("The data itself", "data", (words,), (), (table,))


def _table(rows: list[Row], *columns: Column, caption: str = "", name: str = "") -> Table:
    """Return a table of some columns of an answer; `name` is the heading of its column `value`."""
    taken = tuple(tuple(_value(row[column.name], column) for column in columns) for row in rows[:_MOST_ROWS])
    headed = tuple(
        Column(
            _heading(name if column.name == "value" and name else column.name), column.kind, column.has_bar
        )
        for column in columns
    )
    return Table(headed, taken, caption or (f"By {name}" if name else ""), max(0, len(rows) - _MOST_ROWS))


_HEADINGS: Final = {
    "percent": "share",
    "cumulative_percent": "cumulative",
    "change_percent": "change",
    "usd": "cost",
    "recovered_percent": "recovered",
    "failure_percent": "failed",
    "before_percent": "before",
    "p50_ms": "p50",
    "p95_ms": "p95",
    "cache_percent": "from the cache",
    "failed_percent": "share",
    "hit_percent": "from the cache",
    "ttft_p50_ms": "first token, p50",
    "ttft_p95_ms": "first token, p95",
    "tokens_per_second": "tokens a second",
    "cache_read_tokens": "read",
    "cache_creation_tokens": "written",
    "input_tokens": "not cached",
    "reads_per_write": "reads a write",
    "minutes_waited": "minutes waited",
}


def _heading(name: str) -> str:
    return _HEADINGS.get(name, name.replace("_", " "))


def _value(value: Any, column: Column) -> Any:
    if value == "" and column.kind in {Kind.TEXT, Kind.ID} and column.name in {"value", "server", "team"}:
        return "not said"
    return value


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _title(what: str, figures: Figures) -> str:
    return f"{what} by the {'hour' if figures.period.is_short else 'day'}"
