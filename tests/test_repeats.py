"""Records that arrive again in another request: stored once, counted once, and told apart from those that differ."""

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from receiver.repeats import Fresh, Repeats
from tests.events import Record, Tables, event, logs
from tests.requests import surveyed

NOW = round(time.time()) - 3600.0


class Way:
    """The way of requests into the tables, with what is repeated taken out."""

    def __init__(self, tables: Tables) -> None:
        self.tables = tables
        self.repeats = Repeats(tables.engine, None, 900)

    def begin(self, table: str, *requests: bytes) -> Fresh:
        return self.repeats.without([self.tables.transform.run(table, surveyed(table, requests))])

    def end(self, fresh: Fresh) -> int:
        """Insert what is left of a batch, and return how many records were repeated."""
        for block in fresh.blocks:
            if block.data:
                self.tables.writer.insert(block.table, block.data, uuid.uuid4().hex)
        self.repeats.settle(fresh.claims, stored=True)
        return fresh.repeated

    def store(self, table: str, *requests: bytes) -> int:
        return self.end(self.begin(table, *requests))

    def count(self, what: str) -> Any:
        return self.tables.rows(f"SELECT {what}")[0][0]


@pytest.fixture
def way(database: Tables) -> Iterator[Way]:
    database.clear()
    made = Way(database)
    yield made
    made.repeats.close()


def request(number: float, **attributes: Any) -> Record:
    given = {"model": "m", "cost_usd": 1.5, "request_id": f"req_{number}", "event__sequence": int(number)}
    return event(NOW + number, "api_request", **given | attributes)


def test_a_record_that_comes_in_another_batch_is_stored_and_counted_once(way: Way) -> None:
    """In the raw table, the typed one and the roll-ups; its neighbours are new."""
    prompt = event(NOW, "user_prompt", prompt_length=3, event__sequence=1)
    assert way.store("otel_logs", logs([request(2), request(3)])) == 0
    assert way.store("otel_logs", logs([prompt, request(3), request(4)]), logs([prompt])) == 2
    assert way.count("count() FROM otel_logs") == 4
    assert way.count("groupArray(request_id) FROM (SELECT * FROM telemetry_events ORDER BY timestamp)") == [
        "", "req_2", "req_3", "req_4",
    ]  # fmt: skip
    for table in ("telemetry_hourly", "telemetry_daily", "telemetry_sessions", "telemetry_measures"):
        assert way.count(f"sum(cost_nanos) / 1e9 FROM {table}") == 4.5


def test_a_request_that_is_told_of_in_another_way_is_stored_and_not_counted(way: Way) -> None:
    """A record that differs is no copy: it is kept as it was sent, with a mark."""
    way.store("otel_logs", logs([request(1)]))
    assert (
        way.store("otel_logs", logs([request(1, duration_ms=7), request(1, duration_ms=8), request(2)])) == 2
    )
    assert way.count("count() FROM otel_logs") == 4
    assert way.count("countIf(LogAttributes['telemetry.repeated'] = 'true') FROM otel_logs") == 2
    assert way.count("arraySort(groupArray(LogAttributes['duration_ms'])) FROM otel_logs") == [
        "",
        "",
        "7",
        "8",
    ]
    assert way.count("sum(cost_nanos) / 1e9 FROM telemetry_hourly") == 3


def test_a_call_has_one_result_and_many_hooks(way: Way) -> None:
    """Hooks of one call have its id, and are events of their own."""
    hooks = [event(NOW, "hook_execution_complete", tool_use_id="t", hook_name=name) for name in "ab"]
    result = event(NOW, "tool_result", tool_name="Bash", success="true", tool_use_id="t")
    assert way.store("otel_logs", logs([*hooks, result])) == 0
    again = event(NOW + 1, "tool_result", tool_name="Bash", success="true", tool_use_id="t")
    assert way.store("otel_logs", logs([hooks[0], again])) == 2
    assert way.count("sum(tool_calls) FROM telemetry_sessions") == 1
    assert way.count("countIf(event_type = 'hook_execution_complete') FROM telemetry_events") == 2


def test_records_without_a_name_are_never_taken_for_one_another(way: Way) -> None:
    """Two equal lines of another program may be two lines."""
    line = Record(NOW, {"k": "v"}, "a line")
    assert way.store("otel_logs", logs([line, line]), logs([line])) == 0
    assert way.store("otel_logs", logs([line])) == 0
    assert way.count("count() FROM otel_logs") == 4


def test_a_batch_that_fails_is_sent_again_and_stored(way: Way) -> None:
    """While it is under way its records count as known; then they are forgotten."""
    first = way.begin("otel_logs", logs([request(1)]))
    assert way.begin("otel_logs", logs([request(1)])).repeated == 1
    way.repeats.settle(first.claims, stored=False)
    assert way.store("otel_logs", logs([request(1)])) == 0
    assert way.store("otel_logs", logs([request(1)])) == 1


