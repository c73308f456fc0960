"""Python redacts the few values that need it: the engine calls its functions for no other row."""

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from clickhouse.engine import Engine
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from privacy.search import Counts
from receiver.scrub import CALL_SECONDS, MAX_KNOWN_SIZE, Scrub, _Run
from receiver.transform import Transform
from tests.requests import surveyed


class Recording(Sanitizer):
    """The sanitizer, with a record of the texts that it was given."""

    asked: set[str]

    def redact(self, text: str, counts: Counts) -> str:
        """Record the text, and redact it."""
        self.asked.add(text)
        return super().redact(text, counts)

    def attribute(self, key: str, text: str, counts: Counts) -> str | None:
        """Record the text, and treat it by its key."""
        self.asked.add(text)
        return super().attribute(key, text, counts)


def test_python_gets_no_value_that_the_engine_can_finish(engine: Engine) -> None:
    """Of a hundred spans and log records, Python gets the three values that it has to look at, and no other."""
    rules = load_rules(None, Level.balanced)
    sanitizer = Recording(rules, None)
    sanitizer.asked = set()
    transform = Transform(engine, rules, Scrub(sanitizer), "", 90)
    sanitizer.asked.clear()
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    spans = traces.resource_spans.add().scope_spans.add().spans
    records = logs.resource_logs.add().scope_logs.add().log_records
    for number in range(100):
        text = "mail jane@example.com" if number == 0 else f"note {number}"
        attributes = [KeyValue(key="note", value=AnyValue(string_value=text))]
        span = spans.add(name=f"name {number}", trace_state=f"state {number}", attributes=attributes)
        span.status.message = f"status {number}"
        record = records.add(severity_text=f"severity {number}", attributes=attributes)
        record.body.string_value = "long " * 100 if number == 0 else f"body {number}"
    records[1].body.string_value = "by joe@example.com"
    transform.run("otel_traces", surveyed("otel_traces", [traces.SerializeToString()]))
    transform.run("otel_logs", surveyed("otel_logs", [logs.SerializeToString()]))
    assert sanitizer.asked == {"mail jane@example.com", "long " * 100, "by joe@example.com"}


def test_attributes_without_a_byte_cost_no_call(engine: Engine) -> None:
    """They have an empty key and no value, wherever they stand: a million of them fit into two megabytes."""
    rules = load_rules(None, Level.balanced)
    transform = Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", 90)
    empty = [KeyValue()] * 3
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    spans = traces.resource_spans.add()
    spans.resource.attributes.extend(empty)
    span = spans.scope_spans.add().spans.add(attributes=empty)
    span.events.add(attributes=empty)
    span.links.add(attributes=empty)
    logs.resource_logs.add().scope_logs.add().log_records.add(attributes=empty)
    for table, request in (("otel_traces", traces), ("otel_logs", logs)):
        block = transform.run(table, surveyed(table, [request.SerializeToString()]))
        assert block.tally.seconds == 0.0


def test_a_call_counts_whose_result_is_known(engine: Engine) -> None:
    """The engine takes longer for the call than Python for the look: many cheap calls are not free."""
    rules = load_rules(None, Level.balanced)
    transform = Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", 90)
    traces = ExportTraceServiceRequest()
    without_keys = [KeyValue(value=AnyValue())] * 100
    traces.resource_spans.add().scope_spans.add().spans.add(attributes=without_keys)
    block = transform.run("otel_traces", surveyed("otel_traces", [traces.SerializeToString()]))
    assert block.tally.seconds >= 2 * len(without_keys) * CALL_SECONDS


def test_past_a_batchs_time_values_are_redacted_whole(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has to be looked at is not stored then, and counted; the next batch has its own time."""
    rules = load_rules(None, Level.balanced)
    transform = Transform(engine, rules, Scrub(Sanitizer(rules, None)), "", 90)
    logs = ExportLogsServiceRequest()
    for number in range(3):
        record = logs.resource_logs.add().scope_logs.add().log_records.add()
        record.body.string_value = f"mail jane{number}@example.com"
    requests = surveyed("otel_logs", [logs.SerializeToString()])
    monkeypatch.setattr("receiver.scrub.MAX_BATCH_SECONDS", 0.0)
    block = transform.run("otel_logs", requests)
    stored = b"".join(block.data)
    assert stored.count(b"[REDACTED:scan_budget]") == 2
    assert b"jane" not in stored
    assert block.tally.redactions == {"email": 1, "scan_budget": 2}
    monkeypatch.undo()
    assert transform.run("otel_logs", requests).tally.redactions == {"email": 3}


def test_each_text_counts_once_in_the_time_of_a_batch() -> None:
    """The first is timed; each timed one counts for those since the last, eight at most, and a long one for itself."""
    run = _Run()
    weights = [run.weight(MAX_KNOWN_SIZE) for _ in range(1000)]
    assert weights[0] == 1
    assert max(weights) <= 8
    assert 1000 - 8 < sum(weights) <= 1000
    assert weights.count(0) > 500
    assert {run.weight(MAX_KNOWN_SIZE + 1) for _ in range(20)} == {1}
