"""Asking connected systems: which one, how often, what is kept, what is removed, and what becomes of failures."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from access.cache import Cache
from access.limits import Limiter
from access.refusal import Code, Refusal
from config.settings import Settings
from connectors import recording
from connectors.asking import Asking
from connectors.connected import Asked, Connection, Question
from connectors.contract import (
    Adapter,
    Health,
    Kind,
    LogsRequest,
    Metrics,
    MetricsRequest,
    Signal,
    Window,
)
from connectors.directory import Directory, OwnStore
from connectors.entry import Checked, Draft
from connectors.failures import CODES
from connectors.installation import LateState, policy
from connectors.redaction import redaction
from connectors.registry import Registry
from tests.connector_kinds import OPENED, OTHER, PLAIN, PlainAdapter, System, series, slowly, system
from tests.server import eventually
from web.metrics import Metrics as WebMetrics

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MAIL = "jane.doe@corp.example"


@pytest.fixture
def upstream() -> Iterator[System]:
    """Run a system that answers with one series."""
    with system() as found:
        found.answer = lambda _: (200, {}, series({"pod": "web-1"}))
        yield found


class Clock:
    """A clock that is moved by hand."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()


@asynccontextmanager
async def asking(folder: Path, **more: Any) -> AsyncIterator[Asking]:
    """Yield what tools ask through, over a state of its own."""
    settings = Settings(_env_file=None, TELEMETRY_DATA_DIR=folder)  # type: ignore[call-arg]
    late = LateState(settings)
    own = more.pop("own", None)
    registry = Registry([PLAIN, OTHER], ())
    here = Asking(
        Directory(registry, late.connections, policy(settings), (), own),
        late.history,
        redaction(settings),
        **more,
    )
    try:
        yield here
    finally:
        await here.close()
        late.close()


def draft(url: str, name: str = "prod", backend_type: str = "plain", **more: Any) -> Draft:
    """Return a connection to a system."""
    config = more.pop("config", {})
    return Draft(name, backend_type, {"url": url, **config}, **more)


def metrics(query: str = "up", end: datetime = NOW, hours: float = 1, goes_on: bool = True) -> Question:  # noqa: FBT001, FBT002  a case's column
    """Return a question about a period up to a time."""
    window = Window(end - timedelta(hours=hours), end)
    return Question(
        "metrics", query, MetricsRequest(query, window, 60.0), window.seconds, goes_on, "query_metrics", "s1"
    )


async def ask(here: Asking, question: Question, caller: str = "owner", name: str = "prod") -> Asked[Any]:
    """Ask a question of metrics."""
    connection = await here.choose(caller, Signal.METRICS, name)

    async def call(adapter: Adapter) -> Any:
        assert isinstance(adapter, Metrics)
        assert isinstance(question.request, MetricsRequest)
        return await adapter.query_range(question.request)

    return await here.ask(caller, connection, question, call)


