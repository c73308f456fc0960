"""What a client leaves out of its telemetry unless it is told to send it: the choices of `telemetry setup --content`.

By default a client sends no text of people or of the model, no input of tools, no texts of errors and no names of what
a user configured. Source: https://code.claude.com/docs/en/monitoring-usage
"""

from typing import Final

from demo.records import Attributes, Event, Record, Span, Value

PROMPTS: Final = "prompts"
TOOL_DETAILS: Final = "tool-details"
TOOL_CONTENT: Final = "tool-content"
CONTENT: Final = frozenset({PROMPTS, TOOL_DETAILS, TOOL_CONTENT})
_REDACTED: Final = "<REDACTED>"
_TEXTS: Final = frozenset({"prompt", "user_prompt"})
_DETAILS: Final = frozenset(
    {
        "tool_parameters", "tool_input", "tool_input_size_bytes", "full_command", "file_path",
        "subagent_type", "skill_name",
    }
)  # fmt: skip
_NAMES: Final = frozenset(
    {"mcp_server.name", "mcp_tool.name", "server_name", "skill.name", "hook_name", "command_name"}
)
_CUSTOM: Final = "custom"
_MCP_TOOL: Final = "mcp_tool"
_WITHOUT_TEXT: Final = frozenset({"tool_result", "mcp_server_connection"})
"""Events whose errors are described by the details of tools."""


def sent(record: Record, content: frozenset[str]) -> Record:
    """Return a record as a client sends it that was told to send this content, some of CONTENT."""
    if isinstance(record, Event):
        return record._replace(attributes=_attributes(record.name, record.attributes, content))
    if not isinstance(record, Span):
        return record._replace(attributes=_attributes("", record.attributes, content))
    has_output = TOOL_CONTENT in content
    is_told = TOOL_DETAILS in content or not record.name.startswith("tool")
    return record._replace(
        attributes=_attributes(record.name, record.attributes, content),
        events=tuple(event for event in record.events if has_output or event.name != "tool.output"),
        error=record.error if is_told or record.error is None else "",
    )


def _attributes(name: str, attributes: Attributes, content: frozenset[str]) -> dict[str, Value]:
    found = dict(attributes)
    if PROMPTS not in content:
        for key in _TEXTS & found.keys():
            found[key] = _REDACTED
        if name == "assistant_response":
            found.pop("response", None)
    if TOOL_DETAILS not in content:
        for key in _DETAILS & found.keys():
            del found[key]
        if name in _WITHOUT_TEXT or name.startswith("tool."):
            found.pop("error", None)
        for key in _NAMES & found.keys():
            found[key] = _CUSTOM
        if str(found.get("tool_name", "")).startswith("mcp__"):
            found["tool_name"] = _MCP_TOOL
    return found
