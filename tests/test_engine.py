"""The embedded engine: parameters, errors that say nothing of the data, inserts, one owner a directory."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from clickhouse.engine import Engine, EngineError
from clickhouse.pieces import Pieces
from tests.server import ROOT

_HOLD = """
import sys
from pathlib import Path
from clickhouse.pieces import Pieces
from clickhouse.engine import Engine
engine = Engine(Path(sys.argv[1]))
from clickhouse.pieces import Pieces
engine.use("telemetry")
print("open", flush=True)
sys.stdin.read()
engine.close()
"""

TEXTS = {
    "quotes": 'it\'s "quoted" and `ticked`',
    "backslashes": "C:\\temp\\new\\0\\",
    "white space": "\tone\ntwo\r\nthree ",
    "control": "\0\b\f\v\x1b\x7f",
    "unicode": "é😀\u2028\u202e漢字",
    "empty": "",
    "null marks": "\\N",
    "a word of SQL": "NULL",
    "a placeholder": "{other:String} ${x} $1 %s",
    "a statement": "'; DROP TABLE otel_logs; --",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_text_parameter_arrives_unchanged(engine: Engine, text: str) -> None:
    """No character of a bound text is special, alone or in an array."""
    row = engine.rows(
        "SELECT {text:String}, {list:Array(String)}", {"text": text, "list": [text, "between", text]}
    )
    assert row == [[text, [text, "between", text]]]


def test_other_parameters_arrive_unchanged(engine: Engine) -> None:
    """Numbers, truth values and arrays of numbers are bound too, empty ones included."""
    row = engine.rows(
        "SELECT {number:Int64}, {yes:Bool}, {no:Bool}, {list:Array(UInt16)}, {none:Array(String)}",
        {"number": -5, "yes": True, "no": False, "list": [1, 2, 65535], "none": []},
    )
    assert row == [[-5, True, False, [1, 2, 65535], []]]


def test_an_error_has_a_number_and_a_name_and_nothing_of_the_data(engine: Engine) -> None:
    """The engine quotes the value that failed; the error that leaves it does not, however it is printed."""
    content = str(1 << 64) + "-content"  # computed, since a traceback quotes the source
    with pytest.raises(EngineError) as caught:
        engine.query("SELECT toUInt8({value:String})", {"value": content})
    error = caught.value
    assert (error.code, error.name) == (6, "CANNOT_PARSE_TEXT")
    assert str(error) == "CANNOT_PARSE_TEXT (code 6)"
    assert error.__cause__ is None
    assert error.__suppress_context__
    for text in (str(error), repr(error), "".join(traceback.format_exception(error))):
        assert content not in text


def test_a_failed_insert_is_an_engine_error_without_the_data(engine: Engine) -> None:
    """A value that does not fit its column fails by name, and the connection goes on working."""
    block = engine.query("SELECT 'hunter2' AS TraceFlags")
    with pytest.raises(EngineError) as caught:
        engine.insert("otel_logs", Pieces([block]), {"max_threads": 1})
    assert caught.value.name != "UNKNOWN"
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
    assert [engine.rows("SELECT 1") for _ in range(4)] == [[[1]]] * 4


def test_an_insert_is_visible_to_every_connection_when_it_returns(engine: Engine) -> None:
    """After insert returns, its rows are there for the next query, on any connection."""
    engine.command("CREATE TABLE engine_insert (number UInt64) ENGINE = MergeTree ORDER BY number")
    try:
        block = engine.query("SELECT number FROM numbers(1000)")
        engine.insert("engine_insert", Pieces([block]), {"max_threads": 1})
        counted = [engine.rows("SELECT count(), sum(number) FROM engine_insert") for _ in range(4)]
    finally:
        engine.command("DROP TABLE engine_insert")
    assert counted == [[[1000, 499500]]] * 4


def test_a_directory_that_another_process_has_open_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """Two processes never write one directory; the second one's error has the remedy."""
    command = [sys.executable, "-c", _HOLD, str(tmp_path / "clickhouse")]
    holder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdin
    assert holder.stdout
    try:
        assert holder.stdout.readline() == "open\n"
        second = subprocess.run(
            command, cwd=ROOT, input="", capture_output=True, text=True, timeout=180, check=False
        )
    finally:
        holder.stdin.close()
        assert holder.wait(180) == 0
        holder.stdout.close()
    assert second.returncode == 1
    last = second.stderr.strip().splitlines()[-1]
    assert last == (
        f"clickhouse.engine.EngineStartError: The engine cannot open {tmp_path / 'clickhouse'}: stop the"
        " other process that has it open, or use another data directory."
    )
    third = subprocess.run(
        command, cwd=ROOT, input="", capture_output=True, text=True, timeout=180, check=True
    )
    assert third.stdout == "open\n"


def test_saved_rows_are_loaded_whole(engine: Engine) -> None:
    """Blocks that look alike, of any number of days and pieces; a load that fails half way leaves nothing."""
    engine.command("CREATE TABLE loaded (day Date, n UInt32) ENGINE = MergeTree PARTITION BY day ORDER BY n")
    try:
        data = engine.query("SELECT toDate('2026-01-01') + number AS day, number AS n FROM numbers(300)")
        pieces = [data[:7], data[7:]]
        engine.load("`loaded`", pieces)
        engine.load("`loaded`", pieces)
        assert engine.rows("SELECT count(), uniqExact(day) FROM loaded") == [[600, 300]]
        with pytest.raises(EngineError, match="CANNOT_READ_ALL_DATA"):
            engine.load("`loaded`", [data[:-3]])
        assert engine.rows("SELECT count() FROM loaded") == [[600]]
    finally:
        engine.command("DROP TABLE loaded")
