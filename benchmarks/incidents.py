"""Ordinary work of some teams over some weeks, with at most one incident: what benchmarks/insight.py looks for.

Written from the client's documentation and captures: the events, attributes and spans that it sends, in the quantities
of a working day. What is planted changes the work itself, so that the consequences follow: a tool that fails is called
again, and that request costs money. `Incident.usd` and `minutes` say what it came to. Nothing here is known to the
program that looks.
"""

import hashlib
import json
import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

PRICES = {
    # input, output, cache read, cache written; dollars for a million tokens, as clickhouse/prices.yaml has them
    "claude-opus-4-8": (5.0, 25.0, 0.5, 6.25),
    "claude-sonnet-4-6": (3.0, 15.0, 0.3, 3.75),
    "claude-haiku-4-5": (1.0, 5.0, 0.1, 1.25),
    "claude-fable-5": (10.0, 50.0, 1.0, 12.5),
}
TOOLS = {
    # weight, median ms, spread, share that fails, the error
    "Bash": (30, 1500, 1.1, 0.05, "ShellError"),
    "Read": (26, 20, 0.6, 0.02, "Error:ENOENT"),
    "Edit": (16, 35, 0.6, 0.03, "StringNotFound"),
    "Grep": (12, 60, 0.8, 0.005, "RipgrepError"),
    "Glob": (5, 40, 0.7, 0.003, "Error:ENOENT"),
    "Write": (4, 30, 0.5, 0.01, "Error:EACCES"),
    "WebFetch": (3, 2600, 0.7, 0.06, "FetchError"),
}
PROGRAMS = ("git", "pytest", "npm", "make", "ls", "docker", "cargo", "python")
SERVERS = ("issues", "wiki", "browser", "database", "design")
HOOKS = ("PreToolUse:Bash", "PostToolUse:Edit", "UserPromptSubmit")
_READS = {"Read", "Grep", "Glob", "WebFetch"}
_ASKS = {"Bash", "Write", "WebFetch", "Edit"}


CLOCKS = ("clock", "clock behind")
ARRIVED = "benchmark.arrived"
"""The attribute with the time at which an event arrives, where that matters."""


@dataclass
class Person:
    """Somebody who works with the client."""

    user: str
    team: str
    project: str
    model: str
    version: str
    servers: tuple[str, ...]
    prompts: float
    size: float
    luck: float
    begins: float
    has_hooks: bool
    asks: float
    absent: float
    host: str
    terminal: str
    system: str
    region: str


@dataclass
class Incident:
    """What goes wrong, for whom, since when; and what it came to."""

    kind: str
    key: str = ""
    who: dict[str, str] = field(default_factory=dict)
    since: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    until: datetime | None = None
    size: float = 1.0
    usd: float = 0.0
    minutes: float = 0.0
    times: int = 0
    first: datetime | None = None
    hours: tuple[int, int] = (0, 24)
    """The hours of the day at which it happens."""

    def holds(self, kind: str, person: Person, at: datetime, key: str = "") -> bool:
        """Whether this kind of thing goes wrong for this person now."""
        return (
            self.kind == kind
            and at >= self.since
            and (self.until is None or at < self.until)
            and self.hours[0] <= at.hour < self.hours[1]
            and (not self.key or not key or self.key == key)
            and all(getattr(person, name) == value for name, value in self.who.items())
        )

    def cost(self, at: datetime, usd: float = 0.0, minutes: float = 0.0) -> None:
        """Count what came of it."""
        self.usd += usd
        self.minutes += minutes
        self.times += 1
        self.first = at if self.first is None else min(self.first, at)


