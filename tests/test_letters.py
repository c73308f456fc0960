"""privacy/letters.py: the engine looks for letters of both cases where a pattern has no regard to case."""

import re

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from privacy.letters import both_cases
from privacy.rules import Level, load_rules

SOUGHT = [pattern.sought for pattern in load_rules(None, Level.strict).patterns if "(?i)" in pattern.sought]
# What the patterns are about, word by word, and what can stand beside a word.
WORDS = sorted({word for pattern in SOUGHT for word in re.findall(r"\w+", pattern)})
BESIDE = [*" =:/.-_\n%3d0", "", "é", "Ñ", "ñ", "Ж", "ж", "密", "[", "\\n", "s", "K"]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "written"),
    [
        ("(?i)Ab", "[aA][bB]"),
        ("(?i)a{1,3}(?:b|c)?", "[aA]{1,3}(?:[bB]|[cC])?"),
        ("(?i)[a-f]+x", "(?i:[a-f])+[xX]"),
        (r"(?i)[\]a]x", r"(?i:[\]a])[xX]"),
        (r"(?i)\bñ\.\d", r"\b(?i:ñ)\.\d"),
        (r"(?i)x(?-i:[^A-Z])", r"[xX](?-i:[^A-Z])"),
        ("Ab", "Ab"),
        ("(?is)Ab", "(?is)Ab"),
        (r"(?i)\x41", r"(?i)\x41"),
        (r"(?i)\Qa.b\E", r"(?i)\Qa.b\E"),
        (r"(?i)\pL", r"(?i)\pL"),
        ("(?i)(?P<a>b)", "(?i)(?P<a>b)"),
        ("(?i)a(?-i)b", "(?i)a(?-i)b"),
        ("(?i)[[:alpha:]]", "(?i)[[:alpha:]]"),
        ("(?i)[]a]", "(?i)[]a]"),
    ],
)
def test_both_cases_are_written_out_where_that_is_sure(pattern: str, written: str) -> None:
    """Letters become classes; a pattern that holds anything unclear is left alone."""
    assert both_cases(pattern) == written
    re2.compile(written)


@given(
    st.lists(
        st.builds(
            lambda word, change, beside: change(word) + beside,
            st.sampled_from(WORDS),
            st.sampled_from([str.lower, str.upper, str.title, str.swapcase]),
            st.sampled_from(BESIDE),
        ),
        max_size=6,
    ).map("".join)
)
def test_the_bundled_patterns_find_what_they_found(text: str) -> None:
    """The patterns written out find the same texts, in whatever case."""
    found = {pattern for pattern in SOUGHT if _BEFORE[pattern].search(text)}
    assert {pattern for pattern in SOUGHT if _WRITTEN[pattern].search(text)} == found


_BEFORE = {pattern: re2.compile(pattern) for pattern in SOUGHT}
_WRITTEN = {pattern: re2.compile(both_cases(pattern)) for pattern in SOUGHT}
