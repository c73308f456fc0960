"""A trace's skeleton: tree, self time, critical path and errors, also of incomplete traces and clocks that differ."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from connectors.analysis.trace_shape import shape
from connectors.contract import Span, SpanReference, Trace

TRACE = "a" * 32


def span(name: str, parent: str, start: int, duration: int, service: str = "s", **more: object) -> Span:
    return replace(Span(TRACE, name, parent, name, service, start, duration), **more)  # type: ignore[arg-type]


def test_the_tree_self_time_and_critical_path() -> None:
    """Of two children at a time, the one that ends last is on the path; self time is what no child covers."""
    spans = [
        span("root", "", 0, 100, "web"),
        span("auth", "root", 10, 20, "auth"),
        span("db", "root", 40, 50, "db"),
        span("cache", "root", 45, 10, "cache"),
        span("query", "db", 50, 30, "db", is_error=True),
    ]
    found = shape(Trace(TRACE, spans[::-1]))
    assert [
        (node.span.name, node.depth, node.self_ns, node.is_critical, node.critical_ns) for node in found.nodes
    ] == [
        ("root", 0, 30, True, 30),
        ("auth", 1, 20, True, 20),
        ("db", 1, 20, True, 20),
        ("query", 2, 30, True, 30),
        ("cache", 1, 10, False, 0),
    ]
    assert (found.duration_ns, found.service_count, found.error_count) == (100, 4, 1)
    assert [one.name for one in found.root_errors] == ["query"]
    assert [(one.service, one.name, one.self_ns) for one in found.spent][:2] == [
        ("db", "query", 30),
        ("web", "root", 30),
    ]
    assert found.notes == []


def test_where_an_error_began() -> None:
    """Of a chain of failed spans, the lowest is named."""
    spans = [
        span("root", "", 0, 100, is_error=True),
        span("middle", "root", 0, 50, is_error=True),
        span("leaf", "middle", 0, 20, is_error=True),
        span("other", "root", 60, 10),
    ]
    assert [one.name for one in shape(Trace(TRACE, spans)).root_errors] == ["leaf"]


def test_a_clock_that_differs_is_corrected() -> None:
    """A span of another service that lies outside of its parent is moved into it, with those below it."""
    spans = [
        span("call", "", 1_000, 100, "web"),
        span("serve", "call", 5_000, 60, "api"),
        span("work", "serve", 5_010, 20, "api"),
    ]
    found = shape(Trace(TRACE, spans))
    assert found.duration_ns == 100
    assert [(node.start_ns, node.skew_ns) for node in found.nodes] == [(0, 0), (20, -3_980), (30, -3_980)]
    assert found.skewed == 2
    assert "clocks differ" in found.notes[0]
    assert [node.critical_ns for node in found.nodes] == [40, 40, 20]


def test_missing_parents_are_told() -> None:
    """A span whose parent is missing is a root of its own."""
    found = shape(Trace(TRACE, [span("root", "", 0, 10), span("lost", "gone", 4, 2)], is_whole=False))
    assert [(node.span.name, node.depth, node.is_orphan) for node in found.nodes] == [
        ("root", 0, False),
        ("lost", 0, True),
    ]
    assert found.missing_parents == 1
    assert len(found.notes) == 2


def test_what_is_not_waited_for_is_not_on_the_path() -> None:
    """A span that follows its parent runs on after it, and does not make it longer."""
    follows = (SpanReference("FOLLOWS_FROM", TRACE, "root"),)
    found = shape(Trace(TRACE, [span("root", "", 0, 10), span("later", "root", 5, 90, references=follows)]))
    assert found.duration_ns == 10
    assert [(node.self_ns, node.is_critical) for node in found.nodes] == [(10, True), (90, False)]


def test_loops_repeats_and_nothing() -> None:
    """Parents in a circle are cut, a span sent twice counts once, and no spans are no error."""
    found = shape(
        Trace(
            TRACE, [span("a", "b", 0, 10), span("b", "a", 1, 5), span("a", "b", 0, 4), span("c", "c", 0, 1)]
        )
    )
    assert [(node.span.name, node.depth) for node in found.nodes] == [("a", 0), ("b", 1), ("c", 0)]
    assert "came more than once" in found.notes[-1]
    assert shape(Trace(TRACE, [])).nodes == ()


@given(
    st.lists(
        st.tuples(
            st.integers(0, 7),
            st.integers(0, 9),
            st.integers(0, 10**6),
            st.integers(0, 10**6),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=20,
    )
)
def test_any_spans_have_a_shape(made: list[tuple[int, int, int, int, int]]) -> None:
    """Every span has one node, parents come before children, and no figure is negative or longer than its span."""
    spans = [span(str(a), str(b), start, length, str(service)) for a, b, start, length, service in made]
    found = shape(Trace(TRACE, spans))
    assert sorted(node.span.span_id for node in found.nodes) == sorted({one.span_id for one in spans})
    for node in found.nodes:
        assert 0 <= node.self_ns <= node.span.duration_ns
        assert 0 <= node.critical_ns <= node.span.duration_ns
        assert node.start_ns >= 0
    assert found.critical_path
    assert sum(node.critical_ns for node in found.critical_path) <= max(one.duration_ns for one in spans)
