"""What a person chooses in `telemetry setup`, and the variables of Claude Code that say so.

Source: https://code.claude.com/docs/en/monitoring-usage
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from receiver.signals import Signal

METRIC_INTERVAL_MS: Final = 10_000
"""The client's own is 60 s, in which a short `claude -p` run ends before it has sent any metric."""
RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


class Protocol(StrEnum):
    """How OTLP is carried, as the client spells it."""

    GRPC = "grpc"
    PROTOBUF = "http/protobuf"
    JSON = "http/json"


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch of the client that adds content to what it sends."""

    name: str
    variable: str
    sends: str
    stored: str


CONTENT: Final = (
    Switch(
        "prompts", "OTEL_LOG_USER_PROMPTS", "what people type, and what the model answers",
        "as hashes; their lengths stay",
    ),
    Switch(
        "tool-details", "OTEL_LOG_TOOL_DETAILS",
        "commands, file paths and other input of tools; MCP tools and skills by name",
        "names as they are, all else as hashes",
    ),
    Switch(
        "tool-content", "OTEL_LOG_TOOL_CONTENT", "what tools read and write: files, output of commands (needs traces)",
        "as hashes",
    ),
    Switch(
        "api-bodies", "OTEL_LOG_RAW_API_BODIES", "whole conversations, as they go to the model, and all of the above",
        "as hashes, at a large cost in network and CPU",
    ),
)  # fmt: skip
"""All are off unless set. `stored` is what the sanitizer keeps at its level `strict`, the default."""


class ChoiceError(ValueError):
    """A choice that cannot be. The text has the remedy."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Where and how to send, and what."""

    endpoint: str
    protocol: Protocol
    signals: frozenset[Signal] = frozenset(Signal)
    content: frozenset[str] = frozenset()
    """Names of CONTENT."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Resource attributes; one whose value is empty is taken away."""
    token: str = field(default="", repr=False)
    certificate: Path | None = None
    metric_interval_ms: int = METRIC_INTERVAL_MS

    def variables(self, current: Mapping[str, str] | None = None) -> dict[str, str]:
        """Give the client's variables. `current` ones tell which resource attributes to keep."""
        chosen = {
            "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
            "OTEL_METRICS_EXPORTER": self._exporter(Signal.METRICS),
            "OTEL_LOGS_EXPORTER": self._exporter(Signal.LOGS),
            "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol.value,
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": str(self.metric_interval_ms),
        }
        if Signal.TRACES in self.signals:
            chosen |= {"OTEL_TRACES_EXPORTER": "otlp", "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA": "1"}
        chosen |= {switch.variable: "1" for switch in CONTENT if switch.name in self.content}
        kept = resource_attributes((current or {}).get(RESOURCE, ""))
        pairs = [f"{key}={quote(value)}" for key, value in {**kept, **self.attributes}.items() if value]
        if pairs:
            chosen[RESOURCE] = ",".join(pairs)
        if self.token:
            chosen["OTEL_EXPORTER_OTLP_HEADERS"] = f"Authorization=Bearer {self.token}"
        if self.certificate:
            chosen["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(self.certificate)
        return chosen

    def _exporter(self, signal: Signal) -> str:
        return "otlp" if signal in self.signals else "none"


def resource_attributes(text: str) -> dict[str, str]:
    """Read OTEL_RESOURCE_ATTRIBUTES: `key=value,…`, values percent-encoded."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs}


def attribute(text: str) -> tuple[str, str]:
    """Read KEY=VALUE. Raises ChoiceError."""
    key, sign, value = text.partition("=")
    if not sign or not _KEY.fullmatch(key) or not value:
        raise ChoiceError(f"A resource attribute is KEY=VALUE, such as cost_center=4711, not {text!r}.")
    return key, value


def content_names(names: Sequence[str]) -> frozenset[str]:
    """Check names of CONTENT; `none` and `all` are taken too. Raises ChoiceError."""
    known = {switch.name for switch in CONTENT}
    chosen = {name.strip() for name in names if name.strip()} - {"none"}
    if "all" in chosen:
        return frozenset(known)
    if unknown := chosen - known:
        raise ChoiceError(
            f"There is no content called {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}."
        )
    return frozenset(chosen)


def shell_lines(variables: Mapping[str, str]) -> str:
    """Write variables as lines for a shell to source."""
    lines = [
        f"export {name}='{value.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}'"
        for name, value in variables.items()
    ]
    return "\n".join(["# Sourced by the shell that starts Claude Code: . telemetry-enabled.env", *lines, ""])
