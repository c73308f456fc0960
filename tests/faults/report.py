"""The results, as a table in Markdown."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.faults.ledger import Verdict


@dataclass(frozen=True, slots=True)
class Line:
    """One fault, the number of times it was made, and the fate of the records."""

    fault: str
    times: int
    verdict: Verdict
    note: str = ""
    foreseen: int = 0
    """Records that had to be lost, as those of a file that was damaged on the disk."""

    @property
    def is_kept(self) -> bool:
        """Whether the promises held."""
        return self.verdict.lost == self.foreseen and not self.verdict.beyond


def table(lines: Iterable[Line]) -> str:
    """Write the table."""
    rows = [
        "| fault | times | records sent | acknowledged | lost | stored twice | beyond what was resent | |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for line in lines:
        verdict = line.verdict
        numbers = (
            line.times,
            verdict.sent,
            verdict.acknowledged,
            verdict.lost,
            verdict.twice,
            verdict.beyond,
        )
        rows.append(f"| {line.fault} | {' | '.join(f'{number:,}' for number in numbers)} | {line.note} |")
    return "\n".join(rows)
