"""Transcripts with the traps of their format, written for a test, and an independent count over the files.

The count is the plainest that is right: each response once, by its ids, with the largest of its numbers.
"""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

MODEL = "claude-sonnet-4-6"
SESSION, RESUMED = "5e551040-0000-4000-8000-000000000001", "5e551040-0000-4000-8000-000000000002"
SECRETS = ("jane.doe@example.com", "hunter2-correct-horse", "/home/jane/secret-project")


def line(kind: str, number: int, day: int = 1, session: str = SESSION, **more: Any) -> dict[str, Any]:
    """Return a line's envelope; `number` orders the lines of a day."""
    return {
        "type": kind, "uuid": f"00000000-0000-4000-8000-{day:04}{number:08}", "parentUuid": None, "isSidechain": False,
        "sessionId": session, "timestamp": f"2026-11-{day:02}T10:{number // 60:02}:{number % 60:02}.000Z",
        "version": "2.1.332", "gitBranch": "feature/x", "cwd": "/home/jane/secret-project", **more,
    }  # fmt: skip


def answer(
    number: int, request: str, block: dict[str, Any], *, output: int = 50, day: int = 1, session: str = SESSION,
    model: str = MODEL, written_1h: int = 0, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return one line of a response."""
    usage = {
        "input_tokens": 10, "output_tokens": output, "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 300,
        "cache_creation": {"ephemeral_5m_input_tokens": 300 - written_1h, "ephemeral_1h_input_tokens": written_1h},
        "speed": "standard",
    }  # fmt: skip
    message = {
        "id": f"msg_{request:0>20}", "type": "message", "role": "assistant", "model": model, "content": [block],
        "stop_reason": more.pop("stop_reason", "end_turn"), "usage": more.pop("usage", usage),
    }  # fmt: skip
    ids = {"requestId": f"req_{request}"} if request else {}
    return line("assistant", number, day, session, message=message, **ids, **more)


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def use(name: str, call: str, **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"toolu_{call}", "name": name, "input": given}


def result(number: int, call: str, said: str, *, is_error: bool = False, **more: Any) -> dict[str, Any]:
    block = {"type": "tool_result", "tool_use_id": f"toolu_{call}", "content": said, "is_error": is_error}
    beside = more.pop("beside", {"stdout": said})
    return line("user", number, message={"role": "user", "content": [block]}, toolUseResult=beside, **more)


def prompt(number: int, said: str, **more: Any) -> dict[str, Any]:
    return line("user", number, message={"role": "user", "content": said}, **more)


def write(folder: Path) -> None:
    """Write a session, its subagent's file, and the file that it was resumed into."""
    session = [
        {"type": "summary", "summary": "An old title", "leafUuid": "x"},
        prompt(1, f"Fix the build, {SECRETS[0]}", promptId="p1"),
        # A response in three lines; older clients count the output up, and repeat the usage in each.
        answer(2, "a", text("Let me see."), output=1, stop_reason=None),
        answer(3, "a", use("Bash", "a1", command=f"make PASSWORD={SECRETS[1]}"), output=9, stop_reason=None),
        answer(4, "a", use("Read", "a2", file_path=f"{SECRETS[2]}/x.py"), output=77, written_1h=0),
        result(5, "a1", f"Exit code 2\npassword={SECRETS[1]}", is_error=True, beside="Error"),
        # The client found the input of one call invalid, and refused others.
        answer(4, "k", use("Edit", "k1", file_path=f"{SECRETS[2]}/x.py"), written_1h=0),
        result(5, "k1", "<tool_use_error>String to replace not found in file.</tool_use_error>", is_error=True,
               beside="Error: String to replace not found in file."),
        answer(5, "l", use("Write", "l1", file_path=f"{SECRETS[2]}/y.py"), written_1h=0),
        result(6, "l1", "Words that no list of ours has.", is_error=True, beside="Error",
               toolDenialKind="user-rejected",
               permissionDecision={"decision": "reject", "source": "config", "reasonCode": "unknown"}),
        answer(5, "m", use("Bash", "m1", command="rm x"), written_1h=0),
        result(6, "m1", "rm in '/x' was blocked. For security, Claude Code may only remove files in", is_error=True,
               beside="Error"),
        answer(5, "n", use("Glob", "n1", pattern="*"), written_1h=0),
        result(6, "n1", "x.py", permissionDecision={"decision": "accept", "source": "config", "reasonType": "rule"}),
        result(6, "a2", "The user doesn't want to proceed with this tool use. Stop.", is_error=True, beside="Error"),
        # Written to the cache for an hour, which costs more.
        answer(7, "b", use("Agent", "b1", subagent_type="my-agent", prompt="Look"), written_1h=200),
        # A subagent in the session's own file, as older clients have it.
        answer(8, "c", text("Found."), isSidechain=True, agentId="one"),
        {"type": "progress", "uuid": "p-1", "sessionId": SESSION, "timestamp": "2026-11-01T10:00:09.000Z",
         "data": {"type": "agent_progress", "agentId": "two", "message": answer(9, "d", text("Nested."))}},
        result(10, "b1", "Done", beside={"status": "completed", "agentId": "three", "agentType": "my-agent",
               "totalDurationMs": 900, "totalTokens": 12, "totalToolUseCount": 1, "content": "Done"}),
        # Not requests: the client's own message, an API error; and one whose usage is missing.
        answer(11, "", text("No response requested."), model="<synthetic>"),
        answer(12, "e", text("API Error: 529 Overloaded"), model="<synthetic>", isApiErrorMessage=True,
               apiErrorStatus=529),
        answer(13, "f", text("Hm."), usage=None),
        answer(14, "g", text("Whose price nobody knows."), model="gpt-oss"),
        # A gateway that sends no request id and repeats its message id.
        {**answer(15, "", text("One.")), "message": {**answer(15, "", text("One."))["message"], "id": "msg_1"}},
        {**answer(16, "", text("Two.")), "message": {**answer(16, "", text("Two."))["message"], "id": "msg_1"}},
        line("system", 17, subtype="compact_boundary",
             compactMetadata={"trigger": "auto", "preTokens": 9, "postTokens": 3}),
        prompt(18, "This session is being continued", isCompactSummary=True),
        prompt(19, "<local-command-stdout>done</local-command-stdout>"),
        {"type": "a-new-type", "uuid": "n", "sessionId": SESSION},
        answer(20, "h", text("Next day."), day=2),
    ]  # fmt: skip
    copied = [{**one, "sessionId": RESUMED} for one in session if "uuid" in one]
    resumed = [*copied, prompt(21, "/x", session=RESUMED, promptId="p2", day=3),
               answer(22, "i", text("Resumed."), day=3, session=RESUMED)]  # fmt: skip
    inside = folder / "projects" / "-home-jane-secret-project"
    (inside / SESSION / "subagents").mkdir(parents=True)
    _write(inside / f"{SESSION}.jsonl", session, tail='{"type":"assistant","mess', broken=True)
    _write(inside / f"{RESUMED}.jsonl", resumed)
    agent = inside / SESSION / "subagents" / "agent-three"
    _write(agent.with_suffix(".jsonl"), [
        prompt(7, "Look", isSidechain=True, agentId="three", promptId="p1"),
        answer(8, "j", text("In a file of its own."), isSidechain=True, agentId="three"),
        # The parent's line again.
        answer(7, "b", use("Agent", "b1", subagent_type="my-agent", prompt="Look"), written_1h=200),
    ])  # fmt: skip
    agent.with_suffix(".meta.json").write_text('{"agentType":"my-agent"}')


def _write(path: Path, records: list[dict[str, Any]], *, tail: str = "", broken: bool = False) -> None:
    written = [json.dumps(record) for record in records]
    if broken:
        # A text that was cut between the halves of a character, a line of zeros after a crash, another of no object.
        written[1] = written[1].replace("Fix the build", "Fix \\ud83d the build")
        written[3:3] = ["\0" * 40, "[1, 2]", "", "{not json}"]
    path.write_text("\n".join(written) + "\n" + tail)


def count(folder: Path) -> dict[tuple[str, str], dict[str, int]]:
    """Count tokens by day and model over all files, straight from their lines."""
    told: dict[tuple[str, ...], dict[str, int]] = {}
    where: dict[tuple[str, ...], tuple[str, str]] = {}
    for path in folder.rglob("*.jsonl"):
        for raw in path.read_text().split("\n"):
            try:
                record = json.loads(raw)
            except ValueError:
                continue
            if not isinstance(record, dict):
                continue
            record = record.get("data", {}).get("message", record)
            message = record.get("message") or {}
            if record.get("type") != "assistant" or message["model"] == "<synthetic>":
                continue
            request = record.get("requestId")
            own = (message["id"], request) if request else (message["id"], record["uuid"])
            usage = message["usage"] or {}
            written = usage.get("cache_creation") or {}
            numbers = {
                "input": usage.get("input_tokens", 0), "output": usage.get("output_tokens", 0),
                "read": usage.get("cache_read_input_tokens", 0), "5m": written.get("ephemeral_5m_input_tokens", 0),
                "1h": written.get("ephemeral_1h_input_tokens", 0),
            }  # fmt: skip
            known = told.setdefault(own, numbers)
            told[own] = {key: max(known[key], number) for key, number in numbers.items()}
            where[own] = (record["timestamp"][:10], message["model"])
    sums: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for own, numbers in told.items():
        sums[where[own]]["requests"] += 1
        for key, number in numbers.items():
            sums[where[own]][key] += number
    return {key: dict(of) for key, of in sums.items()}
