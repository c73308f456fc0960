"""What Loki is asked beside what every system of logs is: streams, levels, moments, an older Loki."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import pytest

from access.refusal import Refusal
from connectors.adapters.loki import BACKEND, Loki, LokiConfig
from connectors.adapters.prometheus import PROMETHEUS
from connectors.addresses import Policy
from connectors.choosing import chosen
from connectors.contract import BackendError, Kind, LogLine, LogsRequest, MetricsRequest, Severity, Signal
from connectors.entry import Entry
from tests.connectors import shop
from tests.connectors.loki_stand_in import loki
from tests.connectors.shop import LINES, Line
from tests.connectors.subject import WINDOW

T = TypeVar("T")


def asked(
    call: Callable[[Loki], Awaitable[T]], lines: Sequence[Line] = LINES, *, is_old: bool = False, **given: Any
) -> T:
    """Return what a call on an adapter returns; `given` is of its configuration."""

    async def run() -> T:
        with loki(lines, is_old=is_old, tenant="shop") as url:
            adapter = Loki(LokiConfig.model_validate({"url": url, "tenant": "shop", **given}), Policy())
            try:
                return await call(adapter)
            finally:
                await adapter.close()

    return asyncio.run(run())


def messages(lines: Sequence[LogLine]) -> list[str]:
    return [line.message for line in lines]


async def pages(adapter: Loki, limit: int, **given: Any) -> list[str]:
    """Return all lines, by pages."""
    seen: list[str] = []
    cursor = None
    while True:
        result = await adapter.search(LogsRequest(WINDOW, limit=limit, cursor=cursor, **given))
        seen += messages(result.lines)
        cursor = result.about.next_cursor
        if not result.about.has_more:
            return seen
        assert cursor is not None


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_pages_have_each_line_once(limit: int) -> None:
    """Those of one nanosecond too, in the order of time over all streams."""
    every = asked(lambda adapter: pages(adapter, limit))
    assert len(every) == len(LINES)
    assert set(every) == {line.message for line in LINES}


def test_a_text_is_found_whatever_it_holds() -> None:
    """Quotes, braces, backslashes and signs of expressions are letters."""
    for text in (shop.HOSTILE, "(100%)", "[x]*", 'x="\\'):
        result = asked(lambda adapter, text=text: adapter.search(LogsRequest(WINDOW, text=text)))
        assert len(result.lines) == 1, result.about.query_executed
        assert shop.HOSTILE in result.lines[0].message


def test_a_text_has_alternatives_of_words() -> None:
    """Words in any order and case; of two alternatives, all words of one."""
    result = asked(
        lambda adapter: adapter.search(LogsRequest(WINDOW, text="REFUSED declined 3 OR sent OR no-such x"))
    )
    assert messages(result.lines) == ["sent", "payment declined: card 3 refused"]


def test_neighbours_of_one_nanosecond_keep_their_order() -> None:
    """They are neither before nor after by time; Loki has them in the order in which they came."""

    async def look(adapter: Loki) -> list[str]:
        request = LogsRequest(WINDOW, text="retry c")
        (line,) = (await adapter.search(request)).lines
        before, after = await adapter.context(line, 3, 3)
        return messages([*before, line, *after])

    assert asked(look) == [
        "basket 0 loaded", "retry a of the same moment", "retry b of the same moment", "retry c of the same moment",
        "retry d of the same moment", "retry e of the same moment", "basket 1 loaded",
    ]  # fmt: skip


def test_a_traces_lines_are_found_by_metadata_and_by_text() -> None:
    """Each once; an id of 64 bits in its shorter form too."""
    in_text = Line(
        shop.BEGIN_NS + shop.MINUTE, "shop", "shop-1", "INFO", f"trace_id={shop.FAILED[16:]} began"
    )
    result = asked(
        lambda adapter: adapter.search(LogsRequest(WINDOW, trace_id=shop.FAILED)), [in_text, *LINES]
    )
    assert [(line.message, line.trace_id) for line in result.lines] == [
        ("payment declined: card 0 refused", shop.FAILED),
        (in_text.message, shop.FAILED),
    ]


def test_raw_queries_are_narrowed_by_what_else_is_given() -> None:
    """A whole query, its stages alone, and one that ends in a comment."""
    for query in (
        '{namespace="production"} |= "declined"',
        '|= "declined"',
        '{namespace="production"} |= "declined" # and no more',
    ):
        request = LogsRequest(WINDOW, query=query, pod="payments-1", severity=Severity.ERROR, text="3")
        result = asked(lambda adapter, request=request: adapter.search(request))
        assert messages(result.lines) == ["payment declined: card 3 refused"]


def test_a_query_of_the_other_kind_is_refused_with_where_to_go() -> None:
    """Lines are searched, metrics are queried."""
    count = 'sum(count_over_time({app="shop"}[5m]))'
    for call in (
        lambda adapter: adapter.search(LogsRequest(WINDOW, query=count)),
        lambda adapter: adapter.query_range(MetricsRequest('{app="shop"}', WINDOW, 60)),
    ):
        with pytest.raises(BackendError) as caught:
            asked(call)
        assert caught.value.kind == Kind.BAD_QUERY


def test_labels_of_streams_and_metadata_are_filtered() -> None:
    """By the names that Loki has; a name that is none is refused."""
    result = asked(
        lambda adapter: adapter.search(
            LogsRequest(WINDOW, labels={"pod": "shop-2", "detected.level": "fatal"})
        )
    )
    assert [line.severity for line in result.lines] == [Severity.ERROR]
    with pytest.raises(BackendError) as caught:
        asked(lambda adapter: adapter.search(LogsRequest(WINDOW, labels={'a="b"} or {c': "x"})))
    assert caught.value.kind == Kind.BAD_QUERY


def test_an_older_loki_is_searched_by_what_its_lines_say() -> None:
    """No structured metadata, no service_name, no detected level: job and the text are what there is."""

    async def look(adapter: Loki) -> None:
        assert await adapter.services(WINDOW, 10) == ["mail", "payments", "shop"]
        errors = (await adapter.search(LogsRequest(WINDOW, severity=Severity.ERROR))).lines
        assert {line.severity for line in errors} == {Severity.ERROR}
        assert len(errors) == 7
        result = await adapter.search(
            LogsRequest(WINDOW, service="payments", text="declined", trace_id=shop.FAILED)
        )
        (line,) = result.lines
        assert (line.service, line.namespace, line.trace_id) == ("payments", "production", shop.FAILED)
        before, after = await adapter.context(line, 1, 1)
        assert messages([*before, *after]) == [
            "level=info authorize request 0", "level=info answered request 0 with 402"
        ]  # fmt: skip
        counts = await adapter.count_by_severity(LogsRequest(WINDOW))
        assert counts == {"error": 7, "warn": 5, "info": 14, "debug": 6, "unknown": 1}
        everything = await adapter.search(LogsRequest(WINDOW, limit=1))
        assert "only streams with a label job" in everything.about.notes[0].lower()

    asked(look, is_old=True)


def test_an_older_lokis_lines_are_merged_labels_apart_from_other_fields() -> None:
    """Where the answer does not tell labels from metadata, the list of labels does."""

    async def look(adapter: Loki) -> None:
        (line,) = (await adapter.search(LogsRequest(WINDOW, text="retry c"))).lines
        assert line.stream == '{"job":"production/shop","namespace":"production","pod":"shop-1"}'

    asked(look, is_old=True)


def test_the_tenant_is_sent() -> None:
    """Without it, or with another's, the credentials are not enough."""
    assert asked(lambda adapter: adapter.services(WINDOW, 1)) == ["mail"]
    with pytest.raises(BackendError) as caught:
        asked(lambda adapter: adapter.services(WINDOW, 1), tenant="another")
    assert caught.value.kind == Kind.UNAUTHORIZED


