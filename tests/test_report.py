"""`telemetry report`: its numbers are the generator's, telemetry stays text, and it says when nothing happened."""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from access.query import ask
from access.questions import questions
from access.report.contents import write
from access.report.document import Document, Section, Table
from access.report.escape import escape
from access.report.figures import Scope, gather
from access.report.markdown import markdown
from access.report.numbers import shown
from access.report.page import page
from access.report.period import Period
from access.report.terminal import for_terminal
from access.text import visible
from clickhouse.client import Client
from demo.generate import Ledger, Plan, generate
from demo.send import connect, send
from telemetry.cli import main
from tests.server import Server, running
from tests.test_demo import own

MIDNIGHT = datetime.fromtimestamp(time.time() // 86_400 * 86_400, UTC)
WEEK = Period(MIDNIGHT - timedelta(days=7), MIDNIGHT)
PLAN = Plan(seed=5, sessions=130, users=12, days=20, until=MIDNIGHT)
HOSTILE = "<script>alert(1)</script>[x](https://evil.invalid)|`'\"&amp;<img src=x onerror=alert(2)>"


@dataclass(frozen=True, slots=True)
class Filled:
    """A server with invented sessions, and their totals."""

    server: Server
    ledger: Ledger
    reader: Client

    def report(self, period: Period = WEEK, team: str = "", user: str = "") -> Document:
        return write(gather(self.reader, period, Scope(team, user)))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """Start a server, fill it with three weeks, and open a reader."""
    ledger = Ledger()
    with running(tmp_path_factory.mktemp("report") / "data") as server:
        with connect(f"http://{server.listening['otlp_grpc']}", "grpc", "") as export:
            sent = list(send(generate(PLAN, ledger), export))
        server.wait_until_stored()
        assert sum(request.records for request in sent) > 10_000
        with Client(server.endpoint()) as reader:
            yield Filled(server, ledger, reader)


@pytest.fixture(scope="module")
def real(server: Server) -> Iterator[Filled]:
    """Return a server without invented sessions, which reports leave out beside others."""
    with Client(server.endpoint()) as reader:
        yield Filled(server, Ledger(), reader)


@pytest.fixture(scope="module")
def week(filled: Filled) -> Document:
    """Return the report of the last week."""
    return filled.report()


def run(filled: Filled, *arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["report", *arguments], env=own(filled.server))
    assert done.exit_code == code, done.output
    return done.output


def counted(counts: Any, team: str = "") -> Counter[str]:
    """Add up a part of the ledger over the week, by its key."""
    whole: Counter[str] = Counter()
    for part, value in counts.items():
        if WEEK.since.date() <= part.day < WEEK.until.date() and team in {"", part.team}:
            whole[part.of] += value
    return whole


def section(document: Document, anchor: str) -> Section:
    return next(one for one in document.sections if one.anchor == anchor)


def columns(table: Table, *names: str) -> dict[Any, tuple[Any, ...]]:
    """Return some columns of a table, by its first."""
    places = [[column.name for column in table.columns].index(name) for name in names]
    return {row[0]: tuple(row[place] for place in places) for row in table.rows}


def test_the_summary_is_what_was_generated(filled: Filled, week: Document) -> None:
    """Money, people, sessions, prompts, requests, tool calls and failures of the week; the week before beside it."""
    ledger = filled.ledger
    values = {measure.name: measure.value for measure in week.measures}
    before = {measure.name: measure.before for measure in week.measures}
    spent = ledger.spent(since=WEEK.since.date(), until=WEEK.until.date())
    earlier = ledger.spent(since=(WEEK.since - timedelta(days=7)).date(), until=WEEK.since.date())
    ended = {key: calls.ended for key, calls in ledger.calls.items()}
    last: dict[str, Any] = {}
    for part, session in ledger.sessions:
        if part.day <= WEEK.until.date():  # except a clock of the year 2100
            last[session] = max(part.day, last.get(session, part.day))
    users = {part.user for part, _ in ledger.sessions if WEEK.since.date() <= part.day < WEEK.until.date()}
    assert values["Cost"] == f"${spent.usd:,.2f}"
    assert before["Cost"] == f"${earlier.usd:,.2f}"
    assert values["Model requests"] == f"{spent.requests:,}"
    assert values["Prompts"] == f"{counted(ledger.prompts).total():,}"
    assert values["Tool calls"] == f"{counted(ended).total():,}"
    assert values["Failures"] == f"{counted(ledger.failures).total():,}"
    assert values["People"] == str(len(users))
    assert values["Sessions"] == str(
        sum(WEEK.since.date() <= day < WEEK.until.date() for day in last.values())
    )


def test_errors_are_ranked_with_their_share(filled: Filled, week: Document) -> None:
    """All categories with the generator's counts, the largest first, and samples of the three largest."""
    errors = section(week, "errors")
    expected = counted(filled.ledger.failures)
    found = columns(errors.tables[0], "failures", "share")
    whole = expected.total()
    for category, (failures, share) in found.items():
        assert failures == expected[category]
        assert share == pytest.approx(100 * failures / whole, abs=0.051)
    assert [failures for failures, _ in found.values()] == sorted(expected.values(), reverse=True)[
        : len(found)
    ]
    assert [one.category for one in errors.samples] == list(found)[:3]
    assert all(one.messages for one in errors.samples)


def test_cost_is_split_by_model_and_team(filled: Filled, week: Document) -> None:
    """To the cent."""
    by_model, by_team, *_ = section(week, "cost").tables
    for table, of in ((by_model, lambda part: part.of), (by_team, lambda part: part.team)):
        expected: Counter[str] = Counter()
        for part, spend in filled.ledger.spend.items():
            if WEEK.since.date() <= part.day < WEEK.until.date():
                expected[of(part) or "not said"] += spend.nano_usd
        found = {name: cost for name, (cost,) in columns(table, "cost").items()}
        # The requests without a model have no cost either: it is not known, and not 0.
        assert found == {
            name: pytest.approx(nanos / 1e9, abs=1e-4) if nanos else None for name, nanos in expected.items()
        }


def test_the_month_has_a_range_a_budget_and_the_price_of_a_commit(filled: Filled) -> None:
    """The budget is everybody's: a part of the data is not compared with it."""
    words = section(write(gather(filled.reader, WEEK, Scope(), 0.01)), "cost").words
    amount = r"\$[\d,]+(?:\.\d+)?"
    for pattern in (
        rf"This month comes to {amount} \({amount} to {amount}, four months of five\) if days go on",
        r"of the month's budget: it is used up on \d{4}-\d\d-\d\d\.",
        rf"a commit cost {amount} \([\d,]+ commits?\) and a pull request cost {amount}",
    ):
        assert any(re.search(pattern, sentence) for sentence in words), (pattern, words)
    team = section(write(gather(filled.reader, WEEK, Scope("demo-kraken"), 0.01)), "cost").words
    assert not any("budget" in sentence for sentence in team)


def test_tools_have_their_failures(filled: Filled, week: Document) -> None:
    """Calls and failures of each tool in the table."""
    table = section(week, "tools").tables[0]
    ended = counted({key: calls.ended for key, calls in filled.ledger.calls.items()})
    failed = counted({key: calls.failed for key, calls in filled.ledger.calls.items()})
    assert columns(table, "calls", "failures") == {
        tool: (ended[tool], failed[tool]) for tool, *_ in table.rows
    }


def test_what_to_fix_first_is_ranked(filled: Filled, week: Document) -> None:
    """The dearest first; what is merely frequent stands apart, each with its number, reason, remedy and question."""
    assert [one.title for one in week.findings] == [
        one.title for one in sorted(week.findings, key=lambda one: -one.weight)
    ]
    found = week.always
    expected = counted(filled.ledger.failures)
    assert 3 <= len(found) <= 6
    assert [one.weight for one in found] == sorted((one.weight for one in found), reverse=True)
    for one in found:
        assert one.title not in expected or one.times == expected[one.title]
    for one in (*week.findings, *found):
        assert one.reason.endswith(".")
        assert one.advice.endswith(".")
    assert "error_samples -p category='tool Bash ShellError'" in {one.command for one in found}


def test_the_command_says_what_the_report_says(filled: Filled, week: Document) -> None:
    """As JSON, with an exit code for cron."""
    since, until = (f"{one:%Y-%m-%d %H:%M:%S}" for one in (WEEK.since, WEEK.until))
    options = ["findings", "--since", since, "--until", until, "--format", "json"]
    done = CliRunner().invoke(main, options, env=own(filled.server))
    assert done.exit_code == (3 if week.findings else 0), done.output
    found = json.loads(done.stdout)["findings"]
    assert [(one["cause"], one["who"], one["reason"]) for one in found] == [
        (one.title, one.who, one.reason) for one in week.findings
    ]


def test_one_team_and_one_user(filled: Filled) -> None:
    """Only theirs is counted, and the report says whose it is."""
    document = filled.report(team="demo-kraken")
    spent = filled.ledger.spent(since=WEEK.since.date(), until=WEEK.until.date(), team="demo-kraken")
    assert document.scope == "team demo-kraken"
    assert document.measures[0].value == f"${spent.usd:,.2f}"
    user = section(document, "cost").tables[-1].rows[0]
    one = filled.report(user=str(user[0]))
    assert one.scope.startswith("user ")
    assert one.measures[0].value == f"${user[1]:,.2f}"


def test_both_ways_to_show_it_have_all_of_it(week: Document) -> None:
    """Each measure, finding, heading and row of the document is in the Markdown and on the page."""
    document = week
    words = _Page()
    words.feed(page(document))
    text, plain = " ".join(words.text.split()), markdown(document).replace("\\", "")
    for expected in (
        *(measure.value for measure in document.measures),
        *(finding.title for finding in (*document.findings, *document.always)),
        *(finding.reason for finding in (*document.findings, *document.always)),
        *(one.title for one in document.sections),
        *(
            shown(table.columns[0].kind, row[0])
            for one in document.sections
            for table in one.tables
            for row in table.rows
        ),
    ):
        assert expected in text
        assert expected in plain


def test_the_page_stands_alone(week: Document) -> None:
    """No script, no request, nothing from elsewhere; charts have words for those who do not see them."""
    made = page(week)
    found = _Page()
    found.feed(made)
    assert found.tags["svg"] >= 4
    assert found.tags["script"] == found.tags["img"] == found.tags["link"] == found.tags["iframe"] == 0
    assert all(target.startswith("#") for target in found.targets)
    assert "default-src &#39;none&#39;" in made or "default-src 'none'" in made
    assert {target[1:] for target in found.targets} <= found.ids
    assert len(re.findall(r'aria-label="[^"]*tool Bash ShellError: ', made)) > 1
    assert "prefers-color-scheme: dark" in made
    assert "@media print" in made
    assert len(made) < 600_000


def test_what_telemetry_holds_stays_text(real: Filled) -> None:
    """Names that are HTML and Markdown: of a tool, a model, a team, in an error and in a session."""
    moment = time.time_ns() - 3_600 * 10**9 * 24 * 9
    attributes = {"session.id": HOSTILE, "user.id": HOSTILE, "team.id": HOSTILE, "model": HOSTILE}
    attributes |= {"tool_name": HOSTILE, "error": f"# {HOSTILE}", "error_type": HOSTILE, "prompt.id": "p"}
    records = []
    for name, more in (
        ("tool_result", {"success": "false", "duration_ms": "5"}),
        ("api_request", {"cost_usd": "0.25", "input_tokens": "3"}),
        ("mcp_server_connection", {"status": "failed", "server_name": HOSTILE}),
        *[("tool_result", {"success": "false", "tool_input": "again"})] * 4,
    ):
        pairs = attributes | more | {"event.name": name}
        records.append(
            {
                "timeUnixNano": str(moment),
                "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in pairs.items()],
            }
        )
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "claude-code"}}]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    assert real.server.post("logs", json.dumps(body).encode(), "application/json").status_code == 200
    day = datetime.fromtimestamp(moment // 10**9, UTC)
    asked = Period(day - timedelta(hours=30), day + timedelta(hours=30))
    document = real.report(asked, team=HOSTILE)
    assert document.always
    made = page(document)
    found = _Page()
    found.feed(made)
    assert found.tags["script"] == found.tags["img"] == 0
    assert all(target.startswith("#") for target in found.targets)
    assert "<script>alert(1)" in found.text  # shown, not run
    rendered = _Page()
    rendered.feed(MarkdownIt("commonmark").enable("table").render(markdown(document)))
    assert set(rendered.tags) <= set(_OWN_TAGS)
    assert "<script>alert(1)" in rendered.text


@pytest.mark.parametrize("form", ["markdown", "html"])
def test_a_control_character_in_a_name_is_shown(real: Filled, tmp_path: Path, form: str) -> None:
    """The report is made, with every chart; the character is a picture of itself, and the samples are found."""
    name = f"Shell\x00\x1b[31m\x07\x9b\ufffe{form}"
    moment = time.time_ns() - 3_600 * 10**9 * 24 * 12
    attributes = {"session.id": "s", "user.id": name, "team.id": name, "model": name, "tool_name": name}
    attributes |= {"error": name, "error_type": name, "success": "false", "event.name": "tool_result"}
    attributes |= {"cost_usd": "0.25", "server_name": name, "duration_ms": "5"}
    records = [
        {
            "timeUnixNano": str(moment),
            "attributes": [
                {"key": key, "value": {"stringValue": value}}
                for key, value in (attributes | {"event.name": event}).items()
            ],
        }
        for event in ("tool_result", "tool_result", "api_request")
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "claude-code"}}]}
    body = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    assert real.server.post("logs", json.dumps(body).encode(), "application/json").status_code == 200
    day = datetime.fromtimestamp(moment // 10**9, UTC)
    since, until = day - timedelta(hours=30), day + timedelta(hours=30)
    file = tmp_path / "report"
    asked = ("--since", f"{since:%Y-%m-%d %H:%M}", "--until", f"{until:%Y-%m-%d %H:%M}", "--team", name)
    run(real, *asked, "-f", form, "-o", str(file))
    made = file.read_text()
    assert all(line == visible(line) for line in made.split("\n"))
    assert "Shell�" in made
    assert "could not be drawn" not in made
    document = real.report(Period(since, until), team=name)
    assert all(one.messages for one in section(document, "errors").samples)


def test_every_question_has_an_answer(filled: Filled) -> None:
    """Asked as the user who only reads, over HTTP, each finds something in three weeks of demo data."""
    unanswered = []
    for question in questions():
        given = {"from": "15 days ago"} if "from" in {one.name for one in question.parameters} else {}
        answer = b"".join(ask(filled.reader, question.sql, question.values(given), "jsonl"))
        if not answer:
            unanswered.append(question.name)
    # The demo invents no MCP servers of people's own.
    assert [name for name in unanswered if not name.startswith("mcp_server_")] == []


def test_little_is_enough(start: Callable[..., Server]) -> None:
    """One event, without a session, a person or a cost, makes a report."""
    server = start()
    record = {"timeUnixNano": str(time.time_ns()), "body": {"stringValue": "claude_code.user_prompt"}}
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}
    assert server.post("logs", json.dumps(body).encode(), "application/json").status_code == 200
    for form in ("markdown", "html"):
        done = CliRunner().invoke(main, ["report", "-f", form], env=own(server))
        assert (done.exit_code, "0 people spent" in done.output) == (0, True)