@dataclass
class World:
    """Teams and people, drawn by a seed."""

    seed: int
    begin: datetime
    days: int = 14
    people: int = 12
    teams: int = 3
    weekends: float = 0.06

    def __post_init__(self) -> None:
        chance = random.Random(f"world {self.seed}")
        names = chance.sample(
            ["payments", "search", "platform", "mobile", "data", "growth", "infra", "web"], self.teams
        )
        projects = {name: [f"{name}-api", f"{name}-app"][: chance.randint(1, 2)] for name in names}
        servers = {name: tuple(chance.sample(SERVERS, chance.randint(1, 3))) for name in names}
        hooks = {name: number == 0 or chance.random() < 0.5 for number, name in enumerate(names)}
        self.crew = []
        labels = random.Random(f"labels {self.seed}")
        places = [[*range(self.people)] for _ in range(3)]
        for some in places:
            labels.shuffle(some)
        for number in range(self.people):
            team = names[number % self.teams]
            email = hashlib.sha256(f"{self.seed} {number}@example.com".encode()).hexdigest()
            self.crew.append(
                Person(
                    user=f"sha256:{email}",
                    team=team,
                    project=chance.choice(projects[team]),
                    model=chance.choice(["claude-opus-4-8", "claude-sonnet-4-6", "claude-sonnet-4-6"]),
                    version=chance.choice(["2.1.280", "2.1.280", "2.1.293"]),
                    servers=servers[team],
                    prompts=chance.lognormvariate(math.log(14), 0.35),
                    size=chance.lognormvariate(0, 0.25),
                    luck=chance.lognormvariate(0, 0.25),
                    begins=chance.uniform(7, 10.5),
                    has_hooks=hooks[team],
                    asks=chance.uniform(0.05, 0.4),
                    absent=chance.choice([0.03, 0.08, 0.15]),
                    host=f"host-{number}",
                    terminal=("vscode", "vscode", "iTerm.app", "tmux")[places[0][number] % 4],
                    system=("darwin", "linux", "darwin", "windows")[places[1][number] % 4],
                    region=("eu-west-1", "us-east-1")[places[2][number] % 2],
                )
            )
        # Clients are updated in an ordinary week too.
        self.updates = {
            person.user: begin_of(self.begin) + timedelta(days=chance.uniform(3, self.days))
            for person in self.crew
            if chance.random() < 0.4
        }


def begin_of(day: datetime) -> datetime:
    """Return the midnight before."""
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


