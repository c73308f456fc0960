"""The functions that the transform's SQL calls for the few values it cannot finish itself.

The engine does the bulk in C++: it classifies keys, hashes, and finds with one Hyperscan pass the values that
any redaction pattern matches. Only those, error texts, values with labels to extract, and what is nested come
here. What happened is tallied per statement, since several run at a time.

These functions never raise: the engine would put the value into its error text. What does not parse is counted,
and its request refused by who asked.
"""

import itertools
from collections import Counter
from collections.abc import Callable
from functools import wraps

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from clickhouse.engine import register
from receiver.nested import key_of, text_of
from receiver.sanitizer import Sanitizer

# What stands for a value that could not be looked at; to keep it would be to trust it.
UNREADABLE = "[UNREADABLE]"


class Tally:
    """What one statement redacted, by rule, and found odd, by kind; and how many values are no protobuf at all."""

    __slots__ = ("malformed", "oddities", "redactions")

    def __init__(self) -> None:
        self.malformed = 0
        self.redactions: Counter[str] = Counter()
        self.oddities: Counter[str] = Counter()


class Scrub:
    """The functions of one process, registered with its engine."""

    def __init__(self, sanitizer: Sanitizer) -> None:
        self._sanitizer = sanitizer
        self._numbers = itertools.count(1)
        self._tallies: dict[int, Tally] = {}
        text = "String"
        register("otlp_redact", self._safely(self._redact), ["UInt64", text], "String")
        register("otlp_text", self._safely(self._text), ["UInt64", text, text], "String")
        register("otlp_key", self._safely(self._key), ["UInt64", text], "String")
        register("otlp_value", self._safely(self._value), ["UInt64", text], "String")
        register("otlp_body_value", self._safely(self._body), ["UInt64", text], "String")
        register("otlp_extract", self._safely(self._extract), ["UInt64", text], "String")
        register("otlp_tally", self._count, ["UInt64", text, text], "UInt64")

    def begin(self) -> int:
        """Open a tally and return the number that the statement passes to each function."""
        statement = next(self._numbers)
        self._tallies[statement] = Tally()
        return statement

    def take(self, statement: int) -> Tally:
        """Return a statement's tally, and begin another in its place."""
        tally, self._tallies[statement] = self._tallies[statement], Tally()
        return tally

    def end(self, statement: int) -> None:
        """Close a statement's tally."""
        del self._tallies[statement]

    def _safely(self, function: Callable[..., str]) -> Callable[..., str]:
        @wraps(function)  # the engine counts the parameters
        def call(statement: int, *arguments: str) -> str:
            try:
                return function(self._tallies[statement], *arguments)
            except DecodeError:
                self._tallies[statement].malformed += 1
                return UNREADABLE
            except Exception:  # noqa: BLE001  the engine would quote the value in its own error
                self._tallies[statement].oddities["unreadable_value"] += 1
                return UNREADABLE

        return call

    def _redact(self, tally: Tally, text: str) -> str:
        return self._sanitizer.redact(text, tally.redactions)

    def _text(self, tally: Tally, key: str, text: str) -> str:
        return self._sanitizer.attribute(key, text, tally.redactions) or ""

    def _key(self, tally: Tally, encoded: str) -> str:
        return key_of(KeyValue.FromString(bytes.fromhex(encoded)), self._sanitizer, tally.redactions)

    def _value(self, tally: Tally, encoded: str) -> str:
        attribute = KeyValue.FromString(bytes.fromhex(encoded))
        return text_of(attribute.value, attribute.key, self._sanitizer, tally.redactions)

    def _body(self, tally: Tally, encoded: str) -> str:
        return text_of(AnyValue.FromString(bytes.fromhex(encoded)), "", self._sanitizer, tally.redactions)

    def _extract(self, tally: Tally, encoded: str) -> str:
        labels: dict[str, str] = {}
        for attribute in map(KeyValue.FromString, map(bytes.fromhex, encoded.split(" "))):
            labels |= self._sanitizer.labels(attribute.key, attribute.value.string_value, tally.redactions)
        return orjson.dumps(labels).decode()

    def _count(self, statement: int, kind: str, _: str) -> int:
        # The last argument keeps the engine from calling us once, while it plans, for a constant.
        self._tallies[statement].oddities[kind] += 1
        return 0
