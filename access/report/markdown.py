"""A report as Markdown, for a terminal, a chat or a pull request.

Texts from telemetry are escaped, so that none becomes a link, an image, HTML, or a cell of its own.
"""

import re
from collections.abc import Iterator

from access.report.document import Document, Section, Table
from access.report.escape import escape, on_one_line
from access.report.findings import ReportFinding
from access.report.numbers import Kind, shown


def markdown(document: Document) -> str:
    """Return the document as Markdown."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Document) -> Iterator[str]:
    yield f"# {document.title}"
    yield ""
    yield f"{escape(document.period)}, {escape(document.scope)}"
    for words in document.words:
        yield from ("", escape(words))
    if document.measures:
        yield from ("", "| | now | before | change |", "|---|---:|---:|---:|")
        for measure in document.measures:
            yield f"| {measure.name} | {escape(measure.value)} | {escape(measure.before)} | {escape(measure.change)} |"
    yield from _findings(document)
    for section in document.sections:
        if section.words or section.tables or section.charts:
            yield from _section(section)


def _findings(document: Document) -> Iterator[str]:
    if document.findings or document.notes:
        yield from ("", "## What to fix first", "")
        for number, finding in enumerate(document.findings, 1):
            yield from _finding(number, finding)
        for note in document.notes:
            yield from ("", escape(note))
    if document.always:
        yield from ("", "## Always there", "", "What is frequent, whether or not it changed.", "")
        for number, finding in enumerate(document.always, 1):
            yield from _finding(number, finding)


def _finding(number: int, finding: ReportFinding) -> Iterator[str]:
    who = f" ({escape(finding.who)})" if finding.who else ""
    yield f"{number}. **{escape(finding.title)}**{who}: {shown(Kind.COUNT, finding.times)} times."
    for words in (finding.reason, finding.cost, finding.advice, *finding.more):
        if words:
            yield f"   {escape(words)}"
    yield f"   {_code(f'telemetry query {finding.command}')}"


def _section(section: Section) -> Iterator[str]:
    yield from ("", f"## {section.title}")
    for words in section.words:
        yield from ("", escape(words))
    for chart in section.charts:
        if chart.lines:
            yield from ("", f"**{escape(chart.title)}**", "", "```text", *chart.lines, "```")
    for table in section.tables:
        yield from _table(table)
    for samples in section.samples:
        yield from ("", f"**{escape(samples.category)}**", "")
        for message, where in samples.messages:
            yield f"- {escape(message)} ({escape(where)})"


def _table(table: Table) -> Iterator[str]:
    if table.caption:
        yield from ("", f"**{escape(table.caption)}**")
    yield from ("", _row([column.name for column in table.columns]))
    yield _row(["---:" if column.kind.is_number else "---" for column in table.columns])
    for row in table.rows:
        yield _row(
            [escape(shown(column.kind, value)) for column, value in zip(table.columns, row, strict=True)]
        )
    if table.leftover:
        yield from ("", f"and {table.leftover} more")


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """Return a command as code, between more backticks than it has in a row."""
    flat = on_one_line(text)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", flat)), default=0) + 1)
    space = " " if "`" in flat else ""
    return f"{fence}{space}{flat}{space}{fence}"
