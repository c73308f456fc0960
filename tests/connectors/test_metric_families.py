"""Metrics by the names of their series: families, types and units."""

from connectors.contract import MetricName
from connectors.metric_families import Described, families, unit_of


def test_a_histogram_is_one_metric() -> None:
    """Its series are; a summary by its sum and count, with or without quantiles."""
    names = ["a_seconds_bucket", "a_seconds_count", "a_seconds_sum", "b_bytes", "b_bytes_count", "b_bytes_sum",
             "c_count", "c_sum", "d_count"]  # fmt: skip
    assert families(names, {}, "") == [
        MetricName("a_seconds", "histogram", "s"),
        MetricName("b_bytes", "summary", "By"),
        MetricName("c", "summary"),
        MetricName("d_count"),
    ]


def test_what_the_system_says_goes_before_what_a_name_says() -> None:
    """Type, unit and help; a counter of OpenMetrics is described without its suffix."""
    described = {
        "requests": Described("counter", help="Requests."),
        "queue_total": Described("gauge", "bytes", "Waiting."),
        "odd_count": Described("gauge"),
        "wait": Described("summary", "seconds"),
        "build": Described("info"),
        "what": Described("stranger"),
    }
    names = ["requests_total", "queue_total", "odd_count", "wait_count", "build", "what"]
    assert families(names, described, "") == [
        MetricName("build", "gauge"),
        MetricName("odd_count", "gauge"),
        MetricName("queue_total", "gauge", "By", "Waiting."),
        MetricName("requests_total", "counter", "", "Requests."),
        MetricName("wait", "summary", "s"),
        MetricName("what"),
    ]


def test_a_series_that_is_asked_for_by_its_suffix_is_found() -> None:
    """The name of its family does not contain what was asked for."""
    assert families(["a_seconds_bucket"], {}, "seconds_bu") == [
        MetricName("a_seconds_bucket", "counter", "s")
    ]
    assert families(["a_seconds_bucket"], {}, "zebra") == []


def test_units_are_read_from_the_last_word() -> None:
    """As UCUM writes them."""
    units = {"a_seconds_total": "s", "a_bytes": "By", "a_ratio": "1", "seconds": "s", "a_celsius": "Cel", "a": "",
             "a_milliseconds_bucket": "ms", "": ""}  # fmt: skip
    assert {name: unit_of(name) for name in units} == units
