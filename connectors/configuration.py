"""A connection's configuration, taken apart into what may be shown and its credentials, and put together again.

Credentials are the fields of type SecretStr of the kind's Config, wherever they stand. They are written and never
read: shown is SET. Sent back as SET, or left out where their surroundings are the same, they stay. They stay only
while the connection leads to the same place, so that a token which can change a connection cannot have its
credentials sent to another address.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import to_jsonable_python

from access.refusal import Code, Refusal, invalid
from access.text import visible
from config.faults import described
from connectors.backend import Config
from connectors.entry import SET

Path = tuple[str | int, ...]
_PLACES: Final = ("url", "site", "endpoint", "endpoint_url")
"""Fields of the configurations that say where credentials are sent."""
_MESSAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Secret:
    """One credential and where it is. `is_entry`: in a mapping, such as headers, where leaving it out deletes it."""

    path: Path
    value: str = field(repr=False)
    is_entry: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """A configuration without its credentials, each of which reads SET, and the credentials."""

    public: Mapping[str, Any]
    secrets: tuple[Secret, ...]


def checked(kind: type[Config], raw: Mapping[str, Any]) -> Config:
    """Return the configuration of what a person wrote. Raises Refusal, which repeats no value."""
    try:
        return kind.model_validate(dict(raw))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(visible(str(part), 60) for part in ("config", *first["loc"]))
        message = visible(described(first), _MESSAGE)
        known = tuple(kind.model_fields) if first["type"] == "extra_forbidden" else ()
        raise invalid(place, f"{place}: {message}.", known) from None


def parts(config: Config) -> Parts:
    """Return a configuration as it is kept: the fields that were written, and the credentials."""
    found: list[Secret] = []
    public = _public(config, (), found, is_entry=False)
    return Parts(public, tuple(found))


def together(public: Mapping[str, Any], secrets: Sequence[Secret]) -> dict[str, Any]:
    """Return a configuration with its credentials."""
    made: dict[str, Any] = _copied(public)
    for secret in secrets:
        parent = _parent(made, secret.path)
        if parent is not None:
            parent[secret.path[-1]] = secret.value
    return made


def kept(raw: Mapping[str, Any], before: Mapping[str, Any], secrets: Sequence[Secret]) -> dict[str, Any]:
    """Return what a person wrote, with the credentials that stay from before. Raises Refusal."""
    made: dict[str, Any] = _copied(raw)
    staying = [secret for secret in secrets if _stays(made, secret)]
    if staying and _places(made) != _places(before):
        name = ".".join(map(str, staying[0].path))
        raise invalid(
            f"config.{name}",
            "The connection leads to another place than before: send its credentials again, so that they are not sent"
            " to where they were not meant for.",
        )
    for secret in staying:
        parent = _parent(made, secret.path)
        assert parent is not None  # noqa: S101  _stays says so
        parent[secret.path[-1]] = secret.value
    return made


def refuse_placeholders(config: Config) -> None:
    """Raise Refusal for a credential that is SET: the word is shown for one, and there was none to keep."""
    for secret in parts(config).secrets:
        if secret.value == SET:
            name = ".".join(map(str, ("config", *secret.path)))
            raise Refusal(
                Code.INVALID_ARGUMENT, f"{name}: {SET!r} is shown for a credential; write its value.", name
            )


def _public(value: Any, path: Path, found: list[Secret], *, is_entry: bool) -> Any:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        if not text:
            return ""
        found.append(Secret(path, text, is_entry))
        return SET
    if isinstance(value, BaseModel):
        return {
            name: _public(getattr(value, name), (*path, name), found, is_entry=False)
            for name in type(value).model_fields
            if name in value.model_fields_set
        }
    if isinstance(value, Mapping):
        return {
            str(name): _public(item, (*path, str(name)), found, is_entry=True) for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_public(item, (*path, place), found, is_entry=True) for place, item in enumerate(value)]
    return to_jsonable_python(value)


def _stays(made: Any, secret: Secret) -> bool:
    parent = _parent(made, secret.path)
    if parent is None:
        return False
    last = secret.path[-1]
    if isinstance(parent, Mapping):
        return parent[last] == SET if last in parent else not secret.is_entry
    return isinstance(last, int) and last < len(parent) and parent[last] == SET


def _parent(made: Any, path: Path) -> Any:
    """Return what holds the last part of a path, None where there is nothing of the kind."""
    here = made
    for part in path[:-1]:
        if not _has(here, part):
            return None
        here = here[part]
    return here if isinstance(here, dict) or _has(here, path[-1]) else None


def _has(here: Any, part: str | int) -> bool:
    if isinstance(here, list):
        return isinstance(part, int) and part < len(here)
    return isinstance(here, dict) and part in here


def _places(config: Mapping[str, Any]) -> list[Any]:
    return list(_each_place(config))


def _each_place(config: Mapping[str, Any]) -> Iterator[Any]:
    for name in _PLACES:
        value = config.get(name)
        if isinstance(value, str) and "://" in value:
            try:
                parts_of = urlsplit(value)
                default = 443 if parts_of.scheme == "https" else 80
                yield parts_of.scheme, parts_of.hostname, parts_of.port or default
            except ValueError:
                yield value
        else:
            yield value


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _copied(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return value
