"""What Tempo is asked beside what every system of traces is: an older Tempo, partial traces, values with types."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import pytest

from connectors.adapters.tempo import Tempo, TempoConfig
from connectors.addresses import Policy
from connectors.contract import BackendError, Kind, TracesRequest
from tests.connectors import shop
from tests.connectors.shop import SPANS, SpanData
from tests.connectors.subject import WINDOW
from tests.connectors.tempo_stand_in import tempo

T = TypeVar("T")


def asked(
    call: Callable[[Tempo], Awaitable[T]],
    *,
    spans: Sequence[SpanData] = SPANS,
    is_old: bool = False,
    partial: str = "",
    tenant: str = "shop",
) -> T:
    """Return what a call on an adapter returns."""

    async def run() -> T:
        with tempo(spans, is_old=is_old, tenant="shop", partial=partial) as url:
            adapter = Tempo(TempoConfig(url=url, tenant=tenant), Policy())
            try:
                return await call(adapter)
            finally:
                await adapter.close()

    return asyncio.run(run())


@pytest.mark.parametrize("is_old", [False, True])
def test_a_trace_is_the_same_by_both_versions(is_old: bool) -> None:  # noqa: FBT001
    """Ids in base64 and enumerations by name are read; links and events too."""
    trace = asked(lambda adapter: adapter.trace(shop.FAILED, None), is_old=is_old)
    assert [
        (span.span_id, span.parent_id, span.kind, span.is_error, span.status) for span in trace.spans
    ] == [
        ("000000000000000c", "", "server", True, "card refused"),
        ("000000000000000d", "000000000000000c", "server", True, "issuer said no"),
    ]
    assert (trace.trace_id, trace.is_whole, trace.root_name) == (shop.FAILED, True, "GET /checkout")
    (span,) = asked(lambda adapter: adapter.trace(shop.QUICK, WINDOW), is_old=is_old).spans
    assert [(one.type, one.trace_id, one.span_id) for one in span.references] == [
        ("LINK", shop.SLOW, "00f067aa0ba902b7")
    ]
    assert span.attributes["retry"] == "true"


def test_services_and_operations_of_an_older_tempo_are_listed() -> None:
    """It does not narrow operations to a service."""
    assert asked(lambda adapter: adapter.services(WINDOW, 10), is_old=True) == ["mail", "payments", "shop"]
    assert "send" in asked(lambda adapter: adapter.operations("shop", WINDOW, 10), is_old=True)
    assert "send" not in asked(lambda adapter: adapter.operations("shop", WINDOW, 10))


def test_a_trace_that_is_larger_than_tempo_returns_is_not_whole() -> None:
    """Tempo says so."""
    assert not asked(lambda adapter: adapter.trace(shop.SLOW, None), partial=shop.SLOW).is_whole


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"http.status_code": "500"}, [shop.FAILED]),
        ({"customer.tier": "gold"}, [shop.SLOW]),
        ({"retry": "true"}, [shop.QUICK]),
        ({"note": shop.HOSTILE}, [shop.HOSTILE_TRACE]),
        ({"error": "true", "k8s.namespace.name": "production"}, [shop.FAILED]),
        ({"span.kind": "consumer"}, [shop.OTHER]),
        ({'x" = 1 || true }': "1"}, []),
    ],
)
def test_a_tags_value_is_found_whatever_its_type(tags: dict[str, str], found: list[str]) -> None:
    """Text, numbers and truths; names and values that are syntax."""
    result = asked(lambda adapter: adapter.find(TracesRequest(WINDOW, tags=tags)))
    assert [trace.trace_id for trace in result.traces] == found


def test_a_search_returns_the_spans_that_match() -> None:
    """With what the search says of the trace; the newest first, of those that Tempo returned."""
    result = asked(lambda adapter: adapter.find(TracesRequest(WINDOW, service="payments")))
    assert [trace.trace_id for trace in result.traces] == [shop.FAILED, shop.SLOW]
    failed, slow = result.traces
    assert (failed.root_service, failed.root_name, failed.is_whole, failed.has_error) == (
        "shop", "GET /checkout", False, True,
    )  # fmt: skip
    assert [(span.name, span.service, span.duration_ns) for span in slow.spans] == [
        ("authorize", "payments", 1_800_000_000), ("SELECT cards", "payments", 50_000_000),
    ]  # fmt: skip
    assert (slow.duration_ns, slow.has_error) == (2 * shop.SECOND, None)
    assert result.about.cost is not None
    assert (result.about.cost.rows, result.about.cost.bytes) == (2, 4_096)


def test_what_was_left_out_is_told() -> None:
    """Tempo's search has no order, so that there is no going on."""
    about = asked(lambda adapter: adapter.find(TracesRequest(WINDOW, limit=2))).about
    assert (about.has_more, about.next_cursor, len(about.notes)) == (True, None, 1)


def test_durations_are_of_one_span() -> None:
    """Both bounds are a part of what is asked for."""
    for low, high, found in (
        (50_000_000, 50_000_000, [shop.SLOW]), (None, 10_000_000, [shop.HOSTILE_TRACE]), (3 * shop.SECOND, None, [])
    ):  # fmt: skip
        request = TracesRequest(WINDOW, min_duration_ns=low, max_duration_ns=high)
        result = asked(lambda adapter, request=request: adapter.find(request))
        assert [trace.trace_id for trace in result.traces] == found


def test_the_tenant_is_sent() -> None:
    """With another's, the credentials are not enough."""
    with pytest.raises(BackendError) as caught:
        asked(lambda adapter: adapter.services(WINDOW, 1), tenant="another")
    assert caught.value.kind == Kind.UNAUTHORIZED
