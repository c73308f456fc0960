"""A session as it went: a turn for each prompt, with its steps in order, what each cost, and the cost so far.

A step of a subagent is in that subagent's lane. A tool's decision and its wait for a person belong to its call. Hooks'
beginnings and other events that only begin something are left out: their ends say all.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from access.ids import whole_in
from access.reading import Reading, statement
from access.refusal import unknown
from web.page.cells import is_hash
from web.roles import ALL, Role

EVENTS: Final = 20_000
"""Events of a session that are read; its export has them all."""
STEPS: Final = 1_000
"""Steps on one view."""
_LANES: Final = 8
_NOT_SENT: Final = "<REDACTED>"
"""What the client sends in place of a text that it is not to send."""
_NOTE: Final = "<task-notification>"
_AT_ONCE: Final = timedelta(seconds=1)
"""No person reads an answer and asks on in that time. Where the text is not sent, nothing else tells the two apart."""
_QUIET: Final = frozenset({"hook_execution_start", "tool_decision", "api_request_body", "api_response_body"})
_KINDS: Final[Mapping[str, str]] = {
    "user_prompt": "prompt",
    "api_request": "request",
    "api_error": "error",
    "api_retries_exhausted": "error",
    "internal_error": "error",
    "tool_result": "tool",
    "hook_execution_complete": "hook",
    "compaction": "compaction",
    "subagent_completed": "agent",
    "mcp_server_connection": "connection",
    "permission_mode_changed": "mode",
    "assistant_response": "answer",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened."""

    number: int
    time: datetime
    kind: str
    name: str
    detail: str
    lane: int
    """0 is the session's own, from 1 on subagents."""
    failed: bool
    decision: str
    wait_ms: float | None
    ms: float | None
    result_bytes: int | None
    tokens_in: int | None
    tokens_out: int | None
    first_token_ms: float | None
    attempt: int | None
    """Which try it was, where there was more than one."""
    status_code: int | None
    usd: float | None
    total_usd: float
    """What the session had cost when this had ended, as far as costs are known."""
    message: str


@dataclass(slots=True)
class Turn:
    """A prompt and all that followed from it."""

    number: int
    prompt: str
    time: datetime
    steps: list[Step] = field(default_factory=list)
    is_note: bool = False
    """It began by no person: the client told the model that a subagent in the background had ended."""
    usd: float = 0.0
    unknown_costs: int = 0
    failures: int = 0

    @property
    def seconds(self) -> float:
        """From the prompt to the last step."""
        return (self.steps[-1].time - self.time).total_seconds() if self.steps else 0.0

    @property
    def total_usd(self) -> float:
        """What the session had cost when this turn had ended, as far as costs are known."""
        return self.steps[-1].total_usd if self.steps else 0.0

    @property
    def unread(self) -> str:
        """Why the prompt's text cannot be read, where it cannot."""
        if self.prompt == _NOT_SENT:
            return (
                "The client did not send this prompt's text: telemetry setup --content prompts has it sent."
            )
        return "This prompt's text is kept as a hash, by the privacy rules." if is_hash(self.prompt) else ""

    def count(self, kind: str) -> int:
        """Return how many steps are of a kind."""
        return sum(step.kind == kind for step in self.steps)


@dataclass(frozen=True, slots=True)
class Replay:
    """A whole session."""

    about: Mapping[str, Any]
    turns: Sequence[Turn]
    lanes: Sequence[str]
    """The names of the lanes, the session's own first."""
    traces: Sequence[str]
    shown: int
    """Events that were read."""
    has_more: bool
    first_failure: int | None
    """The number of the step."""
    costliest: int | None
    """The number of the turn."""

    @property
    def steps(self) -> int:
        """How many steps there are."""
        return sum(len(turn.steps) for turn in self.turns)

    def part(self, step: int) -> "Part":
        """Return the part, of STEPS steps, that has the step of this number."""
        begin = (min(max(step, 1), max(self.steps, 1)) - 1) // STEPS * STEPS
        found = []
        for turn in self.turns:
            steps = [one for one in turn.steps if begin < one.number <= begin + STEPS]
            if steps:
                found.append((turn, steps))
        return Part(begin + 1, min(begin + STEPS, self.steps), found)

    def first_step(self, turn: int) -> int:
        """Return the number of a turn's first step."""
        return next((one.steps[0].number for one in self.turns if one.number == turn and one.steps), 1)


@dataclass(frozen=True, slots=True)
class Part:
    """What one view shows of a session: its first and last step, and the turns, each with its steps that are shown."""

    first: int
    last: int
    turns: Sequence[tuple[Turn, Sequence[Step]]]


def whose(reading: Reading, session: str, role: Role) -> dict[str, Any]:
    """Return what a session was. Raises Refusal when there is none of this id, or it is not for this person."""
    reading.admit()
    whole = named(reading, session, role)
    found = reading.store.rows(statement("replay_session"), {"session": whole}).dicts()
    if not found or not role.sees(found[0]["team"], found[0]["user"]):
        raise unknown("session", session, [], "id")
    return found[0]


def named(reading: Reading, session: str, role: Role = ALL) -> str:
    """Return the whole id of a session. Raises Refusal for a short form of several, to those who may see them all."""
    return whole_in(reading.store, "session", session) if role.sees_all else session


def exported(reading: Reading, session: str, role: Role = ALL) -> Iterator[bytes]:
    """Yield a session as lines of JSON: what it was, its prompts as they are kept, then each event. Raises Refusal.

    It is refused, or its first line is made, before anything is yielded.
    """
    about = whose(reading, session, role)
    values = {"session": about["session_id"]}
    prompts = reading.store.rows(statement("replay_prompts"), values).dicts()
    whole = reading.store.stream(statement("replay"), values | {"limit": str(1 << 62)}, "JSONEachRow")

    def lines() -> Iterator[bytes]:
        yield orjson.dumps({"session": about}, option=orjson.OPT_APPEND_NEWLINE)
        for prompt in prompts:
            yield orjson.dumps({"prompt": prompt}, option=orjson.OPT_APPEND_NEWLINE)
        yield from whole

    return lines()


