"""Tables for people: numbers, short ids, widths, and traces as trees."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.ids import Ambiguous, alias, short_id, whole
from access.prompt import Prompt, is_finished
from access.query import plain
from access.table import fitted, markdown, readable, text, unpriced
from access.tree import tree

SESSION = "6f1c0b1e-0000-4000-8000-000000000001"
HASH = "sha256:" + "9b1fc0de" * 8
NOON = datetime(2026, 11, 22, 12, 0, 0, 120_000, UTC)


def lines(columns: list[str], types: list[str], rows: list[tuple[Any, ...]], **more: Any) -> list[str]:
    return text(fitted(readable(columns, types, rows), **more)).splitlines()


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        ("usd", 0.0028599999999999997, "0.00286"), ("usd", 64.204, "64.20"), ("usd", 0.0, "0"), ("usd", None, ""),
        ("usd_per_request", 0.123456, "0.1235"), ("p50_ms", 1234.5678, "1235"), ("percent", 12.3456, "12.35"),
        ("requests", 81220411, "81220411"), ("session", SESSION, "6f1c0b1e"), ("user", HASH, "user-9b1fc0de"),
        ("user", "jane@corp.example", "jane@corp.example"), ("what", "a\x1b[2Jb", "a␛[2Jb"), ("ok", True, "true"),
        ("time", NOON, "2026-11-22 12:00:00.120"), ("last_seen", NOON, "2026-11-22 12:00"),
        ("usd", float("nan"), ""), ("usd", -0.00001, "-0.00001"),
    ],
)  # fmt: skip
def test_a_cell_is_for_people(column: str, value: Any, shown: str) -> None:
    """Money has cents or four digits, ids are short, control characters are seen, unknown is blank."""
    assert readable([column], ["String"], [(value,)]).rows == ((shown,),)


def test_a_statement_of_ones_own_is_left_as_it_is() -> None:
    """Its ids are whole and its numbers have ten digits."""
    found = readable(["session", "usd"], ["String", "Float64"], [(SESSION, 1.23456789)], is_question=False)
    assert found.rows == ((SESSION, "1.23456789"),)


def test_what_is_not_known_of_a_cost_is_said_beside_it() -> None:
    """Columns of zeros are left out; anything else in them is told in a sentence too."""
    columns, types = (
        ["model", "usd", "recomputed_usd", "unpriced"],
        ["String", "Float64", "Float64", "UInt64"],
    )
    assert readable(columns, types, [("m", 1.0, 0.0, 0)]).columns == ("model", "usd")
    rows = [("m", 1.0, 0.5, 0), ("n", None, 0.0, 3)]
    assert readable(columns, types, rows).columns == tuple(columns)
    assert unpriced(columns, rows) == (
        "Cost: $0.5 of it is recomputed from tokens and prices; 3 requests have no known cost and are not in it."
    )
    assert unpriced(columns, [("m", 1.0, 0.0, 0)]) == ""
    assert unpriced(["reported_usd", "recomputed_usd", "unpriced"], [(1.0, 1.0, 1)]) == (
        "Cost: 1 request has no known cost and is not in it."
    )


def test_words_that_an_answer_is_asked_for_keep_their_room() -> None:
    """Numbers beside them go first; what rows are told apart by is not cut to the same few letters."""
    category, message = (
        "tool Read TelemetrySafeError",
        "File does not exist. Note: your current directory is /x",
    )
    columns = ["category", *(f"count_{number}" for number in range(12)), "message"]
    types = ["String", *["UInt64"] * 12, "String"]
    shown = fitted(readable(columns, types, [(category, *[1] * 12, message)]), width=80)
    assert shown.rows[0][0] == category
    assert len(shown.rows[0][-1]) >= 36
    assert "count_11" in shown.hidden
    assert max(len(line) for line in text(shown).splitlines()) <= 80


@given(
    st.lists(
        st.tuples(st.text(max_size=60), st.text(max_size=200), st.integers(-(10**9), 10**12)),
        min_size=1,
        max_size=5,
    ),
    st.integers(40, 130),
)
def test_a_table_fits(rows: list[tuple[str, str, int]], width: int) -> None:
    """Whatever is in it: cells of text are cut, and a row is one line."""
    found = lines(
        ["name", "a_long_message", "failure_percent"], ["String", "String", "Int64"], rows, width=width
    )
    assert max(len(line) for line in found) <= width
    assert len(found) >= len(rows) + 2


def test_columns_leave_in_the_order_that_the_question_says() -> None:
    """Numbers and times are never cut: what has no room is left out and named."""
    columns = [f"number_{letter}" for letter in "abcdef"]
    shown = readable(columns, ["UInt64"] * 6, [tuple([10**15] * 6)])
    narrow = fitted(shown, ["number_b"], 90)
    assert narrow.hidden == ("number_b",)
    assert narrow.rows == (tuple(["1000000000000000"] * 5),)
    assert markdown(narrow).splitlines()[1] == "|-:|-:|-:|-:|-:|"


def test_a_short_id_stands_for_the_whole() -> None:
    """When it is the beginning of one; of several it is refused, of none it is left."""
    assert (short_id(SESSION), short_id("s1"), alias(HASH), alias("ann")) == (
        "6f1c0b1e",
        "s1",
        "user-9b1fc0de",
        "ann",
    )
    assert whole("session", "6f1c0b1e", lambda *_: [(SESSION,)]) == SESSION
    assert whole("session", "6f1c0b1e", lambda *_: []) == "6f1c0b1e"
    assert whole("team", "platform", lambda *_: [("other",)]) == "platform"
    with pytest.raises(Ambiguous, match="Several begin with 6f1c0b1e"):
        whole("session", "6f1c0b1e", lambda *_: [(SESSION,), (SESSION[:-1] + "2",)])


def span(name: str, own: str, parent: str, after: int) -> dict[str, Any]:
    return {
        "name": f"claude_code.{name}", "span": own, "parent": parent, "started": NOON + timedelta(milliseconds=after),
        "ms": 5.0, "status": "Unset", "attributes": {"tool_name": "Bash"} if name == "tool" else {},
    }  # fmt: skip


def test_a_trace_is_a_tree() -> None:
    """Each span under its parent; one without, and a circle, are shown too, each once."""
    spans = [
        span("interaction", "a", "", 0), span("tool", "b", "a", 10), span("tool.execution", "c", "b", 11),
        span("llm_request", "d", "a", 20), span("hook", "e", "gone", 30), span("x", "f", "g", 40),
        span("y", "g", "f", 41),
    ]  # fmt: skip
    assert [(row[0], row[1], row[4]) for row in tree(spans)] == [
        ("interaction", 0, ""), ("  tool", 10, "Bash"), ("    tool.execution", 11, ""), ("  llm_request", 20, ""),
        ("hook", 30, ""), ("x", 40, ""), ("  y", 41, ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "Code: 47. DB::Exception: Unknown identifier `nope` in scope SELECT nope. (UNKNOWN_IDENTIFIER) (version 2)",
            "Unknown identifier `nope`. DESCRIBE with the table's name lists its columns.",
        ),
        ("Code: 164. DB::Exception: Cannot execute query in readonly mode. (READONLY) (version 25.8)",
         "Cannot execute query in readonly mode. Questions are asked as the user who only reads."),
        ("Syntax error: failed at position 1 (x): x. Expected one of: SELECT, WITH. (SYNTAX_ERROR)",
         "Syntax error: failed at position 1 (x): x."),
        ("", ""),
    ],
)  # fmt: skip
def test_the_engines_words_are_plain(message: str, words: str) -> None:
    """Without numbers, classes and versions, with a remedy where there is one."""
    assert plain(message) == words


@pytest.mark.parametrize(
    ("statement", "finished"),
    [
        ("SELECT 1", True), ("SELECT count(*)", True), ("SELECT *", True), ("SELECT 1,", False), ("SELECT (1", False),
        ("SELECT ')", False), ("SELECT a FROM", False), ("SELECT 'from'", True), ("SELECT 1 +", False),
        ("SHOW TABLES", True),        ("SELECT ')'", True),
    ],
)  # fmt: skip
def test_a_statement_is_run_when_it_is_finished(statement: str, finished: bool) -> None:  # noqa: FBT001  a case
    """Without a semicolon too."""
    assert is_finished(statement) is finished


def test_the_prompt_answers_each_line_at_once() -> None:
    """Help, words that are no question, statements and questions; it leaves when it is told to."""
    shown: list[str] = []
    said: list[str] = []
    prompt = Prompt(["errors", "tools"], shown.append, said.append, said.append, said.append)
    for line in (
        "errors",
        "errors team=x;",
        "SELECT 1",
        "SELECT (1 +",
        "2)",
        "erors",
        "help",
        "?",
        "",
        "use x",
    ):
        assert prompt.take(line)
    assert shown == ["errors", "errors team=x", "SELECT 1", "SELECT (1 +\n2)", "use x"]
    assert "did you mean errors" in said[0]
    assert said[1] == said[2]
    assert not any(prompt.take(word) for word in ("quit", "exit;", "\\q", "EXIT"))
