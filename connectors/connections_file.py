"""Connections in YAML, for those who keep configuration in git: read at the start, exported, applied.

    connections:
      - name: production
        backend_type: prometheus
        config:
          url: http://prometheus:9090
          auth: {type: bearer, token: "${PROMETHEUS_TOKEN}"}

`${NAME}` in a text is the environment variable of that name, `$${` is a plain `${`. A file with faults is refused
whole, with all of them at once, and no value is repeated.
"""

import os
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from access.refusal import Refusal
from access.text import visible
from config.faults import described
from connectors.configuration import checked, parts, refuse_placeholders
from connectors.entry import EVERYONE, OWN_NAME, SET, Draft, Entry, Source
from connectors.registry import Registry

_VARIABLE: Final = re.compile(r"\$(\$)?\{([^}]*)\}")
_NAMESPACE: Final = uuid.UUID("5b0c6f3e-9a0e-5c7e-8d0a-3b6f1f8f7a11")
_FILE_BYTES: Final = 4 << 20


class ConnectionsFileError(Exception):
    """The file cannot be used; the text lists all its faults, each with the place and the remedy."""


@dataclass(frozen=True, slots=True)
class Written:
    """One connection of a file. `users` are those who have it, empty: all."""

    draft: Draft
    users: tuple[str, ...] = ()


class _Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=255)
    backend_type: str
    config: dict[str, Any] = Field(repr=False)
    description: str = ""
    is_enabled: bool = True
    is_default: bool = False
    tags: list[str] = Field(default_factory=list)
    users: list[str] = Field(default_factory=list)


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    connections: list[_Item]


@dataclass(frozen=True, slots=True)
class FileEntry:
    """An entry of the file, and its configuration with the credentials."""

    entry: Entry
    config: Mapping[str, Any] = field(repr=False)


def read(
    path: Path, registry: Registry, environment: Mapping[str, str] | None = None
) -> tuple[FileEntry, ...]:
    """Return the entries of a file. Raises ConnectionsFileError."""
    found: list[FileEntry] = []
    faults: list[str] = []
    for place, one in enumerate(written(path, environment), 1):
        try:
            config = checked(registry.backend(one.draft.backend_type).config, one.draft.config)
            refuse_placeholders(config)
        except Refusal as refusal:
            faults.append(f"connection {place}: {refusal.message}")
            continue
        public = parts(config).public
        found += [
            FileEntry(_entry(one.draft, user, public), one.draft.config) for user in one.users or (EVERYONE,)
        ]
    if faults:
        raise ConnectionsFileError("\n".join(f"{path}: {fault}" for fault in faults))
    return tuple(found)


def written(path: Path, environment: Mapping[str, str] | None = None) -> list[Written]:
    """Return what a file says, with the variables replaced. Raises ConnectionsFileError."""
    try:
        if path.stat().st_size > _FILE_BYTES:
            raise ConnectionsFileError(f"{path}: larger than {_FILE_BYTES >> 20} MiB.")
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConnectionsFileError(
            f"{path}: cannot be read ({reason}). Correct TELEMETRY_CONNECTIONS_FILE or the file's permissions."
        ) from None
    return parsed(text, str(path), os.environ if environment is None else environment)


def parsed(text: str, name: str, environment: Mapping[str, str]) -> list[Written]:
    """Return what a text says. `name` is the file's, for faults. Raises ConnectionsFileError."""
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}" if mark is not None else "the file"
        raise ConnectionsFileError(f"{name}: {place} is not YAML.") from None
    except RecursionError:
        raise ConnectionsFileError(f"{name}: nested too deeply.") from None
    faults: list[str] = []
    whole = replaced(loaded if loaded is not None else {"connections": []}, environment, faults)
    if faults:
        raise ConnectionsFileError("\n".join(f"{name}: {fault}" for fault in dict.fromkeys(faults)))
    try:
        items = _Document.model_validate(whole).connections
    except ValidationError as error:
        lines = [
            f"{name}: {'.'.join(visible(str(part), 60) for part in one['loc']) or 'the file'}: {described(one)}"
            for one in error.errors(include_input=False, include_url=False)
        ]
        raise ConnectionsFileError("\n".join(lines)) from None
    _refuse_doubles(name, items)
    return [
        Written(
            Draft(
                item.name,
                item.backend_type,
                item.config,
                item.description,
                item.is_enabled,
                item.is_default,
                tuple(item.tags),
            ),
            tuple(item.users),
        )
        for item in items
    ]


def exported(entries: Iterable[Entry]) -> str:
    """Return entries as YAML, each credential as a variable to be set: `${CONNECTION_FIELD}`."""
    document = {"connections": [_item(entry) for entry in entries]}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _item(entry: Entry) -> dict[str, Any]:
    def shown(value: Any, path: Sequence[str]) -> Any:
        if isinstance(value, Mapping):
            return {key: shown(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [shown(item, (*path, str(place))) for place, item in enumerate(value)]
        if value == SET:
            return "${" + re.sub(r"\W+", "_", "_".join((entry.name, *path)), flags=re.ASCII).upper() + "}"
        return value.replace("${", "$${") if isinstance(value, str) else value

    made: dict[str, Any] = {"name": entry.name, "backend_type": entry.backend_type}
    if entry.description:
        made["description"] = entry.description
    if not entry.is_enabled:
        made["is_enabled"] = False
    if entry.is_default:
        made["is_default"] = True
    if entry.tags:
        made["tags"] = list(entry.tags)
    return {**made, "config": shown(entry.config, ())}


def replaced(value: Any, environment: Mapping[str, str], faults: list[str]) -> Any:
    """Return a value with the variables in its texts replaced; `faults` takes those that are not set."""
    if isinstance(value, dict):
        return {key: replaced(item, environment, faults) for key, item in value.items()}
    if isinstance(value, list):
        return [replaced(item, environment, faults) for item in value]
    if not isinstance(value, str):
        return value

    def variable(found: re.Match[str]) -> str:
        if found[1]:
            return "${" + found[2] + "}"
        if not environment.get(found[2]):
            faults.append(f"the environment variable {visible(found[2], 80)} is not set.")
        return environment.get(found[2], "")

    return _VARIABLE.sub(variable, value)


def _refuse_doubles(name: str, items: Sequence[_Item]) -> None:
    names = [item.name for item in items]
    faults = [
        f"{name}: there is more than one connection {visible(one, 80)!r}."
        for one in dict.fromkeys(names)
        if names.count(one) > 1
    ]
    if OWN_NAME in names:
        faults.append(
            f"{name}: the name {OWN_NAME!r} is that of this installation's own store; choose another."
        )
    if faults:
        raise ConnectionsFileError("\n".join(faults))


def _entry(draft: Draft, user: str, public: Mapping[str, Any]) -> Entry:
    return Entry(
        str(uuid.uuid5(_NAMESPACE, f"{user} {draft.name}")),
        user,
        draft.name,
        draft.backend_type,
        public,
        draft.description,
        draft.is_enabled,
        draft.is_default,
        draft.tags,
        source=Source.FILE,
    )
