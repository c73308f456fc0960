"""The latest events as people read them: what happened in which session, how long it took, what it cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from access.answer import Answer, scalar
from access.tail import ANOMALY, ERROR
from web.page.cells import moment_of, when

_OUTCOMES: Final = {ERROR: "failed", ANOMALY: "slow"}


@dataclass(frozen=True, slots=True)
class Latest:
    """One event. Numbers are None where the event has none."""

    time: str
    session: str
    kind: str
    name: str
    outcome: str
    """failed, slow for its tool or model, or nothing to say."""
    ms: float | None
    usual_ms: float | None
    tokens: int | None
    usd: float | None
    message: str


def latest(answer: Answer) -> Sequence[Latest]:
    """Return the rows of `access.tail.latest_events`."""
    return [_one(dict(zip(answer.columns, row, strict=True))) for row in answer.rows]


def _one(row: dict[str, Any]) -> Latest:
    def text(name: str) -> str:
        return "" if row[name] is None else str(scalar(row[name]))

    at = moment_of(text("timestamp"))
    tokens = [row[name] for name in ("tokens_in", "tokens_out") if row[name] is not None]
    server = f"{text('mcp_server')} " if text("mcp_server") else ""
    said = " ".join(part for part in (text("failure"), text("message")) if part)
    return Latest(
        when(at) if at else text("timestamp"),
        text("session_id"),
        text("event").replace("_", " "),
        server + (text("tool") or text("model")),
        _OUTCOMES.get(row["type"], ""),
        row["duration_ms"],
        row["usual_ms"],
        sum(tokens) if tokens else None,
        row["cost_usd"],
        said,
    )
