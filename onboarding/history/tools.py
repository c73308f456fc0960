"""A tool call as the client's events tell it: what it was given, as far as that may be sent, and how it ended."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from onboarding.history.event import Value

_LONGEST_TEXT, _LONGEST_INPUT = 512, 4096
_REFUSED: Final = (
    ("The user doesn't want to proceed with this tool use", "user_reject"),
    ("The user doesn't want to take this action right now", "user_reject"),
    ("[Request interrupted by user", "user_abort"),
    ("Permission to use ", "config"),
    ("Claude requested permissions to ", "config"),
)
"""How the results of calls begin that were refused, and who refused them."""
_BLOCKED: Final = re.compile(
    r"\S+ in '.*?' (?:was blocked\. For security, Claude Code|needs approval\. )", re.DOTALL
)
_SOURCE: Final = re.compile(r"[a-z][a-z_]{1,39}")
_DENIED_BY: Final[Mapping[str, str]] = {"user-rejected": "user_reject"}
_ERROR_TYPES: Final = (("Exit code ", "ShellError"), ("InputValidationError", "InputValidationError"))
_ERROR_TAGS: Final = ("<tool_use_error>", "</tool_use_error>")
_ENDED: Final = {
    "totalDurationMs": "duration_ms",
    "totalTokens": "total_tokens",
    "totalToolUseCount": "total_tool_uses",
}
_SHELLS: Final = frozenset({"Bash", "PowerShell"})
_SUBAGENTS: Final = frozenset({"Agent", "Task"})


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the model made, at a time in Unix nanoseconds."""

    name: str
    given: object
    time: int


@dataclass(frozen=True, slots=True)
class Permission:
    """What the client kept of the decision on a call, since 2.1.3xx; all empty in older transcripts."""

    source: str = ""
    """Who decided, as the client calls it."""
    is_refused: bool = False
    is_allowed: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended."""

    attributes: Mapping[str, Value] = field(default_factory=dict)
    refused_by: str = ""
    """The source of the refusal, as the client calls it; empty when the tool ran."""
    is_invalid: bool = False
    """The client did not take the input: it asked for no permission, and sends no event of the call."""
    agent_id: str = ""
    agent: str = ""
    finished: Mapping[str, Value] = field(default_factory=dict)
    """What the client reports at the end of a subagent."""


def arguments(call: Call, *, with_details: bool) -> dict[str, Value]:
    """Return the attributes of what a call was given; without details little more than the tool's name."""
    given = call.given if isinstance(call.given, dict) else {}
    shown: dict[str, Value] = {"tool_name": call.name, "tool_input_size_bytes": len(_json(given))}
    if not with_details:
        if call.name.startswith("mcp__"):
            shown["tool_name"] = "mcp_tool"
        return shown
    parameters: dict[str, object] = {}
    if call.name in _SHELLS and isinstance(given.get("command"), str):
        words = given["command"].split()
        parameters = {"bash_command": words[0] if words else "", "full_command": given["command"]}
        if "description" in given:
            parameters["description"] = given["description"]
    elif call.name.startswith("mcp__"):
        _, server, *tool = call.name.split("__")
        parameters = {"mcp_server_name": server, "mcp_tool_name": "__".join(tool)}
    elif call.name in _SUBAGENTS and isinstance(given.get("subagent_type"), str):
        parameters = {"subagent_type": given["subagent_type"]}
    elif call.name == "Skill" and isinstance(given.get("skill"), str):
        parameters = {"skill_name": given["skill"]}
    if parameters:
        shown["tool_parameters"] = _json(_short(parameters)).decode()
    shown["tool_input"] = _json(_short(given))[:_LONGEST_INPUT].decode("utf-8", "ignore")
    return shown


def permission(record: Mapping[str, Any]) -> Permission:
    """Return what a line says of the decision on the call whose result it holds."""
    kept, kind = record.get("permissionDecision"), record.get("toolDenialKind")
    kept = kept if isinstance(kept, dict) else {}
    source = kept.get("source")
    source = source if isinstance(source, str) and _SOURCE.fullmatch(source) else ""
    is_denied = kept.get("decision") == "reject" or (isinstance(kind, str) and kind != "")
    if is_denied and record.get("toolDenialAfterRun") is not True:
        return Permission(source or _DENIED_BY.get(str(kind), "config"), is_refused=True)
    return Permission(source, is_allowed=kept.get("decision") == "accept")


def outcome(
    call: Call, block: Mapping[str, Any], result: object, decided: Permission, *, with_details: bool
) -> Outcome:
    """Return how a call ended, from its `tool_result` block and what the client kept beside it."""
    text = text_of(block.get("content"))
    failed = block.get("is_error") is True
    if failed and (refused := _refused(text, decided)):
        return refused
    for tag in _ERROR_TAGS:
        text = text.replace(tag, "")
    kept = result if isinstance(result, dict) else {}
    said: dict[str, Value] = {"success": "false" if failed else "true"}
    if (took := _number(kept.get("totalDurationMs", kept.get("durationMs")))) is not None:
        said["duration_ms"] = took
    if not failed:
        said["tool_result_size_bytes"] = len(text.encode("utf-8", "replace"))
    elif kind := _begins(text, _ERROR_TYPES):
        said["error_type"] = kind
    if failed and with_details:
        said["error"] = text
    if call.name not in _SUBAGENTS:
        return Outcome(said)
    given = call.given if isinstance(call.given, dict) else {}
    agent, agent_id = kept.get("agentType") or given.get("subagent_type"), kept.get("agentId")
    agent = agent if isinstance(agent, str) else ""
    finished = _finished(agent, kept) if kept.get("status") == "completed" else {}
    return Outcome(
        said, agent_id=agent_id if isinstance(agent_id, str) else "", agent=agent, finished=finished
    )


def _refused(text: str, decided: Permission) -> Outcome | None:
    """Return how a call ended that did not run, None for one that did."""
    words = text.removeprefix(_ERROR_TAGS[0])
    if decided.is_refused:
        return Outcome(refused_by=decided.source)
    if refusal := _begins(words, _REFUSED):
        return Outcome(refused_by=refusal)
    if _BLOCKED.match(words):
        return Outcome(refused_by="config")
    return Outcome(is_invalid=True) if words != text and not decided.is_allowed else None


def _finished(agent: str, kept: Mapping[str, Any]) -> dict[str, Value]:
    """Return what the client reports at the end of a subagent."""
    told: dict[str, Value] = {"agent_type": agent} if agent else {}
    for name, key in _ENDED.items():
        if (number := _number(kept.get(name))) is not None:
            told[key] = number
    if isinstance(kept.get("resolvedModel"), str):
        told["model"] = kept["resolvedModel"]
    return told


def text_of(content: object) -> str:
    """Return the text of a message's or a result's content."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (block.get("text") for block in content if isinstance(block, dict))
    return "\n".join(text for text in texts if isinstance(text, str))


def _begins(text: str, beginnings: Sequence[tuple[str, str]]) -> str:
    return next((meaning for start, meaning in beginnings if text.startswith(start)), "")


def _number(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _short(given: Mapping[str, object]) -> dict[str, object]:
    return {key: value[:_LONGEST_TEXT] if isinstance(value, str) else value for key, value in given.items()}


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    except (orjson.JSONEncodeError, RecursionError):
        return b"{}"  # a text that was cut in the middle of a character