def test_an_answer_is_got_kept_and_remembered(upstream: System, tmp_path: Path) -> None:
    """The second equal question costs the system nothing; both are in the history, newest first."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            here.directory.added("owner", draft(upstream.url))
            first = await ask(here, metrics())
            second = await ask(here, metrics())
            assert first.result.series[0].labels == {"pod": "web-1"}
            assert first.result.series[0].points == [(1, 2.0), (2, None)]
            assert (first.cached_age_seconds, second.result) == (None, first.result)
            assert second.cached_age_seconds is not None
            assert upstream.asked == ["/series?query=up"]
            assert here.answers.counts.hit_rate == 0.5
            past = here._history().listed("owner")
            assert {one.id for one in past} == {first.query_id, second.query_id}
            newest = here._history().found("owner", second.query_id)
            assert newest is not None
            assert (newest.was_cached, newest.query_text, newest.tool, newest.session_id, newest.result_count) == (
                True, "up", "query_metrics", "s1", 1,
            )  # fmt: skip
            assert newest.result_sample == [{"labels": {"pod": "web-1"}, "points": [[1, 2.0], [2, None]]}]

    asyncio.run(use())


def test_a_question_without_a_name_goes_to_the_one_that_fits_best(upstream: System, tmp_path: Path) -> None:
    """Default, only one, healthiest, own store: the reason is told each time."""

    async def use() -> None:
        own = OwnStore(lambda: PlainAdapter(PLAIN.config(url=upstream.url), policy(_settings(tmp_path))))
        async with asking(tmp_path, own=own) as here:
            first = await here.choose("owner", Signal.METRICS)
            assert (first.name, first.reason) == ("telemetry", "no other connection has metrics")
            a = here.directory.added("owner", draft(upstream.url, "a"))
            only = await here.choose("owner", Signal.LOGS)
            assert (only.name, only.reason) == (
                "a", "the only connection besides the own store that has logs",
            )  # fmt: skip
            b = here.directory.added("owner", draft(upstream.url, "b"))
            here.directory.record(a, Checked(Health.DEGRADED, "slow", NOW))
            here.directory.record(b, Checked(Health.HEALTHY, "", NOW))
            healthiest = await here.choose("owner", Signal.METRICS)
            assert (healthiest.name, healthiest.reason) == (
                "b", "healthy, and first of those that have metrics: b, a",
            )  # fmt: skip
            here.directory.replaced("owner", a.id, draft(upstream.url, "a", is_default=True))
            default = await here.choose("owner", Signal.METRICS)
            assert (default.name, default.reason, default.is_default) == ("a", "the default of plain", True)
            here.directory.added("owner", draft(upstream.url, "spans", "other"))
            assert (await here.choose("owner", Signal.TRACES)).name == "spans"
            named = await here.choose("owner", Signal.METRICS, b.id)
            assert (named.name, named.reason) == ("b", "named")
            listed = await here.connections("owner", Signal.METRICS)
            assert [one.name for one in listed] == ["a", "b", "telemetry"]

    asyncio.run(use())


def test_a_connection_that_is_not_there_is_refused_with_the_nearest(upstream: System, tmp_path: Path) -> None:
    """So is one without the signal, and a disabled one, each with those that would do; another user's is not there."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            with pytest.raises(Refusal, match="No enabled connection has metrics"):
                await here.choose("owner", Signal.METRICS)
            here.directory.added("owner", draft(upstream.url, "production"))
            here.directory.added("owner", draft(upstream.url, "off", is_enabled=False))
            here.directory.added("owner", draft(upstream.url, "spans", "other"))
            cases = (("owner", "prodction"), ("bob", "production"), ("owner", "spans"), ("owner", "off"))
            found = []
            for caller, name in cases:
                with pytest.raises(Refusal) as caught:
                    await here.choose(caller, Signal.METRICS, name)
                found.append((caught.value.code, caught.value.nearest or caught.value.accepted))
            assert found == [
                (Code.UNKNOWN_NAME, ("production",)),
                (Code.UNKNOWN_NAME, ()),
                (Code.UNSUPPORTED, ("production",)),
                (Code.FORBIDDEN, ("production",)),
            ]
            connection = Connection("not-there", "production", "plain", PLAIN.signals)
            with pytest.raises(Refusal):
                await here.ask("owner", connection, metrics(), _never)

    asyncio.run(use())


async def _never(_: Adapter) -> None:
    raise AssertionError("it is asked")


def _settings(folder: Path) -> Settings:
    return Settings(_env_file=None, TELEMETRY_DATA_DIR=folder)  # type: ignore[call-arg]


def test_an_answer_lasts_as_long_as_its_period_allows(upstream: System, tmp_path: Path) -> None:
    """A minute for an hour that goes on, half a minute for one that ended just now, longer for one long ago."""
    clock = Clock()

    async def use() -> None:
        cache = Cache(3600, 1 << 20, clock.seconds)
        async with asking(tmp_path, cache=cache, clock=clock) as here:
            here.directory.added("owner", draft(upstream.url))

            async def asked(question: Question) -> int:
                before = len(upstream.asked)
                await ask(here, question)
                return len(upstream.asked) - before

            steps = []
            for later in (0, 50, 11):
                clock.now += timedelta(seconds=later)
                # The same words a little later are the same question: now is another moment.
                steps.append(await asked(metrics(" up ", end=clock.now)))
            assert steps == [1, 0, 1]
            ended = metrics("rate(x[5m])", end=clock.now - timedelta(minutes=1), goes_on=False)
            steps = []
            for later in (0, 29, 2):
                clock.now += timedelta(seconds=later)
                steps.append(await asked(ended))
            assert steps == [1, 0, 1]
            old = metrics("up", end=clock.now - timedelta(days=1), goes_on=False)
            steps = []
            for later in (0, 3500, 200):
                clock.now += timedelta(seconds=later)
                steps.append(await asked(old))
            assert steps == [1, 0, 1]
            other = metrics("up", end=clock.now - timedelta(days=2), goes_on=False)
            assert (await asked(other), await asked(metrics('up{a="b  c"}')), await asked(metrics('up{a="b c"}'))) == (
                1, 1, 1,
            )  # fmt: skip

    asyncio.run(use())