class Work:
    """The telemetry of a world, with an incident or none."""

    def __init__(self, world: World, incident: Incident | None = None) -> None:
        self.world = world
        self.incident = incident or Incident("none")
        self.logs: list[str] = []
        self.spans: list[str] = []
        self.metrics: list[str] = []
        self.number = 0
        for person in world.crew:
            # A stream of chance for each person and day: what is planted for one leaves the others as they were.
            for day in range(world.days):
                self.chance = random.Random(f"{world.seed} {person.user} {day}")
                self._day(person, begin_of(world.begin) + timedelta(days=day))

    def _day(self, person: Person, midnight: datetime) -> None:
        chance, incident = self.chance, self.incident
        is_weekend = midnight.weekday() >= 5
        if chance.random() < (1 - self.world.weekends if is_weekend else person.absent):
            return
        self.person = person
        prompts = max(1, round(person.prompts * chance.lognormvariate(0, 0.35) * (0.4 if is_weekend else 1)))
        if incident.holds("more work", person, midnight):
            prompts *= 2
        at = midnight + timedelta(hours=person.begins + chance.gauss(0, 0.5))
        self.version = person.version
        update = self.world.updates.get(person.user)
        if update is not None and midnight >= update:
            self.version = "2.1.301"
        if incident.kind == "version" and incident.holds("version", person, midnight + timedelta(days=1)):
            self.version = "2.2.0"
        if incident.kind == "session" and incident.holds("session", person, midnight + timedelta(days=1)):
            self._runaway(midnight + timedelta(hours=20))
            incident.kind = "session done"
        while prompts > 0:
            some = min(prompts, chance.randint(1, 9))
            prompts -= some
            at = self._session(at, some) + timedelta(minutes=chance.lognormvariate(3.2, 0.8))
            if at.hour >= 22:
                break

    def _runaway(self, at: datetime) -> None:
        """Ask for hundreds of requests with one prompt, none of which fails."""
        self._begin(at)
        self.prompt = hashlib.md5(self.session.encode(), usedforsecurity=False).hexdigest()
        self._event("user_prompt", prompt_length=80)
        for _ in range(round(self.incident.size)):
            self.incident.cost(self.at, self._ask("repl_main_thread", grown=700) or 0.0)
            self._tool("Read")
            if self.context > 150_000:
                self._compact()
            self._wait(10)

    def _silent(self, at: datetime) -> bool:
        return self.incident.holds("silence", self.person, at)

    def _begin(self, at: datetime) -> None:
        person, incident = self.person, self.incident
        self.session = str(random.Random(f"{at} {person.user}").getrandbits(64))
        self.session = hashlib.md5(self.session.encode(), usedforsecurity=False).hexdigest()
        one = self.session
        self.session = f"{one[:8]}-{one[8:12]}-4{one[12:15]}-a{one[15:18]}-{one[18:30]}"
        self.sequence, self.context, self.prompt = 0, 18_000, ""
        self.at, self.cached_at = at, at - timedelta(hours=1)
        self.model = person.model
        if incident.holds("dearer", person, at):
            self.model = incident.key
        self._metric("session.count", 1)

    def _session(self, at: datetime, prompts: int) -> datetime:
        chance, person, incident = self.chance, self.person, self.incident
        self._begin(at)
        for server in person.servers:
            broken = incident.holds("connection", person, self.at, server) and chance.random() < incident.size
            fails = broken or chance.random() < 0.01
            took = chance.lognormvariate(math.log(30_000 if fails else 400), 0.3)
            self._event(
                "mcp_server_connection",
                status="failed" if fails else "connected",
                transport_type="http",
                server_name=server,
                duration_ms=round(took),
                **({"error_code": "ETIMEDOUT", "error": "connect ETIMEDOUT 10.0.0.7:443"} if fails else {}),
            )
            if broken:
                incident.cost(self.at, minutes=took / 60_000)
        for plugin in ("formatter", "linter")[: chance.randint(0, 2)]:
            self._event("plugin_loaded", **{"plugin.name": plugin, "plugin.scope": "official"})
        if incident.holds("plugin", person, at):
            incident.cost(self.at)
            self._event(
                "plugin_installed",
                **{
                    "plugin.name": "quick-deploy",
                    "marketplace.is_official": "false",
                    "marketplace.name": "flea",
                },
            )
            incident.kind = "plugin done"
        if incident.holds("bypass", person, at) and chance.random() < 0.6:
            incident.cost(self.at)
            self._event(
                "permission_mode_changed", from_mode="default", to_mode="bypassPermissions", trigger="cli"
            )
        elif chance.random() < 0.1:
            self._event(
                "permission_mode_changed", from_mode="default", to_mode=chance.choice(["plan", "acceptEdits"])
            )
        for _ in range(prompts):
            self._prompt()
            self._wait(chance.lognormvariate(math.log(120), 0.8))
        return self.at

    def _prompt(self) -> None:
        chance, person, incident = self.chance, self.person, self.incident
        self.prompt = hashlib.md5(f"{self.session} {self.at}".encode(), usedforsecurity=False).hexdigest()
        self._event("user_prompt", prompt_length=chance.randint(10, 600))
        if person.has_hooks:
            self._hook("UserPromptSubmit")
        rounds = 1 + min(40, int(chance.expovariate(1 / (7 * person.size))))
        for number in range(rounds):
            if not self._ask("repl_main_thread", grown=round(chance.lognormvariate(7, 0.8))):
                if chance.random() < 0.5:
                    return
                continue
            if number < rounds - 1:
                for _ in range(1 if chance.random() < 0.75 else 2):
                    self._tool()
            if self.context > 150_000 or (
                incident.holds("compactions", person, self.at) and self.context > 45_000
            ):
                self._compact()
        if chance.random() < 0.05:
            self._delegate(1)
        if incident.holds("fan-out", person, self.at) and chance.random() < 0.7:
            self._delegate(round(incident.size), planted=True)
        if incident.holds("loop", person, self.at) and chance.random() < 0.6:
            tool = f"{self.at}"
            for _ in range(round(incident.size)):
                usd = self._ask("repl_main_thread", grown=400)
                incident.cost(self.at, usd or 0.0)
                self._tool("Bash", program="pytest", fails=True, given=tool)
        if chance.random() < 0.006:
            self._event("internal_error", error_name="TypeError")
        if incident.holds("internal", person, self.at) and chance.random() < incident.size:
            incident.cost(self.at)
            self._event("internal_error", error_name=incident.key)

    def _compact(self) -> None:
        incident = self.incident
        planted = self.context <= 150_000
        before = self.context
        usd = self._ask("compact", grown=100, received=2_500) or 0.0
        self.context, self.cached_at = 22_000, self.at - timedelta(hours=1)
        self._event(
            "compaction",
            trigger="auto",
            success="true",
            duration_ms=20_000,
            pre_tokens=before,
            post_tokens=22_000,
        )
        if planted:
            incident.cost(self.at, usd)

    def _delegate(self, agents: int, planted: bool = False) -> None:
        chance = self.chance
        context = self.context
        for _ in range(agents):
            self._tool("Task", given=f"{self.at}", about={"tool_parameters.subagent_type": "Explore"})
            usd, began = 0.0, self.at
            self.context, cached = 16_000, self.cached_at
            rounds = chance.randint(2, 6)
            for number in range(rounds):
                usd += (
                    self._ask("agent:builtin:Explore", grown=chance.randint(300, 5_000), agent="Explore")
                    or 0.0
                )
                if number < rounds - 1:
                    self._tool()
            self._event(
                "subagent_completed",
                agent_type="Explore",
                duration_ms=round((self.at - began).total_seconds() * 1000),
                total_tool_uses=rounds,
            )
            self.cached_at = cached
            if planted:
                self.incident.cost(began, usd)
        self.context = context

    def _ask(self, source: str, grown: int, received: int = 0, agent: str = "") -> float | None:
        """Return what a request cost, None when it failed."""
        chance, person, incident = self.chance, self.person, self.incident
        about = {"query_source": source, "speed": "normal", **({"agent.name": agent} if agent else {})}
        broken = incident.holds("api", person, self.at) and chance.random() < incident.size
        if broken or chance.random() < 0.006:
            status = incident.key if broken else chance.choice(["529", "529", "500", "429"])
            attempts = 1 if status in {"400", "401", "403"} else chance.randint(4, 11)
            took = sum(min(500 * 2**one, 8_000) for one in range(attempts - 1)) + 300
            self._wait(took / 1000)
            failed = {"model": self.model, "status_code": int(status), "error": "the API said no"}
            if status == "connection":
                failed = {"model": self.model, "error": "Connection error: ECONNRESET"}
            self._event("api_error", duration_ms=took, attempt=attempts, **failed, **about)
            if attempts > 1:
                self._event("api_retries_exhausted", total_attempts=attempts, **failed, **about)
            if broken:
                incident.cost(self.at, minutes=took / 60_000)
            return None
        warm = (self.at - self.cached_at) < timedelta(minutes=5)
        spoilt = incident.holds("cache", person, self.at) and chance.random() < incident.size
        read = self.context if warm and not spoilt else 0
        written = grown if warm and not spoilt else self.context + grown
        received = received or max(8, int(chance.lognormvariate(5.4, 0.8)))
        sent = chance.randint(2, 40)
        if incident.holds("long answers", person, self.at):
            more = round(received * (incident.size - 1))
            received += more
            incident.cost(self.at, more * PRICES[self.model][1] / 1e6)
        ttft = chance.lognormvariate(math.log(1300 if "opus" in self.model else 800), 0.4)
        slow = incident.holds("ttft", person, self.at)
        if slow:
            incident.cost(self.at, minutes=ttft * (incident.size - 1) / 60_000)
            ttft *= incident.size
        took = ttft + received * 14
        attempts = 1
        if incident.holds("retries", person, self.at) and chance.random() < incident.size:
            attempts = chance.randint(2, 4)
            waited = 1_100 * (2**attempts - 2)
            took += waited
            incident.cost(self.at, minutes=waited / 60_000)
        elif chance.random() < 0.015:
            attempts, took = 2, took + 1_100
        model = self.model
        swapped = bool(agent) and incident.holds("agent model", person, self.at)
        if agent and incident.kind == "agent model":
            model = incident.key if swapped else "claude-haiku-4-5"
        rates = PRICES[model]
        tokens = (sent, received, read, written)
        usd = _usd(tokens, rates)
        if spoilt and warm:
            incident.cost(self.at, self.context * (rates[3] - rates[2]) / 1e6)
        if swapped:
            incident.cost(self.at, usd - _usd(tokens, PRICES["claude-haiku-4-5"]))
        if self.model != person.model and incident.kind == "dearer":
            incident.cost(self.at, usd - _usd(tokens, PRICES[person.model]))
        start = self.at
        self._wait(took / 1000)
        self.context += grown + received
        self.cached_at = self.at
        request = f"req_{self.number}"
        self._event(
            "api_request",
            model=model,
            input_tokens=sent,
            output_tokens=received,
            cache_read_tokens=read,
            cache_creation_tokens=written,
            cost_usd=round(usd, 9),
            duration_ms=round(took),
            request_id=request,
            **about,
        )
        self._span(
            "llm_request",
            start,
            took,
            model=model,
            ttft_ms=round(ttft),
            attempt=attempts,
            success="true",
            request_id=request,
            stop_reason="tool_use",
        )
        return usd

    def _tool(
        self,
        tool: str = "",
        program: str = "",
        fails: bool = False,
        given: str = "",
        about: dict[str, str] | None = None,
    ) -> None:
        chance, person, incident = self.chance, self.person, self.incident
        server = ""
        if not tool:
            tool = chance.choices([*TOOLS], [one[0] for one in TOOLS.values()])[0]
            if person.servers and chance.random() < 0.06:
                server = chance.choice(person.servers)
                tool = f"mcp__{server}__{chance.choice(['search', 'get'])}"
        _, median, spread, share, error = TOOLS.get(tool, (0, 900, 0.7, 0.03, "McpError"))
        if tool == "Bash":
            program = program or chance.choices(PROGRAMS, [8, 5, 4, 3, 8, 1, 1, 3])[0]
        use = f"toolu_{self.number}"
        start = self.at
        asked = tool in _ASKS and chance.random() < person.asks
        waited = 3.0
        decision, source = "accept", "config"
        if asked:
            waited = chance.lognormvariate(math.log(5_000), 0.9)
            if incident.holds("waits", person, self.at):
                incident.cost(self.at, minutes=waited * (incident.size - 1) / 60_000)
                waited *= incident.size
            refused = incident.holds("refusals", person, self.at, tool) and chance.random() < incident.size
            if refused:
                incident.cost(self.at)
            source = "user_temporary"
            if refused or chance.random() < 0.05:
                decision, source = "reject", "user_reject"
        self._wait(waited / 1000)
        parent = self.number
        self._span("tool.blocked_on_user", start, waited, parent=parent, decision=decision, source=source)
        labels = dict(about or {})
        if tool == "Bash":
            labels["tool_parameters.bash_command"] = program
        if server:
            labels |= {"tool_parameters.mcp_server_name": server}
        self._event(
            "tool_decision", tool_name=tool, decision=decision, source=source, tool_use_id=use, **labels
        )
        if decision == "reject":
            return
        if person.has_hooks and tool in {"Bash", "Edit"}:
            self._hook("PreToolUse:Bash" if tool == "Bash" else "PostToolUse:Edit")
        key = program or server or tool
        broken = (
            incident.holds("tool", person, self.at, key) and (program or server or tool) == incident.key
            and chance.random() < incident.size
        ) or (self.version == "2.2.0" and tool == incident.key and chance.random() < incident.size)  # fmt: skip
        failed = fails or broken or chance.random() < share * person.luck
        took = chance.lognormvariate(math.log(median), spread)
        if incident.holds("slow tool", person, self.at) and key == incident.key:
            incident.cost(self.at, minutes=took * (incident.size - 1) / 60_000)
            took *= incident.size
        self._wait(took / 1000)
        command = given or f"{tool} {chance.randint(0, 400)}"
        self._event(
            "tool_result",
            tool_name=tool,
            tool_use_id=use,
            success="false" if failed else "true",
            duration_ms=round(took),
            tool_result_size_bytes=chance.randint(10, 4_000),
            tool_input=f"sha256:{hashlib.sha256(command.encode()).hexdigest()}",
            decision_type=decision,
            decision_source=source,
            **labels,
            **(
                {"error_type": error, "error": f"{error}: exit code {chance.randint(1, 2)}"} if failed else {}
            ),
        )
        self._span("tool", start, took + waited, span_number=parent, tool_name=tool, tool_use_id=use)
        if broken:
            # It is tried again, which costs a request and time.
            usd = self._ask("repl_main_thread", grown=300) or 0.0
            incident.cost(start, usd, minutes=took / 60_000)

    def _hook(self, name: str) -> None:
        chance, incident = self.chance, self.incident
        took = chance.lognormvariate(math.log(120), 0.8)
        if incident.holds("slow hook", self.person, self.at, name):
            incident.cost(self.at, minutes=took * (incident.size - 1) / 60_000)
            took *= incident.size
        fails = incident.holds("hook fails", self.person, self.at, name) and chance.random() < incident.size
        if fails:
            incident.cost(self.at, minutes=took / 60_000)
        fault = fails or chance.random() < 0.01
        self._wait(took / 1000)
        self._event(
            "hook_execution_complete",
            hook_event=name.partition(":")[0],
            hook_name=name,
            num_hooks=1,
            num_success=int(not fault),
            num_blocking=0,
            num_non_blocking_error=int(fault),
            num_cancelled=0,
            total_duration_ms=round(took),
        )

    def _wait(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)

    def _told(self, at: datetime) -> datetime:
        """Return the time by the person's clock."""
        if self.incident.holds(self.incident.kind, self.person, at) and self.incident.kind in CLOCKS:
            return at + timedelta(hours=self.incident.size)
        return at

    def _common(self) -> dict[str, str]:
        return {
            "user.id": hashlib.sha256(self.person.host.encode()).hexdigest(),
            "user.email": self.person.user,
            "session.id": self.session,
            "terminal.type": self.person.terminal,
            "team.id": self.person.team,
            "cloud.region": self.person.region,
        }

    def _resource(self) -> dict[str, str]:
        return {
            "service.name": "claude-code",
            "service.version": self.version,
            "team.id": self.person.team,
            "project": self.person.project,
            "host.name": self.person.host,
            "os.type": self.person.system,
            "cloud.region": self.person.region,
        }

    def _event(self, name: str, **attributes: object) -> None:
        self.number += 1
        self.sequence += 1
        self.at += timedelta(milliseconds=3)
        if self._silent(self.at):
            self.incident.cost(self.at)
            return
        told = self._told(self.at)
        if told != self.at and name == "api_request":
            self.incident.cost(self.at, float(str(attributes["cost_usd"])))
        values = self._common() | {
            "event.name": name,
            "event.sequence": str(self.sequence),
            "prompt.id": self.prompt,
            "event.timestamp": f"{told:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z",
        }
        if self.incident.kind in CLOCKS:
            values[ARRIVED] = f"{self.at + timedelta(seconds=5):%Y-%m-%d %H:%M:%S}"
        self.logs.append(
            json.dumps(
                {
                    "Timestamp": f"{told:%Y-%m-%d %H:%M:%S.%f}",
                    "ServiceName": "claude-code",
                    "Body": f"claude_code.{name}",
                    "ResourceAttributes": self._resource(),
                    "ScopeName": "com.anthropic.claude_code.events",
                    "LogAttributes": values | {key: str(value) for key, value in attributes.items()},
                }
            )
        )

    def _metric(self, name: str, value: float) -> None:
        if self._silent(self.at):
            return
        self.metrics.append(
            json.dumps(
                {
                    "TimeUnix": f"{self._told(self.at):%Y-%m-%d %H:%M:%S.%f}",
                    "ServiceName": "claude-code",
                    "MetricName": f"claude_code.{name}",
                    "ResourceAttributes": self._resource(),
                    "Attributes": self._common(),
                    "Value": value,
                    "AggregationTemporality": 1,
                    "IsMonotonic": True,
                }
            )
        )

    def _span(
        self, name: str, start: datetime, took: float, parent: int = 0, span_number: int = 0, **about: object
    ) -> None:
        self.number += 1
        if self._silent(start):
            return
        self.spans.append(
            json.dumps(
                {
                    "Timestamp": f"{self._told(start):%Y-%m-%d %H:%M:%S.%f}",
                    "TraceId": self.prompt or "0" * 32,
                    "SpanId": f"{span_number or self.number:016x}",
                    "ParentSpanId": f"{parent:016x}" if parent else "",
                    "SpanName": f"claude_code.{name}",
                    "ServiceName": "claude-code",
                    "ResourceAttributes": self._resource(),
                    "ScopeName": "com.anthropic.claude_code.tracing",
                    "Duration": round(took * 1e6),
                    "SpanAttributes": self._common() | {key: str(value) for key, value in about.items()},
                }
            )
        )


