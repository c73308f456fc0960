"""What Jaeger is asked beside what every system of traces is: both of its interfaces, ids, pages."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import httpx2
import pytest

from connectors.adapters.jaeger import BACKEND, JaegerConfig
from connectors.addresses import Policy
from connectors.contract import BackendError, Kind, Span, Traces, TracesRequest, TracesResult
from tests.connectors import shop
from tests.connectors.asking import ask, only
from tests.connectors.conftest import System
from tests.connectors.replay import Answered, served
from tests.connectors.subject import WINDOW

PAGE = Answered(200, {"content-type": "text/html"}, b"<!doctype html><title>Jaeger UI</title>")


def found(system: System, **given: Any) -> TracesResult:
    return ask(system, lambda adapter: adapter.find(TracesRequest(WINDOW, **given)))


def known(span: Span) -> tuple[Any, ...]:
    """Return what both interfaces say of a span: the older one has microseconds."""
    return (span.trace_id, span.span_id, span.parent_id, span.name, span.service, span.start_ns // 1_000,
            span.duration_ns // 1_000, span.kind, span.is_error, span.status)  # fmt: skip


@only("jaeger")
def test_the_older_interface_says_the_same(system: System) -> None:
    """A system without version 3 answers with its page, or with 404; it is asked by version 1 then."""

    def answer(method: str, target: str, _: Mapping[str, str], __: bytes) -> Answered:
        assert method == "GET"
        if target.startswith("/api/v3/"):
            return PAGE
        reply = httpx2.get(system.url + target, timeout=180)
        return Answered(reply.status_code, {"content-type": reply.headers["content-type"]}, reply.content)

    async def both() -> None:
        with served(answer) as url:
            newer, older = system.adapter(), BACKEND.opened(JaegerConfig(url=url), Policy())
            assert isinstance(newer, Traces)
            assert isinstance(older, Traces)
            request = TracesRequest(WINDOW, service="shop")
            for trace_id in (shop.SLOW, shop.FAILED, shop.QUICK):
                spans = [(await one.trace(trace_id, None)).spans for one in (newer, older)]
                assert [known(span) for span in spans[0]] == [known(span) for span in spans[1]]
            found = [(await one.find(request)).traces for one in (newer, older)]
            assert [one.trace_id for one in found[0]] == [one.trace_id for one in found[1]]
            assert await newer.operations("shop", WINDOW, 10) == await older.operations("shop", WINDOW, 10)
            assert await newer.services(WINDOW, 10) == await older.services(WINDOW, 10)
            with pytest.raises(BackendError) as caught:
                await older.trace("f" * 32, None)
            assert caught.value.kind == Kind.NOT_FOUND
            (event,) = (await older.trace(shop.SLOW, None)).spans[0].events
            assert event.name == "cache miss"
            await newer.close()
            await older.close()

    asyncio.run(both())


@only("jaeger")
def test_a_span_has_all_that_it_was_sent_with(system: System) -> None:
    """Attributes as text, the resource's among them; kind, event, link, error."""
    trace = ask(system, lambda adapter: adapter.trace(shop.SLOW.upper(), WINDOW))
    root = trace.spans[0]
    assert (root.kind, root.attributes["http.status_code"], root.attributes["k8s.namespace.name"]) == (
        "server", "200", "production",
    )  # fmt: skip
    assert [(event.time_ns, event.name) for event in root.events] == [
        (shop.BEGIN_NS + 5 * shop.MINUTE + 1_000, "cache miss")
    ]
    assert (trace.root_name, trace.duration_ns) == ("GET /checkout", 2 * shop.SECOND)
    (link,) = ask(system, lambda adapter: adapter.trace(shop.QUICK, WINDOW)).spans[0].references
    assert (link.trace_id, link.span_id) == (shop.SLOW, "00f067aa0ba902b7")
    failed = ask(system, lambda adapter: adapter.trace("ab", WINDOW))
    assert [(span.is_error, span.status) for span in failed.spans] == [
        (True, "card refused"), (True, "issuer said no"),
    ]  # fmt: skip


@only("jaeger")
def test_without_a_service_all_are_searched(system: System) -> None:
    """A trace of two services is returned once."""
    ids = [trace.trace_id for trace in found(system).traces]
    assert ids == [shop.OTHER, shop.HOSTILE_TRACE, shop.QUICK, shop.FAILED, shop.SLOW]


@only("jaeger")
def test_traces_without_errors_are_told_from_those_with(system: System) -> None:
    """Although Jaeger has no such question."""
    ids = [trace.trace_id for trace in found(system, service="shop", has_error=False).traces]
    assert ids == [shop.HOSTILE_TRACE, shop.QUICK, shop.SLOW]


@only("jaeger")
def test_a_name_that_is_a_query_is_found(system: System) -> None:
    """It is a parameter and nothing else, as an operation and as a tag."""
    for given in ({"operation": shop.HOSTILE}, {"tags": {"note": shop.HOSTILE}}):
        assert [one.trace_id for one in found(system, service="shop", **given).traces] == [shop.HOSTILE_TRACE]


@only("jaeger")
def test_pages_have_each_trace_once(system: System) -> None:
    """In the same order as all of them together."""
    ids: list[str] = []
    cursor = None
    while True:
        result = found(system, service="shop", limit=3, cursor=cursor)
        ids += [trace.trace_id for trace in result.traces]
        cursor = result.about.next_cursor
        if cursor is None:
            break
    assert ids == [shop.HOSTILE_TRACE, shop.QUICK, shop.FAILED, shop.SLOW]
    for cursor in ("x", "-1", "99999999", "\u0661"):
        with pytest.raises(BackendError) as caught:
            found(system, service="shop", cursor=cursor)
        assert caught.value.kind == Kind.BAD_QUERY


def test_not_found_may_be_said_with_status_200() -> None:
    """As VictoriaTraces says it, which has the older interface alone."""
    said = {"data": [], "errors": [{"code": 404, "msg": "trace not found"}]}

    def answer(_: str, target: str, __: Mapping[str, str], ___: bytes) -> Answered:
        is_old = not target.startswith("/api/v3/")
        body = json.dumps(said).encode() if is_old else b"unsupported path requested"
        return Answered(200 if is_old else 404, {"content-type": "application/json"}, body)

    async def run() -> None:
        with served(answer) as url:
            adapter = BACKEND.opened(JaegerConfig(url=url), Policy())
            assert isinstance(adapter, Traces)
            with pytest.raises(BackendError) as caught:
                await adapter.trace("1", None)
            assert (caught.value.kind, caught.value.detail) == (Kind.NOT_FOUND, "trace not found")
            await adapter.close()

    asyncio.run(run())
