"""A small reader of TraceQL, which evaluates what the stand-in of Tempo is asked: one span's filter, and select().

It reads strings as Go does and compares values with their types, so that a text that is not escaped finds other spans
or is a parse error, as it would be with Tempo. It is written from the language's documentation, not from the adapter.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.connectors.logql_reader import ParseError, unquoted

_TOKEN = re.compile(
    r"""(?P<space>\s+)|(?P<field>(?:resource|span)?\.(?:"(?:[^"\\\n]|\\.)*"|[^\s{}()=~!<>&|^,"]+))"""
    r"""|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<duration>\d+(?:\.\d+)?(?:ns|us|ms|s|m|h)\b)|(?P<number>-?\d+(?:\.\d+)?)"""
    r"""|(?P<name>[a-z]+)|(?P<sign>&&|\|\||!=|>=|<=|[{}()=<>|,])"""
)
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_STATUSES = {"error", "ok", "unset"}
_INTRINSICS = {"name", "status", "duration", "kind"}


@dataclass(frozen=True)
class Values:
    """A span's values: intrinsics by name, attributes with their types."""

    intrinsics: Mapping[str, Any]
    resource: Mapping[str, Any] = field(default_factory=dict)
    span: Mapping[str, Any] = field(default_factory=dict)

    def get(self, name: str) -> Any:
        """Return a field's value, None for none. Without a scope, the span's own comes first."""
        if name in _INTRINSICS:
            return self.intrinsics.get(name)
        scope, _, attribute = name.partition(".")
        attribute = unquoted(attribute) if attribute.startswith('"') else attribute
        places = {"resource": [self.resource], "span": [self.span], "": [self.span, self.resource]}[scope]
        return next((place[attribute] for place in places if attribute in place), None)


Test = Callable[[Values], bool]


@dataclass(frozen=True)
class Query:
    """What a query says: which spans, and which fields the answer has. `compared` are fields and their values."""

    matches: Test
    selected: tuple[str, ...]
    compared: tuple[tuple[str, str, Any], ...]


def read(text: str) -> Query:
    """Return what a query says. Raises ParseError."""
    reader = _Reader(text)
    reader.take("{")
    matches = reader.either() if not reader.is_next("}") else (lambda _: True)
    reader.take("}")
    selected = []
    if reader.is_next("|"):
        reader.take("|")
        reader.take("select")
        reader.take("(")
        selected.append(reader.take("field", "name"))
        while reader.is_next(","):
            reader.take(",")
            selected.append(reader.take("field", "name"))
        reader.take(")")
    reader.take("end")
    return Query(matches, tuple(selected), tuple(reader.compared))


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self.compared: list[tuple[str, str, Any]] = []

    def is_next(self, *signs: str) -> bool:
        kind, text, _ = self._tokens[self._at]
        return kind != "string" and text in signs

    def take(self, *expected: str) -> str:
        kind, text, column = self._tokens[self._at]
        if not (kind in expected or (kind != "string" and text in expected)):
            raise ParseError(
                f"parse error at line 1, col {column}: syntax error: unexpected {text or '$end'}"
            )
        self._at += 1
        return text

    def either(self) -> Test:
        found = [self.both()]
        while self.is_next("||"):
            self.take("||")
            found.append(self.both())
        return lambda values: any(one(values) for one in found)

    def both(self) -> Test:
        found = [self.one()]
        while self.is_next("&&"):
            self.take("&&")
            found.append(self.one())
        return lambda values: all(one(values) for one in found)

    def one(self) -> Test:
        if self.is_next("("):
            self.take("(")
            inner = self.either()
            self.take(")")
            return inner
        if self.is_next("true"):
            self.take("true")
            return lambda _: True
        name = self.take("field", *_INTRINSICS)
        operator = self.take("=", "!=", ">=", "<=", ">", "<")
        wanted = self._static(name)
        self.compared.append((name, operator, wanted))
        return lambda values: _compare(values.get(name), operator, wanted)

    def _static(self, name: str) -> Any:
        kind, text, _ = self._tokens[self._at]
        self.take("string", "number", "duration", "name")
        match kind:
            case "string":
                return unquoted(text)
            case "number":
                return float(text) if "." in text else int(text)
            case "duration":
                digits = text.rstrip("nusmh")
                return float(digits) * _UNITS[text[len(digits) :]]
            case _:
                if text in {"true", "false"}:
                    return text == "true"
                if (name, text in _STATUSES) == ("status", True) or name == "kind":
                    return text
                raise ParseError(f"binary operations must operate on the same type: {name} = {text}")


def _compare(value: Any, operator: str, wanted: Any) -> bool:
    if value is None:
        return False
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if is_number != (isinstance(wanted, (int, float)) and not isinstance(wanted, bool)):
        return False
    if operator in {"=", "!="}:
        return (type(value) is type(wanted) or is_number) and (value == wanted) == (operator == "=")
    return (
        is_number
        and {">=": value >= wanted, "<=": value <= wanted, ">": value > wanted, "<": value < wanted}[operator]
    )


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:
            raise ParseError(
                f"parse error at line 1, col {place + 1}: syntax error: unexpected {text[place]!r}"
            )
        if found.lastgroup != "space":
            yield found.lastgroup or "", found[0], place + 1
        place = found.end()
    yield "end", "", place + 1
