"""Texts in the report's Markdown: CommonMark gives them back as they were."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from access.report.escape import escape
from access.report.numbers import Kind, shown

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
LINES = st.text(st.characters(codec="utf-8", exclude_characters="\ufeff"), min_size=1, max_size=40)
MARKS = st.text("\\`*_{}[]()<>#+-.!|~&$:=1 a\n", max_size=30)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  the parser's own form
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(source: str) -> tuple[list[str], str]:
    reader = _Text()
    reader.feed(PARSER.render(source))
    reader.close()
    return reader.tags, reader.text


def flat(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


@given(LINES | MARKS)
def test_a_paragraph_is_the_text(text: str) -> None:
    """No tag but its own, and the same characters."""
    tags, found = read(escape(text))
    assert tags == (["p"] if escape(text) else [])
    assert flat(found) == flat(text)


@given(LINES | MARKS)
def test_a_cell_is_the_text(text: str) -> None:
    """It makes no further cell or row."""
    tags, found = read(f"| a | b |\n|---|---|\n| {escape(text)} | end |\n")
    assert tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]
    assert flat(found) == flat(f"a b {text} end")


@given(LINES | MARKS)
def test_an_item_is_the_text(text: str) -> None:
    """It begins no list, heading or code of its own."""
    tags, found = read(f"- {escape(text)} (end)")
    assert tags == ["ul", "li"]
    assert flat(found) == flat(f"{text} (end)")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("https://evil.invalid", "https\\://evil.invalid"),
        ("www.evil.invalid", "www\\.evil.invalid"),
        ("ask @everyone about #12", "ask \\@everyone about \\#12"),
        ("Error:ENOENT, 41.9% - as before", "Error:ENOENT, 41.9% - as before"),
        ("$1 and $2", "\\$1 and \\$2"),
    ],
)
def test_what_chats_and_forges_would_make_links_of(text: str, written: str) -> None:
    """Links, mentions and formulas, which are no part of CommonMark; characters without a meaning are left alone."""
    assert escape(text) == written


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        (Kind.USD, 1234.5, "$1,234.50"),
        (Kind.USD, 0.00123, "$0.0012"),
        (Kind.USD, 0, "$0.00"),
        (Kind.COUNT, 12345, "12,345"),
        (Kind.PERCENT, 4.26, "4.3%"),
        (Kind.CHANGE, -20.4, "-20%"),
        (Kind.CHANGE, 0.2, "±0%"),
        (Kind.TOKENS, 2_240_000, "2.2 M"),
        (Kind.MS, 866, "866 ms"),
        (Kind.MS, 9_040, "9.0 s"),
        (Kind.MS, 90_000, "1.5 min"),
        (Kind.ID, "sha256:0123456789abcdef", "01234567…"),
        (Kind.ID, "me", "me"),
        (Kind.TEXT, "x" * 90, "x" * 79 + "…"),
        (Kind.COUNT, None, "-"),
    ],
)
def test_numbers_are_written_for_people(kind: Kind, value: object, written: str) -> None:
    """In their unit, no longer than they need to be."""
    assert shown(kind, value) == written
