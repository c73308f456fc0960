"""The form of a connection, made of its kind's configuration, and the draft that a sent form says.

A kind of another distribution has its form by the same way. A credential is never shown: its field is empty, and left
empty it stays as it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from access.refusal import invalid
from connectors.backend import Backend
from connectors.entry import SET, Draft, Entry

PREFIX: Final = "config."
_FIRST: Final = frozenset({"url", "auth"})
"""Fields of most kinds that are wanted even where they have defaults."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind`: text, password, number, choice, check, lines (one item a line), pairs (`name: value`)."""

    name: str
    """The path in the configuration, with dots."""
    kind: str
    value: str
    meaning: str
    is_required: bool
    is_set: bool
    """There is a credential, which stays when the field is left empty."""
    choices: Sequence[str] = ()
    default: str = ""

    @property
    def is_first(self) -> bool:
        """Whether it is shown without being looked for."""
        return self.is_required or self.is_set or self.name.partition(".")[0] in _FIRST


def fields(backend: Backend, config: Mapping[str, Any]) -> list[Field]:
    """Return a kind's fields with the values that a connection has, credentials left out."""
    schema = backend.config.model_json_schema()
    return [*_fields(schema, schema.get("$defs", {}), config, "")]


def values_of(backend: Backend, form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration that a form says; what is empty or as by default is left out. Raises Refusal."""
    made: dict[str, Any] = {}
    for field in fields(backend, {}):
        given = str(form.get(PREFIX + field.name, "")).strip()
        *parents, last = field.name.split(".")
        here = made
        for parent in parents:
            here = here.setdefault(parent, {})
        match field.kind:
            case "check":
                if bool(given) != (field.default == "true"):
                    here[last] = bool(given)
            case "lines":
                if given:
                    here[last] = [line.strip() for line in given.splitlines() if line.strip()]
            case "pairs":
                # An entry that is left out is deleted, so that these are always said.
                here[last] = _pairs(field.name, given)
            case _:
                if given and (field.kind == "password" or given != field.default):
                    here[last] = given
    return made


def draft_of(backend: Backend, form: Mapping[str, Any]) -> Draft:
    """Return the draft that a form says. Raises Refusal."""
    return Draft(
        str(form.get("name", "")).strip(),
        backend.backend_type,
        values_of(backend, form),
        str(form.get("description", "")).strip(),
        is_enabled=bool(form.get("is_enabled")),
        is_default=bool(form.get("is_default")),
        tags=tuple(tag.strip() for tag in str(form.get("tags", "")).split(",") if tag.strip()),
    )


def blank(backend: Backend) -> Draft:
    """Return what the form of a new connection shows."""
    return Draft(backend.backend_type, backend.backend_type, {})


def draft_from(entry: Entry) -> Draft:
    """Return what the form of a connection shows."""
    return Draft(
        entry.name,
        entry.backend_type,
        entry.config,
        entry.description,
        entry.is_enabled,
        entry.is_default,
        entry.tags,
    )


def _fields(
    schema: Mapping[str, Any], models: Mapping[str, Any], config: Mapping[str, Any], path: str
) -> Iterator[Field]:
    required = frozenset(schema.get("required", ()))
    for name, about in schema.get("properties", {}).items():
        found = config.get(name)
        reference = about.get("$ref", "").rpartition("/")[2]
        if reference and models[reference].get("properties"):
            inner = found if isinstance(found, Mapping) else {}
            yield from _fields(models[reference], models, inner, f"{path}{name}.")
            continue
        kind, default = _kind(about), about.get("default")
        is_secret = about.get("format") == "password"
        value = "" if is_secret else _text(found if found is not None else default)
        if about.get("additionalProperties", {}) and isinstance(found, Mapping):
            # Values of headers are credentials: those that were typed are not shown again.
            value = "\n".join(f"{key}: {SET if one == SET else ''}".strip() for key, one in found.items())
        yield Field(
            path + name,
            kind,
            value,
            about.get("description", ""),
            name in required,
            is_secret and found == SET,
            tuple(map(str, about.get("enum", ()))),
            _text(default),
        )


def _kind(about: Mapping[str, Any]) -> str:
    if "enum" in about:
        return "choice"
    if about.get("format") == "password":
        return "password"
    kinds = {about.get("type"), *(one.get("type") for one in about.get("anyOf", ()))}
    for kind, shown in (("boolean", "check"), ("array", "lines"), ("object", "pairs")):
        if kind in kinds:
            return shown
    return "number" if kinds & {"integer", "number"} else "text"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, Mapping):
        return "\n".join(f"{name}: {one}" for name, one in value.items())
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _pairs(name: str, text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or not key.strip():
            raise invalid(f"config.{name}", f"config.{name}: a line is a name, a colon and a value.")
        found[key.strip()] = value.strip()
    return found
