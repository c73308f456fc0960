"""The true totals of generated data, counted in plain Python while it is generated, for tests to compare with.

Money is in billionths of a US dollar, so that sums are exact. Days are UTC. A user is a person's `name`. A number that
cannot be true (`irregular.py`) counts as absent.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final, NamedTuple

from demo.records import Attributes, Event, Record, Span, Value
from demo.schedule import Visit


class Slice(NamedTuple):
    """The key of a total: day, team and user, and the model, tool or category."""

    day: date
    team: str
    user: str
    of: str = ""


@dataclass(slots=True)
class Spend:
    """The cost of model requests."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    nano_usd: int = 0

    def add(self, other: "Spend") -> None:
        """Add another's to this one."""
        self.requests += other.requests
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.cache_read_tokens += other.cache_read_tokens
        self.cache_creation_tokens += other.cache_creation_tokens
        self.nano_usd += other.nano_usd

    @property
    def usd(self) -> float:
        """The cost in US dollars."""
        return self.nano_usd / 1e9


@dataclass(slots=True)
class Calls:
    """How a tool's calls ended."""

    ended: int = 0
    failed: int = 0
    rejected: int = 0


@dataclass(slots=True)
class Ledger:
    """All totals. `spend` is by model, `calls` by tool, `failures` by category, `sessions` by session id."""

    events: Counter[str] = field(default_factory=Counter)
    """By event."""
    spans: Counter[str] = field(default_factory=Counter)
    """By name."""
    points: int = 0
    processes: int = 0
    """Runs of the client."""
    past_retention: int = 0
    """Events that are too old to be kept, and are not counted in `events`."""
    spend: defaultdict[Slice, Spend] = field(default_factory=lambda: defaultdict(Spend))
    calls: defaultdict[Slice, Calls] = field(default_factory=lambda: defaultdict(Calls))
    failures: Counter[Slice] = field(default_factory=Counter)
    """Categories as in telemetry_events: `tool Bash ShellError`, `api 529`, `api connection`, `mcp connection`, …"""
    prompts: Counter[Slice] = field(default_factory=Counter)
    sessions: set[tuple[Slice, str]] = field(default_factory=set)

    def count(self, visit: Visit, records: Iterable[Record]) -> None:
        """Count the records of a process."""
        team, user = visit.person.team.name, visit.person.name
        at, day = -1, date.min
        for record in records:
            if isinstance(record, Event):
                if record.time // _DAY != at:
                    at = record.time // _DAY
                    day = datetime.fromtimestamp(at * 86_400, UTC).date()
                    self.sessions.add((Slice(day, team, user), visit.session_id))
                self.events[record.name] += 1
                self._count_event(record, Slice(day, team, user))
            elif isinstance(record, Span):
                self.spans[record.name] += 1
            else:
                self.points += 1

    def _count_event(self, event: Event, whose: Slice) -> None:
        values = event.attributes
        match event.name:
            case "api_request":
                self.spend[whose._replace(of=str(values["model"]))].add(_spend(values))
            case "tool_result":
                calls = self.calls[whose._replace(of=str(values["tool_name"]))]
                calls.ended += 1
                calls.failed += values["success"] == "false"
            case "tool_decision" if values["decision"] == "reject":
                self.calls[whose._replace(of=str(values["tool_name"]))].rejected += 1
            case "user_prompt":
                self.prompts[whose] += 1
        if category := _failure(event.name, values):
            self.failures[whose._replace(of=category)] += 1

    def spent(self, *, since: date = date.min, until: date = date.max, team: str = "", of: str = "") -> Spend:
        """Return what was spent from `since` to the day before `until`, by one team or model or by all."""
        whole = Spend()
        for part, spend in self.spend.items():
            if since <= part.day < until and team in {"", part.team} and of in {"", part.of}:
                whole.add(spend)
        return whole


def _spend(values: Attributes) -> Spend:
    cost = values.get("cost_usd")
    return Spend(
        requests=1,
        input_tokens=_number(values.get("input_tokens")),
        output_tokens=_number(values.get("output_tokens")),
        cache_read_tokens=_number(values.get("cache_read_tokens")),
        cache_creation_tokens=_number(values.get("cache_creation_tokens")),
        nano_usd=round(cost * 1e9) if isinstance(cost, float) else 0,
    )


def _number(value: Value | None) -> int:
    return value if isinstance(value, int) and value >= 0 else 0


def _failure(name: str, values: Attributes) -> str:
    """Return the category of a failure, "" for anything else."""
    failed = values.get("success") == "false"
    match name:
        case "tool_result":
            return f"tool {values['tool_name']} {values['error_type']}" if failed else ""
        case "api_error":
            return f"api {values.get('status_code', 'connection')}"
        case "internal_error":
            return f"internal {values['error_name']}"
        case "mcp_server_connection":
            return "mcp connection" if values["status"] == "failed" else ""
        case "hook_execution_complete":
            return f"hook {values['hook_event']}" if values["num_non_blocking_error"] != "0" else ""
    return name if failed else ""


_DAY: Final = 86_400_000_000_000
