"""What OpenSearch is asked beside what every system of logs is: the cases in which its answers are easily misread."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import pytest

from connectors.adapters.elasticsearch import ELASTICSEARCH, SCANNED, Elasticsearch, ElasticsearchConfig
from connectors.addresses import Policy
from connectors.backend import Auth
from connectors.contract import BackendError, Health, Kind, LogLine, LogsRequest, LogsResult, Severity
from connectors.log_documents import Fields, filters, flattened
from tests.connectors import shop
from tests.connectors.asking import ask, only
from tests.connectors.conftest import System
from tests.connectors.replay import Answered, served
from tests.connectors.subject import WINDOW


def found(system: System, **given: Any) -> LogsResult:
    return ask(system, lambda adapter: adapter.search(LogsRequest(WINDOW, **given)))


def messages(system: System, **given: Any) -> list[str]:
    return [line.message for line in found(system, **given).lines]


@only("opensearch")
@pytest.mark.parametrize("text", ["car*", "a AND (", '"', "\\", "dec?ined", "*:*", "declned~1"])
def test_a_text_is_no_query(system: System, text: str) -> None:
    """What is syntax of query strings finds nothing here, and is no error."""
    assert messages(system, text=text) == []


@only("opensearch")
def test_words_are_found_in_any_order_and_phrases_in_theirs(system: System) -> None:
    """Alternatives too; how many lines there are is known."""
    result = found(system, text="DECLINED payment")
    assert (len(result.lines), result.about.total_count, result.about.has_more) == (6, 6, False)
    assert messages(system, text='"declined payment"') == []
    assert messages(system, text='sent OR "no severity"') == ["sent", "a line of no severity, naïve café ✓"]


@only("opensearch")
def test_lines_of_a_trace_are_found(system: System) -> None:
    """By the field of its id; the line has it."""
    (line,) = found(system, trace_id=shop.FAILED).lines
    assert (line.trace_id, line.span_id, line.severity) == (shop.FAILED, "000000000000000d", Severity.ERROR)
    assert (line.service, line.namespace, line.pod) == ("payments", "production", "payments-1")


@only("opensearch")
def test_lines_of_one_moment_are_returned_once_each(system: System) -> None:
    """By pages that end within the moment."""

    async def pages(adapter: Any) -> list[str]:
        seen: list[str] = []
        cursor = None
        while True:
            request = LogsRequest(WINDOW, text="same moment", limit=2, cursor=cursor)
            result = await adapter.search(request)
            seen += [line.message for line in result.lines]
            cursor = result.about.next_cursor
            if cursor is None:
                return seen

    seen = ask(system, pages)
    assert sorted(seen) == [f"retry {name} of the same moment" for name in "abcde"]


@only("opensearch")
def test_neighbours_of_one_moment_are_in_the_order_in_which_they_were_written(system: System) -> None:
    """The moment is the same, the documents' numbers are not."""
    line = next(line for line in found(system, text="same moment").lines if " c " in line.message)
    before, after = ask(system, lambda adapter: adapter.context(line, 2, 2))
    assert [one.message.split()[1] for one in (*before, line, *after)] == ["a", "b", "c", "d", "e"]


@only("opensearch")
def test_a_regular_expression_holds_of_the_whole_line(system: System) -> None:
    """Not of its words alone; by pages too; one that is none is refused."""
    assert messages(system, regex=r"^two lines:\n\s+at .*OutOfMemory$") == [
        "two lines:\n  at Payment.java:12\tOutOfMemory"
    ]
    every = messages(system, regex=r"card \d refused$", service="payments")
    first = found(system, regex=r"card \d refused$", service="payments", limit=4)
    assert (first.about.has_more, first.about.total_count) == (True, None)
    rest = found(system, regex=r"card \d refused$", service="payments", cursor=first.about.next_cursor)
    assert [line.message for line in (*first.lines, *rest.lines)] == every
    with pytest.raises(BackendError) as caught:
        found(system, regex="(")
    assert (caught.value.kind, "missing )" in caught.value.detail) == (Kind.BAD_QUERY, True)


@only("opensearch")
def test_a_field_that_is_not_there_selects_nothing(system: System) -> None:
    """A filter that cannot hold is never left out."""
    assert messages(system, labels={"nothing.there": "x"}) == []