def _usd(tokens: Sequence[int], rates: Sequence[float]) -> float:
    """Return what a request costs: tokens sent, received, read from the cache and written to it, by their rates."""
    return sum(count * rate for count, rate in zip(tokens, rates, strict=True)) / 1e6


def labelled(world: World, seed: int) -> Iterator[Incident]:
    """Yield incidents of those who share a terminal, a system, a region or a model, and of single sessions."""
    chance = random.Random(f"labelled {world.seed} {seed}")
    day = begin_of(world.begin) + timedelta(days=world.days // 2 + 1)
    while day.weekday() >= 5:
        day += timedelta(days=1)
    begin = day + timedelta(hours=chance.uniform(9, 11))
    terminal, system, region, model = (
        {name: chance.choice(sorted({getattr(one, name) for one in world.crew}))}
        for name in ("terminal", "system", "region", "model")
    )
    yield Incident("tool", "Edit", terminal, begin, size=chance.uniform(0.2, 0.4))
    yield Incident("tool", "pytest", system, begin, size=chance.uniform(0.3, 0.6))
    yield Incident("slow tool", "git", system, begin, size=chance.uniform(5, 12))
    yield Incident("api", "429", region, begin, size=chance.uniform(0.1, 0.2), hours=(13, 17))
    yield Incident("compactions", "", model, begin)
    yield Incident("long answers", "", terminal, begin, size=chance.uniform(2.5, 5))
    yield Incident("agent model", "claude-opus-4-8", {}, begin)
    busiest = max(world.crew, key=lambda one: one.prompts)
    yield Incident("session", "", {"user": busiest.user}, begin, size=chance.uniform(350, 500))


def incidents(world: World, seed: int) -> Iterator[Incident]:
    """Yield one incident of each kind, for a team, a person or all, beginning in the later half."""
    chance = random.Random(f"incidents {world.seed} {seed}")

    def moment() -> datetime:
        day = chance.randint(world.days // 2 + 1, world.days - 3)
        found = begin_of(world.begin) + timedelta(days=day)
        while found.weekday() >= 5:
            found -= timedelta(days=1)
        return found + timedelta(hours=chance.uniform(9, 14))

    def team(has_hooks: bool = False) -> dict[str, str]:
        return {"team": chance.choice([one.team for one in world.crew if one.has_hooks or not has_hooks])}

    def user(has_hooks: bool = False) -> dict[str, str]:
        # Somebody who works most days.
        some = sorted(
            (one for one in world.crew if one.has_hooks or not has_hooks), key=lambda one: -one.prompts
        )
        return {"user": chance.choice(some[: max(3, len(some) // 2)]).user}

    def anybody() -> dict[str, str]:
        return chance.choice([{}, team(), user()])

    def server_of(who: dict[str, str]) -> str:
        crew = [one for one in world.crew if all(getattr(one, key) == value for key, value in who.items())]
        return chance.choice(crew[0].servers)

    yield Incident("tool", "Edit", team(), moment(), size=chance.uniform(0.2, 0.5))
    yield Incident("tool", "pytest", user(), moment(), size=chance.uniform(0.4, 0.9))
    yield Incident("tool", "WebFetch", {}, moment(), size=chance.uniform(0.4, 0.9))
    where = team()
    yield Incident("tool", server_of(where), where, moment(), size=chance.uniform(0.5, 0.9))
    begin = moment()
    yield Incident("api", "529", {}, begin, begin + timedelta(hours=chance.choice([3, 6, 30])), size=0.35)
    yield Incident("api", "401", user(), moment(), size=0.3)
    yield Incident("api", "429", team(), moment(), size=0.12)
    where = team()
    yield Incident("connection", server_of(where), where, moment(), size=chance.uniform(0.6, 1))
    who = team(has_hooks=True)
    yield Incident("slow hook", "PreToolUse:Bash", who, moment(), size=chance.uniform(8, 40))
    yield Incident(
        "hook fails", "PostToolUse:Edit", user(has_hooks=True), moment(), size=chance.uniform(0.3, 0.8)
    )
    yield Incident(
        "slow tool", chance.choice(["pytest", "npm", "git"]), team(), moment(), size=chance.uniform(4, 10)
    )
    yield Incident("ttft", "", anybody(), moment(), size=chance.uniform(2.5, 5))
    yield Incident("waits", "", anybody(), moment(), size=chance.uniform(6, 20))
    yield Incident("refusals", "Bash", team(), moment(), size=chance.uniform(0.4, 0.8))
    yield Incident("cache", "", anybody(), moment(), size=chance.uniform(0.3, 0.8))
    yield Incident("dearer", "claude-fable-5", anybody(), moment())
    yield Incident("fan-out", "", chance.choice([team(), user()]), moment(), size=chance.uniform(4, 8))
    yield Incident("compactions", "", chance.choice([team(), user()]), moment())
    yield Incident("retries", "", anybody(), moment(), size=chance.uniform(0.2, 0.5))
    yield Incident("loop", "", user(), moment(), size=chance.uniform(6, 12))
    yield Incident("silence", "", team(), moment())
    yield Incident("silence", "", user(), moment() - timedelta(days=2))
    yield Incident("clock", "", user(), moment(), size=chance.choice([5, 11, 20]))
    yield Incident("bypass", "", user(), moment())
    yield Incident("plugin", "", user(), moment())
    yield Incident("internal", "RangeError", team(), moment(), size=0.1)
    yield Incident("clock behind", "", user(), moment(), size=-random.Random(seed).choice([1, 6, 26]))
    yield Incident(
        "version", chance.choice(["Edit", "Grep"]), anybody(), moment(), size=chance.uniform(0.2, 0.5)
    )
