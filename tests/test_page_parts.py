"""The parts of the page by themselves: filters, cells, charts, turns, rows of traces; hostile texts in all."""

import asyncio
import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from access.answer import Answer
from access.reading import Desk
from access.refusal import Code, Refusal
from access.store import Rows
from access.tail import ERROR, LATEST_DATA
from connectors.contract import Span, Trace
from web.page.cells import cell, grid
from web.page.charts import Bar, bars, share
from web.page.filters import Filters, filters_of
from web.page.live import Live
from web.page.panels import _defused, _without_gaps
from web.page.replay import EVENTS, Turn, replayed
from web.page.streaming import Part, Slots, streamed
from web.page.tail import latest
from web.page.timeline import timeline
from web.page.waterfall import SPANS, drawn

STATIC = Path(__file__).parent.parent / "web" / "page" / "static"
HTMX = "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"
BEGIN = datetime(2026, 11, 22, 9, tzinfo=UTC)
EVIL = "<script>alert(1)</script>\x1b[2J\u202e'\"&{{ 7*7 }}"
EVENT: dict[str, Any] = {
    "timestamp": BEGIN, "event_type": "api_request", "prompt_id": "p", "lane": "", "agent": "", "tool_name": "",
    "tool_use_id": "", "detail": "", "model": "m", "decision": "", "decision_source": "", "success": None,
    "failure": "", "duration_ms": 10.0, "ttft_ms": None, "result_bytes": None, "input_tokens": 5, "output_tokens": 1,
    "cache_read_tokens": None, "cache_creation_tokens": 2, "cost_usd": 0.5, "attempt": None, "status_code": None,
    "message": "", "about": "", "is_async": False,
}  # fmt: skip
ABOUT = {"session_id": "s", "started": BEGIN, "ended": BEGIN + timedelta(seconds=100)}


def event(kind: str, second: float = 0, **more: Any) -> dict[str, Any]:
    """Return an event of a session."""
    return {**EVENT, "event_type": kind, "timestamp": BEGIN + timedelta(seconds=second), **more}


@given(
    st.dictionaries(
        st.sampled_from(["period", "start", "end", "team", "user", "project", "model", "x"]),
        st.text(max_size=300),
    )
)
def test_an_address_with_its_filters_is_read_back_the_same(query: dict[str, str]) -> None:
    """Whatever is in an address: every view is a link."""
    from urllib.parse import parse_qsl  # noqa: PLC0415

    filters = filters_of(query)
    assert filters_of(dict(parse_qsl(filters.query()[1:]))) == filters


def test_what_a_person_may_see_holds_against_the_address() -> None:
    """A team in the address does not widen a role."""
    filters = filters_of({"team": "other", "user": "u"}, team="mine")
    assert (filters.team, filters.user) == ("mine", "u")


def test_a_turn_begins_with_a_prompt_and_costs_add_up() -> None:
    """An unknown cost is counted as such, and is no 0."""
    rows = [
        event("plugin_loaded"),
        event("user_prompt", 1),
        event("api_request", 2),
        event("api_request", 3, cost_usd=None),
        event("user_prompt", 4),
        event("api_request", 5, cost_usd=2.0),
    ]
    found = replayed(ABOUT, rows, [{"prompt_id": "p", "prompt": "do it"}], [])
    assert [turn.number for turn in found.turns] == [0, 1, 2]
    assert [turn.prompt for turn in found.turns] == ["", "do it", "do it"]
    assert [(turn.usd, turn.unknown_costs) for turn in found.turns] == [(0, 0), (0.5, 1), (2.0, 0)]
    assert found.turns[2].steps[-1].total_usd == 2.5
    assert found.costliest == 2
    assert found.turns[1].steps[2].usd is None
    assert found.turns[1].steps[1].tokens_in == 7


