"""Texts of requests, and severities, as all systems of logs take them."""

import pytest

from connectors.alternatives import alternatives, clauses, is_in
from connectors.contract import BackendError, Kind, Severity
from connectors.severities import NAMES, severity_in, severity_of


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ()),
        ("timeout", (("timeout",),)),
        ("a OR b c", (("a",), ("b", "c"))),
        ('"connection refused" upstream', (("connection refused", "upstream"),)),
        ("OR a OR", (("a",),)),
        ("a or b", (("a", "or", "b"),)),
        ('an "open quote', (("an", '"open', "quote"),)),
        ('""', (('""',),)),
        ("a a", (("a",),)),
    ],
)
def test_a_text_has_alternatives_of_words_and_phrases(text: str, found: tuple[tuple[str, ...], ...]) -> None:
    """OR in capitals parts alternatives, quotes keep a phrase together."""
    assert alternatives(text) == found


def test_clauses_select_the_same_lines() -> None:
    """A word of each clause is a word of one alternative each."""
    assert clauses(alternatives("a b OR c d")) == (("a", "c"), ("a", "d"), ("b", "c"), ("b", "d"))
    assert [is_in(line, alternatives("a b OR c")) for line in ("B a", "C", "a", "")] == [
        True,
        True,
        False,
        False,
    ]
    assert is_in("anything", ())


@pytest.mark.parametrize(
    "text", ["x" * 2_001, " OR ".join(["a b c d"] * 4 + ["e f g h"] * 4).replace("a", "z")]
)
def test_a_text_that_asks_too_much_is_refused(text: str) -> None:
    """Systems that filter step by step would be asked thousands of steps."""
    with pytest.raises(BackendError) as caught:
        clauses(alternatives(text))
    assert caught.value.kind == Kind.BAD_QUERY


def test_severities_have_names() -> None:
    """Each name is of one severity, in any case."""
    names = [name for some in NAMES.values() for name in some]
    assert len(names) == len(set(names))
    assert [severity_of(name) for name in ("FATAL", " Warning ", "notice", "Trace", "unknown", "")] == [
        Severity.ERROR, Severity.WARN, Severity.INFO, Severity.DEBUG, None, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("level=warn msg=x", Severity.WARN),
        ('{"level":"error","msg":"x"}', Severity.ERROR),
        ('{"severity" : "INFO"}', Severity.INFO),
        ("2026-01-01 12:00:00 [main] FATAL com.x: gone", Severity.ERROR),
        ("DEBUG retry after an error", Severity.DEBUG),
        ("an error of no field", None),
        ("INFORMATION about terrors", None),
        ("", None),
    ],
)
def test_the_severity_of_a_line_is_what_it_names(line: str, severity: Severity | None) -> None:
    """A field, or a word in capitals; a word within a sentence is none."""
    assert severity_in(line) == severity