def test_a_repeated_investigation_is_answered_from_what_is_kept(upstream: System, tmp_path: Path) -> None:
    """More than seven of ten questions, when the same twelve are asked four times within half a minute."""
    clock = Clock()

    async def use() -> None:
        async with asking(tmp_path, cache=Cache(300, 1 << 20, clock.seconds), clock=clock) as here:
            here.directory.added("owner", draft(upstream.url))
            for _ in range(4):
                for number in range(12):
                    await ask(here, metrics(f"up{number}", end=clock.now, hours=1 + number % 3))
                clock.now += timedelta(seconds=9)
            assert len(upstream.asked) == 12
            assert (here.answers.counts.hit_rate or 0) > 0.7

    asyncio.run(use())


def test_what_is_kept_is_bounded_and_ends_with_a_change(upstream: System, tmp_path: Path) -> None:
    """A changed connection is asked again, by another adapter; the old one is closed."""

    async def use() -> None:
        OPENED.clear()
        async with asking(tmp_path, cache=Cache(300, 20_000)) as here:
            entry = here.directory.added("owner", draft(upstream.url))
            await ask(here, metrics())
            here.directory.replaced("owner", entry.id, draft(upstream.url, description="changed"))
            await ask(here, metrics())
            assert len(upstream.asked) == 2
            assert [one.is_closed for one in OPENED] == [True, False]
            for number in range(100):
                await ask(here, metrics(f"up{number}"))
            assert here.answers.bytes <= 20_000
        assert [one.is_closed for one in OPENED] == [True, True]

    asyncio.run(use())


def test_equal_questions_are_asked_once(upstream: System, tmp_path: Path) -> None:
    """All who wait get the one answer, and the one failure; another user's connection is another one."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            for user in ("owner", "bob"):
                here.directory.added(user, draft(upstream.url))
            upstream.answer = slowly(0.3, (200, {}, series({"pod": "a"})))
            callers = ["owner"] * 5 + ["bob"] * 2
            found = await asyncio.gather(*(ask(here, metrics(), caller) for caller in callers))
            assert len(upstream.asked) == 2
            assert {one.result.series[0].labels["pod"] for one in found} == {"a"}
            assert len({one.query_id for one in found}) == 7
            assert (here.answers.counts.asked, here.answers.counts.merged) == (7, 5)
            upstream.answer = slowly(0.3, (500, {}, b"x"))
            failed = await asyncio.gather(
                *(ask(here, metrics("down")) for _ in range(3)), return_exceptions=True
            )
            assert [getattr(one, "code", None) for one in failed] == [Code.UPSTREAM_FAILED] * 3
            assert len(upstream.asked) == 3

    asyncio.run(use())


def test_one_who_leaves_ends_the_question_only_when_all_have_left(upstream: System, tmp_path: Path) -> None:
    """The system's connection is then closed, so that it can stop its work."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            here.directory.added("owner", draft(upstream.url))
            upstream.answer = slowly(0.5, (200, {}, series({"pod": "a"}) + b" " * (4 << 20)))
            first, second = (asyncio.create_task(ask(here, metrics())) for _ in range(2))
            await asyncio.to_thread(eventually, lambda: len(upstream.asked) == 1)
            first.cancel()
            assert (await second).result.series[0].labels == {"pod": "a"}
            assert not upstream.broken_off.is_set()
            last = asyncio.create_task(ask(here, metrics("other")))
            await asyncio.to_thread(eventually, lambda: len(upstream.asked) == 2)
            last.cancel()
            await asyncio.wait([last])
            assert await asyncio.to_thread(upstream.broken_off.wait, 10)

    asyncio.run(use())