def replay(reading: Reading, about: Mapping[str, Any]) -> Replay:
    """Return how a session went, of which `whose` says what it was. Raises Refusal."""
    values = {"session": about["session_id"]}

    def rows(name: str, **more: str) -> list[dict[str, Any]]:
        return reading.store.rows(statement(name), values | more).dicts()

    # Three statements side by side: they read different tables.
    with ThreadPoolExecutor(2) as threads:
        prompts = threads.submit(rows, "replay_prompts")
        spans = threads.submit(rows, "replay_waits")
        events = rows("replay", limit=str(EVENTS + 1))
        return replayed(about, events, prompts.result(), spans.result())


def replayed(
    about: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    prompts: Sequence[Mapping[str, Any]],
    spans: Sequence[Mapping[str, Any]],
) -> Replay:
    """Return the session that these rows tell of."""
    texts = {row["prompt_id"]: row["prompt"] for row in prompts}
    waits = _waits(spans)
    decisions = {row["tool_use_id"]: _decision(row) for row in rows if row["event_type"] == "tool_decision"}
    lanes = _Lanes()
    turns: list[Turn] = []
    total, number, has_start = 0.0, 0, False
    ended: datetime | None = None
    for row in rows[:EVENTS]:
        kind = row["event_type"]
        if kind in _QUIET:
            continue
        if kind == "user_prompt" or not turns:
            text = texts.get(row["prompt_id"], "") if kind == "user_prompt" else ""
            # Turn 0 is all before the first prompt.
            turns.append(Turn(len(turns) + (kind == "user_prompt") - has_start, text, row["timestamp"]))
            has_start |= kind != "user_prompt"
            turns[-1].is_note = text.startswith(_NOTE) or _follows(ended, row)
        if kind == "subagent_completed" and row["is_async"]:
            ended = row["timestamp"]
        turn = turns[-1]
        number += 1
        if kind == "api_request":
            if row["cost_usd"] is None:
                turn.unknown_costs += 1
            else:
                total += row["cost_usd"]
                turn.usd += row["cost_usd"]
        failed = row["failure"] != "" or row["success"] is False
        turn.failures += failed
        turn.steps.append(
            Step(
                number,
                row["timestamp"],
                _KINDS.get(kind, "other"),
                _name(row),
                _detail(row),
                lanes.place(row["lane"], row["agent"]),
                failed,
                decisions.get(row["tool_use_id"], "") if kind == "tool_result" else _decision(row),
                waits.get(row["tool_use_id"]) if row["tool_use_id"] else None,
                row["duration_ms"],
                row["result_bytes"],
                _sum(row["input_tokens"], row["cache_read_tokens"], row["cache_creation_tokens"]),
                row["output_tokens"],
                row["ttft_ms"],
                row["attempt"] if (row["attempt"] or 0) > 1 else None,
                row["status_code"],
                row["cost_usd"] if kind == "api_request" else None,
                total,
                row["message"],
            )
        )
    steps = [step for turn in turns for step in turn.steps]
    return Replay(
        about,
        turns,
        lanes.names,
        list(dict.fromkeys(span["trace_id"] for span in spans if span["span_type"] == "interaction")),
        min(len(rows), EVENTS),
        len(rows) > EVENTS,
        next((step.number for step in steps if step.failed), None),
        max(turns, key=lambda turn: turn.usd).number if any(turn.usd for turn in turns) else None,
    )


def _follows(ended: datetime | None, row: Mapping[str, Any]) -> bool:
    """Whether this is what the client asks at once when a subagent has ended in the background."""
    is_prompt = row["event_type"] == "user_prompt"
    return is_prompt and ended is not None and row["timestamp"] - ended <= _AT_ONCE


class _Lanes:
    """The lanes in the order in which they were met; the last is for all further ones."""

    def __init__(self) -> None:
        self.names = ["session"]
        self._places = {"": 0}

    def place(self, lane: str, name: str) -> int:
        """Return a lane's place."""
        if lane not in self._places:
            if len(self.names) < _LANES:
                alike = sum(one == name or one.startswith(f"{name} ") for one in self.names[1:])
                self.names.append(f"{name} {alike + 1}" if name and alike else name or lane)
            elif len(self.names) == _LANES:
                self.names.append("further subagents")
            self._places[lane] = min(len(self.names) - 1, _LANES)
        return self._places[lane]


def _waits(spans: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return how long each tool call waited for a person, by the call's id: the wait is a span within the tool's."""
    calls = {span["span_id"]: span["tool_use_id"] for span in spans if span["span_type"] == "tool"}
    found: dict[str, float] = {}
    for span in spans:
        if span["span_type"] == "tool.blocked_on_user" and span["duration_ms"] is not None:
            call = span["tool_use_id"] or calls.get(span["parent_span_id"], "")
            if call:
                found[call] = found.get(call, 0.0) + span["duration_ms"]
    return found


def _name(row: Mapping[str, Any]) -> str:
    return str(row["tool_name"] or row["model"] or row["event_type"].replace("_", " "))


def _detail(row: Mapping[str, Any]) -> str:
    return str(row["detail"] or row["about"] or row["failure"] or "")


def _decision(row: Mapping[str, Any]) -> str:
    if not row["decision"]:
        return ""
    return (
        f"{row['decision']} by {row['decision_source']}" if row["decision_source"] else str(row["decision"])
    )


def _sum(*counts: int | None) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
