"""The page of all benchmarks: what it takes from their output."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import all as every
from benchmarks import corpus
from benchmarks.peer_rules import PATTERNS
from otlp.json_encoding import decode
from otlp.signals import KINDS, Signal

PRINTED = """Machine: any

Command: `python -m benchmarks.some`

# Some
| load | per second | ratio | target |
|---|---|---|---|
| spans | 10 | 0.50 | at least 0.85: not met |
| logs | 12 | 0.91 | at least 0.85: met |

1.44 times the CPU time of the other.
"""


def test_every_ratio_is_at_the_top() -> None:
    """Those of tables with their targets, and those that a sentence says."""
    section = every.lower(PRINTED)
    assert [list(row) for row in every.ratios(section)] == [
        ["spans", "ratio", "0.50", "at least 0.85: not met"],
        ["logs", "ratio", "0.91", "at least 0.85: met"],
        ["1.44 times the CPU time of the other.", "in words", "1.44", ""],
    ]
    assert "Machine" not in section
    assert "### Some" in section


def test_sections_that_are_not_run_again_stay(tmp_path: Path) -> None:
    """A page is read back as it was written, so that one benchmark can be renewed alone."""
    sections = {"ingest": "a\n", "views": every.lower(PRINTED).strip() + "\n"}
    page = tmp_path / "benchmarks.md"
    page.write_text(every.page(sections))
    assert every.written(page) == sections


def test_each_benchmark_exists() -> None:
    """A renamed file is noticed."""
    assert all((every.ROOT / "benchmarks" / f"{one.name}.py").is_file() for one in every.BENCHMARKS)


@pytest.mark.parametrize(("signal", "make"), [(Signal.TRACES, corpus.traces), (Signal.LOGS, corpus.logs)])
def test_json_of_the_corpus_is_the_same_request(signal: Signal, make: Callable[[int, int], bytes]) -> None:
    """What is measured over HTTP in JSON is what is measured over gRPC."""
    body = make(50, 1)
    request = KINDS[signal].request
    decoded = decode(signal.value, corpus.as_json(body, request))
    assert (decoded.records, decoded.refused, decoded.message) == (50, 0, "")
    assert request.FromString(decoded.body) == request.FromString(body)


def test_peers_search_for_what_the_corpus_hides() -> None:
    """The patterns that peers are given find an address, an IP address and a key, and leave plain words alone."""
    found = {
        name
        for text in (
            "ask jane@example.com",
            "from 10.1.2.3",
            "AKIA" + "A" * 16,
            "please review and run the tests",
        )
        for name, pattern in PATTERNS.items()
        if re.search(pattern, text)
    }
    assert found == {"email", "ipv4", "aws_key"}
