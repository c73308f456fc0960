"""The values of a statement, each bound under a name of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.contract import BackendError, Kind


@dataclass(slots=True)
class Values:
    """What is bound to a statement while it is written."""

    bound: dict[str, str] = field(default_factory=dict)

    def text(self, value: str) -> str:
        """Return a text's parameter."""
        return self._bind(value, "String")

    def integer(self, value: int) -> str:
        """Return a whole number's parameter."""
        return self._bind(str(value), "Int64")

    def number(self, value: float) -> str:
        """Return a number's parameter."""
        return self._bind(repr(value), "Float64")

    def texts(self, values: list[str]) -> str:
        """Return texts' parameters, as a list for IN. An empty list holds the empty text, which names no label."""
        return f"({', '.join(self.text(value) for value in values or [''])})"

    def _bind(self, value: str, type_name: str) -> str:
        for name, known in self.bound.items():
            if known == value and name.startswith(f"{type_name[0].lower()}_"):
                return f"{{{name}:{type_name}}}"
        name = f"{type_name[0].lower()}_{len(self.bound)}"
        self.bound[name] = value
        return f"{{{name}:{type_name}}}"


def filled(template: str, parts: Mapping[str, str]) -> str:
    """Return a statement with its marked places filled in."""
    for name, part in parts.items():
        template = template.replace(f"/* {name} */", part)
    return template


def unsupported(what: str) -> BackendError:
    """Return the refusal of a part of PromQL that is not translated."""
    return BackendError(
        Kind.UNSUPPORTED,
        f"PromQL over this store has no {what}. docs/connectors.md lists what it has.",
    )


def bad_query(message: str) -> BackendError:
    """Return the refusal of an expression that is none."""
    return BackendError(Kind.BAD_QUERY, f"The expression is not in order: {message}.", message)
