"""The tools of invented sessions: how often they are called, how long they take, and how they fail."""

from dataclasses import dataclass, field
from random import Random
from typing import Final

import orjson

from demo.records import Value
from demo.world import FRAGILE_VERSION, PRIVATE, Person

_WORDS: Final = (
    "scales",
    "tentacle",
    "feather",
    "cavern",
    "glacier",
    "ember",
    "lantern",
    "compass",
    "anchor",
    "quill",
)
_RARE: Final = 0.03


@dataclass(frozen=True, slots=True)
class Failure:
    """A kind of failure: the client's category, the message, and its share of all calls."""

    error_type: str
    message: str
    share: float


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool; durations are lognormal around a median, in milliseconds."""

    name: str
    weight: float
    median_ms: float
    spread: float
    failures: tuple[Failure, ...] = ()
    asks: bool = False
    """Whether careful people are asked before it runs."""
    server: str = ""
    """The MCP server that has it."""

    @property
    def edits(self) -> bool:
        """Whether it changes code."""
        return self.name in EDITS


EDITS: Final = ("Edit", "Write", "NotebookEdit")
BASH: Final = Tool(
    *("Bash", 30, 900, 1.4),
    (
        Failure("ShellError", "Exit code 1: 2 tests failed, see {path}", 0.06),
        Failure("ShellError", "Exit code 127: {word}: command not found", 0.012),
        Failure("Error:ETIMEDOUT", "Command timed out after 120000 ms", 0.007),
        Failure("ShellError", "Exit code 128: could not read from remote; {private}", 0.004),
    ),
    asks=True,
)
READ: Final = Tool(
    *("Read", 28, 12, 0.8),
    (
        Failure(
            "Error:ENOENT", "File does not exist. Note: your current working directory is {home}/work.", 0.035
        ),
        Failure("Error:EISDIR", "EISDIR: illegal operation on a directory, read '{path}'", 0.006),
    ),
)
EDIT: Final = Tool(
    *("Edit", 16, 25, 0.7),
    (
        Failure("EditError", "String to replace not found in file.", 0.045),
        Failure("EditError", "File has been modified since read, either by the user or by a linter.", 0.012),
    ),
    asks=True,
)
TASK: Final = Tool("Task", 2.2, 45_000, 0.6)
SKILL: Final = Tool("Skill", 1.2, 40, 0.5)
TOOLS: Final = (
    BASH,
    READ,
    EDIT,
    Tool(
        "Write",
        5,
        18,
        0.6,
        (Failure("Error:EACCES", "EACCES: permission denied, open '{path}'", 0.01),),
        asks=True,
    ),
    Tool("Grep", 9, 60, 0.9),
    Tool("Glob", 4, 30, 0.8),
    Tool("NotebookEdit", 0.6, 30, 0.6, asks=True),
    Tool("TodoWrite", 3, 4, 0.4),
    Tool(
        *("WebFetch", 2, 2_400, 0.8),
        (Failure("Error:ETIMEDOUT", "Request to https://{word}.demo.invalid timed out", 0.08),),
        asks=True,
    ),
    TASK,
    SKILL,
)
MCP_TOOLS: Final = (
    Tool(
        *("mcp__demo-tickets__search", 2.5, 700, 0.7),
        (Failure("McpError", "MCP error -32001: Request timed out", 0.06),),
        server="demo-tickets",
    ),
    Tool("mcp__demo-wiki__read_page", 2, 350, 0.5, server="demo-wiki"),
    Tool(
        *("mcp__demo-browser__screenshot", 1.5, 3_100, 0.6),
        (Failure("McpError", "MCP error -32603: no page is open", 0.15),),
        asks=True,
        server="demo-browser",
    ),
)
SKILLS: Final = ("demo-release", "demo-review", "demo-changelog")
AGENTS: Final = ("Explore", "general-purpose", "Plan")
_COMMIT: Final = "git commit -m"
_COMMANDS: Final = (
    "pytest -q",
    "git status",
    "git diff",
    "npm test",
    "cargo build",
    "ls -la",
    "make",
    "rg -n",
    _COMMIT,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, as the client describes it."""

    tool: Tool
    labels: dict[str, Value] = field(default_factory=dict)
    """Attributes of the events: tool_name, and tool_parameters where the tool has some."""
    span: dict[str, Value] = field(default_factory=dict)
    input: str = ""
    is_commit: bool = False
    is_pull_request: bool = False
    kind: str = ""
    """The subagent's type or the skill's name."""