def spans(*numbers: int) -> bytes:
    made = ExportTraceServiceRequest()
    found = made.resource_spans.add().scope_spans.add().spans
    for number in numbers:
        start = int(NOW) * 10**9
        found.add(
            trace_id=b"t" * 16, span_id=number.to_bytes(8, "big"), name="claude_code.tool",
            start_time_unix_nano=start, end_time_unix_nano=start + 5,
        )  # fmt: skip
    return made.SerializeToString()


def test_a_span_is_known_by_its_ids_and_all_that_it_says(way: Way) -> None:
    """Also in the narrow table. A span without an id is never known."""
    assert way.store("otel_traces", spans(1, 2, 0)) == 0
    assert way.store("otel_traces", spans(2, 3, 0)) == 1
    for table in ("otel_traces", "telemetry_spans"):
        assert way.count(f"count() FROM {table}") == 5


def points(values: Sequence[tuple[float, float, float]], temporality: int) -> bytes:
    """Make a request of one series: (seconds after NOW, value, start after NOW)."""
    made = ExportMetricsServiceRequest()
    metric = made.resource_metrics.add().scope_metrics.add().metrics.add(name="claude_code.cost.usage")
    metric.sum.aggregation_temporality = temporality  # type: ignore[assignment]
    metric.sum.is_monotonic = True
    for at, value, started in values:
        metric.sum.data_points.add(
            time_unix_nano=round((NOW + at) * 10**9), start_time_unix_nano=round((NOW + started) * 10**9),
            as_double=value,
        )  # fmt: skip
    return made.SerializeToString()


def grown(way: Way, since: float = -1800, until: float = 1800) -> float:
    period = f"from = toDateTime({NOW + since:.0f}, 'UTC'), to = toDateTime({NOW + until:.0f}, 'UTC')"
    total = float(way.count(f"round(sum(increment), 6) FROM telemetry_metric_increments({period})"))
    of_metric = f"telemetry_metric_increments_of({period}, metrics = ['cost.usage', 'commit.count'])"
    assert float(way.count(f"round(sum(increment), 6) FROM {of_metric}")) == total, "the only metric here"
    of_another = f"telemetry_metric_increments_of({period}, metrics = ['commit.count'])"
    assert way.count(f"count() FROM {of_another}") == 0
    return total


def test_a_delta_point_counts_once(way: Way) -> None:
    """By series and time, and the largest where another value was sent for them, which is stored."""
    assert way.store("otel_metrics_sum", points([(0, 2, -60), (60, 3, 0)], 1)) == 0
    assert way.store("otel_metrics_sum", points([(60, 3, 0), (120, 4, 60)], 1)) == 1
    assert way.store("otel_metrics_sum", points([(120, 5, 60)], 1)) == 0
    assert way.count("count() FROM otel_metrics_sum") == 4
    assert grown(way) == 10


@pytest.mark.parametrize("hours", [1, 60, 24 * 20])
def test_growth_counts_from_the_last_point_however_long_ago(way: Way, hours: int) -> None:
    """And `since` says from when it is."""
    ago = -3600.0 * hours
    way.store(
        "otel_metrics_sum", points([(ago - 60, 4, ago - 120), (ago, 5, ago - 120), (0, 7, ago - 120)], 2)
    )
    assert grown(way) == 2
    assert grown(way, ago - 300, ago + 300) == 5
    asked = f"from = toDateTime({NOW - 60:.0f}, 'UTC'), to = toDateTime({NOW + 60:.0f}, 'UTC')"
    assert way.count(f"dateDiff('second', since, time) FROM telemetry_metric_increments({asked})") == -ago


def test_a_point_without_a_value_is_no_reading(way: Way) -> None:
    """Neither flagged nor without one: it is NaN in the table, and no counter begins again."""
    made = ExportMetricsServiceRequest.FromString(
        points([(0, 5, -60), (60, 0, -60), (120, 0, -60), (180, 7, -60)], 2)
    )
    found = made.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points
    found[1].flags = 1
    found[2].ClearField("as_double")
    way.store("otel_metrics_sum", made.SerializeToString())
    assert way.count("groupArray(isNaN(Value)) FROM (SELECT Value FROM otel_metrics_sum ORDER BY TimeUnix)") == [
        0, 1, 1, 0,
    ]  # fmt: skip
    assert grown(way) == 7


def test_nothing_is_known_where_it_is_turned_off(database: Tables) -> None:
    """With TELEMETRY_RESEND_SECONDS=0 everything is stored as often as it is sent."""
    repeats = Repeats(database.engine, None, 0)
    block = database.transform.run("otel_logs", surveyed("otel_logs", [logs([request(1), request(1)])]))
    fresh = repeats.without([block])
    assert (list(fresh.blocks), fresh.repeated) == ([block], 0)
    repeats.settle(fresh.claims, stored=True)
    repeats.close()
