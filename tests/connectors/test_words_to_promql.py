"""Plain words to PromQL: the corpus, and that no wrong query is silent."""

import promql_parser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import MetricName
from connectors.words.translating import translate
from connectors.words.vocabulary import stem, tokens
from tests.connectors.words_corpus import is_right, metrics, normal, requests


@pytest.mark.parametrize(("half", "least"), [("seen", 0.95), ("held_back", 0.85)])
def test_most_requests_are_right_at_first_and_none_is_silently_wrong(half: str, least: float) -> None:
    """Among an exporter's own metrics, 85 % of what the matcher never saw is right; a wrong query is never certain."""
    judged = [(ask, want, translate(ask, metrics(exporter))) for exporter, ask, want in requests(half)]
    assert len(judged) >= 90
    wrong = [(ask, found) for ask, want, found in judged if not is_right(found, want)]
    assert [ask for ask, found in wrong if found.is_certain] == []
    assert 1 - len(wrong) / len(judged) >= least


@pytest.mark.parametrize("half", ["seen", "held_back"])
def test_among_the_metrics_of_all_exporters_none_is_silently_wrong(half: str) -> None:
    """What one exporter answers, several may: then the query is not certain."""
    judged = [(ask, want, translate(ask, metrics("all"))) for _, ask, want in requests(half) if want]
    wrong = [(ask, found) for ask, want, found in judged if not is_right(found, want)]
    assert [ask for ask, found in wrong if found.is_certain] == []
    assert 1 - len(wrong) / len(judged) >= 0.75


def test_an_answer_says_what_it_left_out() -> None:
    """A word that no metric has is told, the query is not certain, and what else fits is there."""
    found = translate("cpu usage of pod web-1 in florpland", metrics("cadvisor"))
    assert "florpland" in " ".join(found.notes) or found.not_understood == ("florpland",)
    assert not found.is_certain
    assert found.alternatives


def test_nothing_fits() -> None:
    """Without a metric that fits, there is no query, and the answer says so."""
    found = translate("colour of the sky", metrics("node"))
    assert (found.query, found.is_certain, found.confidence) == ("", False, 0.0)
    assert found.notes
    assert translate("", metrics("node")).query == ""
    assert translate("cpu usage", []).query == ""


def test_labels_that_the_system_reports_come_first() -> None:
    """A service is what the metric calls it."""
    names = [MetricName("http_requests_total", "counter", "", "Requests.")]
    found = translate("request rate of service checkout", names, {"http_requests_total": ["job", "code"]})
    assert found.query == 'sum(rate(http_requests_total{job="checkout"}[5m]))'
    assumed = translate("request rate of service checkout", names)
    assert not assumed.is_certain
    assert "label service is assumed" in " ".join(assumed.notes)


def test_parts_of_histograms_are_one_metric() -> None:
    """A system that lists names without types is understood by them."""
    names = [MetricName(f"rpc_latency_seconds_{part}") for part in ("bucket", "sum", "count")]
    found = translate("p99 rpc latency", names)
    assert found.query == "histogram_quantile(0.99, sum by (le) (rate(rpc_latency_seconds_bucket[5m])))"


@pytest.mark.parametrize(
    ("words", "end"),
    [("requests above 5", "> 5"), ("requests below 2", "< 2"), ("requests > 10", "> 10")],
)
def test_thresholds(words: str, end: str) -> None:
    """A bound is a comparison."""
    assert translate(words, metrics("nginx")).query.endswith(end)


def test_values_cannot_break_out() -> None:
    """A quotation mark in a value stays in it."""
    found = translate("cpu usage of pod 'a\"} or vector(1) #'", metrics("cadvisor"))
    assert not found.query or normal(found.query).count("vector") <= 1
    for one in found.alternatives:
        promql_parser.parse(one.query)


@settings(deadline=None, max_examples=60)
@given(
    st.one_of(
        st.text(max_size=120),
        st.lists(
            st.sampled_from(
                [
                    "cpu",
                    "pod",
                    "web-1",
                    "by",
                    "top",
                    "5",
                    "p95",
                    "latency",
                    "errors",
                    "in",
                    "last",
                    "hour",
                    "percent",
                    "of",
                    "%",
                    '"',
                    "{",
                    "memory",
                ]
            ),
            max_size=10,
        ).map(" ".join),
    )
)
def test_whatever_is_asked_the_query_is_promql(text: str) -> None:
    """Every query has been parsed, and confidence is from 0 to 1."""
    found = translate(text, metrics("spring") + metrics("cadvisor"))
    for query in [found.query, *(one.query for one in found.alternatives)]:
        if query:
            promql_parser.parse(query)
    assert 0 <= found.confidence <= 1
    assert not (found.is_certain and found.not_understood)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("connections", "connection"),
        ("dropped", "drop"),
        ("queries", "query"),
        ("inserted", "insert"),
        ("classes", "class"),
    ],
)
def test_endings_do_not_matter(first: str, second: str) -> None:
    """A word is found in each of its forms."""
    assert stem(first) == stem(second)
    assert tokens("node_memory_MemAvailable_bytes")[2:4] == ("mem", stem("available"))
