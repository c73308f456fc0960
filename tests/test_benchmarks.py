"""The page of all benchmarks: what it takes from their output."""

from pathlib import Path

from benchmarks import all as every

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
