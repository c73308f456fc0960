"""A small reader of LogQL, which evaluates what the stand-in of Loki is asked: selectors, filters, counts over time.

It reads strings as Go does and expressions by RE2, so that a text that is not escaped selects other lines or is a
parse error, as it would be with Loki. It is written from the language's documentation, not from the adapter.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import re2

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?P<duration>\d+(?:\.\d+)?(?:ns|us|ms|s|m|h|d)\b)"""
    r"""|(?P<number>\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>\|=|\|~|!=|!~|=~|[{}()\[\],=|])"""
)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3}))|(\\.?)|([^\\])",
    re.DOTALL,
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
    "d": 86400 * 10**9,
}

Test = Callable[[Mapping[str, str], str], bool]
"""Whether an entry passes: by its labels, structured metadata among them, and its line."""


class ParseError(ValueError):
    """A query is not LogQL; the message is written as Loki writes it."""


@dataclass(frozen=True)
class Matcher:
    name: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.name, "")
        if self.operator in {"=", "!="}:
            return (value == self.value) == (self.operator == "=")
        return (re2.fullmatch(self.value, value) is not None) == (self.operator == "=~")


@dataclass(frozen=True)
class LogQuery:
    matchers: Sequence[Matcher]
    stages: Sequence[Test]
    filters: Sequence[tuple[str, str]]
    """The line filters, as they were read: operator and text."""

    def selects(self, labels: Mapping[str, str]) -> bool:
        return all(matcher.matches(labels) for matcher in self.matchers)

    def passes(self, labels: Mapping[str, str], line: str) -> bool:
        return all(stage(labels, line) for stage in self.stages)


@dataclass(frozen=True)
class MetricQuery:
    logs: LogQuery
    function: str
    range_ns: int
    by: Sequence[str] | None
    """None: by all labels."""


def read(text: str) -> LogQuery | MetricQuery:
    """Return what a query says. Raises ParseError."""
    reader = _Reader(text)
    found = reader.log_query() if reader.is_next("{") else reader.metric()
    reader.end()
    return found


def unquoted(token: str) -> str:
    """Return the text of a Go string. Raises ParseError."""
    if token.startswith("`"):
        return token[1:-1]
    found = []
    for simple, byte, short, long, octal, bad, plain in _ESCAPE.findall(token[1:-1]):
        if bad:
            raise ParseError("parse error : invalid char escape")
        code = byte or short or long
        found.append(_SIMPLE.get(simple) or plain or chr(int(code, 16) if code else int(octal, 8)))
    return "".join(found)


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0

    def is_next(self, *signs: str) -> bool:
        return self._tokens[self._at][1] in signs and self._tokens[self._at][0] != "string"

    def take(self, *expected: str) -> str:
        kind, text, column = self._tokens[self._at]
        if not (kind in expected or (kind != "string" and text in expected)):
            raise ParseError(
                f"parse error at line 1, col {column}: syntax error: unexpected {text or '$end'},"
                f" expecting {' or '.join(expected)}"
            )
        self._at += 1
        return text

    def end(self) -> None:
        self.take("end")

    def metric(self) -> MetricQuery:
        by = None
        is_sum = self.is_next("sum")
        if is_sum:
            self.take("sum")
            by = []
            if self.is_next("by"):
                self.take("by")
                self.take("(")
                by.append(self.take("name"))
                while self.is_next(","):
                    self.take(",")
                    by.append(self.take("name"))
                self.take(")")
            self.take("(")
        function = self.take("count_over_time", "rate")
        self.take("(")
        logs = self.log_query()
        self.take("[")
        period = re.fullmatch(r"([\d.]+)([a-z]+)", self.take("duration"))
        assert period is not None
        self.take("]")
        self.take(")")
        if is_sum:
            self.take(")")
        return MetricQuery(logs, function, int(float(period[1]) * _UNITS[period[2]]), by)

    def log_query(self) -> LogQuery:
        self.take("{")
        matchers = []
        while not self.is_next("}"):
            if matchers:
                self.take(",")
            matchers.append(self.matcher())
        self.take("}")
        if not any(not one.matches({}) and one.operator in {"=", "=~"} for one in matchers):
            raise ParseError(
                "parse error : queries require at least one regexp or equality matcher that does not have an"
                ' empty-compatible value. For instance, app=~".*" does not meet this requirement, but app=~".+" will'
            )
        stages: list[Test] = []
        filters: list[tuple[str, str]] = []
        while self.is_next("|=", "!=", "|~", "!~", "|"):
            operator = self.take("|=", "!=", "|~", "!~", "|")
            if operator == "|":
                stages.append(self.either())
                continue
            text = unquoted(self.take("string"))
            filters.append((operator, text))
            stages.append(_line_filter(operator, text))
        return LogQuery(matchers, stages, filters)

    def matcher(self) -> Matcher:
        name = self.take("name")
        operator = self.take("=", "!=", "=~", "!~")
        value = unquoted(self.take("string"))
        if operator in {"=~", "!~"}:
            _check(value)
        return Matcher(name, operator, value)

    def either(self) -> Test:
        found = [self.both()]
        while self.is_next("or"):
            self.take("or")
            found.append(self.both())
        return lambda labels, line: any(one(labels, line) for one in found)

    def both(self) -> Test:
        found = [self.one()]
        while self.is_next("and", ","):
            self.take("and", ",")
            found.append(self.one())
        return lambda labels, line: all(one(labels, line) for one in found)

    def one(self) -> Test:
        if self.is_next("("):
            self.take("(")
            inner = self.either()
            self.take(")")
            return inner
        matcher = self.matcher()
        return lambda labels, _: matcher.matches(labels)


def _line_filter(operator: str, text: str) -> Test:
    if operator in {"|=", "!="}:
        return lambda _, line: (text in line) == (operator == "|=")
    _check(text)
    return lambda _, line: (re2.search(text, line) is not None) == (operator == "|~")


def _check(expression: str) -> None:
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(expression, options)
    except re2.error as error:
        raise ParseError(f"parse error : error parsing regexp: {error}") from None


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
