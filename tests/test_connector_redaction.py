"""The product's rules over the shapes that adapters return."""

import pytest

from config.settings import Settings
from connectors.contract import (
    About,
    Health,
    LogLine,
    LogsResult,
    Series,
    SeriesResult,
    Severity,
    Span,
    SpanEvent,
    Trace,
    TracesResult,
)
from connectors.redaction import Redaction, redaction

MAIL = "jane.doe@corp.example"
KEY = "AKIAIOSFODNN7EXAMPLE"


@pytest.fixture(scope="module")
def rules() -> Redaction:
    return redaction(Settings(_env_file=None))  # type: ignore[call-arg]


def test_texts_are_redacted_wherever_they_are(rules: Redaction) -> None:
    """In labels, messages, attributes of events, warnings and the query; the rest stays equal."""
    span = Span(
        "a" * 32, "b" * 16, "", f"GET {MAIL}", "api", 1, 2, status=MAIL,
        attributes={"user": MAIL, "http.status_code": "500"},
        events=[SpanEvent(1, "x", {"exception.message": f"no {MAIL}"})],
    )  # fmt: skip
    result = TracesResult(
        [Trace("a" * 32, [span])], About(f'{{user="{MAIL}"}}', warnings=[MAIL], total_count=1)
    )
    found = rules.redacted(result)
    assert MAIL not in repr(found)
    kept = found.traces[0].spans[0]
    assert (kept.trace_id, kept.span_id, kept.attributes["http.status_code"]) == ("a" * 32, "b" * 16, "500")
    assert (kept.name, found.about.total_count) == ("GET [REDACTED:email]", 1)
    assert MAIL in repr(result)


def test_what_is_no_text_is_unchanged(rules: Redaction) -> None:
    """Points, numbers, times and severities."""
    result = SeriesResult([Series({"__name__": "up"}, [(1.0, 2.0), (2.0, None)])])
    assert rules.redacted(result) == result
    line = LogLine(1, "started", Severity.ERROR, labels={"level": "error"})
    found = rules.redacted(LogsResult([line]))
    assert found == LogsResult([line])
    assert isinstance(found.lines[0].severity, Severity)
    assert rules.redacted(Health.HEALTHY) is Health.HEALTHY
    assert rules.redacted({"a": 1, "b": None, "c": [True]}) == {"a": 1, "b": None, "c": [True]}


def test_a_value_is_treated_by_its_key_as_one_that_arrives(rules: Redaction) -> None:
    """Content is hashed, also once more: a hash stays what it is; a key that says password hides its value."""
    labels = {"prompt": "the text", "password": "hunter2-xyz", "note": KEY}
    once = rules.redacted(LogLine(1, "x", labels=labels))
    assert once.labels["prompt"].startswith("sha256:")
    assert "hunter2" not in repr(once)
    assert KEY not in repr(once)
    assert rules.redacted(once) == once


def test_an_id_that_is_none_is_a_text(rules: Redaction) -> None:
    """A system may write anything into its fields."""
    line = LogLine(1, "x", trace_id=MAIL, span_id="c" * 16)
    found = rules.redacted(line)
    assert (found.trace_id, found.span_id) == ("[REDACTED:email]", "c" * 16)
    assert MAIL not in repr(rules.redacted({MAIL: "x", "y": [MAIL, {"z": MAIL}]}))
