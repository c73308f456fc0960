#!/usr/bin/env python3
"""Measures the bundled privacy rules on tests/data/privacy_corpus.yaml; writes the table in docs/privacy.md.

Run it after a change of the rules or of the corpus. With `--check` it writes nothing and fails when the
table in the document is stale. Recall and precision count every entry, also those marked as known to be wrong.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from privacy.rules import Level, load_rules  # noqa: E402  the path is set above
from privacy.sanitizer import Sanitizer  # noqa: E402

CORPUS = ROOT / "tests/data/privacy_corpus.yaml"
DOCUMENT = ROOT / "docs/privacy.md"
BEGIN, END = "<!-- table:begin -->", "<!-- table:end -->"


@dataclass(frozen=True, slots=True)
class Entry:
    """A text of the corpus. `gone` is "" when nothing in it is private, so that it must not change."""

    rule: str
    text: str
    key: str | None
    gone: str
    left: str
    known: Literal["", "missed", "false_alarm"]

    def right(self, sanitizer: Sanitizer) -> bool:
        """Whether the sanitizer handles this text correctly."""
        result = self.redacted(sanitizer)
        return self.gone not in result and self.left in result if self.gone else result == self.text

    def redacted(self, sanitizer: Sanitizer) -> str:
        """Redact the text, as the value of its key where it has one."""
        counts = Counter[str]()
        if self.key is None:
            return sanitizer.redact(self.text, counts)
        return sanitizer.redact_attribute(self.key, self.text, counts)


def read_corpus() -> tuple[Entry, ...]:
    """Read all entries, each rule's private texts before its harmless ones."""
    # The mark keeps secret scanners away from the file.
    content = yaml.safe_load(CORPUS.read_text(encoding="utf-8").replace("{+}", ""))
    return tuple(entry for rule, texts in content.items() for entry in _entries(rule, texts))


def _entries(rule: str, texts: dict[str, list[str | dict[str, str]]]) -> Iterator[Entry]:
    for kind in ("redacts", "keeps"):
        for item in texts.get(kind, []):
            fields = {"text": item} if isinstance(item, str) else item
            known = fields.get("known", "")
            if known not in {"", "missed" if kind == "redacts" else "false_alarm"}:
                raise ValueError(f"{rule}: `known: {known}` does not fit under `{kind}`.")
            gone, left = str(fields.get("gone", "")), str(fields.get("left", ""))
            if (kind == "redacts") is not bool(gone) or gone not in str(fields["text"]):
                raise ValueError(f"{rule}: `gone` must be in a text under `redacts`: {fields}")
            yield Entry(rule, str(fields["text"]), fields.get("key"), gone, left, known)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Score:
    """How often a rule was right and wrong, on texts with something private and on texts without."""

    found: int
    missed: int
    alarms: int
    kept: int

    @property
    def recall(self) -> float:
        """The share of the private texts in which nothing private was left."""
        return self.found / (self.found + self.missed) if self.found + self.missed else 1.0

    @property
    def precision(self) -> float:
        """The share of the texts that were redacted in which something was private."""
        return self.found / (self.found + self.alarms) if self.found + self.alarms else 1.0


def score(entries: list[Entry], sanitizer: Sanitizer) -> Score:
    """Count over the entries."""
    counts = Counter((bool(entry.gone), entry.right(sanitizer)) for entry in entries)
    return Score(counts[True, True], counts[True, False], counts[False, False], counts[False, True])


def table() -> str:
    """Write the table in Markdown, one line a rule, in the order of application."""
    sanitizer = Sanitizer(load_rules(None, Level.strict), None)
    corpus = read_corpus()
    lines = [
        "| rule | replaced in | left alone | private texts | look-alikes | recall | precision |",
        "|---|---|---|---|---|---|---|",
    ]
    names = [pattern.name for pattern in sanitizer.rules.patterns]
    for name in [*names, *sorted({entry.rule for entry in corpus} - set(names))]:
        entries = [entry for entry in corpus if entry.rule == name]
        private = _shortest(entry for entry in entries if entry.gone and not entry.known)
        harmless = _shortest(entry for entry in entries if not entry.gone and not entry.known)
        lines.append(f"| `{name}` | {private} | {harmless} | {_figures(score(entries, sanitizer))} |")
    lines.append(f"| **all** | | | {_figures(score(list(corpus), sanitizer))} |")
    return "\n".join(lines)


def _shortest(entries: Iterator[Entry]) -> str:
    texts = sorted((entry.text for entry in entries if entry.key is None and "\n" not in entry.text), key=len)
    # Not the very shortest, which shows too little of the text around the match.
    text = texts[len(texts) // 4] if texts else ""
    # An escape character would not show, and a bar would end the cell.
    shown = text.replace("\x1b", "").replace("|", "\\|")
    return f"`` {shown[:70]}{'…' if len(shown) > 70 else ''} ``" if shown else ""  # noqa: PLR2004


def _figures(counts: Score) -> str:
    private, harmless = counts.found + counts.missed, counts.alarms + counts.kept
    recall = f"{counts.recall:.3f}" if private else ""
    precision = f"{counts.precision:.3f}" if private else ""
    return f"{private} | {harmless} | {recall} | {precision}"


def main() -> int:
    """Write the table into the document, or compare it with the present one."""
    parser = argparse.ArgumentParser(description="Write the table of privacy rules into docs/privacy.md.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the table is stale")
    arguments = parser.parse_args()
    document = DOCUMENT.read_text(encoding="utf-8")
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.stderr.write(f"{DOCUMENT} has no place for the table; put {BEGIN} and {END} into it.\n")
        return 1
    fresh = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if arguments.check and fresh != document:
        sys.stderr.write(f"The table in {DOCUMENT} is stale; run scripts/privacy_table.py.\n")
        return 1
    if not arguments.check:
        DOCUMENT.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
