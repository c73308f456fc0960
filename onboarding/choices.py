"""The choices that a person makes in `telemetry setup`, and the variables of Claude Code that express them.

Source: https://code.claude.com/docs/en/monitoring-usage
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

from otlp.destination import Protocol
from otlp.signals import Signal

METRIC_INTERVAL_MS: Final = 10_000
"""The client's default is 60 s. A `claude -p` run sends its last metrics when it ends (seen with 2.1.197 and 2.1.332);
a session that is killed loses those of its last interval."""
RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class Switch:
    """A switch of the client that adds content to what it sends."""

    name: str
    variable: str
    sends: str
    stored: str


CONTENT: Final = (
    Switch(
        "prompts", "OTEL_LOG_USER_PROMPTS", "the prompts of people, and the model's responses",
        "as hashes; their lengths stay",
    ),
    Switch(
        "tool-details", "OTEL_LOG_TOOL_DETAILS",
        "commands, file paths and other input of tools; names of MCP tools and skills",
        "names as they are, the rest as hashes",
    ),
    Switch(
        "tool-content", "OTEL_LOG_TOOL_CONTENT", "what tools read and write: files, output of commands (needs traces)",
        "as hashes",
    ),
    Switch(
        "api-bodies", "OTEL_LOG_RAW_API_BODIES", "whole conversations, as the model gets them, and all of the above",
        "as hashes, at a large cost in network and CPU",
    ),
)  # fmt: skip
"""All are off by default. `stored` says what the sanitizer keeps at its level `strict`, the default."""


RECOMMENDED: Final = "tool-details"
"""At the level `strict`, which keeps hashes of what it adds: error texts, waste and programs depend on it."""
_STRICT: Final = "strict"
WHY_TOOL_DETAILS: Final = "error texts, waste and programs depend on it"


def recommended(level: str) -> frozenset[str]:
    """Return the names of CONTENT to send at a level of the sanitizer, unless a person chooses otherwise."""
    return frozenset({RECOMMENDED}) if level == _STRICT else frozenset()


class ChoiceError(ValueError):
    """A choice that is not possible. The text has the remedy."""


@dataclass(frozen=True, slots=True)
class Choices:
    """Where to send, how, and which signals and content."""

    endpoint: str
    protocol: Protocol
    signals: frozenset[Signal] = frozenset(Signal)
    content: frozenset[str] = frozenset()
    """Names of CONTENT."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """Resource attributes; an empty value removes the attribute."""
    token: str = field(default="", repr=False)
    certificate: Path | None = None
    metric_interval_ms: int = METRIC_INTERVAL_MS

    def variables(self, current: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the client's variables. `current` ones say which resource attributes to keep."""
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
    """Parse OTEL_RESOURCE_ATTRIBUTES: `key=value,…`, values percent-encoded."""
    pairs = (pair.partition("=") for pair in text.split(",") if "=" in pair)
    return {key.strip(): unquote(value.strip()) for key, _, value in pairs}


def attribute(text: str) -> tuple[str, str]:
    """Parse KEY=VALUE. Raises ChoiceError."""
    key, sign, value = text.partition("=")
    if not sign or not _KEY.fullmatch(key) or not value:
        raise ChoiceError(f"A resource attribute is KEY=VALUE, such as cost_center=4711, not {text!r}.")
    return key, value


def content_names(names: Sequence[str]) -> frozenset[str]:
    """Return the names of CONTENT that are chosen, which may be `none` or `all`. Raises ChoiceError."""
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
    """Return variables as lines for a shell to source."""
    lines = [
        f"export {name}='{value.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}'"
        for name, value in variables.items()
    ]
    return "\n".join(["# Sourced by the shell that starts Claude Code: . telemetry-enabled.env", *lines, ""])
