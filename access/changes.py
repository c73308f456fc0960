"""Changes from one period to the next: in durations, in shares of failures, and in use.

Each comparison is a Change with its numbers and its p-value. `judged` corrects these for their number and says which
are notable: certain enough, and large enough to matter. Too few records are not compared. Sessions, or stretches of a
session's work, are counted as independent, since calls of one session are alike. docs/statistics.md has the methods.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from access.inference import (
    SIGNIFICANT,
    Moments,
    Share,
    false_discovery,
    mann_whitney,
    two_shares,
    welch,
    z_p_value,
)
from access.store import Rows

CALLS: Final = 20
"""Calls or attempts of a group that a period needs at least."""
STRETCHES: Final = 6
"""Stretches of work, or sessions, that it needs at least."""
EXPECTED: Final = 5
"""Failures, or uses, that each period would have if nothing had changed: with fewer, a z-test is wrong."""
_TIMES: Final = 1.2
"""A typical duration that changed by less is not notable, however certain."""
_MORE: Final = 1.25
"""The same for shares of failures and for use."""
_POINTS: Final = 0.005
_MIX_POINTS: Final = 0.05
TOTAL: Final = "total"
_USED: Final = ("sessions", "requests", "calls", "tokens", "cost_usd")

COLUMNS: Final = (
    "what", "name", "of", "now", "before", "ratio", "n_now", "n_before", "clusters_now", "clusters_before", "p", "q",
    "notable",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One comparison. `n` is of records, `clusters` of stretches of work or sessions; without a test, `p` is None."""

    what: str
    name: str
    now: float | None
    before: float | None
    ratio: float | None
    n_now: int
    n_before: int
    clusters_now: int
    clusters_before: int
    p: float | None
    is_large: bool = False
    is_worse: bool = False
    weight: float = 0.0
    """How much it matters, among changes of its kind."""
    of: str = ""
    """What a share is of."""
    q: float | None = None

    @property
    def is_notable(self) -> bool:
        """Whether it is certain and large enough."""
        return self.is_large and self.q is not None and self.q <= SIGNIFICANT

    def row(self) -> tuple[Any, ...]:
        """Return the values in the order of COLUMNS."""
        return (
            self.what, self.name, self.of, self.now, self.before, self.ratio, self.n_now, self.n_before,
            self.clusters_now, self.clusters_before, self.p, self.q, self.is_notable,
        )  # fmt: skip


def judged(changes: Sequence[Change]) -> list[Change]:
    """Return the changes with q-values over all of them: notable ones first, the worse before the better."""
    q_values = false_discovery([change.p for change in changes])
    found = [replace(change, q=q) for change, q in zip(changes, q_values, strict=True)]
    return sorted(found, key=_order)


def untested(change: Change) -> Change:
    """Return a change whose two values cannot be compared."""
    return replace(change, ratio=None, p=None, is_large=False)


def durations(rows: Rows) -> list[Change]:
    """Return how durations changed, of the rows of `trend_durations.sql`."""
    found: dict[tuple[str, str], dict[bool, dict[str, Any]]] = {}
    for row in rows.dicts():
        found.setdefault((row["kind"], row["name"]), {})[bool(row["is_now"])] = row
    return [_duration(kind, name, one.get(True), one.get(False)) for (kind, name), one in found.items()]


def failures(rows: Rows) -> list[Change]:
    """Return how often each kind of failure happened of its attempts, of the rows of `failure_shares.sql`."""
    return [
        replace(
            change,
            is_large=_is_other(change, _MORE) and abs((change.now or 0) - (change.before or 0)) >= _POINTS,
            is_worse=(change.now or 0) > (change.before or 0),
            weight=abs((change.now or 0) - (change.before or 0)) * change.n_now,
        )
        for change in _shares("failure", rows)
    ]


def mix(rows: Rows) -> list[Change]:
    """Return how the shares of tools and models changed, of the rows of `usage_shares.sql`."""
    return [
        replace(change, is_large=moved >= _MIX_POINTS, weight=moved)
        for change in _shares("share", rows)
        for moved in (abs((change.now or 0) - (change.before or 0)),)
    ]


def used(sums: Rows, sample: Rows) -> list[Change]:
    """Return how much more or less was used, altogether and by a session.

    `sums` has for each period the number of sessions, and of each measure the sum and the sum of squares.
    """
    periods = {bool(row["is_now"]): row for row in sums.dicts()}
    sessions: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for row in sample.dicts():
        sessions[bool(row["is_now"])].append(row)
    now, before = periods.get(True), periods.get(False)
    if now is None or before is None:
        return []
    found = [_total(name, now, before) for name in _USED]
    return found + [
        _by_session(name, [[row[name] for row in sessions[is_now]] for is_now in (True, False)], now, before)
        for name in _USED[1:]
    ]


