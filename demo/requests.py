"""Requests to the model: what they cost, how long they take, and how they fail."""

from dataclasses import dataclass
from typing import Final

from demo.process import MILLISECOND, SECOND, Process
from demo.records import SpanEvent, Value
from demo.world import HAIKU, PRIVATE, Model

_CACHE_LIVES: Final = 300 * SECOND
_SYSTEM_TOKENS: Final = 16_000
_FAILS: Final = 0.008
_OVERLOADED: Final = 0.09


@dataclass(frozen=True, slots=True)
class Fault:
    """A way in which the API fails; a status of 0 is no connection."""

    status: int
    message: str
    weight: float
    attempts: int
    """The most attempts of the client."""


FAULTS: Final = (
    Fault(529, "Overloaded", 60, 11),
    Fault(429, "This request would exceed your organization's rate limit", 16, 11),
    Fault(500, "Internal server error", 10, 11),
    Fault(0, "Connection error: ECONNRESET", 7, 11),
    Fault(400, "prompt is too long: 208332 tokens > 200000 maximum; {private}", 4, 1),
    Fault(401, "Invalid API key: {private}", 3, 1),
)


@dataclass(frozen=True, slots=True)
class Asker:
    """The origin of a request to the model: the conversation, a subagent, or the client itself."""

    source: str
    """The events' query_source."""
    category: str = "main"
    """The metrics'."""
    labels: tuple[tuple[str, Value], ...] = ()
    """agent.name, skill.name, mcp_server.name and so on."""


def ask(process: Process, asker: Asker, parent: bytes, *, stops: bool, grown: int) -> str:
    """Send one request, to which `grown` tokens of conversation were added. Return its id, "" when it failed.

    `stops` says whether the response ends the turn, rather than calling a tool.
    """
    random = process.random
    model = HAIKU if asker.category == "auxiliary" and asker.source != "compact" else process.model
    span_id = process.span_id()
    start = process.clock
    if process.chance(_OVERLOADED if process.is_overloaded else _FAILS):
        _fail(process, asker, model, span_id, parent)
        return ""
    attempts = 2 if process.chance(_FAILS * 3) else 1
    received = max(8, int(random.lognormvariate(5.6, 0.9)))
    ttft = process.lognormal_ms(1400 if model.name == "claude-opus-4-8" else 800, 0.45)
    duration = ttft + received * 1000 // model.tokens_a_second + (attempts - 1) * 1100
    if asker.category == "main":
        warm = process.clock - process.cached_at < _CACHE_LIVES
        read = process.context if warm else 0
        written = grown if warm else process.context + grown
        process.context += grown + received
        process.cached_at = process.clock
    else:
        read, written = (_SYSTEM_TOKENS, grown) if process.chance(0.7) else (0, _SYSTEM_TOKENS + grown)
    sent = random.randint(2, 40)
    process.wait(duration)
    request_id = process.name("req")
    shared: dict[str, Value] = {"input_tokens": sent, "output_tokens": received}
    shared |= {"cache_read_tokens": read, "cache_creation_tokens": written}
    events = tuple(
        SpanEvent(
            start + (number * 1100 + 6) * MILLISECOND, "gen_ai.request.attempt", {"attempt": number + 1}
        )
        for number in range(attempts)
    )
    reason = "end_turn" if stops else "tool_use"
    process.span(
        *("llm_request", span_id, parent, start),
        _described(model, asker)
        | {"duration_ms": duration}
        | shared
        | {"success": True, "attempt": attempts, "request_id": request_id, "gen_ai.response.id": request_id}
        | {"ttft_ms": ttft, "stop_reason": reason, "gen_ai.response.finish_reasons": (reason,)},
        events=events,
    )
    cost = model.cost(read, written, sent, received)
    process.event(
        "api_request",
        {"model": model.name}
        | shared
        | {"cost_usd": cost / 1e9, "cost_usd_micros": round(cost / 1000), "duration_ms": duration}
        | {"request_id": request_id}
        | _sent(model, asker),
    )
    tokens = {"input": sent, "output": received, "cacheRead": read, "cacheCreation": written}
    _count(process, asker, model, cost, tokens)
    return request_id


def _fail(process: Process, asker: Asker, model: Model, span_id: bytes, parent: bytes) -> None:
    random = process.random
    weights = [fault.weight * (8 if process.is_overloaded and fault.status == 529 else 1) for fault in FAULTS]  # noqa: PLR2004
    fault = random.choices(FAULTS, weights)[0]
    attempts = fault.attempts if fault.attempts == 1 or process.chance(0.6) else random.randint(2, 5)
    start = process.clock
    events = []
    for attempt in range(1, attempts + 1):
        events.append(
            SpanEvent(process.clock + 6 * MILLISECOND, "gen_ai.request.attempt", {"attempt": attempt})
        )
        process.wait(
            process.lognormal_ms(300, 0.4) + (0 if attempt == attempts else min(500 * 2**attempt, 8000))
        )
    message = fault.message.format(private=random.choice(PRIVATE))
    duration = (process.clock - start) // MILLISECOND
    request_id = process.name("req") if fault.status else ""
    failed: dict[str, Value] = {"error": message}
    if fault.status:
        failed["status_code"] = fault.status
    ids: dict[str, Value] = {"request_id": request_id} if request_id else {}
    process.span(
        *("llm_request", span_id, parent, start),
        _described(model, asker)
        | {"duration_ms": duration, "success": False}
        | failed
        | {"attempt": attempts}
        | ids
        | ({"gen_ai.response.id": request_id} if request_id else {}),
        error=message,
        events=tuple(events),
    )
    named: dict[str, Value] = {"model": model.full_name} | failed
    process.event(
        "api_error", named | {"duration_ms": duration, "attempt": attempts} | ids | _sent(model, asker)
    )
    if attempts > 1:
        process.event(
            "api_retries_exhausted",
            named | {"total_attempts": attempts, "total_retry_duration_ms": duration} | _sent(model, asker),
        )


def _described(model: Model, asker: Asker) -> dict[str, Value]:
    return {
        "model": model.full_name,
        "gen_ai.system": "anthropic",
        "gen_ai.request.model": model.full_name,
        "llm_request.context": "tool" if asker.category == "subagent" else "interaction",
        "query_source": asker.source,
        "speed": "normal",
    }


def _sent(model: Model, asker: Asker) -> dict[str, Value]:
    values: dict[str, Value] = {"speed": "normal", "query_source": asker.source, **dict(asker.labels)}
    return values if model is HAIKU else values | {"effort": "high"}


def _count(process: Process, asker: Asker, model: Model, cost: int, tokens: dict[str, int]) -> None:
    attributes: tuple[tuple[str, Value], ...] = (
        ("model", model.full_name),
        ("query_source", asker.category),
        *asker.labels,
        *(() if model is HAIKU else (("effort", "high"),)),
    )
    process.counters.add_to(("cost.usage", attributes), cost)
    for kind, value in tokens.items():
        process.counters.add_to(("token.usage", (*attributes, ("type", kind))), value)
