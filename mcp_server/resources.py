"""Resources: what a client may read by address, as Markdown or CSV, each within the budget of an answer.

Not as JSON: a client puts the text of a resource into JSON itself, and would escape it twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from mcp_types import Resource, ResourceTemplate

from access import budget, library
from access.answer import Answer, Scalar, moment
from access.budget import MOST
from access.export.shelf import Shelf
from access.questions import questions
from access.reading import Desk, Reading
from access.refusal import Code, Refusal, unknown
from access.report.escape import escape
from access.tail import latest_events, newest_insert
from access.telemetry_query import query_telemetry
from access.text import visible

MARKDOWN: Final = "text/markdown"
CSV: Final = "text/csv"
SUMMARY: Final = "telemetry://summary/latest"
EXPORT: Final = "telemetry://export/ready"
LIVE: Final = "telemetry://stream/live"
BENCHMARKS: Final = "telemetry://benchmarks/latest"
QUESTIONS: Final = "telemetry://questions"
SESSION: Final = "telemetry://session/"
UPDATED: Final = (LIVE, EXPORT)
"""Who subscribes to these is told of what is new."""
SESSIONS: Final = 10
"""The last sessions are listed by name."""
_SESSIONS_SECONDS: Final = 30.0
_LONGEST_ID: Final = 200
_LIVE_ROWS: Final = 100
_BENCHMARK_ROWS: Final = 1_000
_FORMULA: Final = ("=", "+", "-", "@")
_LAST_SESSIONS: Final = (
    "SELECT session_id, toDateTime64(max(ended), 3, 'UTC') AS last FROM telemetry_sessions\n"
    "WHERE day >= today() - 30 AND session_id != ''\n"
    "GROUP BY session_id ORDER BY last DESC, session_id LIMIT {limit:UInt8}"
)
_FIXED: Final = (
    (SUMMARY, "Latest summary", "Sessions, calls, errors, tokens and cost of the last 7 days.", MARKDOWN),
    (
        EXPORT,
        "Analysis-ready exports",
        "The exports that are ready: files, sizes, checksums, and how to get them.",
        MARKDOWN,
    ),
    (LIVE, "Live events", "The newest events, errors and anomalies; subscribe to be told of more.", CSV),
    (BENCHMARKS, "Sessions and MCP calls", "The newest of the last 7 days, a row each, for analysis.", CSV),
    (QUESTIONS, "Questions", "What can be asked by name, with parameters.", MARKDOWN),
)


@dataclass(frozen=True, slots=True)
class Text:
    """What a resource holds."""

    text: str
    mime_type: str


class Resources:
    """The resources over a desk."""

    def __init__(self, desk: Desk, shelf: Shelf | None) -> None:
        self._desk = desk
        self._shelf = shelf

    def listed(self, caller: str) -> list[Resource]:
        """Return the fixed resources, and the last sessions where the store answers."""
        fixed = [
            Resource(uri=uri, name=name, description=description, mime_type=mime_type)
            for uri, name, description, mime_type in _FIXED
        ]
        try:
            return [*fixed, *self._sessions(self._desk.reading(caller))]
        except Refusal:
            return fixed

    @staticmethod
    def templates() -> list[ResourceTemplate]:
        """Return those that take a parameter."""
        return [
            ResourceTemplate(
                uri_template=f"{SESSION}{{session_id}}",
                name="Session",
                description="One session step by step.",
                mime_type=MARKDOWN,
            )
        ]

    def read(self, uri: str, caller: str) -> Text:
        """Return what a resource holds. Raises Refusal."""
        reading = self._desk.reading(caller)
        if uri == SUMMARY:
            answer = library.ask_question(reading, "summary", max_characters=MOST)
            return Text(markdown("Summary", answer), MARKDOWN)
        if uri == EXPORT:
            return Text(markdown("Exports", budget.fit(self.shelf().listed(), MOST)), MARKDOWN)
        if uri == LIVE:
            return Text(csv(latest_events(reading, _LIVE_ROWS, MOST)), CSV)
        if uri == BENCHMARKS:
            answer = query_telemetry(
                reading, "benchmarks", order="-timestamp", limit=_BENCHMARK_ROWS, max_characters=MOST
            )
            return Text(csv(answer), CSV)
        if uri == QUESTIONS:
            return Text(_catalogue(), MARKDOWN)
        session = uri.removeprefix(SESSION)
        if session != uri and 0 < len(session) <= _LONGEST_ID:
            answer = library.ask_question(reading, "session", {"session": session}, max_characters=MOST)
            return Text(markdown(f"Session {session}", answer), MARKDOWN)
        raise unknown("resource", uri, [one[0] for one in _FIXED], "uri")

    def state(self, uri: str) -> object:
        """Return what is another one when a resource of UPDATED has something new. Raises Refusal."""
        if uri == EXPORT:
            return self._shelf.newest() if self._shelf is not None else 0
        return newest_insert(self._desk.reading("watch"))

    def shelf(self) -> Shelf:
        """Return the folder of exports. Raises Refusal when this server has none."""
        if self._shelf is None:
            raise Refusal(
                Code.FORBIDDEN, "This server keeps no exports: run telemetry export in their place."
            )
        return self._shelf

    def _sessions(self, reading: Reading) -> Iterator[Resource]:
        kept = self._desk.queries.make(
            "resources sessions",
            lambda: reading.store.rows(_LAST_SESSIONS, {"limit": str(SESSIONS)}).rows,
            _SESSIONS_SECONDS,
        )
        for session, last in kept.value:
            # An id that no address can hold is found by a question, not here.
            if session.isascii() and session.replace("-", "").replace("_", "").isalnum():
                yield Resource(
                    uri=f"{SESSION}{session}",
                    name=f"Session of {moment(last)}",
                    description=f"Session {visible(session, 60)} step by step.",
                    mime_type=MARKDOWN,
                )


def markdown(title: str, answer: Answer) -> str:
    """Return an answer as Markdown: its rows as a table, then what one must know to read them."""
    fields = answer.as_dict()
    lines = [f"# {_cell(visible(title, 200))}", ""]
    if "finding" in fields:
        lines += [_cell(fields["finding"]), ""]
    lines += [*_table(fields["columns"], fields["rows"]), ""]
    for name, table in fields.get("tables", {}).items():
        lines += [f"## {_cell(name)}", "", *_table(table["columns"], table["rows"]), ""]
    lines += [f"- {_cell(text)}" for text in _about(fields)]
    return "\n".join(lines) + "\n"


def csv(answer: Answer) -> str:
    """Return an answer's rows as CSV with quoted text; what a spreadsheet would take for a formula begins with '."""
    fields = answer.as_dict()
    lines = [fields["columns"], *fields["rows"]]
    return "\n".join(",".join(map(_field, line)) for line in lines) + "\n"


def _about(fields: dict[str, Any]) -> Iterator[str]:
    if period := fields.get("time_range"):
        yield f"From {period['start']} to {period['end']} ({period['zone']})."
    if newest := fields.get("freshness", {}).get("newest"):
        yield f"The newest record is of {newest}."
    if fields["truncated"] or fields["has_more"]:
        yield "There is more than this: ask with the tools."
    yield from fields.get("notes", ())
    if "content" in fields:
        yield fields["content"]


def _table(columns: list[str], rows: list[list[Scalar]]) -> Iterator[str]:
    if not rows:
        yield "Nothing was found."
        return
    yield f"| {' | '.join(map(_cell, columns))} |"
    yield "|" + " --- |" * len(columns)
    for row in rows:
        yield f"| {' | '.join(_cell(value) for value in row)} |"


def _cell(value: Scalar) -> str:
    return escape(value) if isinstance(value, str) else "" if value is None else str(value)


def _field(value: Scalar) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    guarded = f"'{value}" if value.startswith(_FORMULA) else value
    return '"' + guarded.replace('"', '""') + '"'


def _catalogue() -> str:
    lines = ["# Questions", "", "ask_question takes one of these names; times may be relative.", ""]
    for question in questions():
        names = ", ".join(f"{one.name} = {one.default}" for one in question.parameters)
        lines.append(f"- {_cell(question.name)} ({question.topic}): {_cell(question.question)}")
        lines += [f"  {_cell(names)}"] if names else []
    return "\n".join(lines) + "\n"
