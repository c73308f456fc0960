"""The demo's requests: valid OTLP, in the shape of the real client's, the same for a seed, and well counted."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from demo.generate import Ledger, Plan, Request, generate
from demo.world import MARK
from tests.server import captures

REQUESTS: dict[str, type[Message]] = {
    "logs": ExportLogsServiceRequest,
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
UNTIL = datetime(2026, 11, 20, 15, tzinfo=UTC)
PLAN = Plan(seed=7, sessions=120, users=16, days=21, until=UNTIL)


@pytest.fixture(scope="module")
def made() -> tuple[list[Request], Ledger]:
    """Return some weeks of demo data and their totals."""
    ledger = Ledger()
    return list(generate(PLAN, ledger)), ledger


def values(attributes: Any) -> dict[str, Any]:
    found = {}
    for pair in attributes:
        kind = pair.value.WhichOneof("value")
        found[pair.key] = getattr(pair.value, kind) if kind != "array_value" else ()
    return found


def log_records(bodies: Iterator[bytes] | list[bytes]) -> Iterator[tuple[Any, dict[str, Any]]]:
    for body in bodies:
        for group in ExportLogsServiceRequest.FromString(body).resource_logs:
            for record in group.scope_logs[0].log_records:
                yield record, values(record.attributes)


def spans(bodies: list[bytes]) -> Iterator[tuple[Any, dict[str, Any]]]:
    for body in bodies:
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            for span in group.scope_spans[0].spans:
                yield span, values(span.attributes)


def points(bodies: list[bytes]) -> Iterator[tuple[str, int, Any, dict[str, Any]]]:
    for body in bodies:
        for group in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for metric in group.scope_metrics[0].metrics:
                for point in metric.sum.data_points:
                    yield metric.name, metric.sum.aggregation_temporality, point, values(point.attributes)


def of(requests: list[Request], signal: str) -> list[bytes]:
    return [request.body for request in requests if request.signal == signal]


def test_the_generated_classes_read_it_all_back(made: tuple[list[Request], Ledger]) -> None:
    """Nothing is written that they do not know, and the requests hold as many records as they say."""
    requests, _ = made
    counts: Counter[str] = Counter()
    for request in requests:
        message = REQUESTS[request.signal].FromString(request.body)
        assert REQUESTS[request.signal].FromString(message.SerializeToString()) == message
        assert message.ByteSize() <= len(request.body)
        assert request.records < 2 * PLAN.request_records
        counts[request.signal] += request.records
    found = {
        "logs": sum(1 for _ in log_records(of(requests, "logs"))),
        "traces": sum(1 for _ in spans(of(requests, "traces"))),
        "metrics": sum(1 for _ in points(of(requests, "metrics"))),
    }
    assert found == dict(counts)


def test_the_same_seed_gives_the_same_bytes(made: tuple[list[Request], Ledger]) -> None:
    """And another one does not."""
    again = Ledger()
    assert list(generate(PLAN, again)) == made[0]
    assert again == made[1]
    other = Plan(seed=8, sessions=3, users=16, days=21, until=UNTIL)
    assert next(generate(other, Ledger())).body != made[0][0].body


def test_every_record_carries_the_mark(made: tuple[list[Request], Ledger]) -> None:
    """In its resource and, as the client copies such attributes, on itself."""
    for request in made[0]:
        message: Any = REQUESTS[request.signal].FromString(request.body)
        groups = next(iter(message.ListFields()))[1]
        assert all(values(group.resource.attributes)[MARK] == "true" for group in groups)
    assert all(about[MARK] == "true" for _, about in log_records(of(made[0], "logs")))
    assert all(about[MARK] == "true" for _, about in spans(of(made[0], "traces")))
    assert all(about[MARK] == "true" for *_, about in points(of(made[0], "metrics")))


def test_events_and_spans_have_what_the_real_client_sends(made: tuple[list[Request], Ledger]) -> None:
    """Every attribute of each kind of captured record is there, with the same type."""
    for name, records in (("logs", log_records), ("traces", spans)):
        real: dict[str, dict[str, type]] = defaultdict(dict)
        for record, about in records(captures(name)):
            kind = record.body.string_value if name == "logs" else record.name
            real[kind] |= {key: type(value) for key, value in about.items()}
        invented: dict[str, dict[str, type]] = defaultdict(dict)
        for record, about in records(of(made[0], name)):
            kind = record.body.string_value if name == "logs" else record.name
            if "odd" not in str(about.get("request_id", about.get("tool_use_id", ""))):
                invented[kind] |= {key: type(value) for key, value in about.items()}
        for kind, attributes in real.items():
            given = {key: invented[kind].get(key) for key in attributes}
            assert given == attributes, kind


def test_ids_match_across_signals(made: tuple[list[Request], Ledger]) -> None:
    """Requests and tools have their span, spans their parent in the same trace."""
    events = [about for _, about in log_records(of(made[0], "logs"))]
    ids = [(span.trace_id, span.span_id) for span, _ in spans(of(made[0], "traces"))]
    parents = {(span.trace_id, span.parent_span_id) for span, _ in spans(of(made[0], "traces"))}
    requests = {about.get("request_id") for _, about in spans(of(made[0], "traces"))}
    tools = {about.get("tool_use_id") for _, about in spans(of(made[0], "traces"))}
    assert len(ids) == len(set(ids))
    asked = {
        event["request_id"]
        for event in events
        if event.get("event.name") == "api_request" and event.get("cost_usd")
    }
    ran = {event["tool_use_id"] for event in events if event.get("event.name") == "tool_result"}
    assert asked <= requests
    assert {use for use in ran if "odd" not in use} <= tools
    # Work that was under way at the end has not sent its parent yet.
    missing = {key for key in parents - set(ids) if key[1]}
    assert 0 < len(missing) < len(parents) / 100


def test_the_ledger_counts_what_was_sent(made: tuple[list[Request], Ledger]) -> None:
    """Events by name, spans by name, points, and the totals of requests and tools."""
    requests, ledger = made
    events: Counter[str] = Counter()
    usd = 0
    tokens: Counter[str] = Counter()
    failed = 0
    for record, about in log_records(of(requests, "logs")):
        if record.time_unix_nano < 10**18:
            continue
        events[record.body.string_value.removeprefix("claude_code.")] += 1
        usd += round(about.get("cost_usd", 0) * 10**9)
        failed += about.get("event.name") == "tool_result" and about["success"] == "false"
        if about.get("cost_usd"):
            tokens += Counter({key: about[key] for key in about if key.endswith("_tokens")})
    assert events == ledger.events
    assert ledger.past_retention == 1
    assert (
        Counter(span.name.removeprefix("claude_code.") for span, _ in spans(of(requests, "traces")))
        == ledger.spans
    )
    assert sum(1 for _ in points(of(requests, "metrics"))) == ledger.points
    whole = ledger.spent()
    assert (usd, tokens["input_tokens"], tokens["cache_read_tokens"]) == (
        *(whole.nano_usd, whole.input_tokens),
        whole.cache_read_tokens,
    )
    assert failed == sum(calls.failed for calls in ledger.calls.values())
    assert ledger.processes == PLAN.sessions


def test_metrics_give_the_same_totals_as_events(made: tuple[list[Request], Ledger]) -> None:
    """Deltas are added up and cumulative series differenced, by series and start time: a resume starts a new series."""
    requests, ledger = made
    totals: dict[str, float] = defaultdict(float)
    cumulative: dict[Any, tuple[str, float]] = {}
    temporalities = set()
    for name, temporality, point, about in points(of(requests, "metrics")):
        temporalities.add(temporality)
        kind = about["type"] if name == "claude_code.token.usage" else name
        if temporality == AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA:
            totals[kind] += point.as_double
        else:
            series = name, point.start_time_unix_nano, tuple(sorted(about.items()))
            cumulative[series] = kind, max(point.as_double, cumulative.get(series, ("", 0))[1])
    for kind, value in cumulative.values():
        totals[kind] += value
    whole = ledger.spent()
    assert len(temporalities) == 2
    assert totals["claude_code.cost.usage"] == pytest.approx(whole.usd, abs=1e-6)
    assert [totals[kind] for kind in ("input", "output", "cacheRead", "cacheCreation")] == [
        whole.input_tokens,
        whole.output_tokens,
        whole.cache_read_tokens,
        whole.cache_creation_tokens,
    ]


def test_there_is_something_for_every_question(made: tuple[list[Request], Ledger]) -> None:
    """Each event of the documentation, each kind of failure, resumed and parallel sessions, several of everything."""
    requests, ledger = made
    assert set(ledger.events) >= {
        *("user_prompt", "assistant_response", "api_request", "api_error", "api_retries_exhausted"),
        *(
            "tool_decision",
            "tool_result",
            "permission_mode_changed",
            "mcp_server_connection",
            "plugin_loaded",
        ),
        *(
            "skill_activated",
            "at_mention",
            "hook_registered",
            "hook_execution_start",
            "hook_execution_complete",
        ),
        *("compaction", "subagent_completed", "invented_by_a_newer_client"),
    }
    kinds = {part.of.split()[0] for part in ledger.failures}
    assert kinds >= {"tool", "api", "mcp"}
    events = [about for _, about in log_records(of(requests, "logs"))]
    for key, least in (("team.id", 5), ("model", 5), ("tool_name", 12), ("project", 5), ("user.id", 10)):
        assert len({about[key] for about in events if key in about}) >= least, key
    starts = Counter(about["session.id"] for about in events if about.get("event.sequence") == 0)
    assert max(starts.values()) > 1
    sources = {about.get("source") for about in events if about.get("event.name") == "tool_decision"}
    assert sources >= {"config", "hook", "user_temporary", "user_reject"}


def test_nothing_happens_after_the_end(made: tuple[list[Request], Ledger]) -> None:
    """And something does in the last hour."""
    requests, _ = made
    end = int(UNTIL.timestamp()) * 10**9
    times = [
        record.time_unix_nano for record, about in log_records(of(requests, "logs")) if "prompt.id" in about
    ]
    assert end - 3600 * 10**9 < max(times) <= end
    assert max(span.end_time_unix_nano for span, _ in spans(of(requests, "traces"))) <= end
    assert max(point.time_unix_nano for _, _, point, _ in points(of(requests, "metrics"))) <= end
