"""The course of a session: its start, its prompts one after the other, and the events between them."""

from random import Random
from typing import Final

from demo.calls import hook, repeat, run
from demo.process import Process, TimeUpError
from demo.records import Record, Value
from demo.requests import Asker, ask
from demo.schedule import Visit
from demo.tools import BASH, READ, call, draw, sentence
from demo.world import Model

_KEEP_GOING: Final = 0.82
_TRIES_AGAIN: Final = 0.5
"""How often a person continues after a prompt without a response."""
_LIMIT_SHARE: Final = 0.8
_MODES: Final = (
    ("default", "acceptEdits", "shift_tab", 10),
    ("default", "plan", "shift_tab", 7),
    ("plan", "default", "exit_plan_mode", 7),
    ("default", "bypassPermissions", "shift_tab", 1),
)


def play(
    random: Random, visit: Visit, until: int, *, model: Model, is_overloaded: bool, down: frozenset[str]
) -> list[Record]:
    """Return all records of one process, in their order, up to `until` (Unix nanoseconds)."""
    process = Process(random, visit, until, model, is_overloaded, down)
    try:
        _begin(process)
        prompts = 1 if visit.person.is_program else 1 + min(int(random.expovariate(1 / 4)), 40)
        for number in range(prompts):
            if number:
                process.wait(process.lognormal_ms(70_000, 1.2))
                process.counters.add("active_time.total", random.randint(2_000, 20_000), type="user")
            goes_on = _prompt(process, number + 1)
            process.export()
            if not goes_on:
                break
            _between(process)
    except TimeUpError:
        pass
    process.export()
    return process.records


def _begin(process: Process) -> None:
    person = process.person
    process.counters.add("session.count", 1, start_type=process.visit.start_type)
    process.context = 16_000
    if process.chance(0.01):
        failed: dict[str, Value] = {"error_category": "network", "status_code": "503"}
        bad = process.chance(0.2)
        process.event(
            "auth",
            {"action": "login", "success": "false" if bad else "true", "auth_method": "oauth"}
            | (failed if bad else {}),
        )
    process.wait(40)
    plugins = ("demo-formatter", "demo-linter")[: process.random.randrange(3)]
    for plugin in plugins:
        process.event(
            "plugin_loaded",
            {"plugin.name": plugin, "marketplace.name": "demo-market", "plugin.version": "1.2.0"}
            | {
                "plugin.scope": "user-local",
                "enabled_via": "user-install",
                "has_hooks": False,
                "has_mcp": False,
            },
        )
    if person.is_careful:
        for event in ("PreToolUse", "UserPromptSubmit"):
            process.event(
                "hook_registered",
                {"hook_event": event, "hook_type": "command", "hook_source": "projectSettings"},
            )
    for server in person.servers:
        _connect(process, server)


def _connect(process: Process, server: str) -> None:
    is_down = server in process.down or process.chance(0.02)
    duration = process.lognormal_ms(30_000 if is_down else 420, 0.3)
    process.wait(duration / 20)
    values: dict[str, Value] = {
        "status": "failed" if is_down else "connected",
        "transport_type": "stdio" if server == "demo-browser" else "http",
        "server_scope": "project",
        "server_name": server,
        "duration_ms": str(duration),
    }
    if is_down:
        values |= {"error_code": "ETIMEDOUT", "error": f"connect ETIMEDOUT https://{server}.demo.invalid"}
    process.event("mcp_server_connection", values)