def test_an_empty_period_says_so(filled: Filled) -> None:
    """In words, with the way out, and nothing else."""
    for arguments in (["--since", "2001-01-01", "--until", "2001-02-01"], ["--team", "nobody"]):
        said = run(filled, *arguments)
        assert "Nothing happened in this period" in said
        assert "ask for another period" in said
        assert "## " not in said
    assert "for this team or user." in run(filled, "--team", "nobody", "-f", "html")


def test_it_is_written_where_one_says(filled: Filled, tmp_path: Path) -> None:
    """A file that ends in .html is a page, and any other Markdown, unless --format says otherwise."""
    for name, options, beginning in (
        ("a.html", (), "<!doctype html>"),
        ("b.md", (), "# Claude Code report"),
        ("c.txt", ("--format", "html"), "<!doctype html>"),
    ):
        file = tmp_path / name
        run(filled, "--period", "daily", "-o", str(file), *options)
        assert file.read_text().startswith(beginning)


def test_mistakes_name_their_remedy(filled: Filled) -> None:
    """Times that are none, and periods that end before they begin."""
    for arguments, message in (
        (["--since", "tomorrow"], "is not a time from 1970 to 2105: write 2026-11-22"),
        (["--since", "2026-02-01", "--until", "2026-01-01"], "ends before it begins"),
        (["--since", "9999-01-01"], "is not a time from 1970 to 2105"),
        (["--url", "http://127.0.0.1:1"], "start the server"),
    ):
        assert message in run(filled, *arguments, code=1)


