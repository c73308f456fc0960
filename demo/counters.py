"""The client's counters, in the temporality that its exporter asks for.

Delta: each export has the increase since the last one. Cumulative: each has the total since the process began, so that
a resumed session begins at 0 again with another start time. Values are integers internally (billionths of a dollar,
tokens, milliseconds), so that sums are exact.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from demo.records import Point, Value


@dataclass(frozen=True, slots=True)
class Metric:
    """One of the client's metrics; `scale` is how many of our integers make its unit."""

    name: str
    description: str
    unit: str = ""
    scale: int = 1


METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric("session.count", "Count of CLI sessions started"),
        Metric(
            "lines_of_code.count",
            "Count of lines of code modified, with the 'type' attribute indicating whether lines were added or"
            " removed and the 'model' attribute indicating which model made the change",
        ),
        Metric("pull_request.count", "Number of pull requests created"),
        Metric("commit.count", "Number of git commits created"),
        Metric("cost.usage", "Cost of the Claude Code session", "USD", 10**9),
        Metric("token.usage", "Number of tokens used", "tokens"),
        Metric(
            "code_edit_tool.decision",
            "Count of code editing tool permission decisions (accept/reject) for Edit, Write, and NotebookEdit tools",
        ),
        Metric("active_time.total", "Total active time in seconds", "s", 1000),
    )
}

Series = tuple[str, tuple[tuple[str, Value], ...]]
"""A metric's name and a series' attributes."""


class Counters:
    """The counters of one process."""

    def __init__(self, start: int, *, is_cumulative: bool) -> None:
        self._start = self._exported = start
        self._is_cumulative = is_cumulative
        self._values: dict[Series, int] = {}

    def add(self, name: str, value: int, **attributes: Value) -> None:
        """Increase a series."""
        series = name, tuple(attributes.items())
        self._values[series] = self._values.get(series, 0) + value

    def add_to(self, series: Series, value: int) -> None:
        """Increase a series whose attributes are not Python names."""
        self._values[series] = self._values.get(series, 0) + value

    def export(self, time: int) -> Iterator[Point]:
        """Yield a data point for each series that has a value."""
        for (name, attributes), value in self._values.items():
            scaled = value / METRICS[name].scale
            yield Point(name, dict(attributes), self._exported, time, scaled, self._is_cumulative)
        if not self._is_cumulative:
            self._values.clear()
            self._exported = time
