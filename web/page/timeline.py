"""A session as a picture: a row for each kind of work and each subagent, turns between lines, the cost as it grew.

Long pauses are shortened, or a session of two days would show nothing of its minutes. What is drawn is bounded however
long the session is: marks that would lie upon each other are drawn as one. The turns beside say the same as text.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from markupsafe import Markup

from access.report.numbers import Kind, shown
from web.page.cells import step_href
from web.page.replay import STEPS, Replay, Step

_WIDTH: Final = 1000.0
_LEFT: Final = 110.0
_RIGHT: Final = 6.0
_ROW: Final = 18
_COST: Final = 44
_BOTTOM: Final = 18
_PAUSE: Final = timedelta(seconds=60)
"""The longest pause between two events that is drawn as long as it was."""
_STEPS: Final = 800
"""Places in a row; what lies within one is one mark."""
_LONGEST: Final = 16
_KINDS: Final = (
    ("request", "requests"), ("tool", "tools"), ("error", "errors, retries"), ("hook", "hooks"),
    ("compaction", "compactions"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where a time is drawn: pauses take _PAUSE at most."""

    times: Sequence[datetime]
    places: Sequence[float]
    """How many seconds were drawn until then."""

    def x(self, time: datetime) -> float:
        last = max(self.places[-1], 1e-3)
        at = bisect_right(self.times, time) - 1
        if at < 0:
            return _LEFT
        seconds = self.places[at]
        if at + 1 < len(self.times):
            seconds = min(seconds + (time - self.times[at]).total_seconds(), self.places[at + 1])
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * min(seconds / last, 1.0)


def timeline(replay: Replay) -> Markup:
    """Return the picture of a session; an empty one for a session of a single moment."""
    steps = [step for turn in replay.turns for step in turn.steps]
    scale = _scale(steps)
    if scale is None:
        return Markup("")
    rows = [(name, [step for step in steps if not step.lane and step.kind == kind]) for kind, name in _KINDS]
    rows += [
        (name, [step for step in steps if step.lane == lane])
        for lane, name in enumerate(replay.lanes)
        if lane
    ]
    rows = [(name, found) for name, found in rows if found]
    if not rows:
        return Markup("")
    bottom = len(rows) * _ROW + 6
    total = steps[-1].total_usd
    height = bottom + (_COST if total else 0) + _BOTTOM
    label = (
        f"{len(replay.turns)} turns, {len(steps)} steps, {sum(step.failed for step in steps)} failed,"
        f" {shown(Kind.USD, total)}. The turns below say the same."
    )
    parts = [
        Markup('<svg class="timeline" viewBox="0 0 {} {}" role="group" aria-label="{}">').format(
            int(_WIDTH), height, label
        )
    ]
    parts += _turns(replay, scale, height - _BOTTOM)
    for number, (name, found) in enumerate(rows):
        top = 4 + number * _ROW
        short = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
        parts.append(Markup('<text class="tick" x="0" y="{}">{}</text>').format(top + 11, short))
        parts += _marks(found, scale, top)
    if total:
        parts += _cost(steps, scale, bottom, total)
    for anchor, time in (("start", steps[0].time), ("end", steps[-1].time)):
        x = _LEFT if anchor == "start" else _WIDTH - _RIGHT
        parts.append(
            Markup('<text class="tick" x="{:.0f}" y="{}" text-anchor="{}">{}</text>').format(
                x, height - 4, anchor, f"{time:%m-%d %H:%M:%S}"
            )
        )
    return Markup("").join([*parts, Markup("</svg>")])


def _scale(steps: Sequence[Step]) -> _Scale | None:
    times = sorted({step.time for step in steps} | {_began(step) for step in steps})
    if len(times) < 2:  # noqa: PLR2004  a moment has no length
        return None
    places = [0.0]
    for before, after in pairwise(times):
        places.append(places[-1] + min(after - before, _PAUSE).total_seconds())
    return _Scale(times, places)


def _began(step: Step) -> datetime:
    # A length that no session has is a client's error, and would leave the calendar.
    return step.time - timedelta(milliseconds=min(step.ms or 0.0, 86_400_000.0))


def _turns(replay: Replay, scale: _Scale, bottom: int) -> list[Markup]:
    """Return an area for each turn that leads to it."""
    found = []
    begins = [scale.x(turn.time) for turn in replay.turns]
    ends = [*begins[1:], _WIDTH - _RIGHT]
    for turn, begin, end in zip(replay.turns, begins, ends, strict=True):
        words = f"Turn {turn.number}: {shown(Kind.USD, turn.usd)}, {turn.failures} failed"
        is_elsewhere = replay.steps > STEPS and turn.steps
        page = step_href(replay.about["session_id"], turn.steps[0].number) if is_elsewhere else ""
        costliest = " costliest" if turn.number == replay.costliest else ""
        found.append(
            Markup(
                '<a href="{}#turn-{}" tabindex="-1">'
                '<rect class="turn-area{}" x="{:.1f}" y="0" width="{:.1f}" height="{}">'
                '<title>{}</title></rect><line class="grid" x1="{:.1f}" x2="{:.1f}" y1="0" y2="{}"/></a>'
            ).format(
                page,
                turn.number,
                costliest,
                begin,
                max(end - begin, 0.5),
                bottom,
                words,
                begin,
                begin,
                bottom,
            )
        )
    return found


def _marks(steps: Sequence[Step], scale: _Scale, top: int) -> list[Markup]:
    """Return a row's marks: those that touch are one, and failures are drawn over the others."""
    wide = (_WIDTH - _LEFT - _RIGHT) / _STEPS
    found = []
    for failed in (False, True):
        joined: list[list[float]] = []
        spans = sorted((scale.x(_began(step)), scale.x(step.time)) for step in steps if step.failed is failed)
        for begin, end in spans:
            begin -= begin % wide  # noqa: PLW2901  to its place in the row
            end = max(end, begin + wide)  # noqa: PLW2901
            if joined and begin <= joined[-1][1]:
                joined[-1][1] = max(joined[-1][1], end)
            else:
                joined.append([begin, end])
        name = "failed" if failed else "bar"
        found += [
            Markup('<rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="11"/>').format(
                name, begin, top + 1, max(end - begin - 0.2, 1.0)
            )
            for begin, end in joined
        ]
    return found


def _cost(steps: Sequence[Step], scale: _Scale, top: int, total: float) -> list[Markup]:
    """Return the line of the cost so far."""
    points: dict[int, tuple[float, float]] = {}
    for step in steps:
        x = scale.x(step.time)
        points[int(x)] = (x, top + 4 + (_COST - 8) * (1 - step.total_usd / total))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points.values())
    return [
        Markup('<text class="tick" x="0" y="{}">cost, {}</text>').format(top + 20, shown(Kind.USD, total)),
        Markup('<polyline class="line" points="{}"/>').format(line),
    ]
