"""The one shape of answers: what is sent, and how recorded text is shown in it."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.answer import DATA, Answer, Freshness, Range, Table, scalar
from access.refusal import Code, Refusal, unknown
from access.text import cut, units, visible
from tests.hostile import HIDDEN, ORDERS, SEEN, is_seen, texts

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_everything_that_a_reader_must_know_is_a_field() -> None:
    """A model sees the structured content alone."""
    answer = Answer(
        columns=("tool", "calls"),
        rows=[("Bash", 3), ("Read", 1)],
        finding="Bash is used most.",
        tables={"values": Table(("value",), [("x",)])},
        has_more=True,
        truncated=True,
        next_cursor="c",
        result_id="r",
        total_count=9,
        query_executed="/*\nquestion: x\n*/\nSELECT 1\n    FROM x -- why",
        parameters={"from": "2026-11-28 11:00:00"},
        time_range=Range(NOON - timedelta(hours=1), NOON, "Europe/Berlin"),
        freshness=Freshness(NOON, 5),
        completeness=0.987654321987,
        cached_age_seconds=7,
        hints=("Ask on.",),
        notes=("A note.",),
    )
    assert answer.as_dict() == {
        "finding": "Bash is used most.",
        "columns": ["tool", "calls"],
        "rows": [["Bash", 3], ["Read", 1]],
        "tables": {"values": {"columns": ["value"], "rows": [["x"]]}},
        "has_more": True,
        "truncated": True,
        "content": DATA,
        "total_count": 9,
        "next_cursor": "c",
        "result_id": "r",
        "time_range": {
            "start": "2026-11-28T11:00:00Z",
            "end": "2026-11-28T12:00:00Z",
            "zone": "Europe/Berlin",
        },
        "freshness": {"newest": "2026-11-28T12:00:00Z", "age_seconds": 5},
        "completeness": 0.987654322,
        "cached_age_seconds": 7,
        "hints": ["Ask on."],
        "notes": ["A note."],
        "query_executed": "SELECT 1\nFROM x -- why",
        "parameters": {"from": "2026-11-28 11:00:00"},
    }
    assert json.loads(answer.as_json()) == answer.as_dict()


def test_each_row_has_a_line_of_its_own() -> None:
    """So that a file with it can be read by lines."""
    answer = Answer(("a", "b"), [(1, "x\ny"), (2, "z")], tables={"t": Table(("c",), [(3,), (4,)])})
    assert answer.as_json().splitlines()[:10] == [
        '{"columns":["a","b"],',
        '"rows":[',
        '[1,"x␊y"],',
        '[2,"z"]',
        "],",
        '"tables":{"t":{"columns":["c"],"rows":[',
        "[3],",
        "[4]",
        "]}},",
        '"has_more":false,',
    ]
    assert Answer().as_json() == '{"columns":[],\n"rows":[],\n"has_more":false,\n"truncated":false}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1 << 53, 1 << 53),
        ((1 << 53) + 1, "9007199254740993"),
        (-(1 << 200), str(-(1 << 200))),
        (0.1 + 0.2, 0.3),
        (3.0, 3),
        (1e300, 1e300),
        (float("nan"), None),
        (float("-inf"), None),
        (Decimal("1.50"), 1.5),
        (NOON.replace(tzinfo=None, microsecond=250_000), "2026-11-28T12:00:00.250Z"),
        (datetime(2026, 11, 28, 14, tzinfo=timezone(timedelta(hours=2))), "2026-11-28T12:00:00Z"),
        (date(2026, 11, 28), "2026-11-28"),
        (b"a\xff\x00", "a\\xff␀"),
        ([1, "a\n", None], '[1,"a␊",null]'),
        ({"k": {"x": 1}}, '{"k":"{\\"x\\":1}"}'),
    ],
    ids=repr,
)
def test_a_value_of_any_type_is_one_scalar(value: Any, expected: Any) -> None:
    """Which JavaScript reads as it was meant."""
    assert scalar(value) == expected


@pytest.mark.parametrize("text", [*HIDDEN, *ORDERS, *SEEN])
def test_hidden_characters_are_shown(text: str) -> None:
    """Controls as pictures, marks of direction and letters without width by their number, all on one line."""
    assert is_seen(visible(text))


def test_what_is_seen_stays_as_it_is() -> None:
    """In every script."""
    for text in (
        "plain",
        "日本語のエラー",
        "é ü ß",
        "\u00a0wide\u3000spaces",
        '"quotes" and \\ back',
        "👍🏽",
    ):
        assert visible(text) == text
    assert visible("a\x1b[31m\u202e\x7f\u200b\n") == "a␛[31m<U+202E>␡<U+200B>␊"


@given(texts, st.one_of(st.none(), st.integers(40, 2_000)))
def test_shown_text_is_seen_and_bounded_and_stays(text: str, limit: int | None) -> None:
    """Shown once more it is the same."""
    text = text[:100_000]
    shown = visible(text, limit)
    assert is_seen(shown)
    assert limit is None or len(shown) <= limit
    assert visible(shown, limit) == shown


def test_a_cut_text_says_how_long_it_was() -> None:
    """At its end, within the limit."""
    assert cut("x" * 2_000, 30) == "x" * 11 + "…[2,000 characters]"
    assert visible("\x00" * 5_000, 40).endswith("…[5,000 characters]")
    assert units("é👍") == 3


@given(texts, texts, st.lists(texts, max_size=50), st.lists(texts, max_size=50), st.lists(texts, max_size=50))
def test_a_refusal_is_short(
    message: str, field: str, nearest: list[str], accepted: list[str], suggestions: list[str]
) -> None:
    """And is seen, whatever it quotes."""
    refusal = Refusal(
        Code.QUERY_FAILED, message, field, tuple(nearest), tuple(accepted), 1.5, tuple(suggestions)
    )
    assert units(refusal.as_json()) < 2_000
    for value in refusal.as_dict().values():
        for text in [value] if isinstance(value, str) else value if isinstance(value, list) else []:
            assert is_seen(text)


def test_an_unknown_name_is_refused_with_those_that_resemble_it() -> None:
    """The first as the likely one."""
    assert unknown("tool", "Bsah", ["Read", "Bash", "Edit"], "filters.tool").as_dict() == {
        "code": "UNKNOWN_NAME",
        "message": "There is no tool 'Bsah'. Did you mean Bash?",
        "field": "filters.tool",
        "nearest": ["Bash"],
        "accepted": ["Bash", "Edit", "Read"],
    }
