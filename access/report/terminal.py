"""A report for a terminal: its Markdown as a person reads it, without escapes and with columns that align.

It reads what `access.report.markdown` writes, and no other Markdown.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from access.table import length, line

_ESCAPED: Final = re.compile(r"\\([^\w\s])")
_EDGE: Final = re.compile(r"(?<!\\)\|")
_NUMBERS: Final = "---:"


def for_terminal(markdown: str) -> str:
    """Return the text of a report, for a terminal."""
    return "\n".join(_lines(markdown.splitlines()))


def _lines(lines: Sequence[str]) -> Iterator[str]:
    is_code = False
    rows: list[list[str]] = []
    for text in [*lines, ""]:
        if text.startswith("|") and not is_code:
            rows.append([_plain(cell.strip()) for cell in _EDGE.split(text)[1:-1]])
            continue
        yield from _table(rows)
        rows = []
        is_code ^= text.startswith("```")
        # A command stands alone on its line, as code, where nothing is escaped.
        yield text if is_code or text.lstrip().startswith("`") else _plain(text)


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)


def _table(rows: list[list[str]]) -> Iterator[str]:
    if not rows:
        return
    head, kinds, *body = rows
    widths = [max(length(row[place]) for row in (head, *body)) for place in range(len(head))]
    numbers = [kind == _NUMBERS for kind in kinds]
    for row in (head, ["─" * width for width in widths], *body):
        yield line(row, widths, numbers)
