"""Reads one transcript as events: prompts, requests to the model, tool calls, subagents, compactions, API errors.

The traps of the format, each held by a test: one response is written as a line for each of its blocks, each with the
usage again, and older clients count the output up from line to line; a session that is resumed into a new file begins
with a copy of the old one; subagents write into files of their own or into the session's; `<synthetic>` messages are
the client's own; the summary after a compaction is not a prompt.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from onboarding.history.event import Event, Value
from onboarding.history.files import Line, Transcript, nanoseconds
from onboarding.history.tools import Call, arguments, outcome, permission, text_of

SYNTHETIC: Final = "<synthetic>"
BUILT_IN: Final = frozenset(
    {
        "general-purpose",
        "claude",
        "Explore",
        "Plan",
        "statusline-setup",
        "output-style-setup",
        "claude-code-guide",
    }
)
"""The client's own subagents."""
_ONGOING_SECONDS: Final = 600
_API_ID: Final = re.compile(r"msg_\w{16,}")
"""A message id that the API drew. Gateways repeat theirs."""
_COMMAND: Final = re.compile(r"\s*<command-name>/?([^<]*)</command-name>")
_COMMAND_TEXT: Final = re.compile(r"<command-args>([^<]*)</command-args>")
_NO_PROMPT: Final = (
    "<local-command-", "<bash-stdout>", "<bash-stderr>", "<task-notification>", "<system-reminder>", "<tick>",
    "[Request interrupted by user", "Caveat: The messages below were generated",
)  # fmt: skip
"""How texts begin that the client writes into the conversation as if a person had."""
_ANSWERS: Final = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_input_tokens": "cache_read_tokens",
    "cache_creation_input_tokens": "cache_creation_tokens",
}
_IGNORED: Final = frozenset(
    {
        "summary", "attachment", "file-history-snapshot", "file-history-delta", "queue-operation", "mode",
        "permission-mode", "last-prompt", "ai-title", "custom-title", "agent-name", "agent-setting", "agent-color",
        "tag", "pr-link", "task-summary", "worktree-state", "cost-state", "atis-latch", "api-request",
        "api-request-shape", "api-request-blob", "content-replacement", "marble-origami-commit",
        "marble-origami-snapshot", "speculation-accept", "tools-used", "attribution-snapshot", "progress", "system",
    }
)  # fmt: skip
"""Types of lines that hold no event."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Which content the client was allowed to send, by the names that `telemetry setup` has for it."""

    prompts: bool = False
    tool_details: bool = False


@dataclass(slots=True)
class _Request:
    """A request to the model, gathered from the lines of its response."""

    key: str
    request_id: str
    line: Mapping[str, Any]
    message: Mapping[str, Any]
    number: int
    time: int
    prompt: str
    usage: dict[str, Any] = field(default_factory=dict)
    is_whole: bool = False


class Reader:
    """Reads transcripts one after the other; what subagents are called is remembered from one to the next."""

    def __init__(self, taken: Taken, unread: Counter[str], now: float) -> None:
        self._taken = taken
        self._unread = unread
        self._now = now
        self._agents: dict[str, str] = {}

    def events(self, transcript: Transcript, lines: Iterator[Line], agent: str = "") -> Iterator[Event]:
        """Yield the events of a transcript. `agent` is the kind of the subagent whose file it is.

        Events of a line are yielded once the line is read, requests at the end.
        """
        page = _Page(self._taken, self._unread, self._agents, agent)
        for line in lines:
            if line.record is not None:
                yield from page.read(line.number, line.record)
        is_running = self._now - transcript.changed < _ONGOING_SECONDS
        yield from page.rest(is_running=is_running)