_OWN_TAGS = (
    "h1",
    "h2",
    "p",
    "pre",
    "ol",
    "ul",
    "li",
    "strong",
    "code",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
)


class _Page(HTMLParser):
    """Reads a page: its text, its tags, where it points."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.targets: list[str] = []
        self.ids: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        for name, value in attrs:
            assert not name.startswith("on"), name
            if name in {"href", "src", "xlink:href", "action", "data"}:
                self.targets.append(value or "")
            if name == "id":
                self.ids.add(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_at_a_terminal_columns_align_and_nothing_is_escaped() -> None:
    """Texts read as they are stored; what is code stays as it is, since a command can hold a backslash."""
    lines = [
        escape("*Spent* $1 for a|b."),
        "",
        "| | cost |",
        "|---|---:|",
        f"| {escape('a|b')} | {escape('$1,000.00')} |",
        f"| 漢字 | {escape('-')} |",
        "",
        "```text",
        "1 \\$",
        "```",
        "   `telemetry query errors -p team='\\$x'`",
    ]
    assert for_terminal("\n".join(lines)).splitlines() == [
        "*Spent* $1 for a|b.",
        "",
        "           cost",
        "────  ─────────",
        "a|b   $1,000.00",
        "漢字          -",
        "",
        "```text",
        "1 \\$",
        "```",
        "   `telemetry query errors -p team='\\$x'`",
    ]
