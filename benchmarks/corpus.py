"""The requests that every benchmark sends: OTLP traces and logs in the shape of real Claude Code sessions.

Deterministic: the same seed and start make the same bytes. A request holds one `ResourceSpans` (or
`ResourceLogs`) a session, as a collector that merges clients sends it. A session is four prompts of about
ten spans, each prompt a trace: one interaction, and rounds of model request, tool and tool execution.

Every span has 17 attributes and about 835 bytes on the wire: ids and enums, numbers, identity and content
that is hashed (an email address, prompts, paths, commands), and two or three keys that no rule knows and
whose text must be scanned. 5 % of the spans failed, with an exception event that names an email address; 2 %
of the unknown texts hold an email address, an IP address or a key. Log records follow the same rules with the
events of real captures, 12 to 22 attributes, 18.5 on average.

It does not imitate metrics, which are a few hundred bytes a minute and cost nothing to speak of.
"""

import string
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import orjson
from google.protobuf.internal.containers import RepeatedCompositeFieldContainer
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

ATTRIBUTES_A_SPAN = 17
SPANS_A_SESSION = 40
RECORDS_A_SESSION = 40
START = 1_795_313_855_000_000_000  # 2026-11-22; a caller that stores rows passes a time inside the retention

Value = str | bool | int | float
Attributes = dict[str, Value]


def traces(spans: int, seed: int, start: int = START) -> bytes:
    """Return one serialized `ExportTraceServiceRequest` of `spans` spans; `start` is in Unix nanoseconds."""
    random = Random(seed)
    request = ExportTraceServiceRequest()
    while spans:
        session = Session.draw(random, start)
        group = request.resource_spans.add()
        describe(group.resource, session)
        scope = group.scope_spans.add()
        scope.scope.name = "com.anthropic.claude_code.tracing"
        scope.scope.version = session.version
        for _, step in zip(range(min(spans, SPANS_A_SESSION)), session.steps(), strict=False):
            session.span(scope.spans.add(), step)
            spans -= 1
    return request.SerializeToString()


def logs(records: int, seed: int, start: int = START) -> bytes:
    """Return one serialized `ExportLogsServiceRequest` of `records` records; `start` as in `traces`."""
    random = Random(seed)
    request = ExportLogsServiceRequest()
    while records:
        session = Session.draw(random, start)
        group = request.resource_logs.add()
        describe(group.resource, session)
        scope = group.scope_logs.add()
        scope.scope.name = "com.anthropic.claude_code.events"
        scope.scope.version = session.version
        events = session.events()
        for sequence in range(min(records, RECORDS_A_SESSION)):
            name, attributes = next(events)
            record = scope.log_records.add(flags=1)
            record.time_unix_nano = record.observed_time_unix_nano = session.clock
            record.body.string_value = f"claude_code.{name}"
            record.trace_id, record.span_id = session.trace_id, random.randbytes(8)
            fill(record.attributes, session.event_identity(name, sequence) | attributes)
            records -= 1
    return request.SerializeToString()


def write(path: Path, make: Callable[[int, int, int], bytes], items: int, count: int, start: int) -> None:
    """Write `count` requests of `items` spans or records to `path`, each behind its length in four bytes."""
    write_all(path, (make(items, seed, start + seed * 1_000_000_000) for seed in range(count)))


def write_all(path: Path, bodies: Iterable[bytes]) -> None:
    """Write requests to `path`, each behind its length in four bytes."""
    with path.open("wb") as file:
        for body in bodies:
            file.write(len(body).to_bytes(4, "little") + body)


