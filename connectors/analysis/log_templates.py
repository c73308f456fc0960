"""The patterns of log lines: what varies from line to line is replaced by a placeholder, and equal lines are counted.

Placeholders are <time>, <uuid>, <url>, <email>, <ip>, <path>, <str>, <hex>, <id> and <num>. Two windows are compared by
the rate of each pattern: one that is new, one that is gone, and one that grew or shrank more than chance explains.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from access.inference import SIGNIFICANT, false_discovery, z_p_value
from connectors.contract import LogLine

CHARACTERS: Final = 1_000
"""So much of a line is looked at."""

_TIME: Final = (
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|\b\d\d:\d\d:\d\d(?:[.,]\d+)?\b"
)
# In this order: what is found first is not looked at again.
_PARTS: Final = (
    ("time", _TIME),
    ("uuid", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    ("url", r"\b[a-z][a-z0-9+.-]{1,15}://[^\s\"'<>]+"),
    ("email", r"\b[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+"),
    ("ip", r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b|\[?\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{0,4}\]?(?::\d{1,5})?"),
    ("str", r"\"(?:[^\"\\]|\\.)*\"|(?<!\w)'(?:[^'\\]|\\.)*'(?!\w)|`[^`]*`"),
    ("path", r"(?<![\w<])(?:[A-Za-z]:\\[^\s\"':,;]+|(?:~|\.{1,2})?/[\w.@%+:~-]+(?:/[\w.@%+:~-]*)*)"),
    ("hex", r"\b0[xX][0-9a-fA-F]+\b|\b(?=[a-fA-F]*\d)(?=\d*[a-fA-F])[0-9a-fA-F]{8,}\b"),
    ("id", (r"\b(?=[\w-]*\d[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*[-_][A-Za-z0-9]*\d[\w-]*\b"
           r"|\b(?=\w*\d\w*\d\w*\d)(?=\w*[A-Za-z])[A-Za-z0-9]{8,}\b")),
    ("num", r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?(?=(?:[a-zA-Zµ%]{1,3})?(?!\w))"),
)  # fmt: skip
_VARIES: Final = re.compile("|".join(f"(?P<{name}>{pattern})" for name, pattern in _PARTS))
_COLORS: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SPACES: Final = re.compile(r"\s+")


def template(message: str) -> str:
    """Return a line's pattern, from its first 1,000 characters."""
    text = _COLORS.sub("", message[:CHARACTERS])
    return _SPACES.sub(" ", _VARIES.sub(lambda found: f"<{found.lastgroup}>", text)).strip()


@dataclass(frozen=True, slots=True)
class Template:
    """A pattern and the lines that have it."""

    template: str
    count: int
    first_ns: int
    last_ns: int
    severities: tuple[str, ...]
    """The most frequent first."""
    services: tuple[str, ...]
    """The most frequent first."""
    example: str
    """The newest line."""


def templates(lines: Sequence[LogLine]) -> list[Template]:
    """Return the patterns of lines, the most frequent first."""
    groups: dict[str, list[LogLine]] = {}
    for line in lines:
        groups.setdefault(template(line.message), []).append(line)
    found = [_template(text, group) for text, group in groups.items()]
    return sorted(found, key=lambda one: (-one.count, one.template))


def _template(text: str, lines: Sequence[LogLine]) -> Template:
    newest = max(lines, key=lambda line: line.time_ns)
    severities = Counter(line.severity.value for line in lines if line.severity is not None)
    services = Counter(line.service for line in lines if line.service)
    return Template(
        text,
        len(lines),
        min(line.time_ns for line in lines),
        newest.time_ns,
        tuple(name for name, _ in severities.most_common()),
        tuple(name for name, _ in services.most_common()),
        newest.message[:CHARACTERS],
    )


class Trend(StrEnum):
    """How a pattern differs from the window before."""

    NEW = "new"
    GONE = "gone"
    MORE = "more"
    LESS = "less"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Changed:
    """A pattern in two windows. `now` is None for one that is gone, and `before` is its count in the other window.

    `ratio` is that of the rates a second, None for one that is new.
    """

    template: str
    trend: Trend
    now: Template | None
    count: int
    before: int
    ratio: float | None
    p_value: float
    q_value: float = 1.0


def compare(
    before: Sequence[LogLine], now: Sequence[LogLine], before_seconds: float, now_seconds: float
) -> list[Changed]:
    """Return all patterns of both windows: new ones first, then those that changed, then the others.

    The counts are compared as of a Poisson process: lines that come in bursts differ more often by chance than it says.
    Lines that were left out of either window, because there were too many, make the comparison wrong.
    """
    earlier = {one.template: one for one in templates(before)}
    later = {one.template: one for one in templates(now)}
    found = []
    for text in {**later, **earlier}:
        count = later[text].count if text in later else 0
        past = earlier[text].count if text in earlier else 0
        ratio = count / now_seconds / (past / before_seconds) if past else None
        p_value = _rates(past, before_seconds, count, now_seconds)
        found.append(Changed(text, Trend.SAME, later.get(text), count, past, ratio, p_value))
    q_values = false_discovery([one.p_value for one in found])
    judged = [
        replace(one, q_value=q or 0.0, trend=_trend(one, is_significant=(q or 0.0) <= SIGNIFICANT))
        for one, q in zip(found, q_values, strict=True)
    ]
    order = list(Trend)
    return sorted(judged, key=lambda one: (order.index(one.trend), -max(one.count, one.before), one.template))


def _trend(one: Changed, *, is_significant: bool) -> Trend:
    if not one.before:
        return Trend.NEW
    if not one.count:
        return Trend.GONE
    if not is_significant or one.ratio is None:
        return Trend.SAME
    return Trend.MORE if one.ratio > 1 else Trend.LESS


def _rates(before: int, before_seconds: float, now: int, now_seconds: float) -> float:
    """Return the p-value of equal rates: exact and two-sided, or by the normal approximation for many lines."""
    total, share = before + now, now_seconds / (before_seconds + now_seconds)
    if total > 1_000:  # noqa: PLR2004
        return z_p_value((now - total * share) / math.sqrt(total * share * (1 - share)))
    logs = [
        math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1)
        + k * math.log(share) + (total - k) * math.log1p(-share)
        for k in range(total + 1)
    ]  # fmt: skip
    return min(1.0, math.fsum(math.exp(one) for one in logs if one <= logs[now] + 1e-9))
