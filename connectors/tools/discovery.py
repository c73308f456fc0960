"""Names that a system knows: of metrics, of their labels, of these labels' values.

Each question is identified by all that its answer depends on, the period and the limit among it, so that what was kept
for one tool or period is not given to another.
"""

from collections.abc import Sequence
from typing import Final

from connectors.connected import Connection
from connectors.contract import MetricName, Window
from connectors.tools.asker import Asker, metrics

_KIND: Final = "discovery"


async def metric_names(
    asker: Asker, connection: Connection, tool: str, match: str, limit: int
) -> Sequence[MetricName]:
    """Return metrics whose name contains a text; see Metrics. Raises Refusal."""
    asked = await asker.ask(
        connection,
        tool,
        _KIND,
        ("metric_names", match, limit),
        lambda adapter: metrics(adapter).metric_names(match, limit),
    )
    return asked.result


async def label_names(
    asker: Asker, connection: Connection, tool: str, metric: str, window: Window, limit: int
) -> Sequence[str]:
    """Return the names of a metric's labels in a period; see Metrics. Raises Refusal."""
    asked = await asker.ask(
        connection,
        tool,
        _KIND,
        ("label_names", metric, limit, window),
        lambda adapter: metrics(adapter).label_names(metric, window, limit),
    )
    return asked.result


async def label_values(
    asker: Asker, connection: Connection, tool: str, label: str, metric: str, window: Window, limit: int
) -> Sequence[str]:
    """Return the values of a metric's label in a period; see Metrics. Raises Refusal."""
    asked = await asker.ask(
        connection,
        tool,
        _KIND,
        ("label_values", label, metric, limit, window),
        lambda adapter: metrics(adapter).label_values(label, metric, window, limit),
    )
    return asked.result
