"""The invented world: models and their prices, teams, people, and their private data.

Everything shows that it is invented: teams are mythical and begin with `demo-`, people are vegetables, addresses end in
`.invalid`, and every record carries the resource attribute `telemetry.demo`.
"""

from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

MARK: Final = "telemetry.demo"
"""The resource attribute of invented data, with the value `true`; the client copies it onto every record."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model, with its prices in billionths of a US dollar a token."""

    name: str
    full_name: str
    """Its name in metrics and spans."""
    input: int
    output: int
    cache_write: int
    cache_read: int
    tokens_a_second: int
    context: int

    def cost(self, read: int, written: int, sent: int, received: int) -> int:
        """Return the price in billionths of a US dollar; `read` and `written` are tokens of the cache."""
        return (
            read * self.cache_read + written * self.cache_write + sent * self.input + received * self.output
        )


OPUS: Final = Model("claude-opus-4-8", "claude-opus-4-8[1m]", 5000, 25000, 6250, 500, 55, 400_000)
SONNET: Final = Model("claude-sonnet-4-6", "claude-sonnet-4-6", 3000, 15000, 3750, 300, 80, 160_000)
HAIKU: Final = Model("claude-haiku-4-5", "claude-haiku-4-5", 1000, 5000, 1250, 100, 160, 160_000)
UNKNOWN: Final = Model("demo-model-unlisted", "demo-model-unlisted", 3000, 15000, 3750, 300, 70, 160_000)
"""A model in no price list; the client uses the price of another."""
MODELS: Final = (OPUS, SONNET, HAIKU, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Team:
    """A team; `step` has the values of `workflow.step`, for a team of programs rather than people."""

    name: str
    department: str
    cost_center: str
    projects: tuple[str, ...]
    language: str
    suffix: str
    step: tuple[str, ...] = ()


TEAMS: Final = (
    Team("demo-kraken", "demo-engineering", "demo-100", ("demo-harbour", "demo-tides"), "Python", "py"),
    Team("demo-griffin", "demo-engineering", "demo-100", ("demo-nest",), "TypeScript", "ts"),
    Team("demo-phoenix", "demo-research", "demo-200", ("demo-embers", "demo-ashes"), "Rust", "rs"),
    Team("demo-yeti", "demo-support", "demo-300", ("demo-avalanche",), "Markdown", "md"),
    Team(
        *("demo-golem", "demo-engineering", "demo-100", ("demo-clay",), "YAML", "yaml"),
        step=("demo-triage", "demo-review", "demo-release-notes"),
    ),
)
SERVICES: Final = ("claude-code", "claude-code-desktop", "cowork")
TERMINALS: Final = ("iTerm.app", "vscode", "tmux", "WarpTerminal", "cursor")
VERSIONS: Final = ("2.1.183", "2.1.197", "2.1.197", "2.1.205")
FRAGILE_VERSION: Final = "2.1.205"
"""A version whose edits fail more often, so that there is something to find."""
_NAMES: Final = (
    *("turnip", "leek", "radish", "fennel", "okra", "parsnip", "celeriac", "endive", "kohlrabi", "shallot"),
    *(
        "artichoke",
        "chicory",
        "cress",
        "daikon",
        "rutabaga",
        "salsify",
        "sorrel",
        "squash",
        "tomatillo",
        "yam",
    ),
)
_MACHINES: Final = (
    ("linux", "amd64", "6.8.0-generic"),
    ("darwin", "arm64", "24.6.0"),
    ("windows", "amd64", "10.0.22631"),
)
_ORGANIZATION: Final = "de300000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Person:
    """A person or a program that uses Claude Code."""

    name: str
    email: str
    """Empty for users with an API key."""
    user_id: str
    account: str
    team: Team
    service: str
    terminal: str
    version: str
    machine: tuple[str, str, str]
    model: Model
    utc_offset: int
    """Hours."""
    keenness: float
    """The share of sessions, relative to others."""
    is_cumulative: bool
    """Whether the client's metrics are cumulative."""
    is_careful: bool
    """Whether they are asked before tools run, and have hooks."""
    servers: tuple[str, ...]
    """MCP servers."""

    @property
    def is_program(self) -> bool:
        """Whether it is a program."""
        return bool(self.team.step)

    @property
    def home(self) -> str:
        """The home directory."""
        return f"/home/{self.name}"


def people(random: Random, count: int) -> list[Person]:
    """Return `count` invented people; about one in eight is a program."""
    return [_person(random, number) for number in range(count)]


def _person(random: Random, number: int) -> Person:
    round_, place = divmod(number, len(_NAMES))
    name = _NAMES[place] + (str(round_ + 1) if round_ else "")
    team = TEAMS[-1] if number % 8 == 7 else TEAMS[number % (len(TEAMS) - 1)]  # noqa: PLR2004  one in eight
    is_program = bool(team.step)
    uses_key = is_program or random.random() < 0.15  # noqa: PLR2004
    service = SERVICES[0] if is_program else random.choices(SERVICES, (8, 2, 1))[0]
    return Person(
        name=name,
        email="" if uses_key else f"{name}@demo.invalid",
        user_id=random.randbytes(32).hex(),
        account="" if uses_key else str(UUID(int=random.getrandbits(128), version=4)),
        team=team,
        service=service,
        terminal="non-interactive" if is_program else random.choice(TERMINALS),
        version=VERSIONS[number % len(VERSIONS)],
        machine=_MACHINES[0] if is_program else random.choices(_MACHINES, (3, 5, 1))[0],
        model=random.choices(MODELS, (4, 10, 3, 0.7))[0],
        utc_offset=random.choice((-8, -5, 0, 1, 1, 2, 5)),
        keenness=random.lognormvariate(0, 0.6) * (2 if is_program else 1),
        is_cumulative=number % 5 == 2,  # noqa: PLR2004
        is_careful=not is_program and random.random() < 0.5,  # noqa: PLR2004
        servers=tuple(server for server in SERVERS if random.random() < 0.4),  # noqa: PLR2004
    )


def identity(person: Person, session_id: str, step: str, project: str) -> dict[str, str]:
    """Return the attributes that the client puts on every event, span and data point."""
    values = custom(person, step, project) | {"user.id": person.user_id, "session.id": session_id}
    if person.email:
        values |= {
            "organization.id": _ORGANIZATION,
            "user.email": person.email,
            "user.account_uuid": person.account,
            "user.account_id": f"user_demo_{person.name}",
        }
    return values | {"terminal.type": person.terminal}


def custom(person: Person, step: str, project: str) -> dict[str, str]:
    """Return the team's OTEL_RESOURCE_ATTRIBUTES, which are in the resource and on every record."""
    values = {
        MARK: "true",
        "department": person.team.department,
        "team.id": person.team.name,
        "cost_center": person.team.cost_center,
        "project": project,
    }
    if not person.email and not person.is_program:
        values["enduser.id"] = f"{person.name}@demo.invalid"
    return values | ({"workflow.step": step} if step else {})


SERVERS: Final = ("demo-tickets", "demo-wiki", "demo-browser")
SECRETS: Final = (
    "sk-ant-" + "api03-DEMODEMODEMODEMODEMO",
    "AKIA" + "DEMODEMODEMODEMO",
    "ghp_" + "DEMODEMODEMODEMODEMODEMODEMODEMODEMO",
    "potato.peeler@demo.invalid",
    "+1 (415) 555-0199",
    "demo-hunter2-password",
)
"""Invented secrets in some records, to show that no table holds one."""
PRIVATE: Final = (
    f"use the key {SECRETS[0]}",
    f"export AWS_ACCESS_KEY_ID={SECRETS[1]}",
    f"git clone https://x:{SECRETS[2]}@git.demo.invalid/clay",
    f"mail it to {SECRETS[3]}",
    f"call {SECRETS[4]}",
    f"password={SECRETS[5]}",
)
"""Sentences that hold these secrets, as people and programs write them."""
