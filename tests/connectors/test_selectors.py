"""Labels in selectors: in each of them, quoted, and nothing else of the query changed."""

import promql_parser
import pytest

from access.refusal import Refusal
from connectors.tools.selectors import aggregated, fault, names, with_labels

LABELS = {"pod": 'a"b\\', "namespace": "shop"}
INSERTED = 'pod="a\\"b\\\\",namespace="shop"'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("up", "up{%}"),
        ("up{}", "up{%}"),
        ('{__name__="up"}', '{%,__name__="up"}'),
        ("rate(x[5m] offset 1m)", "rate(x{%}[5m] offset 1m)"),
        ("max_over_time(rate(x[5m])[1h:5m])", "max_over_time(rate(x{%}[5m])[1h:5m])"),
        ('a{x="}"} + a', 'a{%,x="}"} + a{%}'),
        ("sum by (pod, up) (rate(up[5m]))", "sum by (pod, up) (rate(up{%}[5m]))"),
        ("sum by (up) (up) + on (up) up", "sum by (up) (up{%}) + on (up) up{%}"),
        ("sum(rate(rate[5m]))", "sum(rate(rate{%}[5m]))"),
        ("up # up{\n + up", "up{%} # up{\n + up{%}"),
        (
            'label_replace(up, "up", "$1", "job", "up(.*)")',
            'label_replace(up{%}, "up", "$1", "job", "up(.*)")',
        ),
        ("1 + 1", "1 + 1"),
        ("topk(3, x{a='b'} @ end())", "topk(3, x{%,a='b'} @ end())"),
    ],
)
def test_labels_are_put_into_each_selector(query: str, expected: str) -> None:
    """Whatever stands around it; the values are quoted."""
    made = with_labels(query, LABELS)
    assert made == expected.replace("%", INSERTED)
    promql_parser.parse(made)


def test_where_it_is_not_certain_it_is_refused() -> None:
    """Alternatives of matchers: never another question in silence."""
    with pytest.raises(Refusal) as caught:
        with_labels('{a="1" or b="2"}', {"pod": "x"})
    assert caught.value.field == "filters"


def test_aggregates_stand_around_the_query() -> None:
    """Quantiles of the values, and of the buckets of a histogram."""
    assert aggregated("a + b", "max") == "max(a + b)"
    assert aggregated("up", "p95") == "quantile(0.95, up)"
    assert aggregated("x_bucket", "p99") == "histogram_quantile(0.99, sum by (le) (rate(x_bucket[5m])))"
    assert (
        aggregated("rate(x_bucket[1m])", "p95")
        == "histogram_quantile(0.95, sum by (le) (rate(x_bucket[1m])))"
    )


def test_names_and_faults_are_the_grammar_s() -> None:
    """A text that is too deep is not parsed: the parser would end the process."""
    assert names('a + b{c="d"} / a') == ["a", "b"]
    assert fault("rate(up[5m])") == ""
    assert fault("rate(up[5m]") != ""
    assert fault("(" * 5_000 + "up" + ")" * 5_000) == "it is too long or too deep"
