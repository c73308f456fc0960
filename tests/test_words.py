"""The words of docstrings, comments and documents: plain English, and lines of at most 120 characters."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

EXCLUDED = (
    "clickhouse/cluster/schema.sql",  # made of the migrations
    "clickhouse/schema/",  # a released migration is never edited
    "tests/data/",
    "tests/test_words.py",
)
"""The tracked files whose words are not held."""

_WORDS = re.compile(
    r"\b(anew|nobody|mend(?:s|ed|ing)?|hasten(?:s|ed)?|whoever|stands? for|to be had|what comes|who asked|of ours)\b",
    re.IGNORECASE,
)
_BEGINNINGS = re.compile(r"(Gives?|Tells?|Says?|Make of|Makes of)\b")
_LONGEST = 120


def covered(suffix: str) -> list[Path]:
    """Return the tracked files of a suffix that are held."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    names = listed.stdout.decode().split("\0")
    return [ROOT / name for name in names if name.endswith(suffix) and not name.startswith(EXCLUDED)]


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield a file's docstrings, comments or prose, each with the number of its first line."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                yield node.lineno, node.value.value
    comments = {".py": r"#(.*)", ".sh": r"#(.*)", ".sql": r"--(.*)"}
    for number, line in prose(source) if path.suffix == ".md" else enumerate(source.splitlines(), 1):
        found = re.search(comments.get(path.suffix, "(.*)"), line)
        if found:
            yield number, found[1]


def prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield a document's lines outside of code blocks and of YAML at its top, with their numbers."""
    is_code = False
    fence = "---" if source.startswith("---\n") else "```"
    for number, line in enumerate(source.splitlines(), 1):
        if line.lstrip().startswith(fence):
            fence = "```" if is_code else fence
            is_code = not is_code
        elif not is_code:
            yield number, line


@pytest.mark.parametrize("suffix", [".py", ".sql", ".sh", ".md"])
def test_no_word_has_to_be_decoded(suffix: str) -> None:
    """No docstring, comment or document has a word of the list in STYLE's sense."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {found[0]}"
        for path in covered(suffix)
        for number, text in texts(path)
        for found in [_WORDS.search(text)]
        if found
    ]
    assert wrong == []


def test_docstrings_say_what_is_returned_or_done() -> None:
    """A docstring begins with "Return", "Raise", "Whether" or another verb in the imperative, never with "Give"."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in covered(".py")
        for number, text in texts(path)
        if _BEGINNINGS.match(text)
    ]
    assert wrong == []


def test_lines_of_documents_are_short() -> None:
    """A line has 120 characters at most, except rows of tables, code, and a single word such as a link."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {len(line)}"
        for path in covered(".md")
        for number, line in prose(path.read_text(encoding="utf-8"))
        if len(line) > _LONGEST and not line.startswith("|") and " " in line.strip()
    ]
    assert wrong == []


def test_the_rule_looks_at_the_code() -> None:
    """Every exclusion names something, and files of every kind are held."""
    assert [name for name in EXCLUDED if not list(ROOT.glob(f"{name.rstrip('/')}*"))] == []
    assert all(covered(suffix) for suffix in (".py", ".sql", ".sh", ".md"))
