"""Why a question's answer has no rows: nothing arrived, none of that team, or nothing of the kind happened.

Needs of the question that are not met come first, see `access.needs`: what is not collected may well have happened.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from access import records
from access.needs import EVENTS, NEEDS, TOOL_DETAILS, Ask, Lack, bounds
from access.questions import Question
from access.text import visible

_PART: Final = Path(__file__).parent / "sql/part.sql"
_NARROWING: Final = ("team", "user", "project", "model")
_ALL: Final = "all"
_LONGEST: Final = 80


def reason(question: Question, values: Mapping[str, str], lacks: Sequence[Lack], ask: Ask) -> str:
    """Return why there are no rows, without a period at its end; "" when that is not known.

    `lacks` are the question's needs that are not met. What `ask` raises is passed on.
    """
    if any(lack.need is NEEDS[EVENTS] for lack in lacks):
        return ""
    if EVENTS in question.needs and (absent := _absent(question, values, ask)):
        return absent
    # A question that needs the details of tools has rows without them: they are a part of its columns.
    return question.empty if all(lack.need is NEEDS[TOOL_DETAILS] for lack in lacks) else ""


def _absent(question: Question, values: Mapping[str, str], ask: Ask) -> str:
    """Return what was asked about and is not among the events; "" when all of it is."""
    about = bounds(values) | {name: values.get(name, "") for name in _NARROWING}
    counts = _counts(about, values.get(records.PARAMETER, records.REAL), ask)
    if not counts["stored"]:
        return "no telemetry has arrived yet: telemetry setup points Claude Code here, telemetry demo invents some"
    if not {"from", "to"} <= set(question.types):
        return ""
    if not counts["period"]:
        return "nothing arrived in this period: telemetry query freshness says when something last did"
    for name in _NARROWING:
        if about[name] and not counts[name]:
            words = f"nothing of the {name} {visible(about[name], _LONGEST)} arrived in this period"
            if _counts(about, _ALL, ask)[name]:
                return (
                    f"{words} but demo data, which is left out as soon as there is other: records=all has it"
                )
            return words
    return ""


def _counts(about: Mapping[str, str], which: str, ask: Ask) -> dict[str, int]:
    sql = records.real(_PART.read_text(encoding="utf-8"))
    (row,) = ask(sql, {**about, records.PARAMETER: which})
    return dict(zip(("stored", "period", *_NARROWING), map(int, row), strict=True))
