"""PromQL's grammar: what is refused before it is sent, and that no text ends the process."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.contract import BackendError, Kind
from connectors.promql_grammar import MAX_CHARACTERS, MAX_OPERATORS, check, check_size, parsed
from tests.server import ROOT


def refusal(query: str) -> BackendError:
    """Return the error of a query."""
    with pytest.raises(BackendError) as caught:
        check(query)
    assert caught.value.kind == Kind.BAD_QUERY
    return caught.value


def test_what_breaks_the_grammar_is_refused_in_its_words() -> None:
    """The detail says where."""
    assert refusal("rate(up").detail == "unclosed left parenthesis"
    assert "no expression" in refusal("").detail
    assert "expected type matrix" in refusal("rate(up)").detail
    assert "at least one non-empty matcher" in refusal('{a=""}').detail


def test_a_function_of_a_newer_system_is_left_to_it() -> None:
    """The grammar knows those of its time."""
    check("future_function(up)")
    with pytest.raises(BackendError) as caught:
        parsed("future_function(up)")
    assert "unknown function" in caught.value.detail


@pytest.mark.parametrize(
    "query",
    [
        "(" * 100_000 + "1" + ")" * 100_000,
        "+".join(["1"] * 5_000),
        "abs(" * 4_000,
        " or ".join(["a"] * 3_000),
        "-" * 10_000 + "1",
        '# "\n' + "(" * 5_000 + '# "',
        "# `\n" + "(" * 5_000 + "# `",
        "'\n" + "(" * 5_000 + "'",
        "x" * (MAX_CHARACTERS + 1),
    ],
)
def test_a_query_that_would_overflow_the_parser_is_refused(query: str) -> None:
    """It is measured first; quotes and comments do not hide what nests."""
    assert "at most" in refusal(query).message


def test_what_stands_in_strings_does_not_count() -> None:
    """A label's values may hold any number of signs."""
    check_size('up{a="' + "(" * 5_000 + r"\"" + '"} # ' + "(" * 5_000)
    check('up{pod=~"' + "|".join(f"pod-{number}" for number in range(1_500)) + '"}')


def test_the_deepest_queries_that_are_parsed_do_not_end_the_process() -> None:
    """On the stack of a thread, too."""
    code = f"""
import threading
from connectors.promql_grammar import check
n = {MAX_OPERATORS}
def run():
    for query in ("(" * n + "1" + ")" * n, "+".join(["1"] * n), "a" + " unless a" * n, "-" * n + "1",
                  "abs(" * (n // 2) + "up" + ")" * (n // 2), "a[1m:1m]" * n):
        try:
            check(query)
        except Exception as error:
            assert type(error).__name__ == "BackendError", error
run()
thread = threading.Thread(target=run); thread.start(); thread.join(); print("alive")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


@given(st.text(alphabet="abup{}()[]\"'`#=~!+-*/%^<>,. \n15msh\\or@é", max_size=60))
def test_any_text_is_taken_or_refused(query: str) -> None:
    """Nothing else is raised."""
    try:
        check(query)
    except BackendError as error:
        assert error.kind == Kind.BAD_QUERY  # noqa: PT017