@only("opensearch")
def test_an_index_that_is_not_there_is_not_found(system: System) -> None:
    """Its name is in the system's words."""

    async def run() -> None:
        adapter = Elasticsearch(ElasticsearchConfig(url=system.url, index="no-such-index"), Policy())
        try:
            with pytest.raises(BackendError) as caught:
                await adapter.search(LogsRequest(WINDOW))
            assert (caught.value.kind, "no-such-index" in caught.value.detail) == (Kind.NOT_FOUND, True)
        finally:
            await adapter.close()

    asyncio.run(run())


# ---------------------------------------------------------------- answers that a filled, healthy node does not give

CAPS = {"fields": {"@timestamp": {"date": {}}, "message": {"text": {}}, "message.keyword": {"keyword": {}}}}


def hit(number: int, source: Mapping[str, Any] | None = None) -> dict[str, Any]:
    moment = shop.BEGIN_NS + number * shop.SECOND
    return {
        "_index": "a", "_id": str(number), "sort": [moment, number],
        "_source": source or {"message": f"line {number}"},
    }  # fmt: skip


def answered(
    answers: Callable[[str, str, Any], tuple[int, Any]], call: Callable[[Elasticsearch], Awaitable[Any]]
) -> Any:
    """Return what a call returns from a server whose answers are given: to a method, a path and a body."""

    def answer(method: str, target: str, _: Mapping[str, str], body: bytes) -> Answered:
        path = target.partition("?")[0]
        if path.endswith("/_field_caps"):
            status, found = 200, CAPS
        else:
            status, found = answers(method, path, json.loads(body or b"null"))
        return Answered(status, {"content-type": "application/json"}, json.dumps(found).encode())

    async def run() -> Any:
        with served(answer) as url:
            auth = Auth.model_validate(
                {"type": "basic", "username": "reader", "password": "a secret of mine"}
            )
            adapter = ELASTICSEARCH.opened(ElasticsearchConfig(url=url, auth=auth), Policy())
            assert isinstance(adapter, Elasticsearch)
            try:
                return await call(adapter)
            finally:
                await adapter.close()

    return asyncio.run(run())


def test_what_shards_left_out_is_told() -> None:
    """A failed shard and a time limit make an answer partial, in the system's words."""
    shards = {"failed": 1, "failures": [{"reason": {"type": "x", "reason": "too many buckets"}}]}
    body = {"took": 7, "timed_out": True, "_shards": shards,
            "hits": {"total": {"value": 9, "relation": "gte"}, "hits": [hit(1)]}}  # fmt: skip
    about = answered(lambda *_: (200, body), lambda adapter: adapter.search(LogsRequest(WINDOW))).about
    assert (about.is_partial, about.total_count, about.cost.milliseconds) == (True, None, 7)
    assert about.warnings == ["The search was cut off at its time limit.", "too many buckets"]


def test_a_search_by_regular_expression_ends() -> None:
    """After so many lines it says how far it came, and goes on from there."""

    def answers(_: str, __: str, body: Any) -> tuple[int, Any]:
        assert body["size"] == 1_000
        until = [
            one["range"]["@timestamp"].get("lte") for one in body["query"]["bool"]["filter"] if "range" in one
        ]
        last = next((one for one in until if one), None)
        newest = 3_000 if last is None else _seconds(last) - 1
        hits = [hit(number) for number in range(newest, newest - 1_000, -1)]
        return 200, {"hits": {"total": {"value": 1, "relation": "eq"}, "hits": hits}}

    result = answered(answers, lambda adapter: adapter.search(LogsRequest(WINDOW, regex="no such line")))
    assert (list(result.lines), result.about.has_more) == ([], True)
    assert f"{SCANNED:,}" in result.about.notes[0]
    time_ns, *ids = json.loads(result.about.next_cursor)
    assert (time_ns, ids) == (shop.BEGIN_NS + (3_001 - SCANNED) * shop.SECOND, [str(3_001 - SCANNED)])


def _seconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment[:19] + "+00:00").timestamp()) - shop.BEGIN_NS // shop.SECOND


