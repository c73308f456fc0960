"""The functions that the transform's SQL calls for the few values it cannot finish itself.

The engine does the bulk in C++: it classifies keys, hashes, and finds with one Hyperscan pass the values that
any redaction pattern matches. Only those, error texts, values with labels to extract, and what is nested come
here. What happened is tallied per statement, since several run at a time.

These functions never raise: the engine would put the value into its error text. What does not parse is counted,
and the transform refuses its request.
"""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import wraps
from random import getrandbits
from typing import Final, TypeAlias

import orjson
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from clickhouse.engine import register
from privacy.sanitizer import Sanitizer
from privacy.search import Counts
from receiver.nested import key_of, number_of, text_of

# Replaces a value that could not be looked at: keeping it would be trusting it.
UNREADABLE = "[UNREADABLE]"


MAX_KNOWN: Final = 4096
MAX_KNOWN_SIZE: Final = 1024
"""How many results are known again in one batch, and of texts of how many characters at most."""


MAX_SECONDS: Final = 0.25
"""CPU time past which a batch leaves as much to others as it takes: they share Python's lock and the processor."""
_LONGEST_SLEEP_SECONDS: Final = 0.05
_STRIDE_BITS: Final = 3
"""Of short texts one in four or five is timed, and its time counts for those before it, seven at most: reading the
clock of a thread is a call of the kernel, a tenth of the work on a text. Which one is by chance, so that no batch can
be made to seem cheap."""
CALL_SECONDS: Final = 0.25e-6
"""CPU time of every call beside the work on its text: the engine copies it, and what is known is looked up."""
MAX_BATCH_SECONDS: Final = 5.0
"""CPU time past which the values of a batch that have to be looked at are redacted whole, and counted: a hundred times
what a full batch of usual requests takes."""
_UNSEARCHED: Final = "[REDACTED:scan_budget]", {"scan_budget": 1}
_NO_LABELS: Final = "{}", {"scan_budget": 1}
_OF_KEYS: Final = frozenset({"text", "number"})

Question: TypeAlias = tuple[str, str, str]
"""What the native pass asks of a value: the function, the value's key or nothing, and its text, or its bytes in hex."""


class Tally:
    """What one statement redacted, by rule, and found odd, by kind; how many values are no protobuf at all.

    `seconds` is the CPU time that its values took here, of short ones and of calls an estimate.
    """

    __slots__ = ("malformed", "oddities", "redactions", "seconds")

    def __init__(self) -> None:
        self.malformed = 0
        self.seconds = 0.0
        self.redactions: Counter[str] = Counter()
        self.oddities: Counter[str] = Counter()


class _Run:
    """A statement's work on one batch: its tally, and results by what was asked, since most texts occur more than once.

    An error's text stands in each span that failed by it, and a call's parameters in its decision and its result.
    """

    __slots__ = ("_passed_by", "_untimed", "known", "tally")

    def __init__(self) -> None:
        self.tally = Tally()
        self._untimed = 0
        self._passed_by = 0
        self.known: dict[tuple[str, tuple[str, ...]], tuple[str, dict[str, int]]] = {}

    def weight(self, size: int) -> int:
        """Return for how many texts the time of the next one, of `size` characters, counts; 0: it is not timed."""
        if size > MAX_KNOWN_SIZE:
            return 1
        self._untimed += 1
        if self._untimed <= self._passed_by:
            return 0
        weight, self._untimed = self._untimed, 0
        self._passed_by = getrandbits(_STRIDE_BITS)
        return weight