def _prompt(process: Process, number: int) -> bool:
    """Work on one prompt. Return whether another one may follow."""
    random, person = process.random, process.person
    process.trace_id = random.randbytes(16)
    process.interaction_id = root = process.span_id()
    process.prompt_id = process.uuid()
    start = process.clock
    text = sentence(random)
    command: dict[str, Value] = {}
    if process.chance(0.04):
        command = {"command_name": "review", "command_source": "custom"}
    process.event("user_prompt", {"prompt_length": str(len(text)), "prompt": text} | command)
    if process.chance(0.08):
        found = "false" if process.chance(0.1) else "true"
        process.event("at_mention", {"mention_type": "file", "success": found})
    if person.is_careful:
        hook(process, "UserPromptSubmit")
    asker = _asker(process)
    if process.chance(0.3):
        title = Asker("generate_session_title", "auxiliary")
        ask(process, title, root, stops=True, grown=random.randint(50, 400))
    grown = random.randint(200, 2_500)
    while True:
        stops = random.random() > _KEEP_GOING
        answered = ask(process, asker, root, stops=stops, grown=grown)
        if not answered:
            if process.chance(0.3):
                break
            process.wait(process.lognormal_ms(9_000, 0.6))
            continue
        if stops:
            break
        asker, grown = _work(process, root)
    if answered:
        reply: dict[str, Value] = {
            "response_length": len(text),
            "response": f"Done: {text}",
            "request_id": answered,
        }
        about: dict[str, Value] = {"model": process.model.name, "query_source": asker.source}
        process.event("assistant_response", reply | about)
    duration = (process.clock - start) // 1_000_000
    process.counters.add("active_time.total", duration, type="cli")
    whole: dict[str, Value] = {"user_prompt": text, "user_prompt_length": len(text)}
    whole |= {"interaction.sequence": number, "interaction.duration_ms": duration}
    process.span("interaction", root, b"", start, whole)
    return bool(answered) or process.chance(_TRIES_AGAIN)


def _work(process: Process, root: bytes) -> tuple[Asker, int]:
    """Call tools after a response that asked for them. Return who asks next, and the tokens that are added."""
    random, person = process.random, process.person
    if process.chance(0.006):
        repeat(process, _asker(process), root, call(random, person, BASH), failing=True)
    if process.chance(0.01):
        repeat(process, _asker(process), root, call(random, person, READ), failing=False)
    made = draw(random, person)
    for _ in range(1 if process.chance(0.75) else random.randint(1, 3)):
        made = draw(random, person)
        if made.tool.name == "Skill":
            process.event(
                "skill_activated",
                {
                    "skill.name": made.kind,
                    "invocation_trigger": "claude-proactive",
                    "skill.source": "projectSettings",
                },
            )
        run(process, made, root)
    return _asker(process, made.tool.server or made.kind, made.tool.name), random.randint(150, 4_500)


def _asker(process: Process, kind: str = "", tool: str = "") -> Asker:
    source = "sdk" if process.person.is_program else "repl_main_thread"
    if tool.startswith("mcp__"):
        return Asker(source, "main", (("mcp_server.name", kind), ("mcp_tool.name", tool.split("__", 2)[2])))
    if tool == "Skill":
        return Asker(source, "main", (("skill.name", kind),))
    return Asker(source)


def _between(process: Process) -> None:
    """Send the events between two prompts: compaction, changes of mode, rare ones."""
    random = process.random
    if process.context > process.model.context * _LIMIT_SHARE or process.chance(0.004):
        _compact(process)
    if process.chance(0.05):
        modes = random.choices(_MODES, [weight for *_, weight in _MODES])[0]
        process.event(
            "permission_mode_changed", {"from_mode": modes[0], "to_mode": modes[1], "trigger": modes[2]}
        )
    if process.chance(0.002):
        process.event("internal_error", {"error_name": "TypeError", "error_code": "ENOENT"})
    if process.chance(0.004):
        official = process.chance(0.5)
        process.event(
            "plugin_installed",
            {"marketplace.is_official": "true" if official else "false", "install.trigger": "cli"}
            | {"plugin.name": "demo-linter", "plugin.version": "1.2.0"}
            | {"marketplace.name": "demo-official" if official else "demo-flea-market"},
        )
    if process.chance(0.004):
        process.event(
            "feedback_survey",
            {"event_type": "responded", "appearance_id": process.uuid(), "survey_type": "session"}
            | {"response": random.choice(("good", "fine", "bad"))},
        )


def _compact(process: Process) -> None:
    before = process.context
    limit = process.model.context * _LIMIT_SHARE
    start = process.clock
    ok = ask(
        process, Asker("compact", "auxiliary"), process.interaction_id, stops=True, grown=min(before, 90_000)
    )
    if ok:
        process.context = 22_000
    process.event(
        "compaction",
        {"trigger": "auto" if before > limit else "manual", "success": "true" if ok else "false"}
        | {"duration_ms": (process.clock - start) // 1_000_000, "pre_tokens": before}
        | {"post_tokens": process.context}
        | ({} if ok else {"error": "Overloaded"}),
    )
