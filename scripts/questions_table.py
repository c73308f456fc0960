#!/usr/bin/env python3
"""Writes queries/README.md: every question with its parameters, columns and an example, from its header.

Run it after a change to a question. With `--check` it writes nothing and fails when the file is stale.
"""

import argparse
import itertools
import sys
import textwrap
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from access.needs import NEEDS  # noqa: E402  the path is set above
from access.questions import QUERIES, Question, questions  # noqa: E402  the path is set above

DOCUMENT = QUERIES / "README.md"
HEAD = """\
# Questions

Each file is one question: a SELECT with ClickHouse's query parameters (`{from:DateTime('UTC')}`), below a header that
says what it answers. scripts/questions_table.py makes this page from the headers.

```bash
.venv/bin/telemetry query errors -p from="1 day ago"          # times may be relative here
clickhouse-client --param_from="2026-11-01 00:00:00" --param_to="2026-12-01 00:00:00" --param_team= --param_user= \\
    --queries-file queries/errors.sql                         # every parameter must be given
```

A period is made of whole hours: from the beginning of the one that `from` is in, to the end of the one that `to` is in.
All questions about the same `from` and `to` count the same hours, so their totals agree; sessions and days count whole.
Where an answer has `before`, that is its first number in the period of the same length before, empty (not 0) where
nothing was recorded then, of that team, person or project.

In Grafana, use `$__fromTime` and `$__toTime` for the two times, and variables for the others. How to use the questions:
[docs/analysis.md](../docs/analysis.md).
"""


def main() -> int:
    """Write the file, or compare it with the present one."""
    parser = argparse.ArgumentParser(description="Write the questions into queries/README.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the file is stale")
    arguments = parser.parse_args()
    wanted = document()
    if arguments.check:
        if not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != wanted:
            sys.stderr.write("queries/README.md is stale: run scripts/questions_table.py\n")
            return 1
        return 0
    DOCUMENT.write_text(wanted, encoding="utf-8")
    return 0


def document() -> str:
    """Return the whole text."""
    groups = [
        (topic, list(group))
        for topic, group in itertools.groupby(questions(), lambda question: question.topic)
    ]
    index = ["| topic | question | file |", "|---|---|---|"]
    index += [
        f"| {topic} | {question.question} | [{question.name}](#{question.name}) |"
        for topic, group in groups
        for question in group
    ]
    parts = [HEAD, "\n".join(index)]
    for topic, group in groups:
        parts.append(f"## {topic.capitalize()}")
        parts += [section(question) for question in group]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def section(question: Question) -> str:
    """Return the section of one question."""
    parts = [f"### {question.name}", f"[{question.question}]({question.name}.sql)"]
    if question.note:
        parts.append(textwrap.fill(question.note, 120, break_long_words=False, break_on_hyphens=False))
    if question.needs:
        switches = "; ".join(f"`{NEEDS[name].switch}`" for name in question.needs)
        told = f"Needs {switches}, at the client.".replace(" and ", "` and `")
        parts.append(textwrap.fill(told, 120, break_long_words=False, break_on_hyphens=False))
    if question.parameters:
        rows = [
            f"| `{one.name}` | {shown(one.default)} | {cell(one.meaning)} |" for one in question.parameters
        ]
        parts.append("\n".join(["| parameter | default | meaning |", "|---|---|---|", *rows]))
    rows = [
        f"| `{name}` | {cell(meaning)} | {shown(question.example[name])} |"
        for name, meaning in question.columns.items()
    ]
    parts.append("\n".join(["| column | meaning | for example |", "|---|---|---|", *rows]))
    return "\n\n".join(parts)


def shown(value: Any) -> str:
    """Return a value as code, and an empty one as an empty text."""
    return "" if value is None or value == "" else f"`{value}`"


def cell(text: str) -> str:
    """Return a text with its pipes escaped, so that it stays in its cell."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