class Scrub:
    """The functions of one process, registered with its engine."""

    def __init__(self, sanitizer: Sanitizer) -> None:
        self._sanitizer = sanitizer
        self._numbers = itertools.count(1)
        self._runs: dict[int, _Run] = {}
        text = "String"
        self._functions = {
            "redact": self._safely(self._redact),
            "text": self._safely(self._text),
            "key": self._safely(self._key),
            "number": self._safely(self._number),
            "value": self._safely(self._value),
            "body": self._safely(self._body),
            "extract": self._safely(self._extract),
        }
        register("otlp_redact", self._functions["redact"], ["UInt64", text], "String")
        register("otlp_text", self._functions["text"], ["UInt64", text, text], "String")
        register("otlp_key", self._functions["key"], ["UInt64", text], "String")
        register("otlp_scanned_number", self._functions["number"], ["UInt64", text, text], "String")
        register("otlp_value", self._functions["value"], ["UInt64", text], "String")
        register("otlp_body_value", self._functions["body"], ["UInt64", text], "String")
        register("otlp_extract", self._functions["extract"], ["UInt64", text], "String")
        register("otlp_tally", self._count, ["UInt64", text, text], "UInt64")

    def answers(self, statement: int, questions: Sequence[Question]) -> list[str | list[tuple[str, str]]]:
        """Answer what the native pass asks; the labels that are taken from values as pairs, in their order."""
        return [self._answer(statement, *question) for question in questions]

    def _answer(self, statement: int, name: str, key: str, text: str) -> str | list[tuple[str, str]]:
        function = self._functions[name]
        if name == "extract":
            labels = function(statement, text)
            return [] if labels == UNREADABLE else list(orjson.loads(labels).items())
        return function(statement, key, text) if name in _OF_KEYS else function(statement, text)

    def begin(self) -> int:
        """Open a tally and return the number that the statement passes to each function."""
        statement = next(self._numbers)
        self._runs[statement] = _Run()
        return statement

    def take(self, statement: int) -> Tally:
        """Return the tally of a statement's batch, forget what it held, and begin another."""
        run, self._runs[statement] = self._runs[statement], _Run()
        return run.tally

    def end(self, statement: int) -> None:
        """Close a statement's tally."""
        del self._runs[statement]

    def _safely(self, function: Callable[..., str]) -> Callable[..., str]:
        runs, name = self._runs, function.__name__

        @wraps(function)  # the engine counts the parameters
        def call(statement: int, *arguments: str) -> str:
            run = runs[statement]
            asked = (name, arguments)
            known = run.known.get(asked)
            if known is None and run.tally.seconds > MAX_BATCH_SECONDS:
                known = _NO_LABELS if function == self._extract else _UNSEARCHED
            elif known is None:
                counts: dict[str, int] = {}
                weight = run.weight(len(arguments[-1]))
                begun = time.thread_time() if weight else 0.0
                try:
                    text = function(counts, *arguments)
                except DecodeError:
                    run.tally.malformed += 1
                    return UNREADABLE
                except Exception:  # noqa: BLE001  the engine would quote the value in its own error
                    run.tally.oddities["unreadable_value"] += 1
                    return UNREADABLE
                finally:
                    if weight:
                        spent = weight * (time.thread_time() - begun)
                        run.tally.seconds += spent
                        if run.tally.seconds > MAX_SECONDS:
                            time.sleep(min(spent, _LONGEST_SLEEP_SECONDS))
                known = text, counts
                if len(arguments[-1]) <= MAX_KNOWN_SIZE and len(run.known) < MAX_KNOWN:
                    run.known[asked] = known
            run.tally.seconds += CALL_SECONDS
            text, counts = known
            for rule in counts:
                run.tally.redactions[rule] += counts[rule]
            return text

        return call

    def _redact(self, counts: Counts, text: str) -> str:
        return self._sanitizer.redact(text, counts)

    def _text(self, counts: Counts, key: str, text: str) -> str:
        return self._sanitizer.attribute(key, text, counts) or ""

    def _key(self, counts: Counts, encoded: str) -> str:
        return key_of(KeyValue.FromString(bytes.fromhex(encoded)), self._sanitizer, counts)

    def _number(self, counts: Counts, key: str, number: str) -> str:
        return number_of(key, number, self._sanitizer, counts)

    def _value(self, counts: Counts, encoded: str) -> str:
        attribute = KeyValue.FromString(bytes.fromhex(encoded))
        return text_of(attribute.value, attribute.key, self._sanitizer, counts)

    def _body(self, counts: Counts, encoded: str) -> str:
        return text_of(AnyValue.FromString(bytes.fromhex(encoded)), "", self._sanitizer, counts)

    def _extract(self, _: Counts, encoded: str) -> str:
        labels: dict[str, str] = {}
        for attribute in map(KeyValue.FromString, map(bytes.fromhex, encoded.split(" "))):
            labels |= self._sanitizer.labels(attribute.key, attribute.value.string_value)
        return orjson.dumps(labels).decode()

    def _count(self, statement: int, kind: str, _: str) -> int:
        # The last argument keeps the engine from calling us once, while it plans, for a constant.
        self._runs[statement].tally.oddities[kind] += 1
        return 0
