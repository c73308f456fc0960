"""The values that SQL does not finish, above all arrays and key-value lists, as private text: compact JSON.

Text inside is treated as it is outside: a pair by the rules for its own key, an array's strings by the key
that the array stands under. Under a key that is hashed, the hash of the whole rendering takes its place.

The JSON is what the Collector's ClickHouse exporter stores: keys sorted, no white space, no HTML escapes,
bytes as base64, numbers as JavaScript prints them.
"""

import base64
import math
from decimal import Decimal
from typing import Any

import orjson
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from privacy.sanitizer import Sanitizer
from privacy.search import Counts


def key_of(attribute: KeyValue, sanitizer: Sanitizer, counts: Counts) -> str:
    """Return an attribute's key, redacted unless a rule names it."""
    return _Private(sanitizer, counts).key(attribute.key)


def text_of(value: AnyValue, key: str, sanitizer: Sanitizer, counts: Counts) -> str:
    """Return the private text of a value that stands under `key`; a log record's body has an empty one."""
    rules = sanitizer.rules
    if key in rules.drop_keys:
        return ""
    if key in rules.hash_keys:
        return sanitizer.hashed(_text(_value(value, key, None)))
    private = None if key in rules.safe_keys else _Private(sanitizer, counts)
    return _text(_value(value, key, private))


class _Private:
    """The rules, and where redactions are counted."""

    def __init__(self, sanitizer: Sanitizer, counts: Counts) -> None:
        self._sanitizer = sanitizer
        self._counts = counts
        self.rules = sanitizer.rules

    def key(self, key: str) -> str:
        rules = self.rules
        known = key in rules.hash_keys or key in rules.safe_keys or key in rules.excerpt_keys
        return key if known else self._sanitizer.redact(key, self._counts)

    def text(self, key: str, text: str) -> str:
        if not key:
            return self._sanitizer.redact(text, self._counts)
        return self._sanitizer.attribute(key, text, self._counts) or ""

    def hashed(self, value: Any) -> str:
        return self._sanitizer.hashed(_text(value))


def _value(value: AnyValue, key: str, private: _Private | None) -> Any:  # noqa: PLR0911  as above
    match value.WhichOneof("value"):
        case "string_value":
            return private.text(key, value.string_value) if private else value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return _double(value.double_value)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "array_value":
            return _array(value.array_value, key, private)
        case "kvlist_value":
            return _pairs(value.kvlist_value, private)
        case _:
            return None


def _array(array: ArrayValue, key: str, private: _Private | None) -> list[Any]:
    return [_value(item, key, private) for item in array.values]


def _pairs(pairs: KeyValueList, private: _Private | None) -> dict[str, Any]:
    if private is None:
        return {pair.key: _value(pair.value, pair.key, None) for pair in pairs.values}
    rules = private.rules
    made: dict[str, Any] = {}
    for pair in pairs.values:
        if pair.key in rules.drop_keys:
            continue
        if pair.key in rules.hash_keys:
            made[pair.key] = private.hashed(_value(pair.value, pair.key, None))
        elif pair.key in rules.safe_keys:
            made[pair.key] = _value(pair.value, pair.key, None)
        else:
            made[private.key(pair.key)] = _value(pair.value, pair.key, private)
    return made


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
