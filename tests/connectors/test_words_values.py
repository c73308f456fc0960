"""What requests in plain words select and compare, and what they ask that no query is made for."""

import time

import pytest

from connectors.contract import MetricName
from connectors.words.translating import translate
from tests.connectors.words_corpus import metrics

REQUESTS = "http_server_requests_seconds_count"


@pytest.mark.parametrize(
    ("exporter", "ask", "want"),
    [
        ("spring", "requests with status 404", f'sum(rate({REQUESTS}{{status="404"}}[5m]))'),
        ("spring", "503 errors by uri", f'sum by (uri) (rate({REQUESTS}{{status="503"}}[5m]))'),
        ("spring", "POST requests per second", f'sum(rate({REQUESTS}{{method="POST"}}[5m]))'),
        ("spring", "requests to /checkout/{id}", f'sum(rate({REQUESTS}{{uri="/checkout/{{id}}"}}[5m]))'),
        ("node", "free disk space on /data", 'sum(node_filesystem_avail_bytes{mountpoint="/data"})'),
        (
            "node",
            "cpu usage of iowait mode by instance",
            'sum by (instance) (rate(node_cpu_seconds_total{mode="iowait"}[5m]))',
        ),
    ],
)
def test_codes_methods_and_paths_are_labels(exporter: str, ask: str, want: str) -> None:
    """What has a form of its own selects the label of that form, and the query is certain."""
    found = translate(ask, metrics(exporter))
    assert (found.query, found.is_certain, found.notes) == (want, True, [])


@pytest.mark.parametrize(
    ("exporter", "ask", "end"),
    [
        ("spring", "p95 latency above 500ms", " > 0.5"),
        ("spring", "p95 latency over 2 seconds", " > 2"),
        ("node", "memory used above 2 GB", " > 2000000000"),
        ("node", "memory used at least 1 GiB", " >= 1073741824"),
        ("node", "instances with less than 10% free disk", " < 10"),
        ("kube", "pods with more than 5 restarts", "_restarts_total[1h])) > 5"),
    ],
)
def test_bounds_are_in_the_unit_of_the_values(exporter: str, ask: str, end: str) -> None:
    """Milliseconds and gigabytes are converted to what the metric has."""
    assert translate(ask, metrics(exporter)).query.endswith(end)


def test_those_with_more_than_a_bound_are_each() -> None:
    """The pods with restarts are the series, not their sum."""
    found = translate("pods with more than 5 restarts", metrics("kube"))
    assert found.query == "sum by (pod) (increase(kube_pod_container_status_restarts_total[1h])) > 5"


@pytest.mark.parametrize(
    ("exporter", "ask", "note"),
    [
        ("node", "memory used above 50 ms", "The bound is in seconds, and the metric is not."),
        ("postgres", "database size in gigabytes", "The values are in bytes, not in gigabytes."),
        ("spring", "heap memory of checkout", '"checkout" is taken for the service.'),
    ],
)
def test_what_does_not_fit_is_told(exporter: str, ask: str, note: str) -> None:
    """A unit that the metric has not, and a name that is not said to be a pod or a service, make a query uncertain."""
    found = translate(ask, metrics(exporter))
    assert found.query
    assert not found.is_certain
    assert note in found.notes


@pytest.mark.parametrize(
    ("exporter", "ask", "word"),
    [
        ("cadvisor", "cpu usage except pod web-1", "except"),
        ("cadvisor", "cpu usage excluding namespace kube-system", "excluding"),
        ("cadvisor", "memory usage without cache", "without"),
        ("cadvisor", "cpu usage compared to yesterday", "yesterday"),
        ("cadvisor", "cpu usage an hour ago", "ago"),
        ("node", "predict free disk space", "predict"),
        ("node", "cpu usage between 10:00 and 11:00", "between"),
        ("node", "memory available divided by total", "divided"),
        ("kube", "pods not ready by namespace", "not"),
        ("kube", "cpu limit minus cpu requests", "minus"),
        ("spring", "stddev of latency", "stddev"),
        ("own", "cost forecast", "forecast"),
    ],
)
def test_what_no_query_is_made_for_is_refused(exporter: str, ask: str, word: str) -> None:
    """An exception, another time or a comparison is not left out: that would answer another question."""
    found = translate(ask, metrics(exporter))
    assert (found.query, found.confidence, found.is_certain) == ("", 0.0, False)
    assert word in found.not_understood
    assert f'"{word}"' in found.notes[0]
    assert found.alternatives


@pytest.mark.parametrize(
    "ask",
    [
        "cpu and memory by pod",
        "p95 and p99 latency",
        "cpu usage or disk usage",
        "cost per token",
        "tool errors",
    ],
)
def test_half_an_answer_is_never_certain(ask: str) -> None:
    """Two questions in one, and words that only a part of a metric has, are refused or told."""
    found = translate(ask, metrics("all"))
    assert not found.is_certain
    assert found.notes


@pytest.mark.parametrize(
    ("ask", "want"),
    [
        ("node_load1 by instance", "avg by (instance) (node_load1)"),
        (
            "node_network_receive_errs_total in the last 2 hours",
            "sum(increase(node_network_receive_errs_total[2h]))",
        ),
        (
            "p99 of http_server_requests_seconds_bucket",
            "histogram_quantile(0.99, sum by (le) (rate(http_server_requests_seconds_bucket[5m])))",
        ),
        ("node_cpu_seconds_total iowait", 'sum(rate(node_cpu_seconds_total{mode="iowait"}[5m]))'),
    ],
)
def test_a_metric_may_be_named(ask: str, want: str) -> None:
    """A metric's own name is no riddle, among whichever others."""
    found = translate(ask, metrics("all"))
    assert (found.query, found.is_certain) == (want, True)


def test_words_beside_a_metrics_name_still_count() -> None:
    """What else is asked of a named metric is understood or told."""
    assert not translate("elephants node_load1", metrics("all")).is_certain


@pytest.mark.parametrize("ask", ["cpu usage " + "x" * 300, "memory " * 20])
def test_texts_are_no_requests(ask: str) -> None:
    """What is longer than is read is refused, not cut."""
    found = translate(ask, metrics("node"))
    assert not found.query
    assert found.notes[0].startswith("More than ")


def test_thousands_of_metrics_take_no_more_than_seconds() -> None:
    """The work grows with the metrics and the words, both bounded, and no text makes an expression run away."""
    many = [
        MetricName(f"{one.name}_{number}", one.type, one.unit, one.help)
        for number in range(10)
        for one in metrics("all")
    ]
    before = time.process_time()
    for ask in ("p95 latency of service checkout by uri", "which " * 40, "'" * 300, "/a " * 90, "1 " * 149):
        translate(ask, many)
    assert time.process_time() - before < 30  # 3 s where it was written
