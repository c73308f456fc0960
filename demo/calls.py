"""Calls of tools: permission, hooks, the run itself, and its changes."""

from typing import Final

from demo.process import MILLISECOND, Process
from demo.records import SpanEvent, Value
from demo.requests import Asker, ask
from demo.tools import Call, draw, fails, message

_REJECTS: Final = 0.06
_HOOK_BLOCKS: Final = 0.03


def run(process: Process, made: Call, parent: bytes, *, failing: bool = False) -> bool:
    """Call a tool and send all that the client reports about it. Return whether it ran.

    `failing` makes it fail if it can.
    """
    tool, random = made.tool, process.random
    tool_id = process.span_id()
    use_id = process.name("toolu")
    start = process.clock
    ids: dict[str, Value] = {"tool_use_id": use_id, "gen_ai.tool.call.id": use_id}
    decision, source = _decide(process, made)
    blocked_id = process.span_id()
    process.span(
        *("tool.blocked_on_user", blocked_id, tool_id, start),
        {"duration_ms": (process.clock - start) // MILLISECOND, "decision": decision, "source": source},
    )
    process.event(
        "tool_decision",
        {"decision": decision, "source": source, "tool_use_id": use_id} | made.labels,
        blocked_id,
    )
    if tool.edits:
        process.counters.add(
            "code_edit_tool.decision",
            1,
            decision=decision,
            source=source,
            tool_name=tool.name,
            language=process.person.team.language,
        )
    described = {"tool_name": tool.name} | made.span | ids
    if decision == "reject":
        process.span(
            "tool", tool_id, parent, start, described | {"duration_ms": _since(process, start)}, None
        )
        return False
    begun = process.clock
    if made.tool.name == "Task":
        _delegate(process, made.kind, tool_id)
    else:
        process.wait(process.lognormal_ms(tool.median_ms, tool.spread))
    failure = tool.failures[0] if failing and tool.failures else fails(random, process.person, tool)
    text = message(random, process.person, failure) if failure else None
    duration = _since(process, begun)
    result: dict[str, Value] = {"tool_use_id": use_id, "success": "false" if failure else "true"}
    result |= {"duration_ms": str(duration)} | made.labels
    if failure and text:
        result |= {"error_type": failure.error_type, "error": text}
    result |= {"decision_type": decision, "decision_source": source, "tool_input": made.input}
    result["tool_input_size_bytes"] = str(len(made.input))
    if not failure:
        result["tool_result_size_bytes"] = str(process.lognormal_ms(900, 1.3))
    execution: dict[str, Value] = {"duration_ms": duration, "success": not failure} | ids
    process.span(
        *("tool.execution", process.span_id(), tool_id, begun),
        execution | ({"error": text} if text else {}),
        text,
    )
    output = SpanEvent(process.clock, "tool.output", {"output": f"output of {tool.name}", **made.span})
    process.span(
        *("tool", tool_id, parent, start),
        described | {"duration_ms": _since(process, start)},
        events=() if failure else (output,),
    )
    process.event("tool_result", result)
    if not failure:
        _change(process, made)
    return True


def _since(process: Process, start: int) -> int:
    return (process.clock - start) // MILLISECOND


def _decide(process: Process, made: Call) -> tuple[str, str]:
    """Return the decision of hooks or people, and its source; time passes meanwhile."""
    person = process.person
    if person.is_careful and made.tool.asks and process.chance(0.5):
        blocks = process.chance(_HOOK_BLOCKS)
        hook(process, "PreToolUse", made.tool.name, blocks=blocks)
        if blocks:
            return "reject", "hook"
    if not (person.is_careful and made.tool.asks) or process.chance(0.6):
        process.wait(process.random.randint(1, 6))
        return "accept", "config"
    process.wait(process.lognormal_ms(6_000, 1.1))
    process.counters.add("active_time.total", 1500, type="user")
    if process.chance(_REJECTS):
        return "reject", "user_abort" if process.chance(0.3) else "user_reject"
    return "accept", "user_permanent" if process.chance(0.2) else "user_temporary"


def hook(process: Process, event: str, matcher: str = "", *, blocks: bool = False) -> None:
    """Run a hook; `matcher` is the tool it is for."""
    name = f"{event}:{matcher}" if matcher else event
    about: dict[str, Value] = {"hook_event": event, "hook_name": name, "num_hooks": "1"}
    more: dict[str, Value] = {"managed_only": "false", "hook_source": "merged"}
    process.event("hook_execution_start", about | more)
    duration = process.lognormal_ms(120, 0.9)
    process.wait(duration)
    fault = not blocks and process.chance(0.02)
    process.event(
        "hook_execution_complete",
        about
        | {"num_success": str(int(not blocks and not fault)), "num_blocking": str(int(blocks))}
        | {
            "num_non_blocking_error": str(int(fault)),
            "num_cancelled": "0",
            "total_duration_ms": str(duration),
        }
        | more,
    )


def _delegate(process: Process, kind: str, parent: bytes) -> None:
    """Run a subagent, which asks the model and calls tools, below the call that started it."""
    random = process.random
    begun = process.clock
    asker = Asker(f"agent:builtin:{kind}", "subagent", (("agent.name", kind),))
    rounds = random.randint(2, 6)
    used = 0
    for number in range(rounds):
        if not ask(process, asker, parent, stops=number == rounds - 1, grown=random.randint(300, 6_000)):
            break
        if number < rounds - 1:
            inner = draw(random, process.person)
            if inner.tool.name in {"Task", "Skill"}:
                continue
            used += run(process, inner, parent)
    process.event(
        "subagent_completed",
        {"agent_type": kind, "agent.source": "built-in", "is_built_in": "true", "is_async": "false"}
        | {"total_tokens": random.randint(9_000, 60_000), "total_tool_uses": used}
        | {"duration_ms": _since(process, begun), "model": process.model.name},
        parent,
    )


def _change(process: Process, made: Call) -> None:
    """Count the lines, commits and pull requests that a call made."""
    counters, random = process.counters, process.random
    if made.tool.edits:
        model = process.model.name
        counters.add("lines_of_code.count", random.randint(1, 60), type="added", model=model)
        counters.add("lines_of_code.count", random.randint(0, 20), type="removed", model=model)
    if made.is_commit:
        counters.add("commit.count", 1)
    if made.is_pull_request:
        counters.add("pull_request.count", 1)


def repeat(process: Process, asker: Asker, parent: bytes, made: Call, *, failing: bool) -> None:
    """Make the same call several times without success, which wastes money."""
    for _ in range(process.random.randint(3, 6)):
        if not ask(process, asker, parent, stops=False, grown=process.random.randint(200, 2_000)):
            return
        run(process, made, parent, failing=failing)
