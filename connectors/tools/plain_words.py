"""Plain words as a query: told from PromQL, translated over the metrics that the system has, and shown.

Words are what the grammar does not read and what has none of its brackets: a query with a bracket that is missing is
refused rather than taken for a sentence. A word alone is a metric if there is one of that name.
"""

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from access.refusal import Code, Refusal
from connectors.connected import Connection
from connectors.tools import discovery, selectors
from connectors.tools.asker import Asker, Period
from connectors.words.queries import WINDOW
from connectors.words.translating import translate

NAMES: Final = 5_000
_LABELS: Final = 500
_WINDOW_SECONDS: Final = 300
_BRACKETS: Final = re.compile(r"[(){}\[\]]")
_WORD: Final = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Query:
    """What is sent. The rest is of plain words: what else was considered, doubts, and a period that was said."""

    text: str
    alternatives: Sequence[Mapping[str, Any]] = ()
    notes: Sequence[str] = ()
    period: str = ""


def is_words(text: str) -> bool:
    """Whether a text can be plain words alone; a word that PromQL reads as a metric may be either."""
    return bool(selectors.fault(text)) and not _BRACKETS.search(text)


async def translated(asker: Asker, connection: Connection, tool: str, text: str, period: Period) -> Query:
    """Return the query for plain words. Raises Refusal, with the metrics that were considered, when none fits."""
    names = await discovery.metric_names(asker, connection, tool, "", NAMES)
    # A system with thousands of metrics takes a second of computing, in which others are answered.
    found = await asyncio.to_thread(translate, text, names)
    if found.query:
        labels = await discovery.label_names(asker, connection, tool, found.metric, period.window, _LABELS)
        found = await asyncio.to_thread(translate, text, names, {found.metric: labels})
    if not found.query:
        raise Refusal(
            Code.UNKNOWN_NAME,
            " ".join(found.notes),
            "query",
            nearest=tuple(one.metric for one in found.alternatives),
            suggestions=(
                "discover(what=metrics, match=…) lists metrics.",
                *(one.query for one in found.alternatives[:3]),
            ),
        )
    how = "for certain" if found.is_certain else "with doubts"
    notes = [f"The words were read {how} (confidence {found.confidence:g}) as query_executed.", *found.notes]
    alternatives = [
        {"metric": one.metric, "query": one.query, "score": round(one.score, 2), "help": one.help}
        for one in found.alternatives
    ]
    return Query(_widened(found.query, period.step), alternatives, notes, found.period)


def _widened(query: str, step_seconds: float) -> str:
    """Return a query whose rates are over a whole step where that is longer: a shorter one passes over samples.

    Plain words have no brackets, so that those of the ranges are the query's own.
    """
    if step_seconds <= _WINDOW_SECONDS:
        return query
    return query.replace(f"[{WINDOW}]", f"[{math.ceil(step_seconds)}s]")


async def is_metric(asker: Asker, connection: Connection, tool: str, text: str) -> bool:
    """Whether a single word is the name of a metric; other texts are, as far as this is concerned."""
    if not _WORD.fullmatch(text):
        return True
    return text in {one.name for one in await discovery.metric_names(asker, connection, tool, "", NAMES)}
