r"""Reads JSON that a strict parser refuses, where the fault is of one value and not of the whole text.

Half a surrogate pair (`\ud83d`, as clients leave it that cut text in UTF-16 units) and bytes that are not UTF-8 become
U+FFFD; NaN, Infinity and control characters in strings are taken for what they are; a number that no double holds stays
text, which a field of numbers refuses. Arrays and objects that are nested deeper than any message of OTLP are left out.
Each is counted. A text that cannot be taken apart is an error as before.

This runs after the strict parser has failed, never before.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

# An escape, read as a whole so that `\\\\ud83d` is a backslash and text. Group 1: half a pair.
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)
_STRING_OR_BRACKET: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)
# Four levels of JSON to three messages, of which 100 are too many; Python's parser takes a thousand.
_MAX_LEVELS: Final = 400
_REPLACED: Final = "\ufffd"


def lenient(text: bytes) -> tuple[Any, Mapping[str, int]]:
    """Return the value, and what was repaired in it, by kind. Raises ValueError when it is no JSON all the same."""
    repairs: Counter[str] = Counter()
    decoded = text.decode("utf-8-sig", "replace")
    repairs["invalid_utf8"] = decoded.count(_REPLACED) - text.count(_REPLACED.encode())

    def whole(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0]
        repairs["lone_surrogate"] += 1
        return "\\ufffd"

    def constant(name: str) -> float:
        repairs["not_json"] += 1
        return float(name)

    decoded = _ESCAPE.sub(whole, decoded)
    numbers = {"parse_constant": constant, "parse_float": _float, "parse_int": _int}
    try:
        value = _loads(decoded, repairs, numbers)
    except RecursionError:
        # What is left out lies deeper than where a value is cut off, which is counted there.
        value = _loads(_shallow(decoded), repairs, numbers)
    return value, +repairs


def _loads(text: str, repairs: Counter[str], numbers: dict[str, Any]) -> Any:
    before = repairs["not_json"]
    try:
        return json.loads(text, **numbers)
    except json.JSONDecodeError:
        repairs["not_json"] = before
        value = json.loads(text, strict=False, **numbers)
        repairs["not_json"] += 1
        return value


def _float(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _int(text: str) -> int | float | str:
    try:
        return int(text)
    except ValueError:  # thousands of digits
        return _float(text)


def _shallow(text: str) -> str:
    """Return the text with null in place of what is nested deeper than _MAX_LEVELS."""
    kept: list[str] = []
    level = begin = 0
    for found in _STRING_OR_BRACKET.finditer(text):
        match found[0]:
            case "[" | "{":
                level += 1
                if level == _MAX_LEVELS + 1:
                    kept += text[begin : found.start()], "null"
            case "]" | "}":
                level -= 1
                if level == _MAX_LEVELS:
                    begin = found.end()
    return "".join([*kept, text[begin:]])