def test_a_call_has_its_decision_its_wait_and_its_lane() -> None:
    """The decision is an event of its own, the wait a span within the call's."""
    rows = [
        event("user_prompt"),
        event("tool_decision", 1, tool_use_id="t", decision="accept", decision_source="user"),
        event(
            "tool_result",
            2,
            tool_use_id="t",
            tool_name="Bash",
            success=False,
            failure="tool Bash",
            lane="a1",
            agent="Explore",
        ),
    ]
    spans = [
        {
            "span_type": "tool",
            "tool_use_id": "t",
            "trace_id": "1",
            "span_id": 7,
            "parent_span_id": 0,
            "duration_ms": 9.0,
        },
        {
            "span_type": "tool.blocked_on_user",
            "tool_use_id": "",
            "trace_id": "1",
            "span_id": 8,
            "parent_span_id": 7,
            "duration_ms": 5.0,
        },
        {
            "span_type": "interaction",
            "tool_use_id": "",
            "trace_id": "1",
            "span_id": 9,
            "parent_span_id": 0,
            "duration_ms": 5.0,
        },
    ]
    found = replayed(ABOUT, rows, [], spans)
    step = found.turns[0].steps[-1]
    assert (step.decision, step.wait_ms, step.failed, step.lane) == ("accept by user", 5.0, True, 1)
    assert found.lanes == ["session", "Explore"]
    assert (found.first_failure, found.traces) == (step.number, ["1"])


def test_a_long_session_is_shown_in_parts_that_hold_each_step_once() -> None:
    """Each step is in the part that its number asks for, and a turn that is cut is in both."""
    rows = [
        event("user_prompt" if number % 700 == 0 else "tool_result", number, prompt_id=str(number))
        for number in range(2_500)
    ]
    found = replayed(ABOUT, rows, [], [])
    numbers: list[int] = []
    step = 1
    while step <= found.steps:
        part = found.part(step)
        assert part == found.part(part.last)
        numbers += [one.number for _, steps in part.turns for one in steps]
        step = part.last + 1
    assert numbers == list(range(1, 2_501))
    assert [turn.number for turn, _ in found.part(1).turns] == [1, 2]
    assert [turn.number for turn, _ in found.part(1_001).turns] == [2, 3]
    assert found.part(10**7).last == 2_500
    assert found.first_step(3) == 1_401


def test_subagents_of_one_name_have_lanes_that_are_told_apart() -> None:
    """And a try beyond the first is said."""
    rows = [
        event("api_request", lane="a1", agent="Explore"),
        event("api_request", 1, lane="a2", agent="Explore"),
        event("api_error", 2, attempt=3, status_code=529, failure="api 529"),
        event("api_request", 3, attempt=1),
    ]
    found = replayed(ABOUT, rows, [], [])
    assert found.lanes == ["session", "Explore", "Explore 2"]
    steps = found.turns[0].steps
    assert [(step.attempt, step.status_code) for step in steps[2:]] == [(3, 529), (None, None)]


def test_the_picture_of_a_session_is_bounded_and_escaped() -> None:
    """However many events, and whatever clients call a subagent or how long they say that a step took."""
    rows = [event("user_prompt")] + [
        event(
            "tool_result",
            number * 2,
            lane=EVIL if number % 9 == 0 else "",
            agent=EVIL if number % 9 == 0 else "",
            duration_ms=1e300 if number == 7 else 500.0,
            success=number % 11 > 0,
        )
        for number in range(1, 12_000)
    ]
    rows += [event("api_request", 24_000 + number, cost_usd=0.1) for number in range(100)]
    made = timeline(replayed(ABOUT, rows, [], []))
    assert "<script" not in made
    assert 'role="group"' in made
    assert len(made) < 400_000
    places = [float(x) for x in re.findall(r'<rect class="(?:bar|failed)" x="([\d.]+)"', made)]
    assert places
    assert all(100 <= x <= 1_000 for x in places)
    assert timeline(replayed(ABOUT, [event("user_prompt")], [], [])) == ""


def test_the_latest_events_say_what_failed() -> None:
    """A row in words, for what the store has of it; hostile texts are text."""
    columns = ("type", "timestamp", "event", *LATEST_DATA)
    values = dict.fromkeys(columns) | {
        "type": ERROR, "timestamp": BEGIN, "event": "tool_result", "session_id": EVIL, "tool": EVIL,
        "mcp_server": EVIL, "failure": "tool Bash", "message": EVIL, "tokens_in": 0, "tokens_out": 5,
    }  # fmt: skip
    (found,) = latest(Answer(columns, [tuple(values.values())]))
    assert (found.outcome, found.tokens, found.ms) == ("failed", 5, None)
    assert found.message.startswith("tool Bash ")
    assert "\x1b" not in found.message + found.session + found.name


