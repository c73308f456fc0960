"""Runs every benchmark and writes one page of their tables: `python -m benchmarks.all --output docs/benchmarks.md`.

One after the other, each in a process of its own, so that none is measured beside another. The page begins with the
machine and a table of every ratio; a section a benchmark has its command, the machine's load before and after it, and
what it printed. The data of ten million events are made once, in `--directory`, for all that read them. A benchmark
whose program is not there is named with what it needs; one that fails has its last lines in the page, and the exit
code is then 1.

Peers that are packages come from requirements-bench.lock. A whole run takes hours; `--only` takes some of them, and
leaves the other sections of a page that is there as they are.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from benchmarks.ingest import machine

ROOT: Final = Path(__file__).resolve().parent.parent
HOURS: Final = 4
"""The longest that one benchmark may take before it is stopped."""
SECTION: Final = re.compile(r"^## (\S+)$", re.MULTILINE)
SAID: Final = re.compile(r"\b(\d+(?:\.\d+)?) times\b")
_LONGEST: Final = 120
"""Characters of a line of prose, as the tests ask of every document."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark as it is run here."""

    name: str
    arguments: tuple[str, ...] = ()
    kept: bool = False
    """Whether it reads the data of ten million events."""
    program: str = ""
    """The program that it compares with, which `--program NAME=PATH` names where it is not on PATH."""
    flag: str = "--program={path}"


BENCHMARKS: Final = (
    Benchmark("ingest"),
    Benchmark("views"),
    Benchmark("event_storage"),
    Benchmark("privacy"),
    Benchmark("spool"),
    Benchmark("hostile"),
    Benchmark("footprint"),
    Benchmark("gateway"),
    Benchmark("sdk"),
    Benchmark("mcp_start"),
    Benchmark("anomalies"),
    Benchmark("insight"),
    Benchmark("queries", ("--no-plain",), kept=True),
    Benchmark("tools", kept=True),
    Benchmark("page", kept=True),
    Benchmark("peers_mcp", kept=True, program="mcp-clickhouse", flag="--peer={path}"),
    Benchmark("connectors", program="prometheus"),
    Benchmark("promql", program="prometheus"),
    Benchmark("connected", program="prometheus", flag="prometheus={path}"),
)


def main() -> int:
    """Run what is asked for and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=[one.name for one in BENCHMARKS], metavar="NAME")
    parser.add_argument("--output", type=Path, help="the page; without it, standard output")
    parser.add_argument("--directory", type=Path, help="keep the large data here, or use those that are here")
    parser.add_argument("--events", type=int, default=10_000_000, help="of the data that questions read")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=PATH")
    options = parser.parse_args()
    programs = dict(one.split("=", 1) for one in options.program)
    chosen = [one for one in BENCHMARKS if options.only is None or one.name in options.only]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as made:
        data = options.directory or Path(made)
        sections = written(options.output)
        failed = False
        for benchmark in chosen:
            text, right = run(benchmark, data, options.events, programs)
            sections[benchmark.name] = text
            failed = failed or not right
            # After each, so that a run that is cut short leaves what it measured.
            if options.output is not None:
                options.output.write_text(page(sections))
        if options.output is None:
            print(page(sections))
    return 1 if failed else 0


def run(benchmark: Benchmark, data: Path, events: int, programs: dict[str, str]) -> tuple[str, bool]:
    """Return a benchmark's section, and whether it ran to its end or had no program to compare with."""
    command = [sys.executable, "-m", f"benchmarks.{benchmark.name}", *benchmark.arguments]
    if benchmark.kept:
        command += ["--events", str(events), "--directory", str(data)]
    if benchmark.program:
        path = programs.get(benchmark.program) or shutil.which(benchmark.program)
        if path is None:
            return f"Not run: it compares with `{benchmark.program}`, which is not on PATH.\n", True
        command.append(benchmark.flag.format(path=path))
    print(f"{benchmark.name} ...", file=sys.stderr, flush=True)
    before = os.getloadavg()[0]
    began = datetime.now(UTC)
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, timeout=HOURS * 3_600, check=False
        )
    except subprocess.TimeoutExpired:
        return f"Stopped: it had not ended after {HOURS} hours.\n", False
    words = " ".join([f"python -m benchmarks.{benchmark.name}", *command[3:]]).replace(str(data), "KEPT")
    head = (
        f"`{words}`, {began:%Y-%m-%d}; the machine's load was {before:.1f} before it and"
        f" {os.getloadavg()[0]:.1f} after it.\n"
    )
    if done.returncode != 0:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        head += f"\nIt ended with exit code {done.returncode}; the last lines:\n\n```\n{last}\n```\n"
    return head + "\n" + lower(done.stdout).strip() + "\n", done.returncode == 0


def lower(printed: str) -> str:
    """Return what a benchmark printed as the text of a section: without the machine's and the command's lines.

    Its own headings become smaller, below the section's.
    """
    lines = [
        re.sub(r"^(#+) ", r"##\1 ", line)
        for line in printed.splitlines()
        if not line.startswith(("Machine: ", "Command: "))
    ]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def page(sections: dict[str, str]) -> str:
    """Return the page: the machine, every ratio, and the sections in the order of the benchmarks."""
    there = [one.name for one in BENCHMARKS if one.name in sections]
    rows = [f"| {name} | {' | '.join(row)} |" for name in there for row in ratios(sections[name])]
    head = [
        "# Benchmarks",
        "",
        "Written by `python -m benchmarks.all`. Ratios compare what one run measured side by side; between machines",
        "and hours the other figures differ by half. What they mean stands in [performance.md](performance.md).",
        "",
        machine(),
        "",
        "| benchmark | row | column | ratio | target |",
        "|---|---|---|---|---|",
        *rows,
    ]
    text = "\n".join(head) + "\n" + "".join(f"\n## {name}\n\n{sections[name]}" for name in there)
    return "\n".join(map(short, text.splitlines())) + "\n"


def short(line: str) -> str:
    """Return a line of prose as lines of at most 120 characters; a table's row stays one."""
    if line.startswith("|") or len(line) <= _LONGEST:
        return line
    return textwrap.fill(
        line, _LONGEST, subsequent_indent="  " * line.startswith("* "), break_on_hyphens=False
    )


def ratios(section: str) -> Iterator[Sequence[str]]:
    """Yield each ratio of a section: the row's name, the column, the value, and the row's target.

    Of its tables the columns that have the word in their name, of its sentences those that say "N times".
    """
    columns: list[str] = []
    for line in section.splitlines():
        if not line.startswith("|"):
            columns = []
            if said := SAID.search(line):
                yield line.replace("|", "/"), "in words", said[1], ""
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not columns:
            columns = cells
        elif not set(line) <= set("|-: "):
            target = next((cell for name, cell in zip(columns, cells, strict=False) if name == "target"), "")
            for name, cell in zip(columns, cells, strict=False):
                if "ratio" in name.lower() and cell:
                    yield cells[0], name, cell, target


def written(output: Path | None) -> dict[str, str]:
    """Return the sections of a page that is there already."""
    if output is None or not output.exists():
        return {}
    parts = SECTION.split(output.read_text())
    return {name: text.strip() + "\n" for name, text in zip(parts[1::2], parts[2::2], strict=True)}


if __name__ == "__main__":
    sys.exit(main())