def test_a_question_has_a_time(upstream: System, tmp_path: Path) -> None:
    """AC29: the connection's timeout_seconds, at which the system's connection is closed."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            here.directory.added("owner", draft(upstream.url, config={"timeout_seconds": 0.2}))
            upstream.answer = slowly(1.0, (200, {}, b" " * (4 << 20)))
            with pytest.raises(Refusal, match=r"within 0\.2 seconds") as caught:
                await ask(here, metrics())
            assert (caught.value.code, caught.value.field) == (Code.TIMEOUT, "connection")
            assert await asyncio.to_thread(upstream.broken_off.wait, 10)

    asyncio.run(use())


def test_callers_and_connections_have_limits(upstream: System, tmp_path: Path) -> None:
    """AC27: each their own; a kept answer costs the connection nothing, and the caller one question."""

    async def use() -> None:
        limits = {"callers": Limiter(1, 4), "connections": Limiter(1, 2)}
        async with asking(tmp_path, **limits) as here:
            here.directory.added("owner", draft(upstream.url))
            await ask(here, metrics("a"))
            await ask(here, metrics("b"))
            await ask(here, metrics("b"))
            refusals = []
            for _ in range(2):
                with pytest.raises(Refusal) as caught:
                    await ask(here, metrics("c"))
                refusals.append(caught.value)
            assert [one.message.partition(" no question")[0] for one in refusals] == [
                "Connection prod (plain) has", "You have",
            ]  # fmt: skip
            assert all(one.code is Code.RATE_LIMITED and one.retry_after_seconds for one in refusals)
            here.directory.added("bob", draft(upstream.url))
            assert (await ask(here, metrics("c"), "bob")).result

    asyncio.run(use())


def test_a_system_that_asks_to_wait_is_not_asked_before(upstream: System, tmp_path: Path) -> None:
    """Its own time, told to the caller; other connections are asked meanwhile."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            here.directory.added("owner", draft(upstream.url))
            here.directory.added("owner", draft(upstream.url, "second"))
            answer = upstream.answer
            upstream.answer = lambda _: (429, {"Retry-After": "600"}, b"")
            with pytest.raises(Refusal) as first:
                await ask(here, metrics())
            upstream.answer = answer
            with pytest.raises(Refusal) as second:
                await ask(here, metrics())
            assert (first.value.code, first.value.retry_after_seconds) == (Code.RATE_LIMITED, 600.0)
            assert second.value.code is Code.RATE_LIMITED
            assert 0 < (second.value.retry_after_seconds or 0) <= 600.1
            assert len(upstream.asked) == 1
            assert (await ask(here, metrics(), name="second")).result
            upstream.answer = lambda _: (429, {"Retry-After": "1"}, b"")
            with pytest.raises(Refusal):
                await ask(here, metrics("c"), name="second")
            upstream.answer = answer
            await asyncio.sleep(1.1)
            assert (await ask(here, metrics("c"), name="second")).result

    asyncio.run(use())


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((401, {}, b"no"), Code.UPSTREAM_UNAUTHORIZED, "check auth"),
        ((200, {"Content-Type": "text/html"}, b"<html>"), Code.UPSTREAM_FAILED, "is not JSON"),
        ((200, {}, b'[{"labels": 1}]'), Code.UPSTREAM_FAILED, "The adapter failed (KeyError)"),
        (
            (400, {}, b'{"error": "near jane.doe@corp.example \\u202e"}'),
            Code.INVALID_ARGUMENT,
            "The system said: ",
        ),
        ((302, {"Location": "http://127.0.0.1:9/"}, b""), Code.FORBIDDEN, "redirects to another host"),
    ],
)
def test_a_failure_is_a_refusal_that_names_the_connection(
    upstream: System, tmp_path: Path, answer: Any, code: Code, words: str
) -> None:
    """Without what is private in the system's own words; the history has it too, and nothing is kept."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            here.directory.added("owner", draft(upstream.url))
            upstream.answer = lambda _: answer
            with pytest.raises(Refusal) as caught:
                await ask(here, metrics())
            refusal = caught.value
            assert (refusal.code, refusal.message.startswith("Connection prod (plain): ")) == (code, True)
            assert words in refusal.message
            assert MAIL not in refusal.as_json()
            assert "\u202e" not in refusal.message
            (past,) = here.past("owner")
            assert (past.error_code, past.error_message, past.result_sample) == (
                code.value,
                refusal.message,
                None,
            )
            upstream.answer = lambda _: (200, {}, series({"pod": "b"}))
            assert (await ask(here, metrics())).cached_age_seconds is None

    asyncio.run(use())


def test_what_returns_is_redacted_before_it_is_kept_or_shown(upstream: System, tmp_path: Path) -> None:
    """In labels and lines, nested too; in the sample of the history and the cache there is none of it either."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            here.directory.added("owner", draft(upstream.url))
            line = {
                "time_ns": 1,
                "message": f"login of {MAIL}",
                "labels": {"user": MAIL, "password": "hunter2-x"},
            }
            upstream.answer = lambda _: (200, {}, json.dumps([line]).encode())
            request = LogsRequest(Window(NOW - timedelta(hours=1), NOW), text=MAIL)
            question = Question("logs", MAIL, request, 3600, True, "search_logs", "s")
            connection = await here.choose("owner", Signal.LOGS)

            async def call(adapter: Any) -> Any:
                return await adapter.search(request)

            for _ in range(2):
                asked = await here.ask("owner", connection, question, call)
                assert asked.result.lines[0].message == "login of [REDACTED:email]"
                assert MAIL not in repr(asked)
                assert "hunter2" not in repr(asked)
            assert MAIL not in repr(here.past("owner"))
            with pytest.raises(Refusal, match="held something private"):
                await here.again("owner", here.past("owner")[0])

    asyncio.run(use())
    for path in tmp_path.iterdir():
        assert MAIL.encode() not in path.read_bytes()


