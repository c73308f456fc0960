"""What every adapter of logs does: the protocol Logs, held on each subject that has logs."""

from collections.abc import Sequence

from connectors.contract import Kind, LogLine, Logs, LogsRequest, Severity
from tests.connectors.asking import ask, is_hexadecimal, of, refused
from tests.connectors.conftest import System
from tests.connectors.subject import WINDOW, LogsExample


def logs(system: System) -> LogsExample:
    """Return the questions to a system's logs."""
    assert system.subject.logs is not None
    return system.subject.logs


def search(system: System, request: LogsRequest) -> Sequence[LogLine]:
    """Return lines, after a look at what holds of all."""
    lines = ask(system, lambda adapter: adapter.search(request)).lines
    times = [line.time_ns for line in lines]
    assert times == sorted(times, reverse=True)
    start, end = (int(one.timestamp()) * 10**9 for one in (request.window.start, request.window.end))
    assert all(start <= moment < end for moment in times)
    assert len(lines) <= request.limit
    for line in lines:
        assert line.severity is None or isinstance(line.severity, Severity)
        assert line.trace_id == "" or is_hexadecimal(line.trace_id, 32)
        assert line.span_id == "" or is_hexadecimal(line.span_id, 16)
        assert all(isinstance(text, str) for pair in line.labels.items() for text in pair)
    return lines


@of("logs")
def test_lines_are_found_by_text_regex_and_query(system: System) -> None:
    """Each way finds the same lines, newest first, with their service."""
    example = logs(system)
    by_text = search(system, LogsRequest(WINDOW, text=example.text))
    assert len(by_text) >= 3
    assert all(example.text.lower() in line.message.lower() for line in by_text)
    assert {line.service for line in by_text} == {example.service}
    for request in (
        *([LogsRequest(WINDOW, regex=example.regex)] if example.regex else []),
        *([LogsRequest(WINDOW, query=example.query)] if example.query else []),
        LogsRequest(WINDOW, text=example.text, service=example.service),
        LogsRequest(WINDOW, text=example.text, labels=example.labels),
        LogsRequest(WINDOW, text=f"{example.text} OR {example.unknown_text}"),
    ):
        assert [line.message for line in search(system, request)] == [line.message for line in by_text], (
            request
        )
    other = search(system, LogsRequest(WINDOW, text=example.text, service="no-such-service"))
    assert list(other) == []
    assert list(search(system, LogsRequest(WINDOW, text=example.unknown_text))) == []


@of("logs")
def test_lines_are_found_by_severity(system: System) -> None:
    """The window has errors, and other lines."""
    errors = search(system, LogsRequest(WINDOW, severity=Severity.ERROR))
    assert errors
    assert {line.severity for line in errors} == {Severity.ERROR}
    assert len(errors) < len(search(system, LogsRequest(WINDOW)))


@of("logs")
def test_no_more_lines_than_asked_for(system: System) -> None:
    """The rest is told by has_more, and got by the cursor, without a gap or a repetition."""
    request = LogsRequest(WINDOW, text=logs(system).text)
    every = search(system, request)

    async def pages(adapter: Logs) -> list[LogLine]:
        lines: list[LogLine] = []
        cursor = None
        while len(lines) < len(every):
            result = await adapter.search(LogsRequest(WINDOW, text=request.text, limit=2, cursor=cursor))
            assert 0 < len(result.lines) <= 2
            lines += result.lines
            cursor = result.about.next_cursor
            if result.about.has_more and cursor is None:
                return lines
            assert result.about.has_more == (len(lines) < len(every))
        return lines

    assert ask(system, pages) in (list(every), list(every[:2]))
    assert not ask(system, lambda adapter: adapter.search(request)).about.has_more


@of("logs")
def test_a_bad_query_of_logs_is_refused_in_the_systems_words(system: System) -> None:
    """The kind is BAD_QUERY, and the detail says what is wrong."""
    for query, words in logs(system).bad_queries.items():
        error = refused(system, lambda adapter, query=query: adapter.search(LogsRequest(WINDOW, query=query)))
        assert error.kind == Kind.BAD_QUERY, (query, error.message)
        assert words in error.detail


@of("logs")
def test_lines_before_and_after_one_are_its_neighbours(system: System) -> None:
    """Of the same stream, in the order of time, at most as many as asked for."""
    lines = search(system, LogsRequest(WINDOW, text=logs(system).text))
    line = lines[1]

    async def look(adapter: Logs) -> None:
        before, after = await adapter.context(line, 2, 1)
        assert 0 < len(before) <= 2
        assert 0 < len(after) <= 1
        times = [one.time_ns for one in (*before, line, *after)]
        assert times == sorted(times)
        assert line.message not in {one.message for one in (*before, *after)}
        assert {one.service for one in (*before, *after)} == {line.service}
        assert await adapter.context(line, 0, 0) == ([], [])

    ask(system, look)


@of("logs")
def test_lines_are_counted_by_severity(system: System) -> None:
    """As many as there are, or the system cannot."""
    request = LogsRequest(WINDOW, limit=1_000)
    if not logs(system).counts_by_severity:
        error = refused(system, lambda adapter: adapter.count_by_severity(request))
        assert error.kind == Kind.UNSUPPORTED
        return
    counts = ask(system, lambda adapter: adapter.count_by_severity(request))
    expected: dict[str, int] = {}
    for line in search(system, request):
        name = str(line.severity or "unknown")
        expected[name] = expected.get(name, 0) + 1
    assert {name: count for name, count in counts.items() if count} == expected
