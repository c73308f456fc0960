"""Which value of a variable the client uses, of all the places where it can be set.

Highest first: settings that an organization manages, the project's settings.local.json and settings.json, the user's
settings.json, the environment of the shell. A value in a file replaces the shell's. A repository cannot turn telemetry
on, choose its destination or add content: of such variables the client (from 2.1.282 on) takes from a project's files
only values that turn something off, and only where neither the shell nor the organization sets them. A destination that
the organization sets also overrides the destinations of single signals that others set.

A file given with `--settings` is not seen here.

Source: https://code.claude.com/docs/en/settings#settings-precedence and the monitoring page's part for administrators.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from onboarding.settings_files import SettingsFile, managed_files, read, user_folder

_EXPORT: Final = re.compile(
    r"CLAUDE_CODE_(?:ENABLE_TELEMETRY|ENHANCED_TELEMETRY_BETA)|OTEL_LOG_\w+|OTEL_(?:METRICS|LOGS|TRACES)_EXPORTER"
    r"|OTEL_EXPORTER_OTLP_\w+"
)
"""Variables that a repository may only turn off."""
_SINGLE: Final = re.compile(r"OTEL_EXPORTER_OTLP_(?:METRICS|LOGS|TRACES)_(ENDPOINT|PROTOCOL|HEADERS)")
_ENDPOINT: Final = re.compile(r"OTEL_EXPORTER_OTLP_(?:\w+_)?ENDPOINT")
_OFF: Final = frozenset({"none", "0", "false", "no", "off"})
OURS: Final = re.compile(rf"{_EXPORT.pattern}|OTEL_\w+")
"""All variables that concern telemetry."""


class Origin(StrEnum):
    """Where a value is set."""

    MANAGED = "managed settings"
    LOCAL = "the project's settings.local.json"
    PROJECT = "the project's settings.json"
    USER = "the user's settings.json"
    SHELL = "the shell's environment"


@dataclass(frozen=True, slots=True)
class Layer:
    """The variables of one place."""

    origin: Origin
    path: Path | None
    variables: Mapping[str, str]

    @property
    def place(self) -> str:
        """The name of the place, for people."""
        return str(self.path) if self.path else self.origin.value


@dataclass(frozen=True, slots=True)
class Variables:
    """The variables that the client uses. Values may be secrets."""

    values: Mapping[str, str]
    places: Mapping[str, str]
    """Variable to the place where its value is set."""
    ignored: tuple[tuple[str, str], ...] = ()
    """Variable and place of each value that the client ignores."""
    overridden: tuple[tuple[str, str], ...] = ()
    """Variable and place of each value that a higher place overrides."""

    def get(self, name: str) -> str:
        """Return a variable's value, "" when it has none."""
        return self.values.get(name, "").strip()

    def is_on(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.get(name).lower() not in {"", *_OFF}


def read_layers(
    project: Path, environment: Mapping[str, str], managed: Sequence[Path] | None = None
) -> list[Layer]:
    """Read every place, highest first. Raises SettingsFileError for the first file that cannot be read."""
    return [_layer(origin, path) for origin, path in places(project, environment, managed)] + [
        Layer(Origin.SHELL, None, dict(environment))
    ]


def places(
    project: Path, environment: Mapping[str, str], managed: Sequence[Path] | None = None
) -> Iterator[tuple[Origin, Path]]:
    """Yield the files, highest first."""
    for path in reversed(managed_files() if managed is None else managed):
        yield Origin.MANAGED, path
    user = user_folder(environment) / "settings.json"
    shared = project / ".claude" / "settings.json"
    yield Origin.LOCAL, project / ".claude" / "settings.local.json"
    if shared.resolve() != user.resolve():  # they are the same file in the home directory
        yield Origin.PROJECT, shared
    yield Origin.USER, user


def in_force(layers: Sequence[Layer]) -> Variables:
    """Return the variables that the client uses. `layers` are highest first."""
    values: dict[str, str] = {}
    where: dict[str, str] = {}
    ignored: list[tuple[str, str]] = []
    overridden: list[tuple[str, str]] = []
    shell = {name for layer in layers if layer.origin is Origin.SHELL for name in layer.variables}
    pinned = _pinned(layers)
    for layer in layers:
        for name, value in layer.variables.items():
            if not OURS.fullmatch(name):
                continue
            if not _is_taken(layer, name, value, shell, pinned):
                ignored.append((name, layer.place))
            elif name not in values:
                values[name], where[name] = value, layer.place
            elif values[name] != value:
                overridden.append((name, layer.place))
    return Variables(values, where, tuple(ignored), tuple(overridden))


def _layer(origin: Origin, path: Path) -> Layer:
    file: SettingsFile = read(path)
    return Layer(origin, path, file.env)


def _pinned(layers: Sequence[Layer]) -> frozenset[str]:
    """Return which of ENDPOINT, PROTOCOL and HEADERS the organization sets for all signals."""
    names = {name for layer in layers if layer.origin is Origin.MANAGED for name in layer.variables}
    return frozenset(
        kind for kind in ("ENDPOINT", "PROTOCOL", "HEADERS") if f"OTEL_EXPORTER_OTLP_{kind}" in names
    )


def _is_taken(layer: Layer, name: str, value: str, shell: set[str], pinned: frozenset[str]) -> bool:
    if layer.origin is Origin.MANAGED:
        return True
    if (single := _SINGLE.fullmatch(name)) and single[1] in pinned:
        return False
    if "HEADERS" in pinned and _ENDPOINT.fullmatch(name):
        return False  # otherwise the organization's credentials would go elsewhere
    if layer.origin in {Origin.LOCAL, Origin.PROJECT} and _EXPORT.fullmatch(name):
        can_turn_off = name.endswith("_EXPORTER") or name.startswith("OTEL_LOG_")
        return can_turn_off and value.strip().lower() in _OFF and name not in shell
    return True