def test_no_more_lines_are_asked_for_than_loki_allows() -> None:
    """A larger limit is cut to the connection's, and the rest is told."""
    result = asked(lambda adapter: adapter.search(LogsRequest(WINDOW, limit=1_000)), max_limit=10)
    assert (len(result.lines), result.about.has_more) == (9, True)
    result = asked(lambda adapter: adapter.search(LogsRequest(WINDOW, limit=0)), default_limit=5)
    assert len(result.lines) == 5
    with pytest.raises(BackendError) as caught:
        asked(lambda adapter: adapter.search(LogsRequest(WINDOW, limit=9_000)), max_limit=50_000)
    assert (caught.value.kind, "max_entries_limit_per_query" in caught.value.detail) == (Kind.BAD_QUERY, True)


def test_what_a_search_cost_is_told() -> None:
    """As Loki's statistics have it."""
    cost = asked(lambda adapter: adapter.search(LogsRequest(WINDOW))).about.cost
    assert cost is not None
    assert (cost.rows, cost.bytes, cost.milliseconds) == (len(LINES), 4_096, 2.0)


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.", "1.xyz", "99999999999999999999.abcdefabcdef"])
def test_a_cursor_of_another_system_is_refused(cursor: str) -> None:
    """Before anything is asked."""
    with pytest.raises(BackendError) as caught:
        asked(lambda adapter: adapter.search(LogsRequest(WINDOW, cursor=cursor)))
    assert caught.value.kind == Kind.BAD_QUERY


def test_the_kind_of_system_has_the_fields_that_people_write() -> None:
    """The limits, beside what all systems over HTTP take."""
    config = BACKEND.config.model_validate(
        {"url": "http://loki:3100", "default_limit": 1000, "max_limit": 5000, "tenant": "a"}
    )
    assert BACKEND.opened(config, Policy()).backend_type == "loki"


def test_loki_is_asked_for_metrics_only_when_it_is_named() -> None:
    """A question in PromQL is not for it, and its metrics are found by its name; its lines without one."""
    kinds = {one.backend_type: one for one in (BACKEND, PROMETHEUS)}
    lines, series = Entry("1", "owner", "lines", "loki", {}), Entry("2", "owner", "series", "prometheus", {})

    def choice(signal: Signal, name: str | None, *entries: Entry) -> str:
        return chosen(
            entries,
            lambda entry: kinds[entry.backend_type].signals,
            signal,
            name,
            lambda entry: kinds[entry.backend_type].only_named,
        ).name

    assert choice(Signal.METRICS, None, lines, series) == "series"
    assert choice(Signal.METRICS, "lines", lines, series) == "lines"
    assert choice(Signal.LOGS, None, lines, series) == "lines"
    with pytest.raises(Refusal):
        choice(Signal.METRICS, None, lines)
