"""What a request says in a form of its own, before its words are read: status codes, methods, paths, bounds.

    requests with status 404, POST requests, requests to /checkout, latency above 500 ms

And what it asks that no query here answers, and that no query may leave out: "except", "yesterday".
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Where = tuple[str, str, str]
"""An entity, an operator of PromQL and a value."""

_METHOD: Final = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\b")
_CODE: Final = re.compile(
    r"\b(?:with\s+)?(?:http\s+)?(?:status|code)(?:\s+code)?s?\s+([1-5]\d\d)\b"
    r"|\b([1-5]\d\d)(?:s\b|\s+(?:errors?|responses?|status(?:es)?|answers?)\b)"
)
_PATH: Final = re.compile(
    r"(?:\b(?:to|on|of|for|at|under|in|path|uri|route|endpoint|mountpoint|mount)\s+)?(?<!\S)(/[\w./{}:@*-]*)"
)
_UNIT_WORDS: Final = r"(?:ms|milliseconds?|s|sec|secs|seconds?|[kmgt]i?b|bytes?)"
_BOUND: Final = re.compile(
    r"(?:\b(above|over|more than|greater than|higher than|exceeding|exceeds|at least"
    r"|below|under|less than|lower than|fewer than|at most)|([<>]=?))"
    rf"\s*(\d+(?:\.\d+)?)\s*(%|percent\b|{_UNIT_WORDS}\b)?"
)
_IN_UNIT: Final = re.compile(
    r"\bin ((?:kilo|mega|giga|tera|kibi|mebi|gibi|tebi)?bytes|[kmgt]i?b|bits|[mg]bps"
    r"|milliseconds?|ms|seconds|minutes|hours|days)\b"
)
_OPERATORS: Final = {
    "at least": ">=",
    "at most": "<=",
    "below": "<",
    "under": "<",
    "less than": "<",
    "lower than": "<",
    "fewer than": "<",
}
_SCALES: Final = {"k": 1, "m": 2, "g": 3, "t": 4}
_UNANSWERED: Final = re.compile(
    r"\b(not|no|without|except|exclud(?:e|es|ing)|other than|but not|versus|vs|compared?|comparison|yesterday|ago"
    r"|tomorrow|predict\w*|forecast\w*|minus|divided|difference|ratio of \S+(?: \S+)? to|since|between|until"
    r"|correlat\w*|std ?dev\w*|standard deviation|anomal\w*|growth|grow\w*|when will"
    r"|(?:last|this) (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday|night))\b|n't\b"
)


@dataclass(frozen=True, slots=True)
class Bound:
    """A comparison: `unit` is s, By, percent, or empty for a bare number; `value` is in that unit."""

    operator: str
    value: float
    unit: str


def methods(text: str) -> tuple[str, list[Where]]:
    """Return a text without the methods of HTTP, which are written in capitals, and what they select."""
    found: list[Where] = [("method", "=", one[1]) for one in _METHOD.finditer(text)]
    return (_METHOD.sub(" ", text), found) if len(found) == 1 else (text, [])


def paths(text: str) -> tuple[str, list[Where]]:
    """Return a text without its path, and what that selects; several are left among the words."""
    found: list[Where] = [("path", "=", one[1]) for one in _PATH.finditer(text)]
    return (_PATH.sub(" ", text), found) if len(found) == 1 else (text, [])


def codes(text: str) -> tuple[str, list[Where]]:
    """Return a text with a status code's errors called requests, and what the code selects."""
    found: list[Where] = [("status", "=", one[1] or one[2]) for one in _CODE.finditer(text)]
    if len(found) != 1:
        return text, []
    rest = _CODE.sub(" ", text)
    return (rest if "request" in rest else f"request {rest}"), found


def bound(text: str) -> tuple[str, Bound | None]:
    """Return a text without its first bound."""
    one = _BOUND.search(text)
    if one is None:
        return text, None
    operator = one[2] or _OPERATORS.get(one[1], ">")
    scale, unit = _unit(one[4] or "")
    return _BOUND.sub(" ", text, count=1), Bound(operator, float(one[3]) * scale, unit)


def unit(text: str) -> tuple[str, str]:
    """Return a text without the unit in which values are asked, and that unit's word."""
    one = _IN_UNIT.search(text)
    return (text, "") if one is None else (_IN_UNIT.sub(" ", text, count=1), one[1])


def unanswered(text: str) -> Sequence[str]:
    """Return the words that ask for what is not made here: another time, an exception, a comparison."""
    return tuple(dict.fromkeys(one[0] for one in _UNANSWERED.finditer(text)))


def _unit(word: str) -> tuple[float, str]:
    if word in {"%", "percent"}:
        return 1, "percent"
    if word.startswith(("ms", "milli")):
        return 0.001, "s"
    if word.endswith("b"):
        base = 1_024 if "i" in word else 1_000
        return float(base ** _SCALES[word[0]]), "By"
    if word.startswith("byte"):
        return 1, "By"
    return 1, "s" if word else ""
