"""Measures what each level of privacy costs: `python -m benchmarks.privacy`.

The same requests of `benchmarks.corpus` go through the transform, once at each level and again for each round, so that
the machine's noise falls on all. A child process is measured, since the engine's functions have one name a process.
Prints the CPU-seconds for a hundred thousand records, and the ratio to `strict`, as medians over the rounds.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from benchmarks import corpus
from clickhouse.engine import Engine
from privacy.rules import Level, load_rules
from privacy.sanitizer import Sanitizer
from receiver.scrub import Scrub
from receiver.transform import Surveyed, Transform

ITEMS = 512
REQUESTS = 40
RECORDS = 100_000
KINDS = {"traces": ("otel_traces", corpus.traces), "logs": ("otel_logs", corpus.logs)}
RETENTION_DAYS = 90


def main() -> int:
    """Measure one level, or all of them in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each level")
    parser.add_argument("--seconds", type=float, default=3, help="of work in each measurement")
    parser.add_argument("--rules", type=Path, help="a file of rules in place of the bundled ones")
    parser.add_argument("--level", choices=[level.value for level in Level], help="measure this one, here")
    options = parser.parse_args()
    if options.level:
        print(*(measure(kind, Level(options.level), options.rules, options.seconds) for kind in KINDS))
        return 0
    found: dict[Level, list[list[float]]] = {level: [] for level in Level}
    for _ in range(options.rounds):
        for level, rounds in found.items():
            rounds.append(_in_a_child(level, options.rules, options.seconds))
    print(
        "| CPU-seconds for 100,000 records | "
        + " | ".join((*KINDS, *(f"{kind}, ratio" for kind in KINDS)))
        + " |"
    )
    print("|---" * (1 + 2 * len(KINDS)) + "|")
    for level, rounds in found.items():
        times = [median(column) for column in zip(*rounds, strict=True)]
        ratios = [
            median(mine / strict for mine, strict in zip(column, base, strict=True))
            for column, base in zip(
                zip(*rounds, strict=True), zip(*found[Level.strict], strict=True), strict=True
            )
        ]
        print(f"| `{level}` | " + " | ".join(f"{one:.2f}" for one in (*times, *ratios)) + " |")
    return 0


def measure(kind: str, level: Level, file: Path | None, seconds: float) -> float:
    """Return the CPU-seconds for RECORDS records of a kind."""
    table, make = KINDS[kind]
    requests = [Surveyed(make(ITEMS, seed), ITEMS) for seed in range(REQUESTS)]
    rules = load_rules(file, level)
    transform = Transform(Engine(), rules, Scrub(Sanitizer(rules, None)), "k" * 32, RETENTION_DAYS)
    for request in requests[:4]:
        transform.run(table, [request])
    done, end, begun = 0, time.monotonic() + seconds, time.process_time()
    while time.monotonic() < end:
        for at in range(0, REQUESTS, 4):
            transform.run(table, requests[at : at + 4])
            done += 4 * ITEMS
    return (time.process_time() - begun) / done * RECORDS


def _in_a_child(level: Level, file: Path | None, seconds: float) -> list[float]:
    command = [sys.executable, "-m", "benchmarks.privacy", "--level", level, "--seconds", str(seconds)]
    if file is not None:
        command += ["--rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


if __name__ == "__main__":
    sys.exit(main())