@pytest.mark.parametrize(
    ("root", "cluster", "health", "version"),
    [
        ((200, {"version": {"number": "9.1.0"}}), (200, {"status": "yellow"}), Health.HEALTHY, "9.1.0"),
        ((200, {"version": {"number": "9.1.0"}}), (200, {"status": "red"}), Health.DEGRADED, "9.1.0"),
        ((403, {}), (403, {}), Health.HEALTHY, ""),
        ((200, {"version": {"number": "9.1.0"}}), (410, {}), Health.HEALTHY, "9.1.0"),
        ((200, {"version": {"number": "9.1.0"}}), (503, {}), Health.UNHEALTHY, ""),
    ],
)
def test_health_is_the_clusters_as_far_as_it_may_be_seen(
    root: tuple[int, Any], cluster: tuple[int, Any], health: Health, version: str
) -> None:
    """A user who may only read indices is not told that the system is ill."""
    report = answered(lambda _, path, __: root if path == "/" else cluster, lambda adapter: adapter.health())
    assert (report.health, report.version) == (health, version)
    assert bool(report.reason) == (health != Health.HEALTHY)


def test_an_error_that_repeats_the_password_does_not_show_it() -> None:
    """Neither as it was typed nor as it was sent."""
    sent = base64.b64encode(b"reader:a secret of mine").decode()
    body = {"error": {"reason": f"user a secret of mine, header {sent}", "root_cause": []}, "status": 400}
    with pytest.raises(BackendError) as caught:
        answered(lambda *_: (400, body), lambda adapter: adapter.search(LogsRequest(WINDOW)))
    assert caught.value.detail == "user ***, header ***"


def test_counts_by_a_regular_expression_are_refused() -> None:
    """The remedy is in the message."""
    with pytest.raises(BackendError) as caught:
        answered(
            lambda *_: (500, {}), lambda adapter: adapter.count_by_severity(LogsRequest(WINDOW, regex="x"))
        )
    assert caught.value.kind == Kind.UNSUPPORTED


def test_a_line_that_is_not_of_the_connection_has_no_neighbours() -> None:
    """Its stream cannot be read."""
    with pytest.raises(BackendError) as caught:
        answered(lambda *_: (500, {}), lambda adapter: adapter.context(LogLine(1, "x", stream="{}"), 1, 1))
    assert caught.value.kind == Kind.BAD_QUERY


def test_fields_of_opentelemetry_are_found() -> None:
    """By the names that its exporters write; a body may be an object."""
    source = {"body": {"text": "hello"}, "severity_text": "Warning", "resource": {"attributes": {"service.name": "x"}},
              "trace_id": "00ab"}  # fmt: skip
    body = {"hits": {"total": {"value": 1, "relation": "eq"}, "hits": [hit(1, source)]}}
    (line,) = answered(lambda *_: (200, body), lambda adapter: adapter.search(LogsRequest(WINDOW))).lines
    assert (line.message, line.severity, line.service) == ("hello", Severity.WARN, "x")
    assert line.trace_id == "ab".zfill(32)


def test_a_filter_takes_the_field_that_holds_whole_values() -> None:
    """A keyword itself, a text by its keyword, a text alone by a phrase; nothing when no field is there."""
    fields = Fields({"a": frozenset({"keyword"}), "b": frozenset({"text"}), "b.keyword": frozenset({"keyword"}),
                     "c": frozenset({"text"}), "d": frozenset({"object"})})  # fmt: skip
    assert fields.equal(["a"], ["x"]) == {"terms": {"a": ["x"]}}
    assert fields.equal(["b"], ["x"]) == {"terms": {"b.keyword": ["x"]}}
    assert fields.equal(["c", "d"], ["x"]) == {"match_phrase": {"c": "x"}}
    assert fields.equal(["d", "e"], ["x"]) == {"match_none": {}}


def test_a_part_of_a_keyword_is_found_without_wildcards_of_its_own() -> None:
    """Stars and question marks of the text are letters."""
    fields = Fields({"message": frozenset({"keyword"})})
    *_, clause = filters(LogsRequest(WINDOW, text="a*b?c\\"), fields, "@timestamp")
    assert clause == {"wildcard": {"message": {"value": "*a\\*b\\?c\\\\*", "case_insensitive": True}}}


def test_documents_are_flattened() -> None:
    """Dots join names, lists stay lists, nothing is left out but what has no value."""
    assert dict(flattened({"a": {"b": 1, "c.d": "x"}, "e": [1, 2], "f": None, "g": True})) == {
        "a.b": "1", "a.c.d": "x", "e": "[1,2]", "g": "true"
    }  # fmt: skip
