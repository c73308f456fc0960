"""The corpus of requests in plain words, and how a translation is held to it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import promql_parser
import yaml

from connectors.contract import MetricName
from connectors.words.translating import Translation

FOLDER = Path(__file__).parent.parent / "data" / "words"


@cache
def metrics(exporter: str) -> tuple[MetricName, ...]:
    """Return an exporter's metrics; of `all`, those of all."""
    if exporter == "all":
        return tuple(one for path in sorted((FOLDER / "metrics").glob("*.txt")) for one in metrics(path.stem))
    lines = (FOLDER / "metrics" / f"{exporter}.txt").read_text("utf-8").splitlines()
    return tuple(MetricName(*line.split("|", 3)) for line in lines)


def requests(half: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield the exporter, what is asked, and the queries that answer it: none where it must be refused."""
    for path in sorted(FOLDER.glob("*.yaml")):
        read = yaml.safe_load(path.read_text("utf-8"))
        for ask, want in read[half].items():
            yield read["metrics"], ask, [] if want == "refuse" else want


def normal(query: str) -> str:
    """Return a query in one form."""
    return str(promql_parser.parse(query).prettify())


def is_right(found: Translation, want: list[str]) -> bool:
    """Whether the query is one of those wanted; where none is, whether there is none, or it is not certain."""
    if not want:
        return not found.query
    return bool(found.query) and normal(found.query) in {normal(one) for one in want}
