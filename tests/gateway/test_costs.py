"""No function of the engine runs for long within one row, for any argument that a reader may give it."""

import json
import os
import queue
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import pytest

from clickhouse.engine import Engine
from gateway.costs import BOUNDS, REFUSED
from gateway.parser import Parser
from gateway.policy import REFUSED_FUNCTIONS, REFUSED_PREFIXES, Role
from gateway.session import EngineSession
from tests.server import ROOT

_SECONDS: Final = 10.0
# What a statement of that much work may take on a busy machine.
_WAIT_SECONDS: Final = 150.0
"""How long one call may take here, on a busy machine."""
_PATTERN, _GROUPS = "'a*b|a'", "'(a*b)|(a)'"
_ADDED, _JOINED = "(a, x) -> arrayPushBack(a, x)", "(a, x) -> concat(a, 'a')"
ARGUMENTS: Final = [
    *[
        "text",
        "words",
        "open",
        "deep",
        "most",
        "ints",
        "texts",
        "pairs",
        "points",
        "ring",
        "[ring]",
        "bits",
        "moment",
    ],
    *[
        "text, text",
        "text, almost",
        "almost, text",
        "short, other",
        "words, words",
        "'', words",
        "words, ','",
    ],
    *[
        f"text, {_PATTERN}",
        f"{_PATTERN}, text",
        f"text, {_GROUPS}",
        "text, '%a%a%a%a%b'",
        "text, texts",
        "texts, text",
    ],
    *[
        "text, many",
        "many, text",
        "text, most",
        "most, most",
        "many, many",
        "most, 1",
        "many, open",
        "open, 'a'",
    ],
    *[
        "ints, ints",
        "texts, texts",
        "same, same",
        "ints, many",
        "many, ints",
        "same, 'a'",
        "pairs, pairs",
        "pairs, many",
    ],
    *["bits, bits", "bits, ints", "points, points", "ring, ring", "[ring], [ring]", "(0.5, 0.5), points"],
    *["x -> x + 1, ints", "x -> x, same", "(x, y) -> x = y, ints, ints", f"{_JOINED}, ints, ''"],
    *[f"{_ADDED}, ints, emptyArrayUInt64()", "moment, many", "moment, most", "day, most", "moment, text"],
    *["deep, 'a'", "deep, '$.a.a'", "deep, 'a', 'String'", "text, text, text", f"text, {_PATTERN}, 'b'"],
    *[
        "text, 'a', text",
        "text, almost, 'b'",
        "words, ',', 'x'",
        "text, many, many",
        "text, 1, many",
        "text, many, 'x'",
    ],
    *["ints, many, many", "ints, ints, ints", "same, same, same", "bits, many, many", "bits, ints, ints"],
    *["moment, most, 1", "text, texts, texts", "text, 3, 100", "most, most, 1", "text, many, many, many"],
    *["same, same, ints, ints", "ints, ints, many, many", "-180., -90., 180., 90., 12", "text, 1, 2, 3"],
]


