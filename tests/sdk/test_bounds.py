"""The number of series is bounded, whatever clients send."""

import itertools
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.trace import NoOpTracer
from prometheus_client import REGISTRY, generate_latest

from mcp_server_telemetry import OTHER, Options, Session
from mcp_server_telemetry.definitions import DEFINITIONS
from mcp_server_telemetry.messages import Message, Messages
from mcp_server_telemetry.recorder import Recorder

MOST = 10_000
texts = st.text(max_size=300)
messages = st.builds(
    Message,
    method=st.one_of(texts, st.sampled_from(["tools/call", "prompts/get", "resources/read", "initialize"])),
    name=texts,
    request_id=st.one_of(st.none(), texts),
    protocol_version=texts,
    session_id=st.one_of(st.none(), texts),
    transport=st.sampled_from(["pipe", "tcp"]),
    user=st.one_of(st.none(), texts),
    meta=st.one_of(st.none(), st.dictionaries(st.sampled_from(["traceparent", "tracestate", "x"]), texts)),
)


class _AnyError(Exception):
    pass


def recorder(reader: Any) -> Recorder:
    """Return a recorder whose metrics a reader reads."""
    provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    return Recorder(provider.get_meter("tried"), NoOpTracer(), Options())


def drive(steps: Any) -> Any:
    """Run a coroutine that awaits nothing real, and return what it returns."""
    try:
        steps.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def test_the_definitions_keep_below_the_bound() -> None:
    """Added up, with every combination used."""
    assert sum(definition.most_series for definition in DEFINITIONS) < MOST


def test_the_scrape_is_bounded_under_a_flood() -> None:
    """Every attribute with far more values than are admitted: a real scrape has fewer series, and says what it cut."""
    reader = PrometheusMetricReader()
    try:
        target = recorder(reader)
        observed = Messages(target)

        async def answered() -> None:
            pass

        async def failed() -> None:
            raise type(f"E{next(numbers) % 300}", (_AnyError,), {})

        numbers = itertools.count()
        for number in range(40_000):
            message = Message(
                ("tools/call", "prompts/get", "resources/read", f"odd/{number}")[number % 4],
                f"name-{number // 7}",
                str(number),
                protocol_version=f"v{number % 50}",
                transport=("pipe", "tcp")[number % 2],
            )
            with suppress(_AnyError):
                drive(observed.observe(message, failed if number % 3 else answered, lambda _: False))
        for number in range(1000):
            session = Session(target, str(number), model=f"m{number}", transport=("pipe", "tcp")[number % 2])
            session.protocol_version = f"v{number}"
            session.end(f"E{number}" if number % 2 else "")
        lines = [line for line in generate_latest(REGISTRY).decode().splitlines() if not line.startswith("#")]
        series = [line for line in lines if line.startswith("mcp_")]
        assert 3000 < len(series) < MOST
        assert any(f'"{OTHER}"' in line for line in series)
        replaced = [line for line in series if line.startswith("mcp_telemetry_attributes_replaced")]
        assert replaced
    finally:
        reader.shutdown()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(messages, st.booleans()), max_size=12))
def test_no_text_of_a_client_becomes_an_attribute_unless_the_server_has_it(
    found: list[tuple[Message, bool]],
) -> None:
    """Names of failed calls are replaced; whatever is sent, the answer is returned and the combinations are bounded."""
    reader = InMemoryMetricReader()
    target = recorder(reader)
    observed = Messages(target)

    async def answered() -> int:
        return 7

    for message, is_error in found:
        result = drive(observed.observe(message, answered, lambda _, is_error=is_error: is_error))  # type: ignore[misc]
        assert result == 7
    good = {message.name for message, is_error in found if not is_error}
    data = reader.get_metrics_data()
    for resource in data.resource_metrics if data else []:
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            for point in metric.data.data_points:
                name = dict(point.attributes or {}).get("gen_ai.tool.name", OTHER)
                assert name == OTHER or name in good
    assert all(len(sets) <= 450 for sets in target._sets.values())