def test_a_view_begins_before_its_questions_are_answered() -> None:
    """Its head comes while they wait; then each part in its place, and what fails says so in its own."""
    slots, answered = Slots(), threading.Event()

    def slow() -> str:
        assert answered.wait(30)
        return "slow"

    def wrong() -> str:
        raise LookupError("hunter2")

    parts = {
        "a": Part((slow, slow), "+".join),
        "b": Part((wrong,), str),
        "c": Part((lambda: EVIL,), lambda found: f"({found[0]})"),
    }
    view = f"head {slots.slot('a')} then {slots.slot('b')} {slots.slot('c')} {Slots().slot('a')[:32]}<a> end"

    async def read() -> list[str]:
        texts = streamed(slots.split(view), parts, lambda error: f"[{type(error).__name__}]")
        first = await anext(texts)
        assert not answered.is_set()
        answered.set()
        return [first, *[text async for text in texts]]

    found = asyncio.run(read())
    assert found[0] == "head "
    assert found[1:6] == ["slow+slow", " then ", "[LookupError]", " ", f"({EVIL})"]
    assert found[6].endswith("<a> end")


def test_many_subagents_share_the_last_lane() -> None:
    """A session with a thousand of them is still read."""
    rows = [event("api_request", lane=f"a{number}", agent=f"agent {number}") for number in range(1_000)]
    found = replayed(ABOUT, rows, [], [])
    assert len(found.lanes) == 9
    assert max(step.lane for step in found.turns[0].steps) == 8


def test_a_session_of_more_events_than_are_shown_says_so() -> None:
    """The first ones are shown."""
    found = replayed(ABOUT, [event("api_request")] * (EVENTS + 1), [], [])
    assert found.steps == EVENTS
    assert (found.shown, found.has_more) == (EVENTS, True)


def test_a_long_trace_is_drawn_in_parts() -> None:
    """Ten thousand spans: a part of them at a time, each within the width."""
    spans = [
        Span(
            "1" * 32,
            f"{number:016x}",
            "" if not number else f"{0:016x}",
            "work",
            "s",
            number * 1_000,
            10_000_000,
        )
        for number in range(10_000)
    ]
    found = drawn(Trace("1" * 32, spans), "telemetry", SPANS)
    assert len(found.rows) == SPANS
    assert all(0 <= row.left <= 100 and row.left + row.width <= 100.01 for row in found.rows)


@pytest.mark.parametrize("value", [EVIL, 1, 2.5, True, None, BEGIN, float("nan"), {"a": EVIL}, [EVIL]])
def test_no_value_becomes_markup(value: Any) -> None:
    """In a cell, its title and its link, whatever the column's name."""
    for name in ("user", "session", "trace", "usd", "percent", "ms", "category"):
        shown = cell(name, value, Filters())
        text = (
            Environment(autoescape=True)
            .from_string('<td title="{{ c.title }}"><a href="{{ c.href }}">{{ c.text }}</a>')
            .render(c=shown)
        )
        assert "<script" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert not shown.href.startswith(("javascript", "//", "http"))


def test_a_chart_escapes_its_texts_and_says_what_it_shows() -> None:
    """A screen reader gets the title, the number of steps and the peak."""
    made = bars(EVIL, [Bar(EVIL, 1.0, EVIL), Bar("b", 3.0, "three")], EVIL)
    assert "<script" not in made
    assert 'role="img"' in made
    assert "three" in made
    assert bars("none", []) == ""
    assert share(None) == ""
    assert 'width="100.0"' in share(1e9)


def test_steps_without_anything_are_drawn_as_gaps() -> None:
    """A chart of hours has each hour of its period."""
    found = _without_gaps({BEGIN: 1.0, BEGIN + timedelta(hours=3): 2.0})
    assert [value for _, value in found] == [1.0, 0.0, 0.0, 2.0]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@a", "\t=1", "＝1"])  # noqa: RUF001  as spreadsheets read them
def test_a_file_has_no_formula(text: str) -> None:
    """A spreadsheet opens it as text."""
    assert _defused(text) == f"'{text}"
    assert _defused(-1.5) == -1.5


def test_a_table_has_what_its_columns_mean() -> None:
    """Numbers are aligned, and sorted by their value."""
    answer = Answer(("session", "usd"), [("abc", 1.5), ("def", None)])
    made = grid(answer, {"usd": "dollars"}, Filters(), bar="usd")
    assert made.columns == (("session", "", False), ("usd", "dollars", True))
    assert made.rows[0][1].sort == "1.5"
    assert made.rows[1][1].text == "-"
    assert replace(Filters(), team="x").query() == "?team=x"