class Calls:
    """A process that makes one call after the other, killed and begun again when one does not end."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    def seconds(self, sql: str) -> float | None:
        """Return the CPU-seconds of a reader's statement, 0 when it is refused, None when it does not end in time."""
        if self._process is None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(sql + "\n")
            self._process.stdin.flush()
            said = self._lines.get(timeout=_WAIT_SECONDS)
        except (queue.Empty, BrokenPipeError):
            said = ""
        if not said:
            self.close()
            return None
        return float(said.partition(" ")[2] or 0)

    def close(self) -> None:
        """Kill the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._reader.join()
            for pipe in (self._process.stdin, self._process.stdout):
                with suppress(BrokenPipeError):
                    pipe.close()  # type: ignore[union-attr]
            self._process = None

    def _start(self) -> None:
        self._lines = queue.Queue()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.calls"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=_read, args=(self._process, self._lines), daemon=True)
        self._reader.start()
        assert self._lines.get(timeout=180) == "ready\n"


def _read(process: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    assert process.stdout is not None
    with suppress(ValueError):
        for line in process.stdout:
            lines.put(line)
    lines.put("")


@pytest.fixture(scope="module")
def calls() -> Iterator[Calls]:
    """Start a process for the calls of this module."""
    made = Calls()
    yield made
    made.close()


@pytest.mark.parametrize(
    "call",
    [
        "editDistance(short, other)",
        "levenshteinDistance(text, text)",
        "damerauLevenshteinDistance(short, other)",
        "arrayMap(x -> editDistance(x, short), [short])",
        "extractAll(text, 'a*b|a')",
        "extractAll(text, concat('a*b', '|a'))",
        "regexpReplaceAll(text, 'a*b|a', '')",
        "REGEXP_REPLACE(text, 'a*b|a', '')",
        "countSubstringsCaseInsensitive(text, almost)",
        "position(text, almost)",
        "strpos(text, almost)",
        "text ILIKE almost",
        "hasAll(ints, ints)",
        "multiSearchAny(text, texts)",
        "arrayFold((a, x) -> arrayPushBack(a, x), ints, emptyArrayUInt64())",
    ],
)
def test_the_quadratic_family_ends(calls: Calls, call: str) -> None:
    """Under its own name and others, and within another function."""
    seconds = calls.seconds(f"SELECT ignore({call}) FROM large")
    assert seconds is not None
    assert seconds < _SECONDS


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_function_of_the_engine_ends(calls: Calls, engine: Engine) -> None:
    """With each of many large arguments; it is refused, or ends within the bound.

    One of 40, told by its name, since all take 20 minutes; all of them with TELEMETRY_TEST_EVERY_FUNCTION=1.
    """
    is_whole = os.environ.get("TELEMETRY_TEST_EVERY_FUNCTION") == "1"
    functions = engine.rows("SELECT name FROM system.functions WHERE alias_to = '' ORDER BY name")
    endless = []
    for [name] in functions:
        if not is_whole and zlib.crc32(name.encode()) % 40:
            continue
        lower = name.lower()
        if lower in REFUSED_FUNCTIONS or lower.startswith(REFUSED_PREFIXES) or lower in REFUSED:
            continue
        for given in ARGUMENTS:
            seconds = calls.seconds(f"SELECT ignore(`{name}`({given})) FROM large")
            if seconds is None or seconds > _SECONDS:
                endless.append(f"{name}({given})")
                break
    assert endless == []


def test_the_lists_name_what_exists(engine: Engine) -> None:
    """A name that the engine does not know bounds nothing."""
    known = {row[0].lower() for row in engine.rows("SELECT name FROM system.functions")}
    assert sorted((BOUNDS.keys() | REFUSED) - known) == []
    assert json.dumps(sorted(BOUNDS.keys() & REFUSED)) == "[]"


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("extractAll(t, '[0-9]+')", 16),
        ("extractAll(substring(t, 1, 32768), '[0-9]+')", 16),
        ("extractAll(substring(t, 1, 3276), '[0-9]+')", 1600),
        ("extractAll(left(t, 3276), '[0-9]+')", 1600),
        ("extractAll(leftUTF8(t, 819), '[0-9]+')", 1600),
        # Of two arguments the last is where it begins; a negative length leaves that much out; a column may be any.
        ("extractAll(substring(t, 300), '[0-9]+')", 16),
        ("extractAll(substring(t, 1, -300), '[0-9]+')", 16),
        ("extractAll(substring(t, 1, n), '[0-9]+')", 16),
        # What is put in for each byte counts.
        ("replaceRegexpAll(replaceRegexpAll(substring(t, 1, 100), 'a', 'bcd'), '[0-9]+', '')", 105_258),
        ("replaceRegexpAll(replaceRegexpAll(substring(t, 1, 100), 'a', t), '[0-9]+', '')", 16),
        ("editDistance(substring(t, 1, 10), t)", 256),
    ],
)
def test_short_texts_let_the_engine_take_more_rows(engine: Engine, expression: str, rows: int) -> None:
    """As many as cost what the longest texts do, by the square of their length; what is not certain is long."""
    parser = Parser(EngineSession(engine), "default")
    statement = parser.parse(f"SELECT {expression} FROM (SELECT 'x' AS t, 1 AS n)", {}, Role.READER, None)
    assert statement.block_rows == rows