class _Page:
    """The state of reading one file."""

    def __init__(self, taken: Taken, unread: Counter[str], agents: dict[str, str], agent: str) -> None:
        self._taken = taken
        self._unread = unread
        self._agents = agents
        self._agent = agent
        self._prompt = ""
        self._requests: dict[str, _Request] = {}
        self._of_line: dict[str, str] = {}
        """The request of an assistant's line, by the line's id."""
        self._calls: dict[str, Call] = {}

    def read(self, number: int, record: dict[str, Any]) -> Iterator[Event]:
        kind = record.get("type")
        if kind == "progress":
            kind, record = _nested(record)
        if kind == "system" and record.get("subtype") == "compact_boundary":
            reading = self._compaction
        elif kind == "user":
            reading = self._user
        elif kind == "assistant":
            reading = self._assistant
        else:
            if kind not in _IGNORED:
                self._unread["lines of an unknown type"] += 1
            return
        time = nanoseconds(record.get("timestamp"))
        session = _text(record.get("sessionId"))
        if time is None or not session or not _text(record.get("uuid")):
            self._unread["records without time, session or id"] += 1
            return
        yield from reading(number, time, record)

    def rest(self, *, is_running: bool) -> Iterator[Event]:
        """Yield the requests; the last one only if it is whole, or its session no longer runs."""
        last = next(reversed(self._requests), None)
        for key, request in self._requests.items():
            if key == last and is_running and not request.is_whole:
                self._unread["responses being written"] += 1
                continue
            yield self._answered(request)

    def _user(self, number: int, time: int, record: dict[str, Any]) -> Iterator[Event]:
        message = record.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        if prompt := _text(record.get("promptId")):
            self._prompt = prompt
        if isinstance(content, list):
            for block in content:
                if isinstance(block, dict) and block.get("type") == "tool_result":
                    yield from self._returned(number, time, record, block)
        if _is_prompt(record, content):
            text = text_of(content).strip("\n")
            if not _text(record.get("promptId")):
                self._prompt = record["uuid"]
            values: dict[str, Value] = {"prompt_length": len(text)}
            if command := _COMMAND.match(text):
                values["command_name"] = command[1]
                args = _COMMAND_TEXT.search(text)
                text = f"/{command[1]} {args[1] if args else ''}".strip()
                values["prompt_length"] = len(text)
            if self._taken.prompts:
                values["prompt"] = text
            ids = (_text(record.get("promptId")), record["uuid"])
            yield self._event(number, time, "user_prompt", record, record["uuid"], ids, values)

    def _assistant(self, number: int, time: int, record: dict[str, Any]) -> Iterator[Event]:
        message = record.get("message")
        if not isinstance(message, dict):
            self._unread["records without a message"] += 1
            return
        if record.get("isApiErrorMessage") is True:
            yield self._failed(number, time, record, message)
            return
        if message.get("model") == SYNTHETIC:
            return
        request = self._request_of(number, time, record, message)
        request.time = max(request.time, time)
        request.is_whole |= message.get("stop_reason") is not None
        _gather(request.usage, message.get("usage"))
        content = message.get("content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and block.get("type") == "tool_use" and _text(block.get("id")):
                self._calls[block["id"]] = Call(_text(block.get("name")), block.get("input"), time)

    def _request_of(
        self, number: int, time: int, record: dict[str, Any], message: Mapping[str, Any]
    ) -> _Request:
        uuid, parent = record["uuid"], _text(record.get("parentUuid"))
        message_id, request_id = _text(message.get("id")), _text(record.get("requestId"))
        before = self._of_line.get(parent, "")
        if request_id:
            key = request_id
        elif _API_ID.fullmatch(message_id):
            key = message_id
        elif before and self._requests[before].message.get("id") == message_id:
            key = before
        else:
            key = uuid
        self._of_line[uuid] = key
        if key not in self._requests:
            self._requests[key] = _Request(key, request_id, record, message, number, time, self._prompt)
        return self._requests[key]

    def _answered(self, request: _Request) -> Event:
        speed = request.usage.get("speed")
        values: dict[str, Value] = {"model": _text(request.message.get("model"))}
        values |= {name: request.usage[name] for name in _NUMBERS if name in request.usage}
        values |= {"request_id": request.request_id or request.key}
        values["speed"] = "fast" if speed == "fast" else "normal"
        values |= self._source(request.line)
        if effort := _text(request.line.get("effort")):
            values["effort"] = effort
        ids = (request.request_id,) if request.request_id else ()
        return self._event(
            request.number,
            request.time,
            "api_request",
            request.line,
            request.key,
            ids,
            values,
            request.prompt,
        )

    def _failed(self, number: int, time: int, record: dict[str, Any], message: Mapping[str, Any]) -> Event:
        request_id, status = _text(record.get("requestId")), record.get("apiErrorStatus")
        values: dict[str, Value] = {"error": text_of(message.get("content")).removeprefix("API Error: ")}
        if isinstance(status, int) and not isinstance(status, bool):
            values["status_code"] = status
            values["error"] = str(values["error"]).removeprefix(f"{status} ")
        if kind := _text(record.get("apiErrorType")):
            values["error_type"] = kind
        if request_id:
            values["request_id"] = request_id
        values |= self._source(record)
        ids = (request_id,) if request_id else ()
        return self._event(number, time, "api_error", record, record["uuid"], ids, values)

    def _returned(
        self, number: int, time: int, record: dict[str, Any], block: Mapping[str, Any]
    ) -> Iterator[Event]:
        use = _text(block.get("tool_use_id"))
        call = self._calls.pop(use, None)
        if call is None:
            return  # in a part of the conversation that is not in this file, or told before
        details = self._taken.tool_details
        shown = arguments(call, with_details=details)
        named: dict[str, Value] = {"tool_use_id": use, **shown}
        asked = {key: value for key, value in named.items() if not key.startswith("tool_input")}
        permitted = permission(record)
        result = outcome(call, block, record.get("toolUseResult"), permitted, with_details=details)
        if result.is_invalid:
            self._unread["calls whose input the client refused, of which it sends no event"] += 1
            return
        decided = {"decision": "reject" if result.refused_by else "accept"}
        if source := result.refused_by or permitted.source:
            decided["source"] = source
        yield self._event(number, call.time, "tool_decision", record, use, (use,), asked | decided)
        if result.agent_id and result.agent:
            self._agents[result.agent_id] = result.agent
        if result.finished:
            ended = dict(result.finished) | {"tool_use_id": use}
            if "agent_type" in ended:
                ended["agent_type"] = self._named(str(ended["agent_type"]))
            yield self._event(number, time, "subagent_completed", record, use, (), ended)
        if not result.refused_by:
            yield self._event(
                number, time, "tool_result", record, use, (use,), named | dict(result.attributes)
            )

    def _compaction(self, number: int, time: int, record: dict[str, Any]) -> Iterator[Event]:
        about = record.get("compactMetadata")
        about = about if isinstance(about, dict) else {}
        values: dict[str, Value] = {"success": "true"}
        if trigger := _text(about.get("trigger")):
            values["trigger"] = trigger
        for name, key in (
            ("preTokens", "pre_tokens"),
            ("postTokens", "post_tokens"),
            ("durationMs", "duration_ms"),
        ):
            if (count := _count(about.get(name))) is not None:
                values[key] = count
        yield self._event(number, time, "compaction", record, record["uuid"], (), values)

    def _source(self, record: Mapping[str, Any]) -> dict[str, Value]:
        """Return the origin of a request, as the client calls it."""
        if not (record.get("isSidechain") or record.get("agentId")):
            is_sdk = _text(record.get("entrypoint")).startswith("sdk")
            return {"query_source": "sdk" if is_sdk else "repl_main_thread"}
        agent = (
            _text(record.get("attributionAgent"))
            or self._agent
            or self._agents.get(_text(record.get("agentId")), "")
        )
        source = f"agent:builtin:{agent}" if agent in BUILT_IN else "agent:custom"
        return {"query_source": source, "agent.name": self._named(agent)}

    def _named(self, agent: str) -> str:
        """Return a subagent's name; those that people gave their own are details."""
        return agent if agent in BUILT_IN or (agent and self._taken.tool_details) else "custom"

    def _event(
        self, number: int, time: int, name: str, record: Mapping[str, Any], key: str, ids: tuple[str, ...],
        values: Mapping[str, Value], prompt: str | None = None,
    ) -> Event:  # fmt: skip
        prompt = self._prompt if prompt is None else prompt
        whole: dict[str, Value] = {"event.sequence": number}
        if prompt:
            whole["prompt.id"] = prompt
        branch = _text(record.get("gitBranch"))
        if branch and branch != "HEAD":
            whole["vcs.ref.head.name"] = branch
        if name in {"user_prompt", "compaction", "api_error"}:
            whole["message.uuid"] = key
        return Event(
            time, name, _text(record.get("sessionId")), key, tuple(filter(None, ids)), _text(record.get("version")),
            whole | dict(values),
        )  # fmt: skip


_NUMBERS: Final = (*_ANSWERS.values(), "cache_creation_5m_tokens", "cache_creation_1h_tokens")


def _gather(usage: dict[str, Any], told: object) -> None:
    """Take over the largest of each number: they grow while a response is written, and never shrink."""
    if not isinstance(told, dict):
        return
    written = told.get("cache_creation")
    written = written if isinstance(written, dict) else {}
    numbers = {ours: _count(told.get(theirs)) for theirs, ours in _ANSWERS.items()}
    numbers["cache_creation_5m_tokens"] = _count(written.get("ephemeral_5m_input_tokens"))
    numbers["cache_creation_1h_tokens"] = _count(written.get("ephemeral_1h_input_tokens"))
    for name, number in numbers.items():
        if number is not None:
            usage[name] = max(number, usage.get(name, 0))
    if isinstance(told.get("speed"), str):
        usage["speed"] = told["speed"]


def _is_prompt(record: Mapping[str, Any], content: object) -> bool:
    """Whether a person, or a program in their place, said this."""
    if record.get("isMeta") or record.get("isCompactSummary") or record.get("isVisibleInTranscriptOnly"):
        return False
    if record.get("isSidechain") or record.get("agentId") or record.get("toolUseResult") is not None:
        return False
    if isinstance(content, list):
        kinds = {block.get("type") for block in content if isinstance(block, dict)}
        if "tool_result" in kinds or not kinds & {"text", "image", "document"}:
            return False
    elif not isinstance(content, str):
        return False
    return not text_of(content).lstrip().startswith(_NO_PROMPT)


def _nested(record: dict[str, Any]) -> tuple[object, dict[str, Any]]:
    """Return a subagent's message that some versions report in a line of the session's own file."""
    data = record.get("data")
    inner = data.get("message") if isinstance(data, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("message"), dict):
        return "progress", record
    envelope = {key: value for key, value in record.items() if key not in {"data", "type", "toolUseResult"}}
    agent = data.get("agentId") if isinstance(data, dict) else ""
    return inner.get("type"), {**envelope, "parentUuid": None, **inner, "isSidechain": True, "agentId": agent}


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 53
    return value if is_count and isinstance(value, int) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