def test_htmx_is_the_file_that_was_published() -> None:
    """htmx.org 4.0.1 of npm, dist/htmx.min.js, unchanged."""
    assert hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest() == HTMX


class Arriving:
    """A store in which something arrives between any two looks. Nothing else is asked of it here."""

    def __init__(self) -> None:
        self.looks = 0

    def rows(self, *_: Any, **__: Any) -> Rows:
        """Return the number of the newest insert."""
        self.looks += 1
        return Rows(("block", "engine"), ("UInt64", "String"), [(self.looks, "MergeTree")])

    def stream(self, *_: Any) -> Iterator[bytes]:
        """Refuse to be asked in another way."""
        raise NotImplementedError


def test_a_part_is_made_once_for_all_who_may_see_the_same() -> None:
    """However many ask, one who leaves among them; a part of other keys is another, and a failure is not kept."""

    async def run() -> None:
        live, begun, goes_on = Live(Desk(Arriving())), [], asyncio.Event()

        async def make(name: str) -> str:
            begun.append(name)
            await goes_on.wait()
            return f"what {name} sees"

        async def fail() -> str:
            raise Refusal(Code.TIMEOUT, "too long")

        many = [asyncio.create_task(live.shared(("now", "", "a"), partial(make, "a"))) for _ in range(50)]
        other = asyncio.create_task(live.shared(("now", "", "b"), partial(make, "b")))
        while len(begun) < 2:  # noqa: ASYNC110  another task
            await asyncio.sleep(0)
        many.pop(0).cancel()
        goes_on.set()
        assert set(await asyncio.gather(*many)) == {"what a sees"}
        assert await other == "what b sees"
        assert begun == ["a", "b"]
        with pytest.raises(Refusal):
            await live.shared(("wrong",), fail)
        assert await live.shared(("wrong",), partial(make, "again")) == "what again sees"

    asyncio.run(run())


def test_pages_are_not_told_again_while_they_are_answered() -> None:
    """However fast data arrives: what viewers ask is done before they are told to ask again."""

    async def run() -> None:
        store, done = Arriving(), asyncio.Event()
        live = Live(Desk(store), seconds=0.001)
        lines = live.events()
        assert await anext(lines) == "retry: 3000\n\n"
        assert (await anext(lines)).startswith("event: fresh")
        asked = asyncio.create_task(live.shared(("now",), done.wait))
        await asyncio.sleep(0)
        looks = store.looks
        # More than enough for a thousand looks, and less than the longest rest.
        await asyncio.sleep(1.5)
        assert store.looks <= looks + 2
        done.set()
        assert await asked
        async with asyncio.timeout(60):
            while store.looks <= looks + 2:
                await anext(lines)
        await lines.aclose()  # type: ignore[attr-defined]  a generator

    asyncio.run(run())


def test_a_prompt_that_cannot_be_read_says_why() -> None:
    """One that the client did not send, and one that is kept as a hash."""
    hashed = Turn(1, "hmac-sha256:" + "7" * 64, BEGIN)
    assert ("--content prompts" in Turn(1, "<REDACTED>", BEGIN).unread, "hash" in hashed.unread) == (
        True,
        True,
    )
    assert (Turn(1, "Mend it", BEGIN).unread, Turn(1, "", BEGIN).unread) == ("", "")


def test_the_end_of_a_subagent_in_the_background_is_no_persons_prompt() -> None:
    """It is told by its text where that is sent, else by when it comes; a subagent that was waited for has none."""
    rows = [
        event("user_prompt", prompt_id="a"),
        event("subagent_completed", 1, is_async=True),
        event("user_prompt", 1.2, prompt_id="b"),
        event("subagent_completed", 5),
        event("user_prompt", 5.2, prompt_id="c"),
        event("subagent_completed", 9, is_async=True),
        event("user_prompt", 60, prompt_id="d"),
        event("user_prompt", 80, prompt_id="e"),
    ]
    texts = [{"prompt_id": "e", "prompt": "<task-notification> <task-id>7</task-id>"}]
    found = replayed(ABOUT, rows, texts, [])
    assert [turn.is_note for turn in found.turns] == [False, True, False, False, True]
    assert [turn.number for turn in found.turns] == [1, 2, 3, 4, 5]