def draw(random: Random, person: Person) -> Call:
    """Return an invented call of one of the person's tools."""
    tools = [*TOOLS, *(tool for tool in MCP_TOOLS if tool.server in person.servers)]
    return call(random, person, random.choices(tools, [tool.weight for tool in tools])[0])


def call(random: Random, person: Person, tool: Tool) -> Call:
    """Return an invented call of this tool."""
    labels: dict[str, Value] = {"tool_name": tool.name}
    if tool.name == "Bash":
        return _command(random, person, labels)
    if tool.name in {"Read", *EDITS}:
        path = _path(random, person)
        arguments = {"file_path": path} | ({"content": "line of a demo\n"} if tool.name == "Write" else {})
        return Call(tool, labels, {"file_path": path}, orjson.dumps(arguments).decode())
    if tool is TASK or tool is SKILL:
        key = "subagent_type" if tool is TASK else "skill_name"
        kind = random.choice(AGENTS if tool is TASK else SKILLS)
        given = f'{{"{key}":"{kind}"}}'
        return Call(tool, labels | {"tool_parameters": given}, {key: kind}, given, kind=kind)
    if tool.server:
        _, server, name = tool.name.split("__")
        labels["tool_parameters"] = f'{{"mcp_server_name":"{server}","mcp_tool_name":"{name}"}}'
        labels["mcp_server_scope"] = "project"
    return Call(tool, labels, {}, f'{{"query":"{random.choice(_WORDS)}"}}')


def _command(random: Random, person: Person, labels: dict[str, Value]) -> Call:
    command = random.choice(_COMMANDS)
    is_pull_request = False
    if command == _COMMIT:
        is_pull_request = random.random() < 0.25  # noqa: PLR2004
        argument = f"'teach the {random.choice(_WORDS)}'" + (" && gh pr create" if is_pull_request else "")
    else:
        argument = (
            PRIVATE[random.randrange(len(PRIVATE))] if random.random() < _RARE else random.choice(_WORDS)
        )
    full = f"cd {person.home}/work && {command} {argument}"
    is_commit = command == _COMMIT
    parameters = {"bash_command": command.partition(" ")[0], "full_command": full, "description": "Run it"}
    if is_commit:
        parameters["git_commit_id"] = random.randbytes(20).hex()
    labels["tool_parameters"] = orjson.dumps(parameters).decode()
    given = orjson.dumps({"command": full, "description": "Run it"}).decode()
    return Call(BASH, labels, {"full_command": full}, given, is_commit, is_pull_request)


def _path(random: Random, person: Person) -> str:
    return f"{person.home}/work/{random.choice(_WORDS)}/{random.choice(_WORDS)}.{person.team.suffix}"


def fails(random: Random, person: Person, tool: Tool) -> Failure | None:
    """Return how a call fails, None when it does not."""
    drawn = random.random()
    if tool is EDIT and person.version == FRAGILE_VERSION:
        drawn /= 2.5
    for failure in tool.failures:
        if drawn < failure.share:
            return failure
        drawn -= failure.share
    return None


def message(random: Random, person: Person, failure: Failure) -> str:
    """Return the message of a failure, with private text in it."""
    return failure.message.format(
        path=_path(random, person),
        word=random.choice(_WORDS),
        home=person.home,
        private=random.choice(PRIVATE),
    )


def sentence(random: Random) -> str:
    """Return the text of a prompt; a few have private text in them."""
    first, second, third = random.choices(_WORDS, k=3)
    text = f"Please make the {first} of the {second} faster, and test the {third} as well. #{random.getrandbits(16)}"
    return text if random.random() >= _RARE else f"{text} {random.choice(PRIVATE)}"
