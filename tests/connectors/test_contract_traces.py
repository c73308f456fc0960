"""What every adapter of traces does: the protocol Traces, held on each subject that has traces."""

from typing import Any

from connectors.contract import Kind, Span, Trace, TracesRequest
from tests.connectors.asking import ask, is_hexadecimal, of, refused
from tests.connectors.conftest import System
from tests.connectors.subject import WINDOW, TracesExample


def traces(system: System) -> TracesExample:
    """Return the questions to a system's traces."""
    assert system.subject.traces is not None
    return system.subject.traces


def look_at(span: Span) -> None:
    """Hold a span to the contract."""
    assert is_hexadecimal(span.trace_id, 32)
    assert is_hexadecimal(span.span_id, 16)
    assert span.parent_id == "" or is_hexadecimal(span.parent_id, 16)
    assert span.name
    assert span.service
    assert span.kind in {"server", "client", "internal", "producer", "consumer", ""}
    assert (span.start_ns > 10**18, span.duration_ns >= 0) == (True, True)
    texts = [*span.attributes.items(), *(pair for event in span.events for pair in event.attributes.items())]
    assert all(isinstance(text, str) for pair in texts for text in pair)
    for reference in span.references:
        assert reference.type in {"CHILD_OF", "FOLLOWS_FROM", "LINK"}
        assert is_hexadecimal(reference.trace_id, 32)
        assert is_hexadecimal(reference.span_id, 16)


def find(system: System, **given: Any) -> list[Trace]:
    """Return traces, after a look at what holds of all."""
    request = TracesRequest(WINDOW, service=traces(system).service, **given)
    found = ask(system, lambda adapter: adapter.find(request)).traces
    starts = [trace.start_ns for trace in found]
    assert starts == sorted(starts, reverse=True)
    assert len(found) <= request.limit
    for trace in found:
        assert is_hexadecimal(trace.trace_id, 32)
        assert trace.duration_ns > 0
        for span in trace.spans:
            look_at(span)
            assert span.trace_id == trace.trace_id
    return list(found)


@of("traces")
def test_a_trace_is_found_by_its_id(system: System) -> None:
    """It is whole: one root, and every other span's parent is there."""
    example = traces(system)
    trace = ask(system, lambda adapter: adapter.trace(example.trace_id, WINDOW))
    assert (trace.trace_id, trace.is_whole, len(trace.spans)) == (example.trace_id, True, example.spans)
    for span in trace.spans:
        look_at(span)
    ids = {span.span_id for span in trace.spans}
    roots = [span for span in trace.spans if not span.parent_id]
    assert len(roots) == 1
    assert {span.parent_id for span in trace.spans if span.parent_id} <= ids
    assert (trace.root_service, trace.root_name) == (roots[0].service, roots[0].name)
    assert trace.has_error == any(span.is_error for span in trace.spans)
    assert trace.start_ns == min(span.start_ns for span in trace.spans)


@of("traces")
def test_a_failed_trace_has_a_span_with_an_error(system: System) -> None:
    """The error is of the span that failed."""
    example = traces(system)
    trace = ask(system, lambda adapter: adapter.trace(example.failed_trace_id, WINDOW))
    assert trace.has_error is True
    assert any(span.is_error for span in trace.spans)


@of("traces")
def test_an_unknown_trace_is_not_found(system: System) -> None:
    """It is an error of the kind NOT_FOUND; an id that is none is refused."""
    example = traces(system)
    error = refused(system, lambda adapter: adapter.trace(example.unknown_trace_id, WINDOW))
    assert error.kind == Kind.NOT_FOUND
    if example.bad_trace_id:
        error = refused(system, lambda adapter: adapter.trace(example.bad_trace_id, WINDOW))
        assert error.kind == Kind.BAD_QUERY


@of("traces")
def test_traces_are_found_by_what_is_asked_of_them(system: System) -> None:
    """Service, operation, duration, tags and errors each narrow the search."""
    example = traces(system)
    every = {trace.trace_id for trace in find(system)}
    assert len(every) >= 3
    assert {example.trace_id, example.failed_trace_id} <= every
    by_operation = {trace.trace_id for trace in find(system, operation=example.operation)}
    by_tag = {trace.trace_id for trace in find(system, tags=example.tags)}
    slow = {trace.trace_id for trace in find(system, min_duration_ns=example.slow_ns)}
    failed = {trace.trace_id for trace in find(system, has_error=True)}
    for some in (by_operation, by_tag, slow, failed):
        assert some
        assert some <= every
    for some in (by_tag, slow, failed):
        assert some < every
    assert example.failed_trace_id in failed
    assert find(system, operation="no such operation") == []


@of("traces")
def test_no_more_traces_than_asked_for(system: System) -> None:
    """The rest is told by has_more."""
    request = TracesRequest(WINDOW, service=traces(system).service, limit=1)
    result = ask(system, lambda adapter: adapter.find(request))
    assert (len(result.traces), result.about.has_more) == (1, True)
    assert not ask(
        system,
        lambda adapter: adapter.find(TracesRequest(WINDOW, service=traces(system).service, limit=100)),
    ).about.has_more


@of("traces")
def test_an_unknown_service_has_no_traces(system: System) -> None:
    """It is an empty answer, not an error."""
    request = TracesRequest(WINDOW, service="no-such-service")
    assert list(ask(system, lambda adapter: adapter.find(request)).traces) == []


@of("traces")
def test_operations_of_a_service_are_listed(system: System) -> None:
    """In order, bounded; an unknown service has none."""
    example = traces(system)
    names = ask(system, lambda adapter: adapter.operations(example.service, WINDOW, 100))
    assert example.operation in names
    assert list(names) == sorted(set(names))
    assert len(ask(system, lambda adapter: adapter.operations(example.service, WINDOW, 1))) == 1
    assert list(ask(system, lambda adapter: adapter.operations("no-such-service", WINDOW, 10))) == []
