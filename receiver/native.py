"""The transform as one pass in Rust, where the distribution `native/` is installed: the same rows as the SQL makes.

It reads requests, hashes, searches, redacts usual texts and writes the block's columns outside Python's lock, and asks
`scrub` for the few other values that a pattern matches. The SQL stays: without the distribution, and as what the pass
is compared with, byte by byte. Python loops over requests here, never over spans or attributes.
"""

import importlib
import importlib.util
from array import array
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, TypeAlias

import structlog

from clickhouse.engine import Engine
from clickhouse.pieces import Pieces
from privacy.checks import EXPRESSIONS, WORDS
from privacy.folding import FOLDABLE, PARTING
from privacy.rules import Rules
from privacy.search import sought
from receiver.scrub import Scrub
from receiver.transform import (
    Block,
    MakesRows,
    Refused,
    Surveyed,
    Transform,
    groups,
    hmac_keys,
    treatments_of,
)

log = structlog.get_logger()

Choice: TypeAlias = Literal["auto", "native", "sql"]
_Made: TypeAlias = tuple[Any, int, bytes, bytes, int, int, list[int]]
_Redaction: TypeAlias = tuple[
    list[tuple[str, str, str, str]], list[str], dict[str, list[bytes]], dict[str, str]
]
VERSION: Final = "0.3.0"
"""The distribution's, which is made with this program and belongs to it."""


class NativeError(Exception):
    """The native pass cannot be used. The text has the remedy."""


def transform_of(
    choice: Choice, engine: Engine, rules: Rules, scrub: Scrub, hash_key: str, retention_days: int
) -> MakesRows:
    """Return the transform that was chosen; for `auto` the native one where it can be used.

    Raises NativeError, and RulesError and EngineError from the one in SQL.
    """
    if choice != "sql":
        try:
            return NativeTransform(rules, scrub, hash_key, retention_days)
        except NativeError as error:
            if choice == "native":
                raise
            if _is_installed():
                log.warning("Requests become rows in SQL.", reason=str(error))
    return Transform(engine, rules, scrub, hash_key, retention_days)


class NativeTransform:
    """The native pass under one set of rules. Raises NativeError."""

    def __init__(self, rules: Rules, scrub: Scrub, hash_key: str, retention_days: int) -> None:
        self._native = installed()
        self._scrub = scrub
        self._names = [pattern.name for pattern in rules.patterns]
        self._retention = timedelta(days=retention_days)
        try:
            self._pass = self._native.Pass(
                sought(rules.patterns),
                treatments_of(rules),
                set(rules.drop_keys),
                {
                    key: [(label.name, label.take == "first_word") for label in labels]
                    for key, labels in rules.extract.items()
                },
                bytes.fromhex(hmac_keys(hash_key)),
                rules.excerpt_length,
                _redaction(rules),
            )
        except ValueError as error:
            raise NativeError(
                f"the pattern or prefilter {error} is not one that the native pass can search for; write it more"
                " simply, or set TELEMETRY_TRANSFORM=sql"
            ) from None

    def run(self, table: str, requests: Sequence[Surveyed]) -> Block:
        """Turn serialized Export requests of the table's signal into a block. Raises Refused."""
        statement = self._scrub.begin()
        try:
            made = [self._rows(statement, table, group) for group in groups(requests)]
            tally = self._scrub.take(statement)
        except self._native.MalformedError:
            raise Refused(too_large=False) from None
        except self._native.TooLargeError:
            raise Refused(too_large=True) from None
        finally:
            self._scrub.end(statement)
        contents, identities = array("Q"), array("Q")
        for _, _, some_contents, some_identities, past_retention, ends_before_start, redactions in made:
            contents.frombytes(some_contents)
            identities.frombytes(some_identities)
            for name, count in zip(self._names, redactions, strict=True):
                if count:
                    tally.redactions[name] += count
            for kind, count in (
                ("past_retention", past_retention),
                ("span_ends_before_start", ends_before_start),
            ):
                if count:
                    tally.oddities[kind] += count
        if tally.malformed:
            raise Refused(too_large=False)
        data = Pieces((memoryview(block) for block, *_ in made), [block for block, *_ in made])
        return Block(table, data, tally, sum(request.rows for request in requests), contents, identities)

    def _rows(self, statement: int, table: str, group: Sequence[Surveyed]) -> _Made:
        made: _Made = self._pass.run(
            table,
            [request.body for request in group],
            self._oldest(),
            lambda questions: self._scrub.answers(statement, questions),
        )
        if made[1] != sum(request.rows for request in group):
            # The survey read the requests in another way, so which rows are whose is not certain.
            raise Refused(too_large=False)
        return made

    def _oldest(self) -> int:
        """Return the time, in nanoseconds, before which the tables' TTL removes a row."""
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return int((today - self._retention).timestamp()) * 10**9


def _redaction(rules: Rules) -> _Redaction:
    """Return what the pass redacts by: the patterns, what a text holds that is folded, and what the checks go by."""
    return (
        [(pattern.name, pattern.sought, pattern.regex, pattern.check or "") for pattern in rules.patterns],
        [*FOLDABLE, *PARTING],
        {name: list(words) for name, words in WORDS.items()},
        {name: expression.pattern.decode() for name, expression in EXPRESSIONS.items()},
    )


def installed() -> Any:
    """Return the distribution's module. Raises NativeError."""
    try:
        native = importlib.import_module(_MODULE)
    except ImportError as error:
        if error.name == _MODULE:
            raise NativeError(
                "the native pass is not installed: install Rust's cargo and run `TELEMETRY_TRANSFORM=native"
                " scripts/start.sh`, or set TELEMETRY_TRANSFORM=auto"
            ) from None
        raise NativeError(
            "the native pass cannot be loaded on this machine; set TELEMETRY_TRANSFORM=sql"
        ) from None
    if native.VERSION != VERSION:
        raise NativeError(
            f"the native pass is of version {native.VERSION}, and {VERSION} is needed: build it again from native/,"
            " or set TELEMETRY_TRANSFORM=sql"
        )
    return native


def _is_installed() -> bool:
    return importlib.util.find_spec(_MODULE) is not None


_MODULE: Final = "telemetry_native"
