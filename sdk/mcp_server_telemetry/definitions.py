"""Every instrument: its name, unit, meaning, buckets and attributes, by category. All else is made from this table.

The names of OpenTelemetry's semantic conventions for MCP stand beside the shorter ones that dashboards of MCP servers
use, so that either kind of dashboard works.
https://github.com/open-telemetry/semantic-conventions-genai
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SECONDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
"""The buckets that the conventions give for durations of operations and sessions."""
_SESSION_SECONDS: Final = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 14_400)
_MILLISECONDS: Final = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)
_RATES: Final = (0.01, 0.1, 0.5, 1, 2, 5, 10, 25, 50, 100, 250, 1000)
_BYTES: Final = (1024, 10_240, 102_400, 1_048_576, 10_485_760, 104_857_600)


class Category(StrEnum):
    """What an instrument is for; `instrument(categories=…)` leaves others out."""

    SESSION = "session"
    PERFORMANCE = "performance"
    USAGE = "usage"
    RESOURCES = "resources"
    ERRORS = "errors"
    SELF = "self"
    """Of the instrumentation itself. Always there."""


class Kind(StrEnum):
    """The kinds of instruments, by OpenTelemetry's names."""

    COUNTER = "counter"
    UP_DOWN_COUNTER = "updowncounter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Definition:
    """One instrument. `attributes` are all that its points may have; `buckets` are a histogram's upper bounds.

    `sets` bounds the different combinations of attributes: what is beyond counts under `_other` for each.
    """

    name: str
    kind: Kind
    unit: str
    description: str
    category: Category
    attributes: tuple[str, ...] = ()
    buckets: Sequence[float] = ()
    sets: int = 1

    @property
    def most_series(self) -> int:
        """The most series that a scrape can show of it: a histogram has one for each bucket, +Inf, sum and count."""
        return (self.sets + (1 if self.attributes else 0)) * (len(self.buckets) + 3 if self.buckets else 1)


METHOD: Final = "mcp.method.name"
TOOL: Final = "gen_ai.tool.name"
PROMPT: Final = "gen_ai.prompt.name"
ERROR: Final = "error.type"
TRANSPORT: Final = "network.transport"
PROTOCOL: Final = "mcp.protocol.version"
MODEL: Final = "model"
STATUS: Final = "status"
RESTORED: Final = "restored"
FEATURE: Final = "mcp.feature.name"
FEATURE_KIND: Final = "mcp.feature.kind"
ATTRIBUTE: Final = "attribute"

SESSIONS: Final = Definition(
    "mcp.sessions.total", Kind.COUNTER, "{session}", "Sessions that began.", Category.SESSION,
    (MODEL, RESTORED, TRANSPORT),
    sets=100,
)  # fmt: skip
ACTIVE_SESSIONS: Final = Definition(
    "mcp.sessions.active", Kind.UP_DOWN_COUNTER, "{session}", "Sessions that are open.", Category.SESSION
)
SESSION_DURATION: Final = Definition(
    "mcp.session.duration", Kind.HISTOGRAM, "s", "How long sessions lasted.", Category.SESSION,
    (MODEL, STATUS, TRANSPORT), _SESSION_SECONDS,
    sets=60,
)  # fmt: skip
SERVER_SESSION_DURATION: Final = Definition(
    "mcp.server.session.duration", Kind.HISTOGRAM, "s", "How long sessions lasted, as seen by the server.",
    Category.SESSION, (ERROR, TRANSPORT, PROTOCOL), SECONDS,
    sets=30,
)  # fmt: skip
LATENCY: Final = Definition(
    "mcp.message.latency", Kind.HISTOGRAM, "ms", "How long the server took to answer a message.",
    Category.PERFORMANCE, (METHOD, TOOL), _MILLISECONDS,
    sets=130,
)  # fmt: skip
OPERATION_DURATION: Final = Definition(
    "mcp.server.operation.duration", Kind.HISTOGRAM, "s", "How long the server took to answer a request.",
    Category.PERFORMANCE, (METHOD, TOOL, PROMPT, ERROR, TRANSPORT, PROTOCOL), SECONDS,
    sets=260,
)  # fmt: skip
THROUGHPUT: Final = Definition(
    "mcp.streaming.throughput", Kind.HISTOGRAM, "msg/s", "Messages a second of a stream or a session.",
    Category.PERFORMANCE, (), _RATES,
)  # fmt: skip
FEATURE_USES: Final = Definition(
    "mcp.feature.usage", Kind.COUNTER, "{use}", "Uses of tools, prompts and resources.", Category.USAGE,
    (FEATURE_KIND, FEATURE, STATUS),
    sets=450,
)  # fmt: skip
USERS: Final = Definition(
    "mcp.users.unique", Kind.GAUGE, "{user}", "Different users of the last day, told apart by hashes.",
    Category.USAGE,
)  # fmt: skip
CHECKPOINT_SIZE: Final = Definition(
    "mcp.checkpoint.size", Kind.HISTOGRAM, "By", "Size of saved checkpoints.", Category.RESOURCES, (), _BYTES
)
ERRORS: Final = Definition(
    "mcp.errors.total",
    Kind.COUNTER,
    "{error}",
    "Requests that failed.",
    Category.ERRORS,
    (METHOD, TOOL, ERROR),
    sets=400,
)
REPLACED: Final = Definition(
    "mcp.telemetry.attributes.replaced", Kind.COUNTER, "{value}",
    "Values of attributes that were counted under _other, to bound the number of series.", Category.SELF,
    (ATTRIBUTE,),
    sets=20,
)  # fmt: skip
FAILURES: Final = Definition(
    "mcp.telemetry.failures", Kind.COUNTER, "{failure}", "Measurements that the instrumentation could not make.",
    Category.SELF,
)  # fmt: skip

DEFINITIONS: Final = (
    SESSIONS, ACTIVE_SESSIONS, SESSION_DURATION, SERVER_SESSION_DURATION, LATENCY, OPERATION_DURATION, THROUGHPUT,
    FEATURE_USES, USERS, CHECKPOINT_SIZE, ERRORS, REPLACED, FAILURES,
)  # fmt: skip
CATEGORIES: Final = tuple(category for category in Category if category is not Category.SELF)