def test_a_question_of_the_history_is_run_again(upstream: System, tmp_path: Path) -> None:
    """Over the same period, as a question of its own."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            here.directory.added("owner", draft(upstream.url))
            first = await ask(here, metrics("rate(x[5m])"))
            past = here.question("owner", first.query_id)
            assert past is not None
            assert here.question("bob", first.query_id) is None
            again = await here.again("owner", past)
            assert (again.result, again.query_id != first.query_id) == (first.result, True)
            with pytest.raises(Refusal, match="There is no connection"):
                await here.again("bob", past)

    asyncio.run(use())


def test_without_a_state_the_own_store_is_still_asked(upstream: System, tmp_path: Path) -> None:
    """The question is then not in the history, and its id is empty."""

    async def use() -> None:
        folder = tmp_path / "missing"
        own = OwnStore(lambda: PlainAdapter(PLAIN.config(url=upstream.url), policy(_settings(folder))))
        async with asking(folder, own=own) as here:
            asked = await ask(here, metrics(), name="telemetry")
            assert (asked.query_id, asked.connection.reason) == ("", "named")
            assert asked.result.series
        assert not folder.exists()

    asyncio.run(use())


def test_a_sample_is_short_whatever_the_answer_is() -> None:
    """Ten results at most, and a few kilobytes; deep and long things are cut."""
    wide = [{"x" * 500: ["y" * 10_000] * 50} for _ in range(100)]
    deep: Any = "end"
    for _ in range(100):
        deep = [deep]
    for result in (wide, [deep] * 20, ["z"] * 100, {"a": 1}, None):
        shown = recording.sample(result)
        assert len(shown) <= 10
        assert len(json.dumps(shown)) <= 3 * recording.SAMPLE_BYTES
    assert recording.sample({"a": 1}) == [["a", 1]]
    assert recording.sample([float("nan"), float("-inf"), 1.5, "\ud800"]) == [None, None, 1.5, "<U+D800>"]


@pytest.mark.parametrize("query", ["a\0b", "\ud800", "x" * 50_000, "\u202e", "{" * 900])
def test_any_text_of_a_query_is_kept_in_the_history(upstream: System, tmp_path: Path, query: str) -> None:
    """Without what a database cannot keep, and cut."""

    async def use() -> None:
        async with asking(tmp_path) as here:
            here.directory.added("owner", draft(upstream.url))
            connection = await here.choose("owner", Signal.METRICS)
            request = MetricsRequest(query, Window(NOW - timedelta(hours=1), NOW), 60.0)

            async def call(_: Adapter) -> list[str]:
                return [query]

            question = Question("metrics", query, request, 3600, session=query, tool=query)
            asked = await here.ask("owner", connection, question, call)
            past = here.question("owner", asked.query_id)
            assert past is not None
            assert len(past.query_text) <= recording.TEXT
            assert past.query_text.encode()

    asyncio.run(use())


def test_every_kind_of_failure_has_a_code() -> None:
    """A new one is not forgotten."""
    assert set(CODES) == set(Kind)


def test_each_question_is_counted_by_kind_outcome_and_cache(upstream: System, tmp_path: Path) -> None:
    """As /metrics shows it; neither the connection's name nor the query is a label."""

    async def use() -> str:
        counted = WebMetrics()
        async with asking(tmp_path) as here:
            here.report_to(counted.observe_question)
            here.directory.added("owner", draft(upstream.url, "secret-name"))
            for _ in range(2):
                await ask(here, metrics("up"), name="secret-name")
            upstream.answer = lambda _: (500, {}, b"broken")
            with pytest.raises(Refusal):
                await ask(here, metrics("down"), name="secret-name")
        return bytes((await counted.scrape(Request({"type": "http"}))).body).decode()

    text = asyncio.run(use())
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    found = {name: float(value) for name, value in values.items() if "connector_questions_total" in name}
    labels = 'telemetry_web_connector_questions_total{{backend_type="plain",cache="{}",outcome="{}"}}'
    assert found == {
        labels.format("miss", "ok"): 1, labels.format("hit", "ok"): 1, labels.format("miss", "UPSTREAM_FAILED"): 1,
    }  # fmt: skip
    assert float(values['telemetry_web_connector_seconds_count{backend_type="plain"}']) == 2
    assert "secret-name" not in text