def _duration(
    kind: str, name: str, now: Mapping[str, Any] | None, before: Mapping[str, Any] | None
) -> Change:
    first, second = now or {}, before or {}
    p = ratio = None
    if now and before and all(_has_enough(one["calls"], one["stretches"]) for one in (now, before)):
        p = welch(*(Moments(one["stretches"], one["mean"], one["variance"]) for one in (now, before)))
        ratio = math.exp(now["mean"] - before["mean"])
    medians = [one["percentiles"][0] if one else None for one in (now, before)]
    return Change(
        f"{kind} duration_ms, median", name, medians[0], medians[1], ratio, int(first.get("calls", 0)),
        int(second.get("calls", 0)), first.get("stretches", 0), second.get("stretches", 0), p,
        is_large=ratio is not None and not 1 / _TIMES < ratio < _TIMES,
        is_worse=ratio is not None and ratio > 1,
        weight=abs(math.log(ratio)) * first.get("took_ms", 0) if ratio else 0.0,
    )  # fmt: skip


def _shares(what: str, rows: Rows) -> list[Change]:
    totals: dict[tuple[str, bool], dict[str, Any]] = {}
    parts: dict[tuple[str, str], dict[bool, dict[str, Any]]] = {}
    for row in rows.dicts():
        if row["is_total"]:
            totals[row["base"], bool(row["is_now"])] = row
        elif row["category"]:
            parts.setdefault((row["base"], row["category"]), {})[bool(row["is_now"])] = row
    found = []
    for (base, category), part in parts.items():
        now, before = (_share(part.get(is_now), totals.get((base, is_now))) for is_now in (True, False))
        p = two_shares(now, before) if _are_comparable(now, before) else None
        ratio = now.share / before.share if before.share else None
        found.append(
            Change(
                what, category, now.share if now.tried else None, before.share if before.tried else None, ratio,
                int(now.tried), int(before.tried), now.clusters, before.clusters, p, of=base,
            )
        )  # fmt: skip
    return found


def _share(part: Mapping[str, Any] | None, total: Mapping[str, Any] | None) -> Share:
    of, all_ = part or {}, total or {}
    return Share(
        all_.get("stretches", 0), of.get("failed", 0.0), all_.get("all_tried", 0.0), of.get("failed_squared", 0.0),
        of.get("failed_tried", 0.0), all_.get("tried_squared", 0.0),
    )  # fmt: skip


def _are_comparable(now: Share, before: Share) -> bool:
    tried = now.tried + before.tried
    if not all(_has_enough(one.tried, one.clusters) for one in (now, before)):
        return False
    failed = now.failed + before.failed
    return all(
        min(failed, tried - failed) * one.tried / tried >= EXPECTED for one in (now, before)
    )  # fmt: skip


def _total(name: str, now: Mapping[str, Any], before: Mapping[str, Any]) -> Change:
    """Compare what all sessions used: sessions come by chance, and each brings its own amount (compound Poisson)."""
    first, second = now[name], before[name]
    spread = now[f"{name}_squared"] + before[f"{name}_squared"]
    is_enough = min(now["sessions"], before["sessions"]) >= STRETCHES and spread > 0
    p = z_p_value((first - second) / math.sqrt(spread)) if is_enough else None
    return _use(TOTAL, name, first, second, now, before, p)


def _by_session(
    name: str, values: Sequence[Sequence[float]], now: Mapping[str, Any], before: Mapping[str, Any]
) -> Change:
    """Compare what a session used."""
    is_enough = min(map(len, values)) >= STRETCHES
    p = mann_whitney(*values) if is_enough else None
    medians = [sorted(one)[len(one) // 2] if one else None for one in values]
    return _use("median of a session", name, medians[0], medians[1], now, before, p)


def _use(
    what: str,
    name: str,
    now: float | None,
    before: float | None,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    p: float | None,
) -> Change:
    n_now, n_before = int(first["sessions"]), int(second["sessions"])
    ratio = now / before if now is not None and before else None
    change = Change(what, name, now, before, ratio, n_now, n_before, n_now, n_before, p)
    return replace(
        change,
        is_large=_is_other(change, _MORE),
        is_worse=name == "cost_usd" and (now or 0) > (before or 0),
        weight=abs(math.log(ratio)) if ratio else 1.0,
    )


def _has_enough(records: float, clusters: int) -> bool:
    return records >= CALLS and clusters >= STRETCHES


def _is_other(change: Change, times: float) -> bool:
    """Whether one of the two values is so many times the other; from or to nothing is more than any times."""
    low, high = sorted((change.now or 0.0, change.before or 0.0))
    return high > 0 and high >= low * times


def _order(change: Change) -> tuple[bool, bool, float, float, str, str]:
    """Return the key that puts notable changes first, worse ones before better ones, then by weight and certainty."""
    return (
        not change.is_notable,
        not change.is_worse,
        -change.weight,
        2.0 if change.q is None else change.q,
        change.what,
        change.name,
    )
