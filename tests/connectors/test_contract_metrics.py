"""What every adapter of metrics does: the protocol Metrics, held on each subject that has metrics."""

import itertools
import math

import pytest

from connectors.contract import Kind
from tests.connectors.asking import ask, of, range_of, refused
from tests.connectors.conftest import System
from tests.connectors.subject import WINDOW, MetricsExample

_TYPES = {"counter", "gauge", "histogram", "summary", "unknown"}


def metrics(system: System) -> MetricsExample:
    """Return the questions to a system's metrics."""
    assert system.subject.metrics is not None
    return system.subject.metrics


@of("metrics")
def test_series_have_labels_and_points_in_order(system: System) -> None:
    """Times increase by whole steps within the window; values are finite, or None."""
    example = metrics(system)
    result = ask(system, lambda adapter: adapter.query_range(range_of(example)))
    assert len(result.series) >= 3
    assert result.about.query_executed
    assert not result.about.has_more
    for series in result.series:
        assert example.labels <= set(series.labels)
        assert all(isinstance(text, str) for pair in series.labels.items() for text in pair)
        times = [point[0] for point in series.points]
        assert times == sorted(set(times))
        assert all(WINDOW.start.timestamp() <= moment < WINDOW.end.timestamp() for moment in times)
        steps = {(later - earlier) % example.step_seconds for earlier, later in itertools.pairwise(times)}
        assert steps <= {0.0}
        assert all(value is None or math.isfinite(value) for _, value in series.points)
        assert any(value is not None for _, value in series.points)


@of("metrics")
def test_no_more_series_than_asked_for(system: System) -> None:
    """The rest is told by has_more."""
    result = ask(system, lambda adapter: adapter.query_range(range_of(metrics(system), series=2)))
    assert (len(result.series), result.about.has_more) == (2, True)


@of("metrics")
def test_a_value_that_is_no_number_is_none(system: System) -> None:
    """NaN and infinities have no place in JSON."""
    example = metrics(system)
    if not example.undefined_query:
        pytest.skip("this system has no such values")
    result = ask(system, lambda adapter: adapter.query_range(range_of(example, example.undefined_query)))
    assert result.series
    assert {value for one in result.series for _, value in one.points} == {None}


@of("metrics")
def test_an_unknown_metric_has_no_series(system: System) -> None:
    """It is an empty answer, not an error."""
    example = metrics(system)
    result = ask(system, lambda adapter: adapter.query_range(range_of(example, example.unknown_query)))
    assert (list(result.series), result.about.has_more) == ([], False)


@of("metrics")
def test_a_bad_query_of_metrics_is_refused_in_the_systems_words(system: System) -> None:
    """The kind is BAD_QUERY, and the detail says what is wrong."""
    example = metrics(system)
    for query, words in example.bad_queries.items():
        error = refused(system, lambda adapter, query=query: adapter.query_range(range_of(example, query)))
        assert error.kind == Kind.BAD_QUERY, (query, error.message)
        assert words in error.detail


@of("metrics")
def test_metrics_are_found_by_a_part_of_their_names(system: System) -> None:
    """By name, without repetition, bounded, with types."""
    example = metrics(system)
    if not example.metric:
        assert list(ask(system, lambda adapter: adapter.metric_names("", 10))) == []
        return
    names = ask(system, lambda adapter: adapter.metric_names(example.metric, 100))
    assert {one.name: one.type for one in names}[example.metric] == example.metric_type
    assert all(example.metric in one.name for one in names)
    every = ask(system, lambda adapter: adapter.metric_names("", 1_000))
    assert [one.name for one in every] == sorted({one.name for one in every})
    assert {one.type for one in every} <= _TYPES
    assert {one.name for one in names} < {one.name for one in every}
    assert list(ask(system, lambda adapter: adapter.metric_names("", 1))) == list(every[:1])
    assert list(ask(system, lambda adapter: adapter.metric_names("no_metric_has_this", 10))) == []


@of("metrics")
def test_labels_and_their_values_are_listed(system: System) -> None:
    """Of one metric and of all, in order, bounded; an unknown one has none."""
    example = metrics(system)
    names = ask(system, lambda adapter: adapter.label_names(example.metric, WINDOW, 100))
    assert {example.label, *example.labels} - {"__name__"} <= set(names)
    assert list(names) == sorted(set(names))
    assert set(names) <= set(ask(system, lambda adapter: adapter.label_names("", WINDOW, 1_000)))
    assert len(ask(system, lambda adapter: adapter.label_names(example.metric, WINDOW, 1))) == 1
    values = ask(system, lambda adapter: adapter.label_values(example.label, example.metric, WINDOW, 100))
    assert list(values) == sorted(example.values)
    bounded = ask(system, lambda adapter: adapter.label_values(example.label, example.metric, WINDOW, 1))
    assert list(bounded) == list(values[:1])
    unknown = ask(system, lambda adapter: adapter.label_values("no_such_label", example.metric, WINDOW, 10))
    assert list(unknown) == []