def as_json(body: bytes, request: type[Message]) -> bytes:
    """Return a serialized request in OTLP's JSON.

    There ids are in hex and enums are numbers, where protobuf's own JSON has base64 and names.
    """
    translated = MessageToDict(request.FromString(body), use_integers_for_enums=True)

    def hexed(value: Any) -> Any:
        if isinstance(value, list):
            return [hexed(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {
            key: b64decode(one).hex() if key in ("traceId", "spanId", "parentSpanId") else hexed(one)
            for key, one in value.items()
        }

    return orjson.dumps(hexed(translated))


def read(path: Path) -> list[bytes]:
    """Return the requests that `write` wrote."""
    stored = path.read_bytes()
    bodies, at = [], 0
    while at < len(stored):
        size = int.from_bytes(stored[at : at + 4], "little")
        bodies.append(stored[at + 4 : at + 4 + size])
        at += 4 + size
    return bodies


@dataclass(frozen=True, slots=True)
class Step:
    """One span's place in its trace."""

    kind: str
    parent: bytes
    span_id: bytes


@dataclass(slots=True)
class Session:
    """One Claude Code process: who runs it, and the clock, prompt and trace it has reached."""

    random: Random
    session_id: str
    user_id: str
    email: str
    organization: str
    home: str
    terminal: str
    model: str
    version: str
    branch: str
    clock: int
    trace_id: bytes = b""
    prompt: str = ""
    prompt_id: str = ""
    prompts: int = 0

    @classmethod
    def draw(cls, random: Random, start: int) -> "Session":
        """Return a session of one of forty people, begun within the ten minutes after `start`."""
        person = Random(random.randrange(40))
        first, last = person.sample(NAMES, 2)
        return cls(
            random=random,
            session_id=uuid(random),
            user_id=person.randbytes(32).hex(),
            email=f"{first}.{last}@{person.choice(DOMAINS)}",
            organization=ORGANIZATIONS[person.randrange(len(ORGANIZATIONS))],
            home=f"/home/{first}",
            terminal=person.choice(TERMINALS),
            model=random.choice(MODELS),
            version=random.choice(VERSIONS),
            branch=f"{random.choice(BRANCHES)}/{random.choice(WORDS)}-{random.choice(WORDS)}",
            clock=start + random.randrange(600) * 1_000_000_000,
        )

    def steps(self) -> Iterator[Step]:
        """Yield spans without end, prompt after prompt, each prompt a new trace."""
        while True:
            self.begin_prompt()
            interaction = self.random.randbytes(8)
            for _ in range(self.random.choice((2, 3, 3, 4))):
                tool = self.random.randbytes(8)
                yield Step("llm_request", interaction, self.random.randbytes(8))
                yield Step("tool.execution", tool, self.random.randbytes(8))
                yield Step("tool", interaction, tool)
            yield Step("interaction", b"", interaction)

    def begin_prompt(self) -> None:
        """Take a new trace id and the next prompt, 60 to 120 characters that no other prompt shares."""
        self.trace_id = self.random.randbytes(16)
        self.prompt_id = uuid(self.random)
        self.prompts += 1
        self.prompt = self.sentence(self.random.randint(60, 120))

    def span(self, span: Span, step: Step) -> None:
        """Fill one span."""
        random = self.random
        self.clock += random.randint(1_000_000, 400_000_000)
        duration = int(random.lognormvariate(6, 1.2)) + 1
        failed = random.random() < 0.05
        span.trace_id, span.span_id, span.parent_span_id = self.trace_id, step.span_id, step.parent
        span.name, span.kind, span.flags = f"claude_code.{step.kind}", Span.SPAN_KIND_INTERNAL, 257
        span.start_time_unix_nano = self.clock
        span.end_time_unix_nano = self.clock + duration * 1_000_000
        common: Attributes = {
            "session.id": self.session_id,
            "user.id": self.user_id,
            "user.email": self.email,
            "organization.id": self.organization,
            "terminal.type": self.terminal,
            "span.type": step.kind,
            "model": self.model,
            "duration_ms": duration,
            "success": not failed,
            "vcs.branch": self.branch if random.random() >= 0.02 else f"fix/{self.private()}",
            "task.summary": self.summary(),
        }
        fill(span.attributes, common | self.details(step.kind))
        if failed:
            address = f"{random.choice(NAMES)}@{random.choice(DOMAINS)}"
            span.status.code = Status.STATUS_CODE_ERROR
            span.status.message = f"Overloaded: contact {address}"
            event = span.events.add(name="exception", time_unix_nano=span.end_time_unix_nano)
            text = f"File does not exist: {self.path()}; ask {address} for access"
            fill(event.attributes, {"exception.type": "ToolError", "exception.message": text})

    def details(self, kind: str) -> Attributes:
        """Return the six attributes that a span of this kind adds to the eleven that all have."""
        random = self.random
        if kind == "interaction":
            return {
                "user_prompt": self.prompt,
                "user_prompt_length": len(self.prompt),
                "interaction.sequence": self.prompts,
                "input_tokens": random.randint(1_000, 200_000),
                "output_tokens": random.randint(100, 9_000),
                "cost_usd": random.random(),
            }
        if kind == "llm_request":
            return {
                "user_prompt": self.prompt,
                "request_id": token(random, "req_"),
                "input_tokens": random.randint(1, 50_000),
                "output_tokens": random.randint(1, 5_000),
                "cost_usd": random.random() / 10,
                "stop_reason": random.choice(("tool_use", "end_turn", "max_tokens")),
            }
        return {
            "tool_name": random.choice(TOOLS),
            "tool_use_id": token(random, "toolu_"),
            "file_path": self.path(),
            "full_command": f"cd {self.home}/project && {random.choice(COMMANDS)} {random.choice(WORDS)}",
            "tool_result_size_bytes": random.randint(10, 90_000),
            "workspace.note": self.summary(),
        }

    def event_identity(self, name: str, sequence: int) -> Attributes:
        """Return the ten attributes that every log record has."""
        self.clock += self.random.randint(1_000_000, 400_000_000)
        moment = datetime.fromtimestamp(self.clock // 1_000_000 / 1000, UTC)
        return {
            "user.id": self.user_id,
            "session.id": self.session_id,
            "user.email": self.email,
            "organization.id": self.organization,
            "terminal.type": self.terminal,
            "event.name": name,
            "event.timestamp": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "event.sequence": sequence,
            "prompt.id": self.prompt_id,
            "vcs.branch": self.branch if self.random.random() >= 0.02 else f"fix/{self.private()}",
        }

    def events(self) -> Iterator[tuple[str, Attributes]]:
        """Yield log events without end: a prompt, rounds of request, decision and result, and the answer."""
        random = self.random
        while True:
            self.begin_prompt()
            yield "user_prompt", {"prompt_length": str(len(self.prompt)), "prompt": self.prompt}
            for _ in range(random.choice((2, 3, 3, 4))):
                yield self.request()
                yield from self.tool()
            yield self.request()

    def request(self) -> tuple[str, Attributes]:
        """Return a model request, one in twenty of them failed."""
        random = self.random
        shared: Attributes = {
            "model": self.model,
            "duration_ms": random.randint(50, 60_000),
            "request_id": token(random, "req_"),
            "speed": "normal",
            "query_source": "sdk",
            "effort": random.choice(("low", "medium", "high")),
        }
        if random.random() < 0.05:
            error = f"Overloaded: contact {random.choice(NAMES)}@{random.choice(DOMAINS)}"
            return "api_error", shared | {"error": error, "status_code": 529, "attempt": random.randint(1, 3)}
        return "api_request", shared | {
            "input_tokens": random.randint(1, 50_000),
            "output_tokens": random.randint(1, 5_000),
            "cache_read_tokens": random.randint(0, 90_000),
            "cache_creation_tokens": random.randint(0, 9_000),
            "cost_usd": random.random() / 10,
            "cost_usd_micros": random.randint(100, 90_000),
        }

    def tool(self) -> Iterator[tuple[str, Attributes]]:
        """Yield the decision about a tool and its result."""
        random = self.random
        name, use = random.choice(TOOLS), token(random, "toolu_")
        program, argument = random.choice(COMMANDS), random.choice(WORDS)
        command = f"{program} {argument}"
        parameters = {"bash_command": program, "full_command": command, "description": "Run it"}
        call: Attributes = {
            "tool_name": name,
            "tool_use_id": use,
            "tool_parameters": orjson.dumps(parameters).decode(),
        }
        decision: Attributes = {"decision": "accept", "source": "config", "task.summary": self.summary()}
        result: Attributes = {
            "success": "false" if random.random() < 0.05 else "true",
            "duration_ms": str(random.randint(1, 60_000)),
            "tool_input": orjson.dumps({"command": command, "file_path": self.path()}).decode(),
            "tool_input_size_bytes": str(random.randint(10, 900)),
            "tool_result_size_bytes": str(random.randint(10, 90_000)),
            "task.summary": self.summary(),
        }
        yield "tool_decision", call | decision
        yield "tool_result", call | result

    def path(self) -> str:
        """Return a path below the person's home directory."""
        return f"{self.home}/project/src/{self.random.choice(WORDS)}/{self.random.choice(WORDS)}.py"

    def summary(self) -> str:
        """Return about 40 characters of plain text, one in fifty with something private in it."""
        text = self.sentence(self.random.randint(35, 51))
        return text if self.random.random() >= 0.02 else f"{text[:24]} {self.private()}"

    def sentence(self, length: int) -> str:
        """Return `length` characters of words and numbers."""
        words = self.random.choices(WORDS, k=length // 6)
        return f"{' '.join(words)} {self.random.getrandbits(20)} please review and run the tests"[:length]

    def private(self) -> str:
        """Return an email address, an IP address or a cloud key."""
        random = self.random
        kinds = (
            f"{random.choice(NAMES)}@{random.choice(DOMAINS)}",
            f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}",
            "AKIA" + "".join(random.choices(string.ascii_uppercase + "234567", k=16)),
        )
        return random.choice(kinds)


def describe(resource: Resource, session: Session) -> None:
    """Fill the resource attributes that Claude Code sends."""
    attributes: Attributes = {
        "department": "engineering",
        "team.id": "platform",
        "host.arch": "amd64",
        "os.type": "linux",
        "os.version": "6.8.0-generic",
        "service.name": "claude-code",
        "service.version": session.version,
    }
    fill(resource.attributes, attributes)


def fill(target: RepeatedCompositeFieldContainer[KeyValue], attributes: Attributes) -> None:
    """Append the attributes, each in the AnyValue type that matches its Python type."""
    for key, value in attributes.items():
        any_value = target.add(key=key).value
        match value:
            case bool():
                any_value.bool_value = value
            case int():
                any_value.int_value = value
            case float():
                any_value.double_value = value
            case str():
                any_value.string_value = value


def uuid(random: Random) -> str:
    """Return a random UUID, drawn from the seed."""
    digits = random.randbytes(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def token(random: Random, prefix: str) -> str:
    """Return an id as the API makes them: a prefix and 24 letters and digits."""
    return prefix + "".join(random.choices(string.ascii_letters + string.digits, k=24))


NAMES = ("jane", "bob", "carol", "dmitri", "elena", "farid", "grace", "hiro", "ines", "jonas", "kofi", "lena")
DOMAINS = ("example.com", "corp.example", "mail.example.org")
ORGANIZATIONS = ("b68bab86-3130-43cf-803e-5bd3fef13dbb", "1f0c2f6e-7c0a-4a3f-9d53-0a4f5f1f6a11")
TERMINALS = ("vscode", "iTerm.app", "tmux", "non-interactive", "ghostty")
MODELS = ("claude-opus-4-8", "claude-sonnet-4-8", "claude-haiku-4-8")
VERSIONS = ("2.1.197", "2.1.196", "2.1.190")
BRANCHES = ("feature", "fix", "main", "release")
TOOLS = ("Bash", "Read", "Edit", "Write", "Grep", "Glob", "WebFetch")
COMMANDS = ("pytest -q", "ruff check", "git status --short", "cat", "grep -rn", "make")
WORDS = (
    *("parser", "worker", "config", "module", "branch", "schema", "loader", "buffer", "client", "server"),
    *("metric", "stream", "commit", "report", "search", "editor", "widget", "socket", "thread", "filter"),
    *("rename", "update", "delete", "insert", "format", "verify", "render", "decode", "encode", "import"),
)
