"""The values that SQL does not finish, above all arrays and key-value lists, as private text: compact JSON.

Text inside is treated as it is outside: a pair by the rules for its own key, an array's strings by the key
that the array stands under. Under a key that is hashed, the hash of the whole rendering takes its place. A key that
says that its value is secret says it of every leaf below, a `name` says what its sibling `value` is, and the rendering
is searched as one text too: a structure keeps nothing that the same text would lose. Only a scalar is safe by its key.

The JSON is what the Collector's ClickHouse exporter stores: keys sorted, no white space, no HTML escapes,
numbers as JavaScript prints them. Bytes are the exception: they are base64 there and here at the level `off`, and
otherwise the text that they hold, searched, or their length and hash.
"""

import base64
import math
import re
from decimal import Decimal
from typing import Any, Final

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue, KeyValueList

from privacy.names import Strength, strength
from privacy.pairs import names_its_sibling
from privacy.rules import Level
from privacy.sanitizer import Sanitizer
from privacy.search import Counts


def key_of(attribute: KeyValue, sanitizer: Sanitizer, counts: Counts) -> str:
    """Return an attribute's key, redacted unless a rule names it."""
    return _Private(sanitizer, counts).key(attribute.key)


def number_of(key: str, number: str, sanitizer: Sanitizer, counts: Counts) -> str:
    """Return what is stored of a number, given as its text: itself, or a marker where its key or its form tells."""
    return sanitizer.redact_attribute(key, number, counts)


def text_of(value: AnyValue, key: str, sanitizer: Sanitizer, counts: Counts) -> str:
    """Return the private text of a value that stands under `key`; a log record's body has an empty one."""
    rules = sanitizer.rules
    if key in rules.drop_keys:
        return ""
    if key in rules.hash_keys:
        return sanitizer.hashed(_text(_as_sent(value)))
    if rules.level is Level.off:
        return _text(_as_sent(value))
    return _Private(sanitizer, counts).whole(value, key)


class _Private:
    """One value under the rules, and where redactions are counted.

    `kept` are the leaves that a rule has finished: hashes and safe scalars, which the search of the whole leaves out.
    """

    def __init__(self, sanitizer: Sanitizer, counts: Counts) -> None:
        self._sanitizer = sanitizer
        self._counts = counts
        self._kept: list[bytes] = []
        self.rules = sanitizer.rules

    def whole(self, value: AnyValue, key: str) -> str:
        """Return the text of a value."""
        if value.WhichOneof("value") not in _STRUCTURES:
            made = self._leaf(value, key, "")
            return _text(made)
        found = self._sanitizer.redact(_text(self._value(value, key, "")), self._counts)
        if not _is_json(found):
            found = _BARE_MARKER.sub(r'"\1"', found)
        return _KEPT.sub(self._again, found)

    def key(self, key: str) -> str:
        rules = self.rules
        known = (
            key in rules.hash_keys
            or key in rules.safe_keys
            or key in rules.excerpt_keys
            or key in rules.drop_keys  # by which it is known when it is dropped
        )
        return key if known else self._sanitizer.redact(key, self._counts)

    def _value(self, value: AnyValue, key: str, secret: str) -> Any:
        """Return a value as JSON holds it. `secret` is the name above it that says most of a secret, "" for none."""
        kind = value.WhichOneof("value")
        if kind == "array_value":
            below = _stronger(secret, key)
            # Whether a list is safe is not said of the texts in it.
            own = "" if key in self.rules.safe_keys else key
            return [self._value(item, own, below) for item in value.array_value.values]
        if kind == "kvlist_value":
            return self._pairs(value.kvlist_value, _stronger(secret, key))
        if key in self.rules.safe_keys:
            return self._finished(self._leaf(value, key, secret))
        return self._leaf(value, key, secret)

    def _pairs(self, pairs: KeyValueList, secret: str) -> dict[str, Any]:
        rules = self.rules
        named = names_its_sibling((pair.key, pair.value.string_value) for pair in pairs.values)
        made: dict[str, Any] = {}
        for pair in pairs.values:
            name = named(pair.key) or pair.key
            if name in rules.drop_keys or pair.key in rules.drop_keys:
                continue
            if name in rules.hash_keys or pair.key in rules.hash_keys:
                hashed = self._sanitizer.hashed(_text(_as_sent(pair.value)))
                made[self.key(pair.key)] = self._finished(hashed)
            else:
                made[self.key(pair.key)] = self._value(pair.value, pair.key, _stronger(secret, name))
        return made

    def _leaf(self, value: AnyValue, key: str, secret: str) -> Any:
        match value.WhichOneof("value"):
            case "string_value":
                return self._string(key, value.string_value, secret)
            case "bytes_value":
                return self._bytes(key, value.bytes_value, secret)
            case "int_value" | "double_value":
                made = _as_sent(value)
                if key in self.rules.safe_keys:
                    return made
                number = _text(made)
                found = self._string(key, number, secret)
                return made if found == number else found
            case _:
                return _as_sent(value)

    def _string(self, key: str, text: str, secret: str) -> str:
        if secret and secret != key:
            text = self._sanitizer.redact_attribute(secret, text, self._counts)
        if not key:
            return self._sanitizer.redact(text, self._counts)
        return self._sanitizer.attribute(key, text, self._counts) or ""

    def _bytes(self, key: str, data: bytes, secret: str) -> str:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = "\0"
        if not _NO_TEXT.search(text):
            return self._string(key, text, secret)
        return f"{len(data)} bytes, {self._sanitizer.hashed_bytes(data)}"

    def _finished(self, made: Any) -> str:
        """Keep a leaf until the whole has been searched, and return its stand-in."""
        self._kept.append(orjson.dumps(made))
        return f"\ue000{len(self._kept) - 1}\ue001"

    def _again(self, found: re.Match[str]) -> str:
        """Return the leaf of a stand-in; a stand-in that was sent has none."""
        index = int(found[1])
        return self._kept[index].decode() if index < len(self._kept) else found[0]


_STRUCTURES: Final = ("array_value", "kvlist_value")
_KEPT: Final = re.compile('"\ue000([0-9]{1,9})\ue001"')
_BARE_MARKER: Final = re.compile(r"(?<=[\[,:])(\[REDACTED:[a-z0-9_]{1,40}\])(?=[,\]}])")
_NO_TEXT: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f-\x84\x86-\x9f]")
"""What no text has: controls, but for blanks, ends of lines and the beginning of a terminal's codes."""


def _stronger(first: str, second: str) -> str:
    """Return the one of two names that says more of a secret, the second if both say as much, "" if none does."""
    power = strength(second)
    if power is Strength.none or power < strength(first):
        return first
    return second


def _is_json(text: str) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _as_sent(value: AnyValue) -> Any:  # noqa: PLR0911  a return a kind
    """Return a value as JSON holds it, with nothing taken out."""
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return _double(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value":
            return [_as_sent(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _as_sent(pair.value) for pair in value.kvlist_value.values}
        case _:
            return None


def _double(number: float) -> Any:
    if math.isfinite(number):
        return orjson.Fragment(javascript(number))
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def javascript(number: float) -> str:
    """Print a finite double as JavaScript does: the shortest digits, an exponent from 1e21 and below 1e-6."""
    if number == 0:
        return "0"
    if 1e-6 <= abs(number) < 1e21:  # noqa: PLR2004  ECMA-262, Number::toString
        text = format(Decimal(repr(number)), "f")
        return text.removesuffix(".0")
    mantissa, _, exponent = repr(number).partition("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent):+d}"


def _text(value: Any) -> str:
    """Render a value as an attribute's text: a string as it is, an absent one empty, all else as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
