"""What was recorded cannot disturb a terminal or run in a spreadsheet, and programs get it as it is."""

import csv
import io
import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from access.terminal import made_visible, without_formulas
from privacy.sanitizer import legible
from telemetry.cli import main
from tests.server import Server
from tests.test_demo import own, rows_of


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


@given(st.text(), st.integers(1, 9))
def test_every_character_but_tabs_and_the_ends_of_lines_is_seen(text: str, size: int) -> None:
    """However the text is cut into pieces; no control character passes."""
    made = b"".join(made_visible(pieces(text.encode("utf-8", "replace"), size))).decode()
    assert made.count("\n") == text.count("\n")
    assert made.count("\t") == text.count("\t")
    assert made.replace("\n", "").replace("\t", "").isprintable() or not made.isascii()
    assert not any(
        (ord(letter) < 0x20 and letter not in "\n\t") or 0x7F <= ord(letter) < 0xA0 for letter in made
    )


@given(
    st.lists(st.lists(st.one_of(st.text("=+-@ab,\"\n\t'"), st.integers()), min_size=1, max_size=4)),
    st.integers(1, 9),
)
def test_texts_that_begin_as_formulas_get_an_apostrophe(rows: list[list[str | int]], size: int) -> None:
    """Numbers stay numbers, other texts and the shape stay as they are, however the answer is cut."""
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    made = b"".join(without_formulas(pieces(written.getvalue().encode(), size))).decode()
    expected = [
        [
            f"'{cell}" if isinstance(cell, str) and cell.startswith(tuple("=+-@\t\r")) else str(cell)
            for cell in row
        ]
        for row in rows
    ]
    assert list(csv.reader(io.StringIO(made, newline=""))) == expected


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Bash", "Bash"),
        ("B\x1b[2Jash\x07", "B�[2Jash�"),
        ("a\x85\ufffe\u202eb", "a���b"),
        ("é東京👩", "é東京👩"),
        ("", ""),
    ],
)
def test_names_keep_the_characters_that_are_seen(server: Server, sent: str, kept: str) -> None:
    """The engine stores a safe value as Python says it: controls, marks of direction and no characters are replaced."""
    assert legible(sent) == kept
    session = f"terminal-{sent.encode().hex()}"
    body = {
        "resourceLogs": [{
            "resource": {"attributes": [_pair("service.name", "claude-code")]},
            "scopeLogs": [{"logRecords": [{
                "timeUnixNano": "1795922395177000000",
                "attributes": [
                    _pair("session.id", session), _pair("event.name", "tool_result"), _pair("tool_name", sent),
                ],
            }]}],
        }]
    }  # fmt: skip
    assert server.post("logs", _json(body), "application/json").status_code == 200
    (row,) = rows_of(server, f"SELECT tool_name FROM telemetry_events WHERE session_id = '{session}'")
    assert row == f'"{kept}"'


def test_a_table_for_people_and_data_for_programs(server: Server) -> None:
    """The terminal sees a picture of the control character; CSV and JSON have it as it was stored."""
    sql = "SELECT 'a\\x1b[31mb' AS name, '=1+1' AS formula, -5 AS number"

    def query(*arguments: str) -> str:
        done = CliRunner().invoke(main, ["query", sql, *arguments], env=own(server))
        assert done.exit_code == 0, done.output
        return done.output

    assert "a␛[31mb" in query()
    assert "a␛" in query("--format", "markdown")
    assert '"a\x1b[31mb","=1+1",-5' in query("--format", "csv")
    assert '"a\x1b[31mb","\'=1+1",-5' in query("--format", "csv", "--defuse-formulas")
    assert json.loads(query("--format", "json"))["data"][0]["name"] == "a\x1b[31mb"
    done = CliRunner().invoke(main, ["query", sql, "--defuse-formulas"], env=own(server))
    assert done.exit_code == 1
    assert "only CSV" in done.output


def _pair(key: str, value: str) -> dict[str, object]:
    return {"key": key, "value": {"stringValue": value}}


def _json(body: object) -> bytes:
    return json.dumps(body).encode()
